// Goal: clients are accepted on a socket that somebody else made. What must not happen: the socket's file is removed, changed, or
// its queue of those who wait is lost or shortened when we go.

import assert from 'node:assert/strict';
import { closeSync, linkSync, lstatSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/adapters/host/clock.js';
import { loadNative } from '../../../src/adapters/host/native.js';
import { ListenFault, listenInherited } from '../../../src/adapters/net/listen.js';
import type { Transport } from '../../../src/ports/transport.js';
import { makeFolder, removeAfter } from '../../kit/folder.js';

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

void test('one after the other accepts; file, mode and those who wait stay', async (t) => {
  const native = await loadNative();
  const folder = makeFolder();
  removeAfter(t, folder);
  const path = join(folder, 's');
  // Stands for systemd: it holds the socket and does not accept.
  const holder = createServer();
  await new Promise<void>((resolve) => {
    holder.listen({ path: `${path}.made`, backlog: 128 }, resolve);
  });
  // Its own name goes with its handle.
  linkSync(`${path}.made`, path);
  const handle: unknown = Reflect.get(holder, '_handle');
  assert.ok(typeof handle === 'object' && handle !== null);
  const descriptor: unknown = Reflect.get(handle, 'fd');
  assert.ok(typeof descriptor === 'number');
  const original = native.duplicate(descriptor);
  const before = lstatSync(path);

  const accepted: Transport[] = [];
  let wake: () => void = () => undefined;
  const open = () =>
    listenInherited(
      { name: 'systemd:support', descriptor: native.duplicate(original) },
      systemClock,
      (transport, peer) => {
        assert.ok(peer !== undefined && peer > 2);
        accepted.push(transport);
        wake();
      },
      (text) => assert.fail(text),
    );
  const until = async (count: number): Promise<void> => {
    while (accepted.length < count)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
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
  await assert.rejects(
    listenInherited(
      { name: 'systemd:x', descriptor: 1_000_000 },
      systemClock,
      () => undefined,
      () => undefined,
    ),
    (fault) => fault instanceof ListenFault && fault.message.startsWith('systemd:x: '),
  );
});

// bounds.acceptQueue
void test('4096 connections and one more wait, where the kernel allows it', async (t) => {
  const allowed = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
  const folder = makeFolder();
  removeAfter(t, folder);
  const path = join(folder, 's');
  const native = await loadNative();
  const maker = createServer();
  await new Promise<void>((resolve) => {
    maker.listen({ path: `${path}.made`, backlog: 1 }, resolve);
  });
  linkSync(`${path}.made`, path);
  const descriptor: unknown = Reflect.get(Object(Reflect.get(maker, '_handle')), 'fd');
  assert.ok(typeof descriptor === 'number');
  const kept = native.duplicate(descriptor);
  t.after(() => closeSync(kept));
  maker.close();
  const inherited = { name: 'systemd:support', descriptor: native.duplicate(kept) };
  const listener = await listenInherited(inherited, systemClock, () => undefined, assert.fail);
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
