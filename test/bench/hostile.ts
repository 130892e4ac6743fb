// `npm run bench -- hostile [SECONDS [PART]]`: what a client sees while 50 sessions of others send the most expensive lines as fast as they
// can. For each line that the search for the worst one has found (test/kit/worst-line.ts) and one that is short: a daemon of its own
// with the hostile sessions on one listener, and one client on another that repeats `quota get`, first alone, then beside them.
// The same beside sessions that end themselves by an empty line and come again, and beside silent connections over TCP, more than their
// address may have, that come again at once.
//
// The goal is a p99 below 50 ms. The clients, the backend and the daemon share the processors of this machine, so what the sessions
// themselves need is in the figures too.
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hashPassword } from '../../src/domain/identity/credentials.js';
import { freePorts } from '../kit/free-ports.js';
import { gather } from '../kit/silent-crowd.js';
import { knownShapes, lineOf, roles, type Shape } from '../kit/worst-line.js';
import { type Bench, withBench } from './load/bench-processes.js';
import { printMachine } from './load/report.js';
import { costOf, processSnapshot } from './load/usage.js';

const seconds = Number(process.argv[2] ?? 4);
/** Only lines whose name holds it. */
const part = process.argv[3] ?? '';
const sessions = 50;
/** Above `sessions_per_peer`, so that each new one closes an older one. */
const silentConnections = 600;
const goalMs = 50;
const quota = '\talice@example.org\tquota get';
const flood = fileURLToPath(new URL('./load/flood.js', import.meta.url));

const short: Shape = {
  kind: 'noise',
  role: 'support-desk',
  series: '2.3',
  user: 'bob@elsewhere.org',
  command: 'quota get',
  parts: [],
};

interface Seen {
  readonly what: string;
  readonly calm: { readonly p50: number; readonly p99: number };
  readonly beside: { readonly p50: number; readonly p99: number; readonly longest: number };
  readonly answers: number;
  /** Processor time of the daemon's threads for each answer, in microseconds. */
  readonly cpuUs: number;
}

/** What the hostile clients do: the listener `hostile` that they connect to, and what starts them. */
interface Hostile {
  readonly listener: string;
  readonly policy: unknown;
  /** Resolves when they have begun; `end`: how many answers they got, or connections they made. */
  start(bench: Bench, id: string): Promise<{ end(): Promise<number> }>;
}

/** Sessions that repeat a line. */
function repeating(line: string, policy: unknown): Hostile {
  return {
    listener: 'unix: ID-hostile.sock, mode: "0600", sessions: 300, sessions_per_peer: 300, policy: hostile',
    policy,
    start(bench, id) {
      const file = bench.path(`${id}-line`);
      writeFileSync(file, `${line}\n`);
      const args = [flood, bench.path(`${id}-hostile.sock`), String(sessions), file];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      bench.after(() => void child.kill('SIGKILL'));
      const answered = untilSaid(child);
      return Promise.resolve({
        async end() {
          child.kill('SIGTERM');
          const { answers, reopened } = JSON.parse(await answered);
          return Number(answers) || Number(reopened);
        },
      });
    },
  };
}

/** Connections that say nothing and come again. */
function silent(port: number, hash: string): Hostile {
  const account = `{ migrator: { password_hash: "${hash}", policy: hostile } }`;
  return {
    listener: `tcp: "127.0.0.1:${port}", tls: { mode: off }, accounts: ${account}`,
    policy: { users: ['*@example.org'], allow: ['quota get'] },
    start: (bench) => gather(bench, { port, connections: silentConnections, returns: true }),
  };
}

async function measure(
  bench: Bench,
  id: string,
  what: string,
  hostile: Hostile,
  port: number,
): Promise<Seen> {
  const daemon = await bench.startDaemon({
    name: id,
    backend: `    address: localhost:${port}\n    tls: implicit\n    ca: ca.pem`,
    password: 'secret',
    otherUsers: '*@example.com',
    listeners: `  hostile: { ${hostile.listener.replace('ID', id)} }`,
    policies: `  hostile: ${JSON.stringify(hostile.policy)}`,
  });
  const asked = { target: daemon.socket, line: quota, clients: 1 };
  await bench.load({ ...asked, seconds: 1 });
  const calm = await bench.load({ ...asked, seconds });
  const running = await hostile.start(bench, id);
  await bench.load({ ...asked, seconds: 1 });
  const before = processSnapshot(daemon.pid);
  const beside = await bench.load({ ...asked, seconds });
  const after = processSnapshot(daemon.pid);
  const answers = (await running.end()) / (seconds + 1);
  await daemon.stop();
  return { what, calm, beside, answers, cpuUs: costOf(before, after, seconds * answers).us };
}

function untilSaid(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.once('close', () => resolve(said));
  });
}

function show(ms: number): string {
  return (ms / 1000).toFixed(2).padStart(8);
}

await withBench(async (bench) => {
  printMachine('before');
  const { tls } = await bench.startBackend();
  console.log(
    `\n${sessions} hostile sessions, ${seconds} s each; milliseconds of the other client's commands\n`,
  );
  console.log('  calm p50      p99 | beside p50      p99  longest | answers/s to hostile | ms of CPU | line');
  const missed: string[] = [];
  const [free = 0] = await freePorts(1);
  const hash = await hashPassword(Buffer.from('secret'), 10);
  const all: readonly (readonly [name: string, hostile: Hostile])[] = [
    ...[{ what: 'a short one that is refused', shape: short }, ...knownShapes].map(
      ({ what, shape }) =>
        [
          `${shape.kind}: ${what.replace(/ \(.*$/, '')}`,
          repeating(lineOf(shape), roles().get(shape.role)),
        ] as const,
    ),
    ['an empty line, which ends the session', repeating('', roles().get(short.role))],
    [`${silentConnections} silent connections over TCP`, silent(free, hash)],
  ];
  for (const [at, [name, hostile]] of all.entries()) {
    if (!name.includes(part)) continue;
    const { calm, beside, answers, cpuUs } = await measure(bench, `h${at}`, name, hostile, tls);
    console.log(
      `  ${show(calm.p50)} ${show(calm.p99)} |   ${show(beside.p50)} ${show(beside.p99)} ${show(beside.longest)} | ${String(Math.round(answers)).padStart(20)} | ${show(cpuUs)} | ${name}`,
    );
    if (beside.p99 >= goalMs * 1000) missed.push(name);
  }
  console.log(`\n${missed.length === 0 ? 'held' : `MISSED by ${missed.join('; ')}`}: p99 below ${goalMs} ms`);
  printMachine('after');
});
