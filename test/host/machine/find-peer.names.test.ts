// Goal: an accept waits for no name, and has those that are known; a session waits for its own names only, for both of them at the same
// time.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createFindPeer } from '../../../src/host/machine/find-peer.js';
import type { NameService, UserAnswer } from '../../../src/host/machine/name-service.js';
import { loadNative } from '../../../src/host/machine/native.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';

/** A program that takes a login, connects, and stays. */
const visitor = `
const [path, login] = process.argv.slice(1);
if (login !== '') require('node:fs').writeFileSync('/proc/self/loginuid', login);
require('node:net').connect(path).resume();
`;

const uid = process.getuid?.() ?? 0;
const login = uid + 4711;

type Names = Pick<NameService, 'keptUser' | 'userOf' | 'keptOwners' | 'ownersOf'>;

const noOwners = { keptOwners: () => undefined, ownersOf: () => Promise.resolve(undefined) };

async function arrive(t: TestContext, names: Names, withLogin: boolean) {
  const path = join(openFolder(t), 's');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const child = spawn(process.execPath, ['-e', visitor, path, withLogin ? String(login) : ''], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  t.after(() => void child.kill('SIGKILL'));
  const failed = once(child, 'exit').then(() => assert.fail('the visitor did not connect'));
  const socket = await Promise.race([accepted, failed]);
  failed.catch(() => undefined);
  t.after(() => {
    socket.destroy();
    server.close();
  });
  const descriptor: unknown = Reflect.get(Object(Reflect.get(socket, '_handle')), 'fd');
  assert.ok(typeof descriptor === 'number');
  return createFindPeer(await loadNative(), createFakeClock(), names)('support', descriptor);
}

void test('what is known is there at the accept, and nobody is asked again', async (t) => {
  const anna: UserAnswer = { kind: 'found', name: 'anna' };
  const names = { keptUser: () => anna, userOf: () => Promise.resolve(anna), ...noOwners };
  const { peer, describe } = await arrive(t, names, false);
  assert.deepEqual([peer.uid, peer.user, peer.account, peer.rangeOwners], [uid, 'anna', 'found', undefined]);
  const described = await describe();
  assert.deepEqual([described.user, described.account, described.loginAccount], ['anna', 'found', undefined]);
});

void test('a uid of a container has an owner, and no answer about an account', async (t) => {
  const unasked: UserAnswer = { kind: 'unasked' };
  const owner = { uid: 1001, user: 'anna' };
  const names = {
    keptUser: () => unasked,
    userOf: () => Promise.resolve(unasked),
    keptOwners: () => [owner],
    ownersOf: () => Promise.resolve([owner]),
  };
  const { peer, describe } = await arrive(t, names, false);
  for (const each of [peer, await describe()])
    assert.deepEqual(
      [each.uid, each.user, each.account, each.rangeOwners],
      [uid, undefined, undefined, [owner]],
    );
});
