import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { ourselves } from '../../../src/host/machine/accounts.js';
import {
  listFiles,
  ownSockets,
  readOrMakeFile,
  readSecretFile,
  readText,
  readUnpiped,
  type Trusted,
  trustedByUs,
  whyPoorMemory,
  whyUnreadable,
  whyUnsafe,
  writeAtomically,
} from '../../../src/host/machine/files.js';
import { diskPlace, memoryPlace, openFolder, removeAfter } from '../../kit/plain/folder.js';

/** A folder with these files, each holding its own name. */
function folderOf(t: TestContext, names: readonly string[]): string {
  const folder = openFolder(t);
  for (const name of names) writeFileSync(join(folder, name), name);
  return folder;
}

void test('text is read whole, and what is not there says so', (t) => {
  const folder = folderOf(t, ['a.yaml', 'ü.yaml']);
  assert.equal(readText(join(folder, 'ü.yaml')), 'ü.yaml');
  assert.throws(() => readText(join(folder, 'none')), { code: 'ENOENT' });
});

void test('a pattern names files of one folder, sorted; a path without a star names itself', (t) => {
  const names = ['a.yaml', 'b.yaml', 'ab.yaml', 'aba.yaml', 'b.yml', '.hidden.yaml', 'yaml', 'a*'];
  const folder = folderOf(t, names);
  const patterns: readonly (readonly [string, readonly string[]])[] = [
    ['*.yaml', ['a.yaml', 'ab.yaml', 'aba.yaml', 'b.yaml']],
    ['a*.yaml', ['a.yaml', 'ab.yaml', 'aba.yaml']],
    ['a*a*.yaml', ['aba.yaml']],
    ['ab*ba.yaml', []],
    ['*b*', ['ab.yaml', 'aba.yaml', 'b.yaml', 'b.yml']],
    ['**', ['a*', 'a.yaml', 'ab.yaml', 'aba.yaml', 'b.yaml', 'b.yml', 'yaml']],
    ['.*', ['.hidden.yaml']],
    ['*yaml', ['a.yaml', 'ab.yaml', 'aba.yaml', 'b.yaml', 'yaml']],
    ['c*', []],
    ['none.yaml', ['none.yaml']],
  ];
  for (const [pattern, found] of patterns) {
    const paths = found.map((name) => join(folder, name));
    assert.deepEqual(listFiles(join(folder, pattern)), paths, pattern);
  }
  assert.throws(() => listFiles(join(folder, 'none', '*.yaml')), { code: 'ENOENT' });
});

void test('a secret is the file without one line end', async (t) => {
  const folder = openFolder(t);
  const path = join(folder, 'secret');
  const secrets: readonly (readonly [string | Buffer, string | Buffer])[] = [
    ['secret', 'secret'],
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    ['secret\n\n', 'secret\n'],
    ['secret\r', 'secret\r'],
    [' two words \n', ' two words '],
    [Buffer.from([0xff, 0x00, 0x0a]), Buffer.from([0xff, 0x00])],
    ['x'.repeat(4096), 'x'.repeat(4096)],
  ];
  for (const [content, secret] of secrets) {
    writeFileSync(path, content);
    assert.deepEqual(await readSecretFile(path), Buffer.from(secret));
  }
});

// bounds.secretFileBytes
void test('a file that can be no secret: the sentence names it, and never what is in it', async (t) => {
  const folder = openFolder(t);
  const path = join(folder, 'secret');
  for (const [content, why] of [
    ['', /is empty/],
    ['\n', /is empty/],
    ['\r\n', /is empty/],
    ['hunter2'.repeat(600), /larger than 4096 bytes/],
  ] as const) {
    writeFileSync(path, content);
    await assert.rejects(readSecretFile(path), (fault) => {
      assert.ok(fault instanceof Error);
      assert.ok(fault.message.startsWith(`${path}: `));
      assert.match(fault.message, why);
      assert.doesNotMatch(fault.message, /hunter2/);
      return true;
    });
  }
  await assert.rejects(readSecretFile(join(folder, 'none')), /none: ENOENT/);
  await assert.rejects(readSecretFile(folder), /EISDIR/);
});

void test('why a file cannot be read, before anybody needs it', (t) => {
  const folder = folderOf(t, ['there']);
  mkdirSync(join(folder, 'sub'));
  assert.equal(whyUnreadable(join(folder, 'there')), undefined);
  assert.equal(whyUnreadable(join(folder, 'none')), 'there is no such file');
  assert.equal(whyUnreadable(join(folder, 'there', 'below')), 'a part of its path is no directory');
  assert.equal(whyUnreadable(join(folder, 'sub')), 'it is a directory');
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  assert.equal(whyUnreadable(join(folder, 'pipe')), 'it is a pipe');
  assert.throws(() => readUnpiped(join(folder, 'pipe')), /^Error: it is a pipe$/);
  assert.throws(() => readUnpiped(join(folder, 'sub')), /EISDIR/);
  // A device has no end: 16.9 GB were read before the process was killed.
  assert.equal(bounds.configurationFileBytes, 32 * 2 ** 20);
  assert.throws(() => readUnpiped('/dev/zero'), { code: 'EFBIG' });
  assert.equal(readUnpiped(join(folder, 'there')), readText(join(folder, 'there')));
});

void test('a file is made once, for its owner only, and read from then on', (t) => {
  const path = join(openFolder(t), 'key');
  const readOr = (text: string) => readOrMakeFile(path, () => text);
  assert.equal(readOr('first'), 'first');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(readOr('second'), 'first');
  assert.throws(() => readOrMakeFile(join(path, 'below'), () => 'x'), { code: 'ENOTDIR' });
});

void test('a link in the way of a new file is replaced, not followed', (t) => {
  const folder = folderOf(t, ['victim']);
  symlinkSync(join(folder, 'victim'), join(folder, 'state.json.new'));
  writeAtomically(join(folder, 'state.json'), 'text');
  assert.equal(readFileSync(join(folder, 'state.json'), 'utf8'), 'text');
  assert.equal(readFileSync(join(folder, 'victim'), 'utf8'), 'victim');
});

// Who may change a file, over real files and links. Who is trusted is said by each test, so it needs no rights of root.

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
  const changed = /can be changed by group .* \(mode 0660\); run: chmod g-w/;
  assert.match(textOf(file, false, noGroup) ?? '', changed);
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
  const foreign = textOf(file, false, { ...us, owners: [uid + 1] }) ?? '';
  assert.match(foreign, /belongs to .*, who can change it; run: chown root /);
});

// Goal: whether a file can be mapped as memory at a path is known without making it.

const shared = memoryPlace();
const hasShared = statfsSync(shared).type === 0x01021994;

function openShared(t: TestContext): string {
  const folder = mkdtempSync(join(shared, 'dovegate-test-'));
  removeAfter(t, folder);
  return folder;
}

test('a directory in memory with room is good', { skip: !hasShared }, (t) => {
  const path = join(openShared(t), 'audit.ring');
  assert.equal(whyPoorMemory(path, 64 * 1024, ourselves()), undefined);
});

test('a file that is there already with its size needs no more room', { skip: !hasShared }, (t) => {
  const path = join(openShared(t), 'audit.ring');
  const bytes = 2 ** 50;
  const found = whyPoorMemory(path, bytes, ourselves());
  assert.equal(found?.isUsable, false);
  assert.match(found?.text ?? '', /^it needs 1125899906842624 bytes, and \/dev\/shm\/\S+ has \d+ left$/);
  writeFileSync(path, '');
  truncateSync(path, 2 ** 40);
  assert.equal(whyPoorMemory(path, 2 ** 40, ourselves()), undefined);
});

test('no directory, a file instead of one, no right to write', (t) => {
  const folder = openFolder(t);
  const text = (path: string, who: Parameters<typeof whyPoorMemory>[2] = ourselves()): string | undefined => {
    const found = whyPoorMemory(path, 4096, who);
    return found?.isUsable === false ? found.text.replaceAll(folder, 'F') : found?.text;
  };
  assert.equal(text(join(folder, 'none', 'ring')), 'there is no directory F/none');
  writeFileSync(join(folder, 'file'), '');
  assert.equal(text(join(folder, 'file', 'ring')), 'F/file is not a directory');
  const own = join(folder, 'own');
  mkdirSync(own);
  chmodSync(own, 0o750);
  // Somebody else, as root checks for the user of the daemon.
  const other = { uid: ourselves().uid + 4711, gids: [] };
  chmodSync(folder, 0o777);
  assert.equal(text(join(folder, 'ring')), 'every user may replace files in F (mode 0777)');
  assert.match(text(join(own, 'ring'), other) ?? '', /^uid \d+ may not make files in F\/own \(mode 0750\)$/);
});

test('elsewhere than in memory it can be had, and may be slow', (t) => {
  const folder = mkdtempSync(join(diskPlace(), 'dovegate-'));
  removeAfter(t, folder);
  if (hasShared && statfsSync(folder).type === statfsSync(shared).type)
    return t.skip('the folder is in memory');
  const found = whyPoorMemory(join(folder, 'ring'), 4096, ourselves());
  assert.equal(found?.isUsable, true);
  assert.match(found?.text ?? '', /use a file system in memory \(tmpfs\)$/);
});

void test('sockets of a gate are those of its listeners; where there is no gate there are none', (t) => {
  const folder = openFolder(t);
  for (const name of ['support.sock', 'admin.sock', 'page.sock', 'door.sock', 'backup.sock', 'pid'])
    writeFileSync(join(folder, name), '');
  assert.deepEqual(
    ownSockets(folder),
    ['backup.sock', 'support.sock'].map((name) => join(folder, name)),
  );
  assert.deepEqual(ownSockets(join(folder, 'none')), []);
});
