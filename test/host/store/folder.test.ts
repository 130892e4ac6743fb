import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFolder as openStore } from '../../../src/host/store/folder.js';
import { endBefore, openFolder } from '../../kit/plain/folder.js';
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
  await assert.rejects(namesOf(store, ''), faultOf('away'));
  await assert.rejects(store.read('h/x', { bytesMax: 10 }), faultOf('away'));
  await assert.rejects(store.put('h/x', Buffer.from('x'), { ifAbsent: true }), (fault: Error) => {
    assert.ok(fault.message.includes(root), fault.message);
    return faultOf('away')(fault);
  });
});

test('another folder in its place is a fault of the first put, and nothing is made there', async (t) => {
  const root = join(openFolder(t), 'mount');
  mkdirSync(root);
  const store = openStore(root, 'p');
  assert.deepEqual(await namesOf(store, ''), []);
  renameSync(root, `${root}.away`);
  mkdirSync(root);
  await assert.rejects(store.put('h/x', Buffer.from('x'), { ifAbsent: true }), faultOf('away'));
  assert.deepEqual(readdirSync(root), []);
});

test('a file system that is mounted read-only is named so', (t) => {
  const root = openFolder(t);
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'none', root]).status === 0;
  if (!isMounted) return t.skip('nothing can be mounted here (needs root)');
  endBefore(root, () => Promise.resolve(spawnSync('umount', [root])));
  const store = openStore(root, 'p');
  return assert.rejects(store.put('h/x', Buffer.from('x'), { ifAbsent: true }), (fault: Error) => {
    assert.match(fault.message, /EROFS/);
    return faultOf('refused')(fault);
  });
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
