// `npm run bench -- dovecot [ROUNDS] [SECONDS] [--json] [--check FILE]`: a real Dovecot, asked as people do today (its own CLI, also by
// sudo), by clients that connect for every command, by the same clients with connections kept open, and by those through dovegate with 8
// upstreams. Everything goes over UNIX sockets, the cheapest way there is; over TLS dovegate stands beside HAProxy, which has a connection
// for each client. 64 clients are what the upstreams are for; 8 have an upstream each, and every command stands alone in the gate.
// Prints ratios, then what a command costs whom; needs root, as every lab of a real Dovecot does.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openLab } from '../../kit/plain/dovecot-lab.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { type Gate, type LoadOptions, missingPackages, withBench } from './load/bench-processes.js';
import { openReport } from './load/report.js';
import { type Measured, measureRounds, ratioOf, spreadOf } from './load/rounds.js';
import { costOf, daemonProbe, endedPrograms, type Probe, treeSnapshot } from './load/usage.js';

const many = 64;
const few = 8;
const warmingSeconds = 10;
const alice = 'alice@example.org';
const line = `\t${alice}\tmailbox status\tmessages\tINBOX`;

/** sudo runs doveadm as the owner of the mails, who may look up users and send statistics only where these sockets permit it. */
const socketsForVmail = `service auth {
  unix_listener auth-userdb {
    mode = 0777
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
`;

const report = openReport('dovecot', { rounds: 7, seconds: 2 });
const { rounds, seconds } = report;

await withBench(async (bench) => {
  const lab = await openLab(bench, 'native');
  if ('skip' in lab) return report.note(`not measured: ${lab.skip}`);
  await lab.writeExtraConf(socketsForVmail);
  writeFileSync(bench.path('dovecot-ca.pem'), readFileSync(lab.caFile));
  const start = async (name: string, address: string, synced = false): Promise<Gate> => {
    const backend = `    ${address}\n    connections: ${few}`;
    const gate = await bench.startDaemon({ name, backend, password: lab.password, synced });
    // A daemon that has run for a while is compiled; at Dovecot's pace that takes some thousand commands.
    await bench.load({ target: gate.socket, line, clients: many, seconds: warmingSeconds });
    return gate;
  };
  const master = Number(readFileSync(join(lab.folder, 'run', 'master.pid'), 'utf8'));
  const dovecot: Probe = () => ({ Dovecot: treeSnapshot(master) });
  const load = (
    target: string,
    clients: number,
    more: Partial<LoadOptions> = {},
    gate: Probe = () => ({}),
  ) => {
    const options = { target, line, clients, seconds, password: lab.password, ...more };
    return async (): Promise<Measured> => {
      const {
        commands,
        seconds: took,
        costs,
      } = await bench.load(options, () => ({ ...dovecot(), ...gate() }));
      return { figure: commands / took, costs };
    };
  };
  const through = (gate: Gate, clients: number) => load(gate.socket, clients, {}, daemonProbe(gate.pid));

  /** Median milliseconds of a command after more than a second of silence: then a change over TCP gets an upstream of its own. */
  const rested = async (gate: Gate, ...fields: readonly string[]): Promise<number> => {
    const client = await openRawClient({ owner: bench, path: gate.socket, minor: 2 });
    const took: number[] = [];
    for (let at = 0; at < 15; at += 1) {
      await pause(1_100);
      const startMs = performance.now();
      const { status } = await client.ask({ user: alice, fields });
      took.push(performance.now() - startMs);
      if (status !== '+') throw new Error(`${fields.join(' ')}: ${status}`);
    }
    client.close();
    return spreadOf(took).median;
  };

  // Programs count with Dovecot, whose work they do; the shell that starts them is among them, and sudo.
  const doveadm = ['/usr/bin/doveadm', '-c', join(lab.folder, 'dovecot.conf'), 'mailbox', 'status'];
  const program = [...doveadm, '-u', alice, 'messages', 'INBOX'];
  const programs = (sudo: boolean) => async (): Promise<Measured> => {
    const before = treeSnapshot(master, endedPrograms());
    const { commands, seconds: took } = await bench.repeat({ program, clients: few, seconds, sudo });
    const cost = costOf(before, treeSnapshot(master, endedPrograms()), commands);
    return { figure: commands / took, costs: { Dovecot: cost } };
  };
  // A container may have sudo, and not permit a mount namespace.
  const tried = () =>
    bench.repeat({ program, clients: 1, seconds: 0, sudo: true }).then(() => undefined, String);
  const withoutSudo = (await missingPackages('sudo')) ?? (await tried());

  const gate = await start('unix', `address: unix:${lab.unixPreauth}`);
  const synced = await start('synced', `address: unix:${lab.unixPreauth}`, true);
  const tlsGate = await start(
    'tls',
    `address: localhost:${lab.port}\n    tls: starttls\n    ca: dovecot-ca.pem`,
  );
  const { socket: haproxy } = await bench.startHaproxy(lab.tlsPort, lab.caFile);
  const measured = await measureRounds(rounds, 1, {
    'doveadm itself, 8 at a time': programs(false),
    ...(withoutSudo === undefined && { 'sudo -u vmail doveadm, 8 at a time': programs(true) }),
    '8 clients, a new connection each': load(lab.unixPreauth, few, { reconnects: true }),
    '64 clients': load(lab.unixPreauth, many),
    '64 clients, dovegate': through(gate, many),
    '8 clients': load(lab.unixPreauth, few),
    '8 clients, dovegate': through(gate, few),
    '8 clients, dovegate, synced': through(synced, few),
    '64 clients over TLS, HAProxy': load(haproxy, many),
    '64 clients over TLS, dovegate': through(tlsGate, many),
  });

  const row = (name: string, one: string, other: string, floor?: number): void =>
    report.row(name, ratioOf(measured, one, other), floor === undefined ? {} : { floor });
  const own = '8 clients, dovegate';
  row('default: 8 clients with an upstream each, against direct', own, '8 clients', 0.82);
  row(
    'synced: 8 clients with an upstream each, against direct',
    '8 clients, dovegate, synced',
    '8 clients',
    0.7,
  );
  row('default: 64 clients over 8 upstreams, against direct', '64 clients, dovegate', '64 clients', 0.95);
  row('default: 8 clients, against a new connection each', own, '8 clients, a new connection each', 6);
  if (withoutSudo === undefined)
    row('default: 8 clients, against sudo doveadm', own, 'sudo -u vmail doveadm, 8 at a time', 8);
  else report.note(`No row for sudo: ${withoutSudo}`);
  row(
    'default: 64 clients over TLS, against HAProxy',
    '64 clients over TLS, dovegate',
    '64 clients over TLS, HAProxy',
  );
  report.table(
    `mailbox status, Dovecot ${lab.version}: us of processor time of a command (context switches of a command); kernel: of all of them`,
    'commands/s',
    measured,
  );
  const [read, change] = [
    await rested(tlsGate, 'mailbox', 'status', 'messages', 'INBOX'),
    await rested(tlsGate, 'mailbox', 'subscribe', 'INBOX'),
  ];
  report.note(
    `after a second of silence, over STARTTLS: a read ${read.toFixed(1)} ms, a change, which is dialled for, ${change.toFixed(1)} ms`,
  );
});
report.finish();
