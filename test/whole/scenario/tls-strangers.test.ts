// Goal: strangers who fail, or who hold on to what was closed, keep nothing. Phases: broken handshakes by the hundred; strangers who
// were refused, or sent away, and do not hang up; then an honest login. What must not happen: a descriptor for each of them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { type Gate, isServed, openGate } from '../../kit/gate/tcp-gate.js';
import { countDescriptors, needsDescriptors } from '../../kit/plain/descriptors.js';
import { until } from '../../kit/plain/until.js';

const version = 'VERSION\tdoveadm-server\t1\t2\n';
const wrong = `PLAIN\t${Buffer.from('\0migrator\0wrong').toString('base64')}\n`;

/** How long a stop takes without strangers; 0: not measured yet. */
let calmMs = 0;

async function stop({ daemon }: Gate): Promise<number> {
  const startMs = performance.now();
  await daemon.stop();
  return performance.now() - startMs;
}

/** Says something from there, hears what comes, and never ends its side. */
async function holdOn(t: TestContext, gate: Gate, localAddress: string, bytes: string): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port: gate.port, localAddress, allowHalfOpen: true });
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(bytes);
  await new Promise<void>((resolve) => {
    socket.once('end', resolve).once('close', () => resolve());
  });
  return socket;
}

test('who holds on to what was closed takes no descriptor from others', needsDescriptors, async (t) => {
  const gate = await openGate(t, { sessions: '8', from: '[127.0.0.0/24]', tls: '{ mode: off }' });
  const more = countDescriptors(t, gate.daemon.pid);
  for (const [what, from, bytes] of [
    ['who is not let in', '127.0.1.1', ''],
    ['who says what is no line', '127.0.0.2', 'HELO\n'],
    ['who says a wrong password', '127.0.0.3', `${version}${wrong}`],
  ] as const) {
    // A close that waits for its peer takes five seconds each time; a machine that is busy with other tests may once.
    for (let tries = 3, tookMs = Number.POSITIVE_INFINITY; tookMs > 4_000; tries -= 1) {
      assert.ok(tries > 0, `${what}: ${tookMs} ms`);
      await Promise.all(Array.from({ length: 60 }, () => holdOn(t, gate, from, bytes)));
      const endedMs = performance.now();
      await until(() => more() <= 2 * 8, `${what}: no descriptors for those who were closed`);
      tookMs = performance.now() - endedMs;
      t.diagnostic(`${what}: ${Math.round(tookMs)} ms`);
    }
  }
});

test('broken handshakes by the hundred leave nothing', { timeout: 300_000 }, async (t) => {
  const implicit = '{ mode: implicit, certificate: gate.crt, key: gate.key }';
  const gate = await openGate(
    t,
    { tls: implicit, sessions: '400', sessions_per_peer: '400' },
    'limits: { handshake: 1s }',
  );
  const more = countDescriptors(t, gate.daemon.pid);
  const hello = Buffer.from('16030100c8010000c40303', 'hex');
  const breaks: readonly ((socket: net.Socket) => void)[] = [
    (socket) => socket.end(),
    (socket) => socket.end(hello),
    (socket) => socket.end('GET / HTTP/1.1\r\n\r\n'),
    (socket) => void socket.write(hello, () => socket.resetAndDestroy()),
    (socket) => void socket.write(Buffer.alloc(20_000, 0x16)),
    (socket) => void socket.write(hello),
    (socket) => {
      const client = tls.connect({ socket, rejectUnauthorized: false });
      client.on('error', () => undefined).on('end', () => client.destroy());
      client.on('secureConnect', () => socket.write('no TLS any more'));
    },
    (socket) => {
      const client = tls.connect({ socket, rejectUnauthorized: false });
      client.on('error', () => undefined);
      client.on('secureConnect', () => socket.resetAndDestroy());
    },
  ];
  for (let round = 0; round < 4; round += 1) {
    const sockets = await Promise.all(
      Array.from({ length: 128 }, async (_, n) => {
        const socket = net.connect({ host: '127.0.0.1', port: gate.port });
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.on('error', () => undefined);
        socket.resume();
        await once(socket, 'connect');
        breaks[n % breaks.length]?.(socket);
        await closed;
        return socket;
      }),
    );
    assert.equal(sockets.length, 128);
  }
  assert.ok(await isServed(await gate.login({ tls: 'implicit' })));
  t.diagnostic(`${more()} descriptors more`);
  // The honest one, its upstream, and who was just closed.
  await until(() => more() <= 16, 'no descriptors for broken handshakes');
  assert.ok(!gate.daemon.logs.some(({ event }) => event === 'internal-error'));
  calmMs = await stop(gate);
});

test('strangers who hold on do not hold a stop up', async (t) => {
  const gate = await openGate(t);
  const hello = Buffer.from('16030100c8010000c40303', 'hex').toString('latin1');
  const held = ['', version, `${version}STARTTLS\n`, `${version}STARTTLS\n${hello}`];
  for (const bytes of held) {
    const socket = net.connect({ host: '127.0.0.1', port: gate.port, allowHalfOpen: true });
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(bytes, 'latin1');
  }
  const refused = holdOn(t, gate, '127.0.0.1', 'HELO\n');
  const honest = await gate.login();
  assert.ok(await isServed(honest));
  honest.close();
  await refused;
  const ms = await stop(gate);
  t.diagnostic(`${Math.round(ms)} ms, without strangers ${Math.round(calmMs)} ms`);
  // Who came a moment ago has a second to say something; a close that waits for its peer takes five.
  assert.ok(ms < 4_000 + 2 * calmMs, `${ms} ms`);
  assert.ok(!gate.daemon.logs.some(({ event }) => event === 'internal-error'));
});
