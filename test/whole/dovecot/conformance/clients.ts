// The clients of `npm run lab -- conformance`. Each sends a line to a place, Dovecot itself or dovegate, and gives everything that it got.
import { linkSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { CommandFailed, connect, type Session, SessionFault } from '../../../../src/client/connect.js';
import { type Command, type Series } from '../../../../src/doveadm/commands/catalog.js';
import { jsonName } from '../../../../src/doveadm/commands/named.js';
import { parseArguments } from '../../../../src/doveadm/commands/parse.js';
import { runDovegate } from '../../../kit/gate/daemon.js';
import { runWarm } from '../../../kit/gate/warm-program.js';
import type { Lab } from '../../../kit/plain/dovecot-lab.js';
import { escapeCell } from '../../../kit/plain/framing.js';
import { readAsNetDoveadm, stillWaiting } from '../../../kit/plain/net-doveadm.js';
import type { ProgramResult } from '../../../kit/plain/program.js';
import { encodePost, HttpCut, openRawHttp } from '../../../kit/plain/raw-http.js';
import { alice, formats, isForMany, type Line } from './lines.js';

/** Where a line is sent: the one of two equal worlds that is asked directly, or the one behind dovegate. */
export interface Side {
  readonly kind: 'direct' | 'gated';
  readonly socket: string;
  readonly httpPort: number;
  /** The header of HTTP. */
  readonly authorization: string;
  /** The folder of the instance, as its server names it. */
  readonly folder: string;
}

/** What a client got, by its parts: `exit`, `stdout`, `stderr`, ... Bytes are latin1. */
export type Answer = Readonly<Record<string, string>>;

export interface Client {
  readonly name: string;
  /** Of a real program. */
  readonly series?: Series;
  /** The ways in which it can send a line of that command: formats, or one without a name. None: it cannot. */
  ways(line: Line, command: Command): readonly string[];
  ask(side: Side, line: Line, command: Command, way: string): Promise<Answer>;
  /** Closes what it keeps open. */
  close?(): Promise<void>;
}

const once = [''];
const answerMs = 30_000;

/** Line ends as the real program sends them, with dots doubled. */
function dotted(text: string): string {
  const lines = text.split(/\r?\n/).map((each) => (each.startsWith('.') ? `.${each}` : each));
  return `${lines.join('\r\n')}\r\n.\r\n`;
}

function words({ user = alice, args }: Line): { readonly user: string; readonly args: readonly string[] } {
  if (user === 'all') return { user: alice, args: ['-A', ...args] };
  if (/[*?]/.test(user)) return { user: alice, args: ['-u', user, ...args] };
  return { user, args };
}

function inFolder(side: Side, { args, ...line }: Line): Line {
  return { ...line, args: args.map((each) => each.replace(/(?<=^|[=:])FOLDER(?=\/)/, side.folder)) };
}

/** Server commands, and those that amount to root, need a process on which nothing ran. */
function isKept({ scope, grant }: Command): boolean {
  return scope === 'user' && grant !== 'never';
}

/** A connection of protocol 1.0, kept for as long as mail commands succeed on it. */
interface Stream {
  readonly socket: net.Socket;
  /** Everything that came since the last line was sent; latin1. */
  text: string;
  isOver: boolean;
  /** Called for each piece, and at the end. */
  wake: () => void;
}

function openStream(path: string): Stream {
  const socket = net.connect({ path, allowHalfOpen: true });
  const stream: Stream = { socket, text: '', isOver: false, wake: () => undefined };
  socket.on('data', (piece: Buffer) => {
    stream.text += piece.toString('latin1');
    stream.wake();
  });
  // A server that died of the line resets the connection; the bytes before count.
  socket.on('error', () => undefined);
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    stream.isOver = true;
    stream.wake();
  });
  socket.write('VERSION\tdoveadm-server\t1\t0\n');
  return stream;
}

/** Resolves when `isEnough`, or at the end of the connection; rejects when neither comes. */
function readStream(stream: Stream, isEnough: (text: string) => boolean, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      stream.socket.destroy();
      reject(new Error(`no answer within ${answerMs} ms: ${what}: ${stream.text}`));
    }, answerMs);
    stream.wake = () => {
      if (!stream.isOver && !isEnough(stream.text)) return;
      clearTimeout(timer);
      stream.wake = () => undefined;
      resolve();
    };
    stream.wake();
  });
}

/** The bytes of each answer, and of everything that follows a failure: a server of 2.3 sends more, or ends. */
function streams() {
  const kept = new Map<string, Stream>();
  return {
    ask: async (side: Side, fields: readonly string[], line: Line, command: Command): Promise<string> => {
      let stream = isKept(command) ? kept.get(side.socket) : undefined;
      if (stream === undefined) {
        stream = openStream(side.socket);
        await readStream(stream, (text) => text.includes('\n'), 'greeting');
        if (stream.text !== '+\n') throw new Error(`greeting: ${stream.text}`);
      } else kept.delete(side.socket);
      stream.text = '';
      const sent = fields.map((field) => escapeCell(field).toString('latin1')).join('\t');
      const text = line.stdin === undefined ? '' : dotted(line.stdin);
      stream.socket.write(Buffer.concat([Buffer.from(`${sent}\n`, 'latin1'), Buffer.from(text)]));
      await readStream(
        stream,
        (all) => /\n[^\n]*\n$/.test(all.slice(-64)) && all.indexOf('\n') < all.length - 1,
        sent,
      );
      if (isKept(command) && stream.text.endsWith('\n+\n')) kept.set(side.socket, stream);
      else {
        stream.socket.end();
        await readStream(stream, () => false, `the end after ${sent}`);
      }
      return stream.text;
    },
    close: async (): Promise<void> => {
      for (const { socket } of kept.values()) socket.destroy();
    },
  };
}

function takesText(line: Line, command: Command): boolean {
  return (line.stdin === undefined) === (command.input === 'none');
}

/** Protocol 1.0: the name as one field, no log lines. */
function minorZero(): Client {
  const { ask, close } = streams();
  return {
    name: 'protocol 1.0',
    ways: (line, command) => (line.flags === undefined && takesText(line, command) ? once : []),
    async ask(side, line, command) {
      const { user, args } = words(inFolder(side, line));
      return { bytes: await ask(side, ['', user, command.name, ...args], line, command) };
    },
    close,
  };
}

/**
 * As Net::Doveadm, which Debian does not package, and for which this is written by its behavior: protocol 1.0; words as the
 * caller has them, not escaped, so none with TAB or LF; no input. A status other than `+` is an exception. So it waits for ever
 * after a reply without rows, and its caller has to connect again.
 */
function netDoveadm(): Client {
  const { ask, close } = streams();
  return {
    name: 'Net::Doveadm',
    ways: ({ flags, args }, { input }) =>
      flags === undefined && input === 'none' && !args.some((word) => /[\t\n\x01]/.test(word)) ? once : [],
    async ask(side, line, command) {
      const { user, args } = words(inFolder(side, line));
      const bytes = await ask(side, ['', user, ...command.words, ...args], line, command);
      const [answer] = readAsNetDoveadm(bytes);
      if (answer === undefined) return { thrown: 'Empty read' };
      const [row, status] = answer;
      if (status === stillWaiting) return { waits: row };
      return status === '+'
        ? { row: JSON.stringify(row.split('\t')) }
        : { thrown: `Error: ${status} (${row})` };
    },
    close,
  };
}

/** Our library, at the newest minor of the server: one session for mail commands, as long as it lasts. */
function libraryClient(): Client {
  interface Open {
    readonly session: Session;
    readonly logs: string[];
  }
  const kept = new Map<string, Open>();
  const open = async (socket: string): Promise<Open> => {
    const logs: string[] = [];
    const session = await connect({ socket, onLog: ({ type, text }) => logs.push(`${type} ${text}`) });
    return { session, logs };
  };
  return {
    name: 'dovegate/client',
    ways: (line, command) => (takesText(line, command) ? once : []),
    async ask(side, line, command) {
      const { user, args } = words(inFolder(side, line));
      const { session, logs } = (isKept(command) && kept.get(side.socket)) || (await open(side.socket));
      if (isKept(command)) kept.delete(side.socket);
      logs.length = 0;
      let answer: Answer;
      try {
        const rows = await session.run({
          user,
          name: command.name,
          args,
          debug: line.flags?.includes('-D') ?? false,
          verbose: line.flags?.includes('-v') ?? false,
          ...(line.stdin !== undefined && { input: line.stdin }),
        });
        if (isKept(command)) kept.set(side.socket, { session, logs });
        answer = { rows: JSON.stringify(rows) };
      } catch (fault) {
        if (fault instanceof CommandFailed) answer = { failed: `${fault.kind} ${fault.code}` };
        else if (fault instanceof SessionFault) answer = { fault: fault.code };
        else throw fault;
      }
      if (kept.get(side.socket)?.session !== session) await session.close();
      return { ...answer, logs: logs.join('\n') };
    },
    async close() {
      for (const { session } of kept.values()) await session.close();
    },
  };
}

function formatsOf(line: Line): readonly string[] {
  return line.isFormatted === true ? ['', ...formats] : once;
}

function shown({ exit, stdout, stderr }: ProgramResult): Answer {
  return { exit: String(exit), stdout: stdout.toString('latin1'), stderr };
}

const send: Client = {
  name: 'dovegate send',
  ways: (line, command) => {
    if (line.isFurther === true || isForMany(line) || !takesText(line, command)) return [];
    return line.stdin === undefined || line.user === undefined ? formatsOf(line) : [];
  },
  async ask(side, line, command, way) {
    const { user, args } = words(inFolder(side, line));
    const flags = (line.flags ?? []).map((flag) => (flag === '-D' ? '--debug' : '--verbose'));
    const format = way === '' ? [] : ['--format', way];
    const all = ['send', '--socket', side.socket, '--user', user, ...flags, ...format, '--'];
    all.push(...command.words, ...args);
    return shown(
      line.stdin === undefined ? await runWarm(all) : await runDovegate(all, { stdin: line.stdin }),
    );
  },
};

let links = 0;

/** The real doveadm of a release, in its own root; `-S` takes mail commands only. `isHome`: the backend is of that release. */
export function cliOf(lab: Lab, isHome: boolean): Client {
  const linked = new Map<string, string>();
  /** The socket within its root: a hard link, since a socket is the inode that it is bound to. */
  const reach = (side: Side): string => {
    try {
      return lab.inRoot(side.socket);
    } catch {
      const known = linked.get(side.socket);
      if (known !== undefined) return lab.inRoot(known);
      // Other clients have links in this folder, too.
      links += 1;
      const path = join(lab.folder, `to-${links}`);
      linkSync(side.socket, path);
      linked.set(side.socket, path);
      return lab.inRoot(path);
    }
  };
  return {
    name: `doveadm ${lab.version}`,
    series: lab.series,
    ways: (line, { scope }) => {
      if (scope !== 'user' || line.isFurther === true) return [];
      // It prints by itself, whoever answers.
      return isHome ? formatsOf(line) : once;
    },
    async ask(side, line, { name }, way) {
      const { args, user = alice, flags = [], stdin = '' } = inFolder(side, line);
      const format = way === '' ? [] : ['-f', way];
      const who = user === 'all' ? ['-A'] : ['-u', user];
      const socket = reach(side);
      // The running instance has its configuration ready; a file is read by another program first, which takes as long again.
      const ready = ['-c', lab.inRoot(join(lab.folder, 'run', 'config'))];
      const all = [...ready, ...flags, ...format, ...name.split(' '), '-S', socket, ...who, ...args];
      const answer = shown(await lab.doveadm(all, { stdin }));
      return { ...answer, stderr: (answer['stderr'] ?? '').replaceAll(socket, 'SOCKET') };
    },
  };
}

/** Named parameters for the words of a line; undefined: they cannot be parsed. */
function requestOf(side: Side, series: Series, line: Line, command: Command): string | undefined {
  const parsed = parseArguments(series, command, inFolder(side, line).args);
  if (parsed.kind !== 'parsed') return undefined;
  const parameters: Record<string, unknown> = {};
  const { user = alice, stdin } = line;
  if (command.scope === 'user') Object.assign(parameters, user === 'all' ? { allUsers: true } : { user });
  for (const { name, type } of command.params) {
    const values = parsed.values.get(name);
    if (values === undefined) continue;
    if (name === 'source-user' && series === '2.3') parameters['sourceType'] = 'user';
    parameters[jsonName(name)] = type === 'bool' ? true : type === 'array' ? values : values.join(' ');
  }
  if (stdin !== undefined) parameters['file'] = stdin;
  return JSON.stringify([[jsonName(command.name.replaceAll(' ', '-')), parameters, 't']]);
}

function httpOf(series: Series): Client {
  return {
    name: 'HTTP API',
    ways: (line, command) =>
      line.isFurther === undefined &&
      line.flags === undefined &&
      takesText(line, command) &&
      parseArguments(series, command, line.args).kind === 'parsed'
        ? once
        : [],
    async ask(side, line, command) {
      const body = requestOf(side, series, line, command) ?? '';
      const client = await openRawHttp({ port: side.httpPort, timeoutMs: answerMs });
      try {
        await client.write(encodePost({ body, authorization: side.authorization }));
        const answer = await client.readAnswer();
        const type = answer.header('content-type') ?? '';
        return { status: String(answer.status), type, body: answer.body.toString('latin1') };
      } catch (fault) {
        if (fault instanceof HttpCut || (fault instanceof Error && 'code' in fault))
          return { status: 'closed' };
        throw fault;
      } finally {
        client.close();
      }
    },
  };
}

/** All but the real programs. */
export function ownClients(series: Series): readonly Client[] {
  return [minorZero(), netDoveadm(), libraryClient(), send, httpOf(series)];
}
