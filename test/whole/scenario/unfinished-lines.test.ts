// Goal: lines that a client begins and does not end cost the daemon no more than the share of that client. Phases: 200 sessions with a line
// of 870 KB each, near the highest `limits.line`; what is left after a collection of all garbage. What must not happen: memory for each
// session.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import type { Daemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { weigh, weighed } from '../../kit/gate/weigh.js';
import { until } from '../../kit/plain/until.js';

const sessions = 200;
const lineBytes = 870_000;
const mebibyte = 1024 ** 2;

async function heldMiB(daemon: Daemon): Promise<number> {
  return Number((await weigh(daemon))['buffers']) / mebibyte;
}

void test('200 unfinished lines of one uid are held within its share, and it is served again once they are gone', async (t) => {
  const { daemon, client } = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support, sessions: 1000, sessions_per_peer: 600 }`,
    policy: `
    users: ["*@example.org"]
    allow: [quota get]`,
    more: 'limits: { line: 878KiB, buffered: 64MiB }',
    env: weighed,
    backend: { script: (_command, connection) => connection.status('+') },
  });
  const quota = { user: 'alice@example.org', fields: ['quota get'] };
  const first = await client({ minor: 2 });
  assert.equal((await first.ask(quota)).status, '+');
  const before = await heldMiB(daemon);
  const sockets: Socket[] = [];
  let written = 0;
  for (let at = 0; at < sessions; at += 1) {
    const socket = connect(daemon.path('support.sock'));
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.write('VERSION\tdoveadm-server\t1\t2\n');
    socket.write(Buffer.alloc(lineBytes, 'x'), () => {
      written += 1;
    });
    sockets.push(socket);
  }
  await until(() => written === sessions, 'all lines are written');
  const grown = (await heldMiB(daemon)) - before;
  t.diagnostic(`${grown.toFixed(0)} MiB of ${((sessions * lineBytes) / mebibyte).toFixed(0)} MiB are held`);
  // Half of limits.buffered, twice that while a line grows, and a chunk or two of 64 KiB for each session.
  assert.ok(grown < 2 * 32 + (sessions * 128) / 1024, String(grown));
  for (const socket of sockets) socket.destroy();
  await until(async () => (await heldMiB(daemon)) < before + 8, 'the memory is free');
  assert.equal((await first.ask(quota)).status, '+');
});
