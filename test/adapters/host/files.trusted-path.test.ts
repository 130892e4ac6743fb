// Who may change a file, over real files and links. Who is trusted is said by each test, so it needs no rights of root.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Trusted, trustedByUs, whyUnsafe } from '../../../src/adapters/host/files.js';
import { openFolder } from '../../kit/folder.js';

const us = trustedByUs();
const uid = process.getuid?.() ?? -1;

/** A file in a folder `in` of its own; `chmod` changes either. */
function fileOf(t: TestContext): { readonly file: string; readonly folder: string } {
  const folder = join(openFolder(t), 'in');
  mkdirSync(folder, { mode: 0o755 });
  const file = join(folder, 'file');
  writeFileSync(file, 'x', { mode: 0o600 });
  return { file, folder };
}

const textOf = (path: string, isSecret: boolean, trusted = us): string | undefined =>
  whyUnsafe(path, isSecret, trusted)?.text.replaceAll(join(path, '..'), '%');

void test('modes of a file', (t) => {
  const { file } = fileOf(t);
  const cases: readonly (readonly [mode: number, plain: string | undefined, secret: string | undefined])[] = [
    [0o600, undefined, undefined],
    [0o660, undefined, undefined],
    [0o640, undefined, undefined],
    [0o644, undefined, '%/file can be read by every user (mode 0644); run: chmod o-r %/file'],
    [0o604, undefined, '%/file can be read by every user (mode 0604); run: chmod o-r %/file'],
    [0o666, ...twice('%/file can be changed by every user (mode 0666); run: chmod o-w %/file')],
    [0o602, ...twice('%/file can be changed by every user (mode 0602); run: chmod o-w %/file')],
  ];
  for (const [mode, plain, secret] of cases) {
    chmodSync(file, mode);
    assert.deepEqual([textOf(file, false), textOf(file, true)], [plain, secret], mode.toString(8));
  }
});

function twice(text: string): [string, string] {
  return [text, text];
}

void test('a group that is not trusted may neither write nor read a secret', (t) => {
  const { file } = fileOf(t);
  const { gid } = statSync(file);
  const noGroup: Trusted = { ...us, writers: [], readers: [] };
  chmodSync(file, 0o660);
  assert.match(
    textOf(file, false, noGroup) ?? '',
    /can be changed by group .* \(mode 0660\); run: chmod g-w/,
  );
  assert.match(textOf(file, false, { ...noGroup, readers: [gid] }) ?? '', /changed by group/);
  chmodSync(file, 0o640);
  assert.equal(textOf(file, false, noGroup), undefined);
  assert.deepEqual(whyUnsafe(file, true, noGroup)?.isDoubtful, true);
  assert.equal(textOf(file, true, { ...noGroup, readers: [gid] }), undefined);
});

void test('a directory on the way: its modes, its owner, the sticky bit', (t) => {
  const { file, folder } = fileOf(t);
  chmodSync(folder, 0o777);
  const text = /^%, on the way to %\/file, can be changed by every user \(mode 0777\); run: chmod o-w %$/;
  assert.match(textOf(file, false) ?? '', text);
  chmodSync(folder, 0o1777);
  assert.equal(textOf(file, false), undefined);
  // The owner of a sticky directory, and of what is in it, can replace what is in it.
  assert.match(
    textOf(file, false, { ...us, owners: [uid + 1] }) ?? '',
    /belongs to .*, who can change it; run: chown root /,
  );
});

void test('links: each is followed, the directory that it stands in is judged, and its owner where that is sticky', (t) => {
  const { file, folder } = fileOf(t);
  const open = join(openFolder(t), 'open');
  mkdirSync(open);
  symlinkSync(file, join(open, 'absolute'));
  symlinkSync('absolute', join(open, 'relative'));
  symlinkSync(`../${'./'.repeat(3)}${open.split('/').pop() ?? ''}/relative`, join(open, 'up'));
  for (const name of ['absolute', 'relative', 'up']) {
    chmodSync(open, 0o755);
    assert.equal(whyUnsafe(join(open, name), true, us), undefined, name);
    chmodSync(open, 0o777);
    assert.match(
      whyUnsafe(join(open, name), true, us)?.text ?? '',
      /open, on the way to .*, can be changed by/,
    );
    chmodSync(open, 0o1777);
    assert.equal(whyUnsafe(join(open, name), true, us), undefined, name);
  }
  chmodSync(folder, 0o722);
  assert.match(whyUnsafe(join(open, 'up'), true, us)?.text ?? '', /in, on the way to .*, can be changed by/);
});

// bounds.symbolicLinks
void test('what cannot be looked at is not judged: a missing file, a circle of links, a device', (t) => {
  const { folder } = fileOf(t);
  symlinkSync('a', join(folder, 'b'));
  symlinkSync('b', join(folder, 'a'));
  for (const path of [join(folder, 'none'), join(folder, 'a'), '/dev/null', join(folder, 'file', 'x')])
    assert.equal(whyUnsafe(path, true, us), undefined, path);
});
