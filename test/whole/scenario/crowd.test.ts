// Goal: many clients cost little and disturb nobody. Phases: thousands of idle sessions on a UNIX socket, which then all speak; a storm of
// connects, half of which leave at once and some of which dribble; hostile commands by the thousand. What must not happen: a
// descriptor that stays, another session that waits, a limit that gives way, a series in the metrics that a client made.
// The full figures (10,000 clients; 2,000 connects a second for 20 s; 10,000 commands): DOVEGATE_ROUNDS=20.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Daemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { countDescriptors } from '../../kit/plain/descriptors.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { isRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const rounds = Math.min(20, Number(process.env['DOVEGATE_ROUNDS'] ?? 1));
const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);
const clients = Math.min(500 * rounds, limit - 1_000);
const stormSeconds = rounds;
const stormRate = Math.min(2_000, 500 * rounds);
const hostile = 500 * rounds;

const many =
  '\n  support: { unix: support.sock, policy: support, sessions: 12000, sessions_per_peer: 12000 }';
const more = 'limits: { handshake: 60s }\nadmin: { unix: admin.sock }';

test(`${clients} idle clients`, { timeout: 180_000 + clients * 20 }, async (t) => {
  const { daemon, client } = await openGateway(t, {
    listeners: many,
    more,
    policy: '\n    users: ["*"]\n    allow: [quota get]',
  });
  const one = await client();
  await ask(one);
  const before = rssOf(daemon.pid);
  const grown = countDescriptors(t, daemon.pid);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let done = 0; done < clients; done += 250) {
    const group = await Promise.all(
      Array.from({ length: Math.min(250, clients - done) }, () => greeted(daemon.path('support.sock'))),
    );
    sockets.push(...group);
  }
  const lost = sockets.filter((socket) => socket.destroyed).length;
  assert.equal(lost, 0, `${lost} of them were closed`);
  // Beside theirs some of the start may be gone: a name that was looked up, a dial that is over.
  if (isRoot) assert.ok(Math.abs(grown() - clients) < 20);
  const ticks = cpuTicks(daemon.pid);
  await pause(2_000);
  const busy = cpuTicks(daemon.pid) - ticks;
  const rss = rssOf(daemon.pid);
  const perClient = (rss - before) / clients;
  const startMs = performance.now();
  const answers = await Promise.all(sockets.map((socket) => said(socket, '\tmallory@example.net\twho\n')));
  const tookMs = performance.now() - startMs;
  assert.ok(answers.every((answer) => /\n-[A-Z]+\n$/.test(answer)));
  for (const socket of sockets) socket.destroy();
  await until(() => grown() <= 0, 'the descriptors are given back');
  assert.equal(await ask(one), '+');
  t.diagnostic(
    `${clients} idle clients: ${perClient.toFixed(1)} KiB of RSS each over ${before} KiB, ${busy / 2} % of a processor while idle; all answered within ${Math.round(tookMs)} ms; ${grown()} more descriptors after them`,
  );
  if (rounds === 20) assert.ok(perClient <= 12, `${perClient} KiB`);
  assert.ok(busy < 40, `${busy} ticks in 2 s`);
});

test(`${stormRate} connects a second for ${stormSeconds} s`, {
  timeout: 180_000 + stormSeconds * 6_000,
}, async (t) => {
  const { daemon, client } = await openGateway(t, {
    listeners:
      '\n  support: { unix: support.sock, policy: support }\n  noise: { unix: noise.sock, policy: support, sessions: 300, sessions_per_peer: 300 }',
    more: more.replace('handshake: 60s', 'handshake: 2s'),
  });
  const one = await client();
  await ask(one);
  const grown = countDescriptors(t, daemon.pid);
  const latencies: number[] = [];
  let most = 0;
  let connects = 0;
  let refused = 0;
  let isOver = false;
  const serve = async (): Promise<void> => {
    for (;;) {
      const startMs = performance.now();
      assert.equal(await ask(one), '+');
      latencies.push(performance.now() - startMs);
      most = Math.max(most, grown());
      if (isOver) return;
      await pause(20);
    }
  };
  const serving = serve();
  const startMs = performance.now();
  while (performance.now() - startMs < stormSeconds * 1_000) {
    const due = Math.floor(((performance.now() - startMs) / 1_000) * stormRate);
    for (; connects < due; connects += 1) storm(daemon.path('noise.sock'), connects, () => (refused += 1));
    await pause(5);
  }
  isOver = true;
  await serving;
  await until(() => grown() <= 1, 'the descriptors are given back');
  latencies.sort((a, b) => a - b);
  const at = (share: number): string =>
    (latencies[Math.floor((latencies.length - 1) * share)] ?? 0).toFixed(1);
  t.diagnostic(
    `${connects} connects, ${refused} ended by the daemon; at most ${most} more descriptors, then ${grown()}; another session: ${latencies.length} commands, median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms`,
  );
  assert.ok(most <= 300 + 100, `at most 300 sessions, ${most} descriptors more`);
});

test(`the series of the metrics are the same after ${hostile} hostile commands`, {
  timeout: 300_000,
}, async (t) => {
  const { daemon, client } = await openGateway(t, { more });
  const one = await client();
  await ask(one);
  const attack = async (commands: number): Promise<void> => {
    for (let n = 0; n < commands; n += 1) {
      const word = randomBytes(1 + (n % 24)).toString(n % 2 === 0 ? 'hex' : 'base64');
      const words = [
        ['expunge', word],
        [word, word],
        ['quota', 'get', `-${word}`],
      ][n % 3];
      await ask(one, words);
    }
  };
  // Every pair of a known command and an outcome that such words can have: there are few, and no word is among them.
  await ask(one, ['quota', 'get', '-u', 'bob@example.org']);
  await ask(one, ['quota', 'get', '-A']);
  await ask(one, ['quota', 'get', '-Sx']);
  await attack(200);
  const before = await seriesOf(daemon);
  await attack(hostile);
  const after = await seriesOf(daemon);
  assert.deepEqual(after, before);
  t.diagnostic(`${before.length} series before and after`);
});

/** One of a storm: leaves at once, dribbles a byte a second, or stays silent until it is ended. */
function storm(path: string, number: number, onEnded: () => void): void {
  const socket = connect({ path });
  socket.on('error', () => undefined);
  if (number % 2 === 0) {
    socket.once('connect', () => socket.destroy());
    return;
  }
  socket.resume();
  socket.once('end', onEnded);
  if (number % 10 !== 1) return;
  const dribble = setInterval(() => socket.write('V'), 1_000);
  socket.once('close', () => clearInterval(dribble));
}

async function ask(client: RawClient, fields: readonly string[] = ['quota get']): Promise<string> {
  return (await client.ask({ user: 'alice@example.org', fields }, { keepBody: false })).status;
}

/** A session of minor 0 that was greeted and says nothing. */
async function greeted(path: string): Promise<Socket> {
  const socket = connect({ path });
  socket.on('error', () => undefined);
  const answer = said(socket, 'VERSION\tdoveadm-server\t1\t0\n', /\+\n$/);
  await answer;
  return socket;
}

function said(socket: Socket, text: string, isWhole = /\n[+-][A-Z]*\n$/): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const hear = (chunk: Buffer): void => {
      heard += String(chunk);
      if (!isWhole.test(heard)) return;
      socket.off('data', hear);
      resolve(heard);
    };
    socket.on('data', hear);
    socket.once('close', () => resolve(heard));
    socket.write(text);
  });
}

async function seriesOf(daemon: Daemon): Promise<string[]> {
  const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics');
  return [...body.matchAll(/^([^#\n].*) \S+$/gm)].map(([, name = '']) => name);
}

function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
