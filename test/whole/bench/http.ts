// `npm run bench -- http [ROUNDS] [SECONDS] [--json] [--check FILE]`: the HTTP API of a real Dovecot, asked directly and through dovegate's
// HTTP listener, by 8 clients with the same command. Dovecot closes the connection after each answer, so its clients connect for each
// command; through dovegate they do that too, or keep their connections. All of it on loopback and without TLS, where the gate costs most.
// Needs root, as every lab of a real Dovecot does.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { openLab } from '../../kit/plain/dovecot-lab.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { authorizationOf, encodePost } from '../../kit/plain/raw-http.js';
import { withBench } from './load/bench-processes.js';
import { openReport } from './load/report.js';
import { type Measured, measureRounds, ratioOf } from './load/rounds.js';
import { daemonProbe, type Probe, treeSnapshot } from './load/usage.js';

const clients = 8;
const warmingSeconds = 10;
const alice = 'alice@example.org';
const body = JSON.stringify([
  ['mailboxStatus', { user: alice, field: ['messages'], mailboxMask: ['INBOX'] }, 't1'],
]);

const report = openReport('http', { rounds: 7, seconds: 2 });
const { rounds, seconds } = report;

await withBench(async (bench) => {
  const lab = await openLab(bench, 'native');
  if ('skip' in lab) return report.note(`not measured: ${lab.skip}`);
  const key = makeKey(randomBytes(keyBytes));
  const [port = 0] = await freePorts(1);
  const gate = await bench.startDaemon({
    name: 'http',
    backend: `    address: unix:${lab.unixPreauth}\n    connections: ${clients}`,
    password: lab.password,
    listeners: `  panel:
    tcp: 127.0.0.1:${port}
    protocol: http
    tls: { mode: off }
    sessions_per_peer: 1000
    keys: { panel: { hash: "${hashKey(key)}", policy: support, expires: 2099-01-01 } }`,
  });
  const requestOf = (authorization: string, keepsAlive: boolean): string =>
    encodePost({
      authorization,
      headers: { 'Content-Type': 'application/json' },
      body,
      keepsAlive,
    }).toString();
  const direct = {
    target: String(lab.httpPort),
    line: requestOf(authorizationOf.password(lab.password), false),
  };
  const through = (keepsAlive: boolean) => ({
    target: String(port),
    line: requestOf(authorizationOf.key(key), keepsAlive),
  });
  const master = Number(readFileSync(join(lab.folder, 'run', 'master.pid'), 'utf8'));
  const dovecot: Probe = () => ({ Dovecot: treeSnapshot(master) });
  const ofGate = daemonProbe(gate.pid);
  const load =
    (where: { target: string; line: string }, reconnects: boolean, more: Probe = () => ({})) =>
    async (): Promise<Measured> => {
      const options = { ...where, isHttp: true, clients, seconds, reconnects };
      const {
        commands,
        seconds: took,
        costs,
      } = await bench.load(options, () => ({ ...dovecot(), ...more() }));
      return { figure: commands / took, costs };
    };
  // A daemon that has run for a while is compiled; at Dovecot's pace that takes some thousand commands.
  await bench.load({ ...through(true), isHttp: true, clients, seconds: warmingSeconds });
  await bench.load({ ...through(false), isHttp: true, clients, seconds: warmingSeconds, reconnects: true });
  const measured = await measureRounds(rounds, 1, {
    'Dovecot, a new connection each': load(direct, true),
    'dovegate, a new connection each': load(through(false), true, ofGate),
    'dovegate, connections kept': load(through(true), false, ofGate),
  });
  const row = (name: string, one: string, floor: number): void =>
    report.row(name, ratioOf(measured, one, 'Dovecot, a new connection each'), { floor });
  row('8 clients, a new connection for each request, against direct', 'dovegate, a new connection each', 0.9);
  row('8 clients that keep their connections, against direct', 'dovegate, connections kept', 0.8);
  report.table(
    `mailboxStatus over HTTP, Dovecot ${lab.version}: us of processor time of a command (context switches of a command); kernel: of all of them`,
    'commands/s',
    measured,
  );
});
report.finish();
