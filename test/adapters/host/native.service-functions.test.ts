import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadNative } from '../../../src/adapters/host/native.js';
import { openDatagramSocket } from '../../kit/datagram-socket.js';

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'dovegate-service-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function descriptorOf(owner: object): number {
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
  void test(`datagrams to ${name} arrive whole and in order`, async (t) => {
    const native = await loadNative();
    const address = `${prefix}${makeFolder(t)}/notify`;
    const socket = openDatagramSocket(address);
    t.after(() => socket.close());
    const long = 'x'.repeat(10_000);
    assert.deepEqual(
      ['READY=1\n', 'ä\nb\n', long].map((text) => native.sendDatagram(address, text)),
      [true, true, true],
    );
    assert.deepEqual(socket.receive(), ['READY=1\n', 'ä\nb\n', long]);
  });
}

void test('a queue that is full is no error, and nothing waits for it', async (t) => {
  const native = await loadNative();
  const address = `${makeFolder(t)}/notify`;
  const socket = openDatagramSocket(address);
  t.after(() => socket.close());
  let sent = 0;
  while (native.sendDatagram(address, 'WATCHDOG=1\n')) sent += 1;
  assert.equal(socket.receive().length, sent);
  assert.equal(native.sendDatagram(address, 'WATCHDOG=1\n'), true);
});

void test('nobody there, or an address that no socket can have, is an error', async (t) => {
  const native = await loadNative();
  const folder = makeFolder(t);
  assert.throws(() => native.sendDatagram(`${folder}/none`, 'x'), /errno/);
  assert.throws(() => native.sendDatagram(`/${'x'.repeat(120)}`, 'x'), /bytes/);
});

void test('a listening stream socket, UNIX or TCP, is told from everything else', async (t) => {
  const native = await loadNative();
  const folder = makeFolder(t);
  const server = await listening(t, { path: `${folder}/s` });
  assert.deepEqual(native.socketKind(descriptorOf(server)), { kind: 'listening', family: 'unix' });
  const tcp = await listening(t, { port: 0, host: '127.0.0.1' });
  assert.deepEqual(native.socketKind(descriptorOf(tcp)), { kind: 'listening', family: 'tcp' });
  const client = connect(`${folder}/s`);
  await new Promise((resolve) => {
    client.once('connect', resolve);
  });
  assert.match(JSON.stringify(native.socketKind(descriptorOf(client))), /does not listen/);
  client.destroy();
  const file = openSync('/dev/null', 'r');
  assert.match(JSON.stringify(native.socketKind(file)), /no socket/);
  closeSync(file);
  assert.match(JSON.stringify(native.socketKind(1_000_000)), /no socket/);
});

void test('a second descriptor is of the same socket, and no child gets it', async (t) => {
  const native = await loadNative();
  const server = await listening(t, { path: `${makeFolder(t)}/s` });
  const first = descriptorOf(server);
  const second = native.duplicate(first);
  assert.ok(second > 2 && second !== first);
  assert.equal(fstatSync(second).ino, fstatSync(first).ino);
  // O_CLOEXEC, as /proc shows it in octal.
  assert.match(readFileSync(`/proc/self/fdinfo/${second}`, 'utf8'), /^flags:\s+0?2\d{6}$/m);
  closeSync(second);
  assert.throws(() => native.duplicate(second), /errno/);
});
