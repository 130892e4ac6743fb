// Goal: five hundred clients of five teams on four upstreams to a real Dovecot, with mixed commands, for five seconds and
// a thousand answers a round (DOVEGATE_ROUNDS=12: a minute). Phases: the crowd asks; everybody stops; the books. What must not happen: an
// error that Dovecot did not give; a team that gets more or less than its share; a fifth connection; a dial for each command.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startDaemon } from '../../kit/gate/daemon.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { openTcpCounter, type TcpCounter } from '../../kit/plain/tcp-counter.js';
import { until } from '../../kit/plain/until.js';
import { alice, backendPassword, onDovecot, openRealDovecot } from './real-gateway.js';

const roundMs = 5_000;
const roundReplies = 1_000;
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const connections = 4;

/** Clients of each team: the share must not depend on it. */
const teams: Readonly<Record<string, number>> = { t1: 20, t2: 50, t3: 80, t4: 150, t5: 200 };

const commands: readonly (readonly string[])[] = [
  ['quota get'],
  ['mailbox list'],
  ['mailbox status', 'messages', 'INBOX'],
  ['search', 'mailbox', 'INBOX', 'all'],
  ['fetch', 'uid flags', 'mailbox', 'INBOX', 'uid', '1:5'],
];

const listener = (team: string): string =>
  `  ${team}: { unix: ${team}.sock, mode: "0600", policy: crowd, sessions: 300, sessions_per_peer: 300 }`;

const configuration = (port: number): string => `version: 1
listeners:
${Object.keys(teams).map(listener).join('\n')}
backends:
  mail1:
    address: localhost:${port}
    tls: starttls
    ca: ca.pem
    password_file: mail1.password
    shared_namespaces: []
    connections: ${connections}
routes:
  - { users: ["*"], backend: mail1 }
policies:
  crowd:
    users: ["*@example.org"]
    allow: [quota get, mailbox list, mailbox status, { command: search, content: true }, { command: fetch, content: true }]
limits: { queue: 1000 }
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }
log: { level: info }
`;

interface Tally {
  replies: number;
  readonly failures: Map<string, number>;
  openMost: number;
}

/** One client: a command after the other, until the time is over. */
async function keepAsking(
  client: RawClient,
  seed: number,
  tally: Tally,
  counter: TcpCounter,
  isOver: () => boolean,
): Promise<void> {
  for (let n = seed; !isOver(); n += 1) {
    client.sendCommand({ user: alice, fields: commands[n % commands.length] ?? [] });
    const { status, logs } = await client.readReply({ keepBody: false });
    tally.replies += 1;
    tally.openMost = Math.max(tally.openMost, counter.openConnections);
    if (status === '+') continue;
    const what = `${status} ${logs.map(({ text }) => text.replace(/id \w+/, '')).join(' ')}`;
    tally.failures.set(what, (tally.failures.get(what) ?? 0) + 1);
  }
}

onDovecot('five hundred clients, four upstreams', openRealDovecot, async (t, lab) => {
  const counter = await openTcpCounter(lab);
  t.after(() => counter.close());
  const daemon = await startDaemon(t, {
    folder: mkdtempSync(join(lab.folder, 'gate-')),
    config: configuration(counter.port),
    files: { 'ca.pem': readFileSync(lab.caFile, 'utf8'), 'mail1.password': `${backendPassword}\n` },
  });
  const tallies = new Map<string, Tally>();
  const clients: (readonly [RawClient, Tally])[] = [];
  for (const [team, count] of Object.entries(teams)) {
    const tally: Tally = { replies: 0, failures: new Map(), openMost: 0 };
    tallies.set(team, tally);
    for (let n = 0; n < count; n += 1) {
      const client = await openRawClient({
        path: daemon.path(`${team}.sock`),
        minor: 2,
        timeoutMs: 60_000,
        owner: t,
      });
      clients.push([client, tally]);
    }
  }
  const startMs = performance.now();
  let isOver = false;
  const running = clients.map(([client, tally], n) => keepAsking(client, n, tally, counter, () => isOver));
  const replies = (): number => [...tallies.values()].reduce((sum, tally) => sum + tally.replies, 0);
  const come = (count: number): Promise<void> =>
    until(() => replies() >= count, `${count} answers`, 120_000 * rounds);
  // The first answers, while the crowd gathers, do not count.
  await come(100);
  const before = new Map([...tallies].map(([team, tally]) => [team, tally.replies]));
  const measuredMs = performance.now();
  const enough = replies() + roundReplies * rounds;
  await pause(roundMs * rounds);
  await come(enough);
  const seconds = (performance.now() - measuredMs) / 1000;
  const counts = [...tallies].map(([team, tally]) => tally.replies - (before.get(team) ?? 0));
  isOver = true;
  await Promise.all(running);
  assert.ok(performance.now() - startMs > roundMs);

  const total = counts.reduce((sum, count) => sum + count, 0);
  const fair = total / counts.length;
  const shares = counts.map((count) => Math.round((1000 * count) / fair) / 10);
  const openMost = Math.max(...[...tallies.values()].map((tally) => tally.openMost));
  t.diagnostic(
    `Dovecot ${lab.version}: ${total} commands in ${seconds.toFixed(1)} s (${Math.round(total / seconds)}/s); shares ${shares.join(' ')} %; ` +
      `at most ${openMost} connections at once, ${counter.connections} dials`,
  );
  const failures = [...tallies.values()].flatMap((tally) => [...tally.failures]);
  assert.deepEqual(failures, [], 'an error that Dovecot did not give');
  for (const share of shares) assert.ok(share >= 90 && share <= 110, `shares: ${shares.join(' ')}`);
  assert.ok(openMost <= connections, `${openMost} connections`);
  assert.ok(counter.connections <= 40, `${counter.connections} dials`);
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
});
