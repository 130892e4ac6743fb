// The clients of a run: on UNIX sockets, over TLS, over HTTP, the real doveadm, bulk runs, and hostile ones. Each writes down what it sent
// and what it got (EVIDENCE.md, `clients.jsonl`).
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { builtProgram } from '../../kit/gate/daemon.js';
import { pick, type Random, seededRandom } from '../../kit/plain/chunkings.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { escapeCell } from '../../kit/plain/framing.js';
import { runProgram } from '../../kit/plain/program.js';
import { openRawClient, type RawClient, type RawClientOptions } from '../../kit/plain/raw-client.js';
import { openRawHttp, type RawHttp } from '../../kit/plain/raw-http.js';
import { RawClientError } from '../../kit/plain/raw-reply.js';
import { type Made, makeHostile, makeRead, makeSave, makeToken, makeWrite } from './commands.js';
import type { Evidence } from './evidence.js';
import { allows, type PolicyVersion, users } from './policy.js';

/** Where the gate's listeners are, as they are now. */
export interface Places {
  readonly read: string;
  readonly write: string;
  readonly jobsPort: number;
  readonly panelPort: number;
  readonly ca: string;
  readonly accountPassword: string;
  readonly panelKey: () => string;
  readonly folder: string;
}

export interface TrafficOptions {
  readonly evidence: Evidence;
  readonly seed: number;
  readonly places: Places;
  readonly lab: Lab;
  /** Versions that may be in force at this moment. */
  readonly inForce: () => readonly PolicyVersion[];
  readonly clients: number;
  /** Between two commands of a client, on average. */
  readonly thinkMs: number;
}

export interface Traffic {
  readonly running: number;
  /** Each client ends after its command; resolves when all have. */
  stop(): Promise<void>;
}

type Kind = 'unix' | 'tls' | 'http' | 'doveadm' | 'bulk' | 'hostile';

interface Worker {
  readonly number: number;
  readonly kind: Kind;
  readonly principal: string;
  readonly random: Random;
}

interface Told {
  readonly status?: string;
  readonly rows?: { readonly bytes: number; readonly sha: string };
  readonly text?: string;
  readonly logs?: readonly string[];
  readonly end: 'open' | 'eof' | 'reset' | 'timeout' | 'left';
}

const answerMs = 90_000;
/** A client that goes away: one in so many commands. */
const leaveOneIn = 150;

export function startTraffic(options: TrafficOptions): Traffic {
  const { evidence, seed, places, lab, inForce, clients, thinkMs } = options;
  const state = { isOver: false, running: 0 };

  const expectOf = (made: Made, principal: string): string => {
    if (made.isHostile) return 'refuse';
    const verdicts = inForce().map((version) => allows(version, principal, made.user, made.command));
    if (verdicts.every(Boolean)) return 'allow';
    return verdicts.some(Boolean) ? 'any' : 'refuse';
  };
  /** Writes down commands around what is done with all of them. */
  const recorded = async (
    { number, kind, principal }: Worker,
    commands: readonly Made[],
    act: () => Promise<Told & { inputCut?: true }>,
  ) => {
    const before = commands.map((made) => expectOf(made, principal));
    const begun = Date.now();
    const told = await act();
    for (const [at, made] of commands.entries()) {
      const { token, user, command, args, effect, input } = made;
      const after = expectOf(made, principal);
      evidence.write('clients', {
        client: number,
        kind,
        principal,
        token,
        user,
        command,
        args,
        effect,
        begun,
        expect: before[at] === after ? after : 'any',
        ended: Date.now(),
        ...(input !== undefined && {
          input: {
            bytes: Buffer.byteLength(input, 'latin1'),
            sha: sha(Buffer.from(input, 'latin1')),
            ...(input.length <= 4_096 && { text: input }),
          },
        }),
        ...told,
      });
    }
    return told;
  };

  const think = async ({ random }: Worker): Promise<void> => {
    await pause(random() * 2 * thinkMs);
  };

  /** A client that keeps its connection as long as it lasts. `make`: undefined: nothing that can be asked there. */
  const keeping = async <C extends { close(): void }>(
    worker: Worker,
    open: () => Promise<C>,
    make: (random: Random) => Made | undefined,
    ask: (client: C, made: Made) => Promise<Told & { inputCut?: true }>,
  ): Promise<void> => {
    let client: C | undefined;
    while (!state.isOver) {
      await think(worker);
      try {
        client ??= await open();
      } catch {
        await pause(300);
        continue;
      }
      const made = make(worker.random);
      if (made === undefined) continue;
      const one = client;
      const told = await recorded(worker, [made], () => ask(one, made));
      // After a reply that broke off the gate ends the session, at once or a moment later.
      const isBroken = told.status === '-TEMPFAIL' && told.rows !== undefined && told.rows.bytes !== 0;
      if (told.end !== 'open' || isBroken) {
        client.close();
        client = undefined;
      }
    }
    client?.close();
  };

  /** By the doveadm protocol. */
  const native = (
    worker: Worker,
    open: () => Promise<RawClient>,
    make: (random: Random) => Made,
    minor: number,
  ): Promise<void> =>
    keeping(worker, open, make, (client, made) => {
      const leaves = worker.random() < 1 / leaveOneIn;
      return askNative(client, made, minor, leaves, worker.random);
    });

  const openUnix = (path: string, minor: number) => (): Promise<RawClient> =>
    openRawClient({ path, minor, timeoutMs: answerMs, ...(minor >= 3 && { optionLogPassthrough: true }) });
  const openTls = (minor: number) => (): Promise<RawClient> => {
    const place: RawClientOptions = {
      host: '127.0.0.1',
      port: places.jobsPort,
      minor,
      tls: 'starttls',
      ca: places.ca,
      serverName: 'localhost',
      auth: { user: 'backup', password: places.accountPassword },
      timeoutMs: answerMs,
    };
    return openRawClient(place);
  };

  const http = (worker: Worker): Promise<void> =>
    keeping(
      worker,
      () => {
        const tls = { ca: places.ca, serverName: 'localhost' };
        return openRawHttp({ port: places.panelPort, tls, timeoutMs: answerMs });
      },
      (random) => {
        const made = makeRead(random);
        return httpBodyOf(made) === undefined ? undefined : made;
      },
      (client, made) => askHttp(client, httpBodyOf(made) ?? '', places.panelKey()),
    );

  const program = async (worker: Worker): Promise<void> => {
    while (!state.isOver) {
      await pause(1_000 + worker.random() * 2_000);
      const made = makeRead(worker.random);
      await recorded(worker, [made], async () => {
        const [name = '', sub] = made.command.split(' ');
        const words = sub === undefined ? [name] : [name, sub];
        const { exit } = await lab.doveadm([...words, '-u', made.user, '-S', places.read, ...made.args], {
          timeoutMs: answerMs,
        });
        return { status: `exit ${exit}`, end: 'eof' };
      });
    }
  };

  const bulk = async (worker: Worker): Promise<void> => {
    const file = `${places.folder}/bulk-${worker.number}`;
    while (!state.isOver) {
      await pause(5_000 + worker.random() * 10_000);
      const token = makeToken(worker.random);
      const some = users.filter(() => worker.random() < 0.4);
      if (some.length === 0) continue;
      writeFileSync(file, `${some.join('\n')}\n`);
      const args = ['uid', 'mailbox', 'Stable', 'not', 'keyword', token];
      const made = some.map((user): Made => ({ token, user, command: 'fetch', args, effect: 'read' }));
      const send = [builtProgram, 'send', '--socket', places.read, '--users', file, '--jobs', '3'];
      await recorded(worker, made, async () => {
        const { exit } = await runProgram(process.execPath, [...send, '--', 'fetch', ...args], {
          timeoutMs: answerMs,
        });
        return { status: `exit ${exit}`, end: 'eof' };
      });
    }
  };

  /** Garbage, half-open handshakes, lines that are too long, clients that read nothing: none of it is a command. */
  const stranger = async (worker: Worker): Promise<void> => {
    while (!state.isOver) {
      await pause(500 + worker.random() * 3_000);
      const place = pick(worker.random, [
        { path: places.read },
        { host: '127.0.0.1', port: places.jobsPort },
        { host: '127.0.0.1', port: places.panelPort },
      ]);
      const text = pick(worker.random, [
        Buffer.alloc(0),
        Buffer.from('GET / HTTP/1.1\r\n'),
        Buffer.from('VERSION\tdoveadm-server\t1\t3\n'),
        Buffer.from('VERSION\tdoveadm-server\t1\t3\nSTARTTLS\n\x16\x03\x01'),
        Buffer.from(`VERSION\tdoveadm-server\t1\t2\n\tu\t${'x'.repeat(200_000)}`),
        Buffer.from('PLAIN\tAAAA\n'),
        Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]),
      ]);
      const socket = net.connect(place);
      socket.on('error', () => undefined);
      socket.write(text);
      socket.resume();
      await pause(worker.random() * 12_000);
      socket.destroy();
    }
  };

  const workers: Promise<void>[] = [];
  for (let number = 0; number < clients; number += 1) {
    const random = seededRandom(seed * 4_096 + number);
    const minor = pick(random, [0, 2, 3]);
    const share = number / clients;
    const start = (kind: Kind, principal: string, run: (worker: Worker) => Promise<void>): void => {
      state.running += 1;
      const done = run({ number, kind, principal, random }).catch((error: unknown) => {
        console.error(`client ${number} (${kind}) ended: ${String(error)}`);
      });
      workers.push(
        done.then(() => {
          state.running -= 1;
        }),
      );
    };
    const startNative = (
      kind: Kind,
      principal: string,
      open: () => Promise<RawClient>,
      make: (source: Random) => Made,
    ): void => start(kind, principal, (worker) => native(worker, open, make, minor));
    const makeNative = (source: Random): Made => makeRead(source, true);
    const makeJob = (source: Random): Made => (source() < 0.2 ? makeSave(source) : makeRead(source, true));
    if (number < 2) start('doveadm', 'root@read', program);
    else if (number < 3) start('bulk', 'root@read', bulk);
    else if (share < 0.45) startNative('unix', 'root@read', openUnix(places.read, minor), makeNative);
    else if (share < 0.65) startNative('unix', 'root@write', openUnix(places.write, minor), makeWrite);
    else if (share < 0.78) startNative('tls', 'backup@jobs', openTls(minor), makeJob);
    else if (share < 0.9) start('http', 'panel@panel', http);
    else if (share < 0.97) startNative('hostile', 'root@read', openUnix(places.read, minor), makeHostile);
    else start('hostile', 'root@read', stranger);
  }
  return {
    get running() {
      return state.running;
    },
    async stop() {
      state.isOver = true;
      await Promise.all(workers);
    },
  };
}

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function askNative(
  client: RawClient,
  made: Made,
  minor: number,
  leaves: boolean,
  random: Random,
): Promise<Told & { inputCut?: true }> {
  if (made.input !== undefined) client.send(`\t\tOPTION\tdovegate-reason=${made.token}`);
  if (made.raw === undefined) client.sendCommand({ user: made.user, fields: [made.command, ...made.args] });
  else await client.write(made.raw).catch(() => undefined);
  if (made.input !== undefined) {
    const stuffed = made.input.replaceAll(/^\./gm, '..');
    const wire = Buffer.from(`${stuffed}\r\n.\r\n`, 'latin1');
    if (leaves) {
      await client.write(wire.subarray(0, Math.floor(random() * wire.length * 0.9))).catch(() => undefined);
      client.close();
      return { end: 'left', inputCut: true };
    }
    // In pieces that end anywhere, also between CR and LF.
    const cuts = [0, wire.length];
    for (let count = random() < 0.5 ? 0 : 3; count > 0; count -= 1)
      cuts.push(Math.floor(random() * wire.length));
    if (random() < 0.3) cuts.push(wire.indexOf('\n'));
    const sorted = cuts.toSorted((one, other) => one - other);
    for (const [at, cut] of sorted.slice(0, -1).entries()) {
      await client.write(wire.subarray(cut, sorted[at + 1])).catch(() => undefined);
      await pause(3);
    }
  } else if (leaves) {
    await pause(random() * 20);
    client.close();
    return { end: 'left' };
  }
  try {
    const { body, bodyBytes, bodySha256Hex, status, logs } = await client.readReply();
    return {
      status,
      rows: { bytes: bodyBytes, sha: bodySha256Hex },
      ...(bodyBytes <= 300 && { text: body.toString('latin1') }),
      ...(minor > 0 && { logs: logs.map(({ text }) => text) }),
      end: 'open',
    };
  } catch (error) {
    if (!(error instanceof RawClientError)) return { end: 'timeout' };
    const { end } = error;
    return {
      rows: { bytes: end.body.length, sha: sha(end.body) },
      logs: end.logs.map(({ text }) => text),
      end: end.isBroken ? 'reset' : 'eof',
    };
  }
}

type HttpTold = readonly Readonly<Record<string, unknown>>[] | { exitCode?: number; code?: string };

/** The same command for the HTTP API; undefined: it has another form there. */
function httpBodyOf({ token, user, command, args }: Made): string | undefined {
  const [first = '', ...rest] = args;
  const name: Readonly<Record<string, string>> = {
    'mailbox list': 'mailboxList',
    'mailbox status': 'mailboxStatus',
    fetch: 'fetch',
    search: 'search',
  };
  const own: Readonly<Record<string, object>> = {
    'mailbox list': { mailboxMask: args },
    'mailbox status': { field: first.split(' '), mailboxMask: rest },
    fetch: { field: first.split(' '), query: rest },
    search: { query: args },
  };
  const parameters = own[command];
  if (parameters === undefined) return undefined;
  return JSON.stringify([[name[command], { user, ...parameters }, token]]);
}

async function askHttp(client: RawHttp, body: string, key: string): Promise<Told> {
  const head = [
    'POST /doveadm/v1 HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/json',
    `Authorization: Bearer ${key}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  try {
    await client.write(`${head.join('\r\n')}\r\n\r\n${body}`);
    const answer = await client.readAnswer();
    if (answer.status !== 200) return { status: `http ${answer.status}`, end: 'eof' };
    const [[kind, told] = []]: [string?, HttpTold?, string?][] = JSON.parse(answer.body.toString());
    const end = answer.header('connection') === 'close' ? 'eof' : 'open';
    if (kind === 'doveadmResponse' && Array.isArray(told)) {
      const cells = told.flatMap((row) => Object.values(row).map((cell) => escapeCell(String(cell))));
      const rows = Buffer.concat(cells.flatMap((cell) => [cell, Buffer.from('\t')]));
      return { status: '+', rows: { bytes: rows.length, sha: sha(rows) }, end };
    }
    if (told === undefined || !('exitCode' in told)) return { status: 'not understood', end: 'eof' };
    return {
      status: `-${httpCodes[told.exitCode ?? 0] ?? `EXIT${String(told.exitCode)}`}`,
      text: told.code ?? '',
      end,
    };
  } catch (error) {
    return { end: String(error).includes('within') ? 'timeout' : 'eof' };
  }
}

/** Exit codes of the API's errors, as words of the protocol. */
const httpCodes: Readonly<Record<number, string>> = {
  64: 'USAGE',
  65: 'DATAERR',
  67: 'NOUSER',
  68: 'NOTFOUND',
  75: 'TEMPFAIL',
  77: 'NOPERM',
};
