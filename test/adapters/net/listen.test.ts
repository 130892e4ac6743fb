// The listener: who can reach the socket when, what is replaced, what is left behind.

import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../../src/adapters/host/clock.js';
import { ListenFault, listenUnix, type UnixPlace } from '../../../src/adapters/net/listen.js';
import type { Transport } from '../../../src/ports/transport.js';

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'dg-listen-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

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

test('the socket has its mode, serves, and is gone after close, with nothing beside it', async (t) => {
  const path = join(folder(t), 'a.sock');
  let resolve: (transport: Transport) => void = () => undefined;
  const accepted = new Promise<Transport>((accept) => {
    resolve = accept;
  });
  const listener = await listenUnix(place(path, 0o640), systemClock, resolve, failOnError);
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
  const path = join(folder(t), 'a.sock');
  const listener = await listenUnix(place(path, 0o600), systemClock, refuse, failOnError);
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
  const path = join(folder(t), 'a.sock');
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen({ path: `${path}.old` }, resolve));
  // Renamed, so that closing it does not remove it: what a killed daemon leaves behind.
  renameSync(`${path}.old`, path);
  await new Promise((resolve) => dead.close(resolve));
  assert.ok(lstatSync(path).isSocket());
  assert.equal(await connects(path), false);
  const listener = await listenUnix(place(path), systemClock, refuse, failOnError);
  assert.equal(await connects(path), true);
  await listener.close();
  assert.equal(existsSync(path), false);
});

test('a live socket, a file and an unreachable place are refused and left as they are', async (t) => {
  const path = join(folder(t), 'a.sock');
  const first = await listenUnix(place(path), systemClock, refuse, failOnError);
  const { ino } = lstatSync(path);
  await assert.rejects(listenUnix(place(path), systemClock, refuse, failOnError), ListenFault);
  assert.equal(lstatSync(path).ino, ino);
  assert.equal(await connects(path), true);
  await first.close();

  writeFileSync(path, 'precious');
  await assert.rejects(listenUnix(place(path), systemClock, refuse, failOnError), /is not a socket/);
  assert.ok(lstatSync(path).isFile());
  await assert.rejects(
    listenUnix(place(join(path, 'b', 'c.sock')), systemClock, refuse, failOnError),
    ListenFault,
  );
  const tooLong = join(path, 'x'.repeat(108));
  await assert.rejects(listenUnix(place(tooLong), systemClock, refuse, failOnError), /too long by/);
});

test('on close, a socket that somebody else put there since stays', async (t) => {
  const path = join(folder(t), 'a.sock');
  const first = await listenUnix(place(path), systemClock, refuse, failOnError);
  rmSync(path);
  const second = await listenUnix(place(path), systemClock, refuse, failOnError);
  await first.close();
  assert.equal(await connects(path), true);
  await second.close();
});
