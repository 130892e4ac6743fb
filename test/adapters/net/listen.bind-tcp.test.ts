// A TCP socket for somebody else's server: bound where it was asked, refused with a sentence, gone after close.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { loadNative } from '../../../src/adapters/host/native.js';
import {
  bindTcp,
  ListenFault,
  listenInherited,
  listenTcp,
  type Turn,
} from '../../../src/adapters/net/listen.js';
import type { Transport } from '../../../src/ports/transport.js';
import { createEventWait } from '../../kit/event-wait.js';
import { createFakeClock } from '../../kit/fake-clock.js';

const failOnError = (text: string): never => assert.fail(text);

test('binds on the address, says the port, and frees it at close', async () => {
  const server = createServer((socket) => socket.end('here'));
  const bound = await bindTcp(server, { host: '127.0.0.1', port: 0 }, failOnError);
  const { port } = bound;
  assert.ok(port > 0);
  const socket = connect({ host: '127.0.0.1', port });
  const [chunk] = await once(socket.setEncoding('utf8'), 'data');
  assert.equal(chunk, 'here');

  const taken = bindTcp(createServer(), { host: '127.0.0.1', port }, failOnError);
  await assert.rejects(taken, (fault) => {
    assert.ok(fault instanceof ListenFault);
    assert.match(fault.message, new RegExp(`^127\\.0\\.0\\.1:${port}: `));
    return true;
  });
  await bound.close();
  const again = await bindTcp(createServer(), { host: '127.0.0.1', port }, failOnError);
  await again.close();
});

test('an address that is not ours is refused', async () => {
  await assert.rejects(
    bindTcp(createServer(), { host: '2001:db8::1', port: 1 }, failOnError),
    /^ListenFault: \[2001:db8::1\]:1: the socket cannot be made/,
  );
});

/** A listener with what it accepted. */
async function openListener(t: TestContext, host: string, turnOf?: Turn) {
  const accepted: { transport: Transport; descriptor: number | undefined; address: string | undefined }[] =
    [];
  const wait = createEventWait();
  const bound = await listenTcp(
    { host, port: 0 },
    createFakeClock(),
    (transport, descriptor, address) => {
      accepted.push({ transport, descriptor, address });
      wait.wake();
    },
    (text) => assert.fail(text),
    { hasHungUp: () => false, queuedBytes: () => undefined },
    turnOf,
  );
  t.after(async () => {
    for (const { transport } of accepted) transport.close('draining', true);
    await bound.close();
  });
  return {
    bound,
    accepted,
    until: (count: number) => wait.until(() => accepted.length >= count, 'a client'),
  };
}

void test('clients become transports, with the address that they come from', async (t) => {
  const { bound, accepted, until } = await openListener(t, '127.0.0.1');
  const socket = connect({ host: '127.0.0.1', port: bound.port, localAddress: '127.0.0.2' });
  t.after(() => socket.destroy());
  socket.write('x');
  await until(1);
  const [first] = accepted;
  assert.equal(first?.address, '127.0.0.2');
  assert.ok((first.descriptor ?? 0) > 2);
  assert.equal(String(await first.transport.read()), 'x');
});

void test('who waits for a turn is taken then, with all that was sent; who left meanwhile is not taken, and harms nobody', async (t) => {
  const turns: (() => void)[] = [];
  const wait = createEventWait();
  const { bound, accepted, until } = await openListener(t, '127.0.0.1', (address) => {
    if (address === '127.0.0.4') return undefined;
    return new Promise((resolve) => {
      turns.push(resolve);
      wait.wake();
    });
  });
  const open = async (localAddress: string) => {
    const socket = connect({ host: '127.0.0.1', port: bound.port, localAddress });
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  const first = await open('127.0.0.2');
  await wait.until(() => turns.length === 1, 'the first one');
  first.write('hello');
  const reset = await open('127.0.0.3');
  await wait.until(() => turns.length === 2, 'the second one');
  reset.resetAndDestroy();
  // In the same order on the way: whoever comes behind has been seen after the reset.
  await open('127.0.0.4');
  await until(1);
  assert.deepEqual(
    accepted.map(({ address }) => address),
    ['127.0.0.4'],
  );
  for (const go of turns) go();
  await until(2);
  const taken = accepted.find(({ address }) => address === '127.0.0.2');
  assert.equal(String(await taken?.transport.read()), 'hello');
  const gone = accepted.find(({ address }) => address === '127.0.0.3');
  // Unread, a reset is not noticed before its turn.
  if (gone !== undefined) await assert.rejects(gone.transport.read(), /the other side is gone/);
});

void test('a socket for both gives IPv4 addresses as such', async (t) => {
  const { bound, accepted, until } = await openListener(t, '::');
  for (const host of ['127.0.0.1', '::1']) {
    const socket = connect({ host, port: bound.port });
    t.after(() => socket.destroy());
    await until(accepted.length + 1);
  }
  assert.deepEqual(
    accepted.map(({ address }) => address),
    ['127.0.0.1', '::1'],
  );
});

void test('a port that somebody has is told as such', async (t) => {
  const { bound } = await openListener(t, '127.0.0.1');
  const again = listenTcp(
    { host: '127.0.0.1', port: bound.port },
    createFakeClock(),
    () => undefined,
    () => undefined,
  );
  await assert.rejects(again, (fault) => {
    assert.ok(fault instanceof ListenFault);
    assert.equal(
      fault.message,
      `127.0.0.1:${bound.port}: the socket cannot be made: another process listens there`,
    );
    return true;
  });
});

void test('a listening socket of somebody else, and where it is', async (t) => {
  const native = await loadNative();
  const holder = createServer();
  await new Promise<void>((resolve) => {
    holder.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  t.after(() => void holder.close());
  const descriptor: unknown = Reflect.get(Object(Reflect.get(holder, '_handle')), 'fd');
  assert.ok(typeof descriptor === 'number');
  const socket = { name: 'systemd:jobs', descriptor: native.duplicate(descriptor) };
  const inherited = await listenInherited(
    socket,
    createFakeClock(),
    () => undefined,
    (text) => assert.fail(text),
  );
  assert.equal(inherited.address, '127.0.0.1');
  await inherited.close();
});
