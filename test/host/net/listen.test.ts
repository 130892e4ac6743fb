// The listener: who can reach the socket when, what is replaced, what is left behind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../../src/host/machine/clock.js';
import { loadNative } from '../../../src/host/machine/native.js';
import {
  type Accept,
  bindInherited,
  bindTcp,
  bindUnix,
  createAcceptor,
  ListenFault,
  type Turn,
  type UnixPlace,
} from '../../../src/host/net/listen.js';
import { type Transport } from '../../../src/host/ports/transport.js';
import { createEventWait } from '../../kit/plain/event-wait.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';

const place = (path: string, mode = 0o600): UnixPlace => ({ path, mode, uid: undefined, gid: undefined });
const refuse = (transport: Transport): void => transport.close('draining', true);
const failOnError = (text: string): never => assert.fail(text);

function connects(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

const listenAt = (socket: UnixPlace, take = refuse) =>
  bindUnix(createAcceptor(systemClock, take), socket, failOnError);

test('the socket has its mode, serves, and is gone after close, with nothing beside it', async (t) => {
  const path = join(openFolder(t), 'a.sock');
  let take: (transport: Transport) => void = () => undefined;
  const accepted = new Promise<Transport>((resolve) => (take = resolve));
  const listener = await listenAt(place(path, 0o640), (transport) => take(transport));
  assert.equal(lstatSync(path).mode & 0o777, 0o640);
  const socket = connect({ path });
  socket.end('hello');
  const transport = await accepted;
  assert.equal(String(await transport.read()), 'hello');
  assert.equal(await transport.read(), null);
  transport.close('peer-ended');
  await listener.close();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('a socket gets another mode and owner while it serves; one that is no longer ours is left alone', async (t) => {
  const path = join(openFolder(t), 'a.sock');
  const listener = await listenAt(place(path, 0o600));
  listener.change({ mode: 0o666, uid: undefined, gid: undefined });
  assert.equal(lstatSync(path).mode & 0o777, 0o666);
  assert.equal(lstatSync(path).uid, process.getuid?.());
  assert.equal(await connects(path), true);
  rmSync(path);
  writeFileSync(path, 'somebody else', { mode: 0o600 });
  assert.throws(() => listener.change({ mode: 0o666, uid: undefined, gid: undefined }), ListenFault);
  assert.equal(lstatSync(path).mode & 0o777, 0o600);
  await listener.close();
  assert.ok(existsSync(path));
});

test('a stale socket is replaced', async (t) => {
  const path = join(openFolder(t), 'a.sock');
  const dead = createServer();
  await once(dead.listen({ path: `${path}.old` }), 'listening');
  // Renamed, so that closing it does not remove it: what a killed daemon leaves behind.
  renameSync(`${path}.old`, path);
  await new Promise((resolve) => dead.close(resolve));
  assert.ok(lstatSync(path).isSocket());
  assert.equal(await connects(path), false);
  const listener = await listenAt(place(path));
  assert.equal(await connects(path), true);
  await listener.close();
  assert.equal(existsSync(path), false);
});

test('a live socket, a file and an unreachable place are refused and left as they are', async (t) => {
  const path = join(openFolder(t), 'a.sock');
  const first = await listenAt(place(path));
  const { ino } = lstatSync(path);
  await assert.rejects(listenAt(place(path)), ListenFault);
  assert.equal(lstatSync(path).ino, ino);
  assert.equal(await connects(path), true);
  await first.close();

  writeFileSync(path, 'precious');
  await assert.rejects(listenAt(place(path)), /is not a socket/);
  assert.ok(lstatSync(path).isFile());
  await assert.rejects(listenAt(place(join(path, 'b', 'c.sock'))), ListenFault);
  await assert.rejects(listenAt(place(join(path, 'x'.repeat(108)))), /too long by/);
});

// Goal: clients are accepted on a socket that somebody else made. What must not happen: the socket's file is removed, changed, or
// its queue of those who wait is lost or shortened when we go.

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

void test('one after the other accepts; file, mode and those who wait stay', async (t) => {
  const native = await loadNative();
  const folder = openFolder(t);
  const path = join(folder, 's');
  // Stands for systemd: it holds the socket and does not accept.
  const holder = createServer();
  await once(holder.listen({ path: `${path}.made`, backlog: 128 }), 'listening');
  // Its own name goes with its handle.
  linkSync(`${path}.made`, path);
  const handle: unknown = Reflect.get(holder, '_handle');
  assert.ok(typeof handle === 'object' && handle !== null);
  const descriptor: unknown = Reflect.get(handle, 'fd');
  assert.ok(typeof descriptor === 'number');
  const original = native.duplicate(descriptor);
  const before = lstatSync(path);

  const accepted: Transport[] = [];
  const wait = createEventWait();
  const take = (transport: Transport, peer: number | undefined): void => {
    assert.ok(peer !== undefined && peer > 2);
    accepted.push(transport);
    wait.wake();
  };
  const open = () => {
    const inherited = { name: 'systemd:support', descriptor: native.duplicate(original) };
    return bindInherited(createAcceptor(systemClock, take), inherited, failOnError);
  };
  const until = (count: number) => wait.until(() => accepted.length >= count, `${count} clients`);
  // From here on nobody but the listeners accepts: the holder's own handle is closed, its descriptor lives on.
  Reflect.apply(Reflect.get(handle, 'close'), handle, []);

  const clients: Socket[] = [];
  t.after(() => {
    for (const client of clients) client.destroy();
  });
  const first = await open();
  clients.push(await connected(path));
  await until(1);
  await first.close();
  // More than a queue of Node's own length would hold.
  for (let count = 0; count < 600; count += 1) clients.push(await connected(path));
  assert.equal(accepted.length, 1);
  const second = await open();
  await until(601);
  await second.close();
  for (const transport of accepted) transport.close('draining');
  const after = lstatSync(path);
  assert.deepEqual([after.ino, after.mode], [before.ino, before.mode]);
});

void test('a descriptor that cannot accept is a fault with the name', async () => {
  const nothing = { name: 'systemd:x', descriptor: 1_000_000 };
  const listening = bindInherited(createAcceptor(systemClock, refuse), nothing, () => undefined);
  await assert.rejects(listening, /^ListenFault: systemd:x: /);
});

void test('4096 connections and one more wait, where the kernel allows it', async (t) => {
  const allowed = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
  const folder = openFolder(t);
  const path = join(folder, 's');
  const native = await loadNative();
  const maker = createServer();
  await once(maker.listen({ path: `${path}.made`, backlog: 1 }), 'listening');
  linkSync(`${path}.made`, path);
  const descriptor: unknown = Reflect.get(Object(Reflect.get(maker, '_handle')), 'fd');
  assert.ok(typeof descriptor === 'number');
  const kept = native.duplicate(descriptor);
  t.after(() => closeSync(kept));
  maker.close();
  const inherited = { name: 'systemd:support', descriptor: native.duplicate(kept) };
  const listener = await bindInherited(
    createAcceptor(systemClock, () => undefined),
    inherited,
    assert.fail,
  );
  await listener.close();
  const clients: Socket[] = [];
  t.after(() => {
    for (const client of clients) client.destroy();
  });
  const most = Math.min(4096, allowed) + 1;
  // The kernel refuses a connection above it at once.
  while (clients.length < most) clients.push(await connected(path));
  await assert.rejects(connected(path), { code: 'EAGAIN' });
});

// A TCP socket for somebody else's server: bound where it was asked, refused with a sentence, gone after close.

test('binds on the address, says the port, and frees it at close', async () => {
  const server = createServer((socket) => socket.end('here'));
  const bound = await bindTcp(server, { host: '127.0.0.1', port: 0 }, failOnError);
  const { port } = bound;
  assert.ok(port > 0);
  const socket = connect({ host: '127.0.0.1', port });
  const [chunk] = await once(socket.setEncoding('utf8'), 'data');
  assert.equal(chunk, 'here');

  const taken = bindTcp(createServer(), { host: '127.0.0.1', port }, failOnError);
  const why = 'the socket cannot be made: another process listens there; stop it, or take another port';
  await assert.rejects(taken, { name: 'ListenFault', message: `127.0.0.1:${port}: ${why}` });
  await bound.close();
  const again = await bindTcp(createServer(), { host: '127.0.0.1', port }, failOnError);
  await again.close();
});

test('an address that is not ours is refused', async () => {
  const bound = bindTcp(createServer(), { host: '2001:db8::1', port: 1 }, failOnError);
  await assert.rejects(bound, /^ListenFault: \[2001:db8::1\]:1: the socket cannot be made/);
});

/** A listener with what it accepted. */
async function openListener(t: TestContext, host: string, turnOf?: Turn) {
  type Accepted = { transport: Transport; descriptor: number | undefined; address: string | undefined };
  const accepted: Accepted[] = [];
  const wait = createEventWait();
  const take: Accept = (transport, descriptor, address) => {
    accepted.push({ transport, descriptor, address });
    wait.wake();
  };
  const native = { hasHungUp: () => false, queuedBytes: () => undefined };
  const bound = await bindTcp(
    createAcceptor(createFakeClock(), take, native, turnOf),
    { host, port: 0 },
    failOnError,
  );
  t.after(async () => {
    for (const { transport } of accepted) transport.close('draining', true);
    await bound.close();
  });
  const until = (count: number) => wait.until(() => accepted.length >= count, 'a client');
  return { bound, accepted, until };
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
  assert.equal(accepted.map(({ address }) => address).join(), '127.0.0.4');
  for (const go of turns) go();
  await until(2);
  const taken = accepted.find(({ address }) => address === '127.0.0.2');
  assert.equal(String(await taken?.transport.read()), 'hello');
  const gone = accepted.find(({ address }) => address === '127.0.0.3');
  // Unread, a reset is not noticed before its turn.
  if (gone !== undefined) await assert.rejects(gone.transport.read(), /the other side is gone/);
});
