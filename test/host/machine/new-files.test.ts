// Goal: what is made was not there before, is whole, and goes again when something after it fails. What must not happen: a file or a link
// of somebody else that is written to, followed or removed.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isTaken, NewFiles, NewFilesFault } from '../../../src/host/machine/new-files.js';
import { openFolder } from '../../kit/plain/folder.js';
import { withSmallDisk } from '../../kit/plain/small-disk.js';

/** Fails with a sentence for a person. */
const fails = (run: () => unknown, why: RegExp): void =>
  assert.throws(run, (fault) => fault instanceof NewFilesFault && why.test(fault.message));
const modeOf = (path: string): number => statSync(path).mode & 0o7777;

void test('folders and files get their modes whatever the umask; undo leaves nothing', (t) => {
  const folder = openFolder(t);
  const before = process.umask(0o077);
  t.after(() => process.umask(before));
  const files = new NewFiles();
  const place = join(folder, 'a/b');
  files.folder(place, 0o711, undefined);
  files.file(place, 'x.yaml', 'text\n', 0o640, undefined);
  files.file(place, 'x.password', 'secret\n', 0o600, undefined);
  assert.deepEqual([join(folder, 'a'), place, join(place, 'x.yaml')].map(modeOf), [0o755, 0o711, 0o640]);
  assert.equal(modeOf(join(place, 'x.password')), 0o600);
  assert.equal(readFileSync(join(place, 'x.yaml'), 'utf8'), 'text\n');
  assert.deepEqual(readdirSync(place).toSorted(), ['x.password', 'x.yaml']);
  assert.deepEqual(files.made, [join(folder, 'a'), place, join(place, 'x.yaml'), join(place, 'x.password')]);
  assert.deepEqual(files.undo(), []);
  assert.deepEqual(readdirSync(folder), []);
});

void test('a file that is there, a link that leads nowhere, a folder that is a link or a file', (t) => {
  const folder = openFolder(t);
  const files = new NewFiles();
  writeFileSync(join(folder, 'mine'), 'mine');
  symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'));
  mkdirSync(join(folder, 'real'));
  symlinkSync(join(folder, 'real'), join(folder, 'link'));
  for (const name of ['mine', 'dangling'])
    fails(() => files.file(folder, name, 'x', 0o600, undefined), new RegExp(`${name}: exists already`));
  assert.ok(isTaken(join(folder, 'dangling')) && !isTaken(join(folder, 'nowhere')));
  fails(() => files.folder(join(folder, 'link'), 0o755, undefined), /is a symbolic link/);
  fails(() => files.file(join(folder, 'link'), 'x', 'x', 0o600, undefined), /./);
  fails(() => files.folder(join(folder, 'mine'), 0o755, undefined), /is no directory/);
  assert.deepEqual(files.undo(), []);
  assert.equal(readFileSync(join(folder, 'mine'), 'utf8'), 'mine');
  assert.deepEqual(readdirSync(folder).toSorted(), ['dangling', 'link', 'mine', 'real']);
  assert.deepEqual(readdirSync(join(folder, 'real')), []);
});

void test('a full disk: one sentence, and no half file', async (t) => {
  const hasDisk = await withSmallDisk('tmpfs', async (place) => {
    const files = new NewFiles();
    files.file(place, 'small', 'x', 0o600, undefined);
    const large = () => files.file(place, 'large', 'x'.repeat(4 << 20), 0o600, undefined);
    fails(large, /large: no space is left on the disk/);
    assert.deepEqual(readdirSync(place), ['small']);
    assert.deepEqual(files.undo(), []);
    return Promise.resolve();
  });
  if (!hasDisk) t.skip('only root mounts a small disk');
});
