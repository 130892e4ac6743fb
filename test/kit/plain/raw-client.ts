// A doveadm client written by hand for tests, of any protocol minor, that shows every byte. It imports nothing from src/.
// It sends what it is told, also what is wrong, and reads replies exactly: frame by frame, the first raw LF ends the rows, the next
// one the status line.
import type net from 'node:net';
import type { ByteReader } from './byte-reader.js';
import type { Owner } from './folder.js';
import { escapeCell, framingBetween, type LogEntry } from './framing.js';
import {
  createReplyReader,
  RawClientError,
  type RawEnd,
  type RawReply,
  type ReplyReader,
} from './raw-reply.js';
import { connectRaw, inTime, type RawConnection, type RawPlace, secureSocket } from './raw-socket.js';

export type { RawReply } from './raw-reply.js';

export interface RawClientOptions extends RawPlace {
  /** It is closed with this. */
  owner?: Owner;
  /** M of our VERSION line. Undefined: no handshake at all, the test sends it by hand. */
  minor?: number;
  /** TLS before PLAIN, or from the first byte; the certificate is verified against `ca`. */
  tls?: 'starttls' | 'implicit';
  /** PEM. */
  ca?: string;
  /** Name to verify; default `host`. */
  serverName?: string;
  /** PEM pair to show when the server asks for one. */
  certificate?: { certificatePem: string; keyPem: string };
  /** Sent as PLAIN when the server greets `-`; the user is doveadm unless named. */
  auth?: { user?: string; password: string };
  /** Asks for log lines (what a client of minor 3 and later does). */
  optionLogPassthrough?: boolean;
  /** How long each answer may take; default 30 s. */
  timeoutMs?: number;
}

export interface RawClient extends RawConnection {
  /** The server's go-ahead: `+` or `-`; undefined when there was no handshake. */
  readonly goAhead: string | undefined;
  /** N of the server's VERSION line, when it sent one. */
  readonly serverMinor: number | undefined;
  /** Writes one line; the LF is added. Fields are not escaped. */
  send(line: string | Buffer): void;
  /** Writes a command line with every field escaped. */
  sendCommand(command: { flags?: string; extra?: string; user: string; fields: readonly string[] }): void;
  /** The next reply; rejects with RawClientError when the session ends first. `keepBody: false` counts and hashes only. */
  readReply(options?: { keepBody?: boolean }): Promise<RawReply>;
  /** One command, and its reply. */
  ask(command: Parameters<RawClient['sendCommand']>[0], options?: { keepBody?: boolean }): Promise<RawReply>;
  /** Resolves when at least one more log line came since the last reply or call of this; all of them. */
  readLogs(): Promise<LogEntry[]>;
  /** The next line in clear, before any framing (for hand-made handshakes); null at the end. */
  readLine(): Promise<string | null>;
  /** Reads to the end of the session; rejects when a whole reply comes instead. */
  readEnd(): Promise<RawEnd>;
}

/** Connects and shakes hands up to the first command; rejects when the server refuses. */
export async function openRawClient(options: RawClientOptions): Promise<RawClient> {
  const { minor, timeoutMs = 30_000 } = options;
  const { tcp, isBroken, readerOn, connectionOn } = await connectRaw(options);
  /** The connection as it is now: in clear, or inside TLS. */
  const pipeOn = (socket: net.Socket): Pipe => ({ socket, reader: readerOn(socket) });

  let pipe: Pipe;
  let replies: ReplyReader;
  let greeting: Greeting = { goAhead: undefined, serverMinor: undefined };
  try {
    pipe = pipeOn(
      options.tls === 'implicit' ? await secureSocket(tcp, { ...options, protocol: 'doveadm' }) : tcp,
    );
    if (minor !== undefined) {
      greeting = await inTime(timeoutMs, 'greeting', greet(pipe, minor));
      if (greeting.goAhead === '-' && options.tls === 'starttls') {
        pipe.socket.write('STARTTLS\n');
        const early = pipe.reader.detach();
        if (early.length > 0) throw new Error('bytes in clear before TLS');
        pipe = pipeOn(await inTime(timeoutMs, 'TLS', secureSocket(tcp, { ...options, protocol: 'doveadm' })));
      }
      if (greeting.goAhead === '-') await inTime(timeoutMs, 'answer to PLAIN', login(pipe, options.auth));
      if (options.optionLogPassthrough === true) pipe.socket.write('\t\tOPTION\tlog-passthrough\n');
    }
    replies = createReplyReader(pipe.reader, framingBetween(minor ?? 0, greeting.serverMinor ?? 0), isBroken);
  } catch (error) {
    tcp.destroy();
    throw error;
  }

  const { socket, reader } = pipe;
  const client: RawClient = {
    ...greeting,
    ...connectionOn(socket, reader),
    send(line) {
      socket.write(Buffer.concat([Buffer.from(line), Buffer.from('\n')]));
    },
    sendCommand({ flags = '', extra, user, fields }) {
      const all = [flags, ...(extra === undefined ? [] : [extra]), user, ...fields];
      const line = Buffer.concat(all.flatMap((field) => [escapeCell(field), Buffer.from('\t')]));
      line[line.length - 1] = 0x0a;
      socket.write(line);
    },
    ask(command, asked) {
      client.sendCommand(command);
      return client.readReply(asked);
    },
    readReply: ({ keepBody = true } = {}) => inTime(timeoutMs, 'reply', replies.readReply(keepBody)),
    readLogs: () => inTime(timeoutMs, 'log line', replies.readLogs()),
    readLine: async () => {
      const line = await inTime(timeoutMs, 'line', reader.readLine());
      return line === null ? null : line.toString();
    },
    readEnd: async () => {
      try {
        const reply = await inTime(timeoutMs, 'end', replies.readReply(true));
        throw new Error(`a reply came instead of the end: ${reply.status}`);
      } catch (error) {
        if (error instanceof RawClientError) return error.end;
        throw error;
      }
    },
  };
  options.owner?.after(() => client.close());
  return client;
}

interface Pipe {
  socket: net.Socket;
  reader: ByteReader;
}

interface Greeting {
  goAhead: '+' | '-' | undefined;
  serverMinor: number | undefined;
}

/** Sends VERSION and reads up to the go-ahead, which stands behind the server's VERSION or alone. */
async function greet({ socket, reader }: Pipe, minor: number): Promise<Greeting> {
  socket.write(`VERSION\tdoveadm-server\t1\t${minor}\n`);
  let serverMinor: number | undefined;
  for (;;) {
    const line = (await reader.readLine())?.toString();
    if (line === '+' || line === '-') return { goAhead: line, serverMinor };
    const version = /^VERSION\tdoveadm-client\t1\t(\d+)$/.exec(line ?? '');
    if (version === null) throw new Error(line === undefined ? 'ended in the greeting' : `greeting: ${line}`);
    serverMinor = Number(version[1]);
  }
}

async function login({ socket, reader }: Pipe, auth: RawClientOptions['auth']): Promise<void> {
  if (auth === undefined) throw new Error('the server wants PLAIN, and there is nothing to send');
  const { user = 'doveadm', password } = auth;
  socket.write(`PLAIN\t${Buffer.from(`\0${user}\0${password}`).toString('base64')}\n`);
  const answer = (await reader.readLine())?.toString();
  if (answer !== '+') throw new Error(`PLAIN was answered with ${answer ?? 'the end'}`);
}
