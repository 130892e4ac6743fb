import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileFunctions, loadNative } from '../../../src/host/machine/native.js';
import { descriptorOf } from '../../../src/host/net/transport.js';
import { openDatagramSocket } from '../../kit/plain/datagram-socket.js';
import { openFolder } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';
import { openSockets } from '../net/pair.js';

const native = await loadNative();

void test('a lock excludes a second open file, also of this process, and ends with its descriptor', (t) => {
  const path = join(openFolder(t), 'lock');
  const first = openSync(path, 'w');
  const second = openSync(path, 'w');
  assert.equal(native.lockExclusive(first), true);
  assert.equal(native.lockExclusive(first), true, 'the holder may ask again');
  assert.equal(native.lockExclusive(second), false);
  closeSync(first);
  assert.equal(native.lockExclusive(second), true);
  closeSync(second);
});

void test('a descriptor that is none is an error, not a refusal', () => {
  assert.throws(() => native.lockExclusive(1_000_000), /errno/);
});

for (const kind of ['unix', 'tcp'] as const) {
  void test(`what a ${kind} peer has not taken is counted, and is less once it reads`, async (t) => {
    const { near, far } = await openSockets(t, kind);
    const descriptor = descriptorOf(near);
    assert.ok(descriptor !== undefined);
    assert.equal(native.queuedBytes(descriptor), 0);
    far.pause();
    near.write(Buffer.alloc(32 * 1024 * 1024));
    const full = native.queuedBytes(descriptor) ?? 0;
    assert.ok(full > 10_000, `${full}`);
    far.resume();
    await new Promise((resolve) => near.once('drain', resolve));
    while ((native.queuedBytes(descriptor) ?? 0) > 0) await new Promise(setImmediate);
    assert.equal(native.queuedBytes(1_000_000), undefined, 'no descriptor, no answer');
  });
}

void test('a peer that is gone differs from one that has ended its side', async (t) => {
  const { near, far } = await openSockets(t, 'unix');
  const descriptor = descriptorOf(near);
  assert.ok(descriptor !== undefined);
  assert.equal(native.hasHungUp(descriptor), false);
  far.end();
  await new Promise((resolve) => far.once('finish', resolve));
  assert.equal(native.hasHungUp(descriptor), false);
  far.destroy();
  await new Promise((resolve) => far.once('close', resolve));
  assert.equal(native.hasHungUp(descriptor), true);
  assert.equal(native.hasHungUp(1_000_000), false, 'no descriptor is no peer');
});

void test('files by device and inode: at a path, and behind a link of /proc; no symbolic link, no wait', (t) => {
  const folder = openFolder(t);
  const file = join(folder, 'file');
  writeFileSync(file, 'x');
  const other = join(folder, 'other');
  writeFileSync(other, 'x');
  symlinkSync(file, join(folder, 'link'));
  const descriptor = openSync(file, 'r');
  t.after(() => closeSync(descriptor));
  const behind = native.fileBehind(`/proc/self/fd/${descriptor}`);
  assert.match(behind ?? '', /^\d+:\d+ \d+$/);
  assert.equal(native.fileAt(file), behind);
  assert.notEqual(native.fileAt(other), behind);
  assert.equal(native.fileAt(join(folder, 'link')), undefined);
  assert.equal(native.fileAt(join(folder, 'absent')), undefined);
  assert.equal(native.fileBehind('/proc/self/fd/99999'), undefined);
});

void test('a C library without statx: nothing is known of files', () => {
  const find = (): never => {
    throw new Error('no such function');
  };
  const { fileAt, fileBehind } = fileFunctions(find, () => 0);
  assert.deepEqual([fileAt('/'), fileBehind('/proc/self/exe')], [undefined, undefined]);
});

void test('a file in a tree that changes all the time is asked for three times', () => {
  let asked = 0;
  const find = (prototype: string) => () => {
    if (prototype.startsWith('long syscall')) asked += 1;
    return -1;
  };
  const { fileAt } = fileFunctions(find, () => constants.errno.EAGAIN);
  assert.equal(fileAt('/usr/bin/doveadm'), undefined);
  assert.equal(asked, 3);
});

function serverDescriptor(owner: object): number {
  const handle: unknown = Reflect.get(owner, '_handle');
  const descriptor: unknown = typeof handle === 'object' && handle !== null && Reflect.get(handle, 'fd');
  assert.ok(typeof descriptor === 'number');
  return descriptor;
}

async function listening(
  t: TestContext,
  where: { path: string } | { port: number; host: string },
): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  t.after(() => server.close());
  await new Promise<void>((resolve) => {
    server.listen(where, resolve);
  });
  return server;
}

for (const [name, prefix] of [
  ['a path', ''],
  ['an abstract name', '\0'],
] as const) {
  void test(`datagrams to ${name} arrive whole and in order`, (t) => {
    const address = `${prefix}${openFolder(t)}/notify`;
    const socket = openDatagramSocket(address);
    t.after(() => socket.close());
    const texts = ['READY=1\n', 'ä\nb\n', 'x'.repeat(10_000)];
    for (const text of texts) assert.equal(native.sendDatagram(address, text), true);
    assert.deepEqual(socket.receive(), texts);
  });
}

void test('a queue that is full is no error, and nothing waits for it', (t) => {
  const address = `${openFolder(t)}/notify`;
  const socket = openDatagramSocket(address);
  t.after(() => socket.close());
  let sent = 0;
  while (native.sendDatagram(address, 'WATCHDOG=1\n')) sent += 1;
  assert.equal(socket.receive().length, sent);
  assert.equal(native.sendDatagram(address, 'WATCHDOG=1\n'), true);
});

void test('nobody there, or an address that no socket can have, is an error', (t) => {
  const folder = openFolder(t);
  assert.throws(() => native.sendDatagram(`${folder}/none`, 'x'), /errno/);
  assert.throws(() => native.sendDatagram(`/${'x'.repeat(120)}`, 'x'), /bytes/);
});

void test('a listening stream socket, UNIX or TCP, is told from everything else', async (t) => {
  const folder = openFolder(t);
  const server = await listening(t, { path: `${folder}/s` });
  assert.deepEqual(native.socketKind(serverDescriptor(server)), { kind: 'listening', family: 'unix' });
  const tcp = await listening(t, { port: 0, host: '127.0.0.1' });
  assert.deepEqual(native.socketKind(serverDescriptor(tcp)), { kind: 'listening', family: 'tcp' });
  const client = connect(`${folder}/s`);
  await new Promise((resolve) => {
    client.once('connect', resolve);
  });
  assert.match(JSON.stringify(native.socketKind(serverDescriptor(client))), /does not listen/);
  client.destroy();
  const file = openSync('/dev/null', 'r');
  assert.match(JSON.stringify(native.socketKind(file)), /no socket/);
  closeSync(file);
  assert.match(JSON.stringify(native.socketKind(1_000_000)), /no socket/);
});

void test('a second descriptor is of the same socket, and no child gets it', async (t) => {
  const server = await listening(t, { path: `${openFolder(t)}/s` });
  const first = serverDescriptor(server);
  const second = native.duplicate(first);
  assert.ok(second > 2 && second !== first);
  assert.equal(fstatSync(second).ino, fstatSync(first).ino);
  // O_CLOEXEC, as /proc shows it in octal.
  assert.match(readFileSync(`/proc/self/fdinfo/${second}`, 'utf8'), /^flags:\s+0?2\d{6}$/m);
  closeSync(second);
  assert.throws(() => native.duplicate(second), /errno/);
});

/** Of this process, in bytes: Anonymous of /proc/PID/smaps_rollup. */
function anonymousBytes(): number {
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8');
  return Number(/^Anonymous:\s+(\d+) kB$/m.exec(rollup)?.[1]) * 1024;
}

void test('memory that is released goes back to the kernel, and nobody else can collect garbage after it', async () => {
  const bytes = 64 * 1024 ** 2;
  const hold = (): number => {
    // Small enough that the C library would keep them.
    const held = Array.from({ length: bytes / 1024 }, () => Buffer.allocUnsafeSlow(1024).fill(1));
    return held.length > 0 ? anonymousBytes() : 0;
  };
  const full = hold();
  // Node may free them in another thread, behind the collection.
  await until(() => {
    native.releaseMemory();
    return full - anonymousBytes() > bytes / 2;
  }, 'the memory was given back');
  assert.equal(Reflect.get(globalThis, 'gc'), undefined);
});
