import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFolder as openStore } from '../../../src/host/store/folder.js';
import { openFolder } from '../../kit/plain/folder.js';
import { faultOf, namesOf, testStore } from './store-suite.js';

testStore('folder', (t) =>
  Promise.resolve({ store: openStore(openFolder(t), 'dovegate'), hasVersions: false }),
);

test('what a killed process left is skipped by readers, and removed by the next writer', async (t) => {
  const root = openFolder(t);
  const store = openStore(root, 'p');
  mkdirSync(join(root, 'p/h'), { recursive: true });
  writeFileSync(join(root, 'p/h/.new-77-1'), 'half');
  assert.deepEqual(await namesOf(store, ''), []);
  await store.put('h/x', Buffer.from('x'), { ifAbsent: true });
  assert.deepEqual(readdirSync(join(root, 'p/h')), ['x']);
});

test('a folder whose mount is missing is a fault, and is not made', async (t) => {
  const root = join(openFolder(t), 'mount');
  const store = openStore(root, 'p');
  await assert.rejects(namesOf(store, ''), faultOf('gone'));
  await assert.rejects(store.put('h/x', Buffer.from('x'), { ifAbsent: true }), faultOf('gone'));
});

test('no name leads out of the folder, and no link is followed', async (t) => {
  const root = openFolder(t);
  const store = openStore(root, 'p');
  await store.put('h/x', Buffer.from('x'), { ifAbsent: true });
  symlinkSync('/etc/passwd', join(root, 'p/h/link'));
  await assert.rejects(store.read('h/link', { bytesMax: 1e6 }), faultOf('bad-answer'));
  for (const name of ['../x', 'h/../../x', 'h//x', '/x', '.x', 'h/.new-1'])
    await assert.rejects(store.read(name, { bytesMax: 10 }), faultOf('refused'), name);
});
