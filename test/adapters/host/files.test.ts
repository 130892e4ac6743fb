import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  listFiles,
  readOrMakeFile,
  readSecretFile,
  readText,
  whyUnreadable,
  writeAtomically,
} from '../../../src/adapters/host/files.js';
import { openFolder } from '../../kit/folder.js';

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
    assert.deepEqual(
      listFiles(join(folder, pattern)),
      found.map((name) => join(folder, name)),
      pattern,
    );
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
});

void test('a file is made once, for its owner only, and read from then on', (t) => {
  const path = join(openFolder(t), 'key');
  assert.equal(
    readOrMakeFile(path, () => 'first'),
    'first',
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(
    readOrMakeFile(path, () => 'second'),
    'first',
  );
  assert.throws(() => readOrMakeFile(join(path, 'below'), () => 'x'), { code: 'ENOTDIR' });
});

void test('a link in the way of a new file is replaced, not followed', (t) => {
  const folder = folderOf(t, ['victim']);
  symlinkSync(join(folder, 'victim'), join(folder, 'state.json.new'));
  writeAtomically(join(folder, 'state.json'), 'text');
  assert.equal(readFileSync(join(folder, 'state.json'), 'utf8'), 'text');
  assert.equal(readFileSync(join(folder, 'victim'), 'utf8'), 'victim');
});
