// Goal: many clients cost little and disturb nobody. Phases: thousands of idle sessions on a UNIX socket, which then all speak. What must
// not happen: a descriptor that stays, another session that waits. The full figure (10,000 clients): DOVEGATE_ROUNDS=20.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openGateway } from '../../kit/gate/gateway.js';
import { countDescriptors } from '../../kit/plain/descriptors.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { isRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const rounds = Math.min(20, Number(process.env['DOVEGATE_ROUNDS'] ?? 1));
const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);
const clients = Math.min(500 * rounds, limit - 1_000);

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

function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
