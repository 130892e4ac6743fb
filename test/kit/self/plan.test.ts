// Goal: `npm test` says its stages, what it installs and how long it takes, before it does anything. The tree is a copy with four tests.
// What must not happen: a stage that is not told, something installed without having been named.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../architecture/project.js';
import { openFolder } from '../plain/folder.js';
import { runProgram } from '../plain/program.js';

void test('the plan: stages with their tests, what is installed, minutes', async (t) => {
  const tree = openFolder(t);
  for (const name of ['scripts', 'package.json', 'package-lock.json'])
    cpSync(join(root, name), join(tree, name), { recursive: true });
  for (const path of ['whole/dovecot/a', 'doveadm/handshake/b', 'kit/self/a', 'whole/systemd/a']) {
    const file = join(tree, 'test', `${path}.test.ts`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '');
  }
  // A system without shells but bash, and nothing that could install one.
  const programs = join(tree, 'bin');
  mkdirSync(programs);
  for (const name of ['bash', 'sort', 'uname']) symlinkSync(`/usr/bin/${name}`, join(programs, name));
  const plan = async (...stages: string[]): Promise<string> => {
    const words = ['scripts/test.mjs', 'plan', ...stages];
    const done = await runProgram(process.execPath, words, { cwd: tree, env: { PATH: programs } });
    assert.deepEqual([done.exit, done.stderr], [0, ''], done.text);
    return done.text;
  };

  const all = await plan();
  assert.match(
    all,
    /^plan: build, lint, then at the same time:\n {2}unit +1 files of tests\n {2}scenario +0 files/,
  );
  assert.match(all, /^ {2}dovecot +1 files of tests$/m);
  const stages = [...all.matchAll(/^ {2}(\w+) +\d+ files of tests$/gm)].map(([, stage]) => stage);
  assert.deepEqual(stages, ['unit', 'scenario', 'browser', 'fuzz', 'dovecot', 'audit', 'fleet']);
  const full = await plan('full');
  assert.match(full, /^ {2}unit +2 files of tests\n {2}package +0 files/m);
  assert.match(full, /^ {2}systemd +1 files of tests$/m);
  assert.match(
    all,
    /^installs: packages of the system: .*\bfish\b.*\bzsh\b.*; the packages of package-lock\.json, into node_modules$/m,
  );
  assert.match(all, /^minutes: npm test takes some \d+ on two quick processors, npm run test:full \d+/m);

  mkdirSync(join(tree, 'node_modules'));
  writeFileSync(join(tree, 'node_modules/.minutes-unit'), '3');
  const one = await plan('unit');
  assert.match(one, /^plan: build, then at the same time:\n {2}unit +2 files of tests\ninstalls: (?!.*zsh)/);
  assert.match(one, /^minutes: 3 here the last time; /m);
  assert.match(
    await plan('doveadm'),
    /^plan: build, then at the same time:\n {2}doveadm +1 files of tests\n/,
  );
  assert.ok(!existsSync(join(tree, 'build')));
});
