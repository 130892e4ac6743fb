// The tarball: whoever builds a release again from its sources gets the same bytes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../architecture/project.js';
import { openFolder } from '../../kit/plain/folder.js';

void test('two builds in two places give the same tarball, byte for byte', (t) => {
  const folder = openFolder(t);
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const path of files.split('\0').filter((each) => each !== '')) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(root, path), join(folder, path));
  }
  // Not a link: the bundler would look up where it leads, and find another place.
  const unused = /node_modules\/(?:@biomejs|@oxlint|@oxlint-tsgolint|@babel|playwright-core|axe-core)\//;
  cpSync(join(root, 'node_modules'), join(folder, 'node_modules'), {
    recursive: true,
    filter: (path) => !unused.test(`${path}/`),
  });
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: folder });
  const digestOf = (tree: string): string => {
    const cwd = join(folder, `packed-${tree === root ? 'here' : 'there'}`);
    execFileSync(process.execPath, ['scripts/packed.mjs', cwd], { cwd: tree });
    const words = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'];
    const told = execFileSync('npm', words, { cwd, encoding: 'utf8' });
    const [packed]: readonly { readonly integrity: string }[] = JSON.parse(told);
    return packed?.integrity ?? '';
  };
  assert.match(digestOf(root), /^sha512-/);
  assert.equal(digestOf(folder), digestOf(root));
});
