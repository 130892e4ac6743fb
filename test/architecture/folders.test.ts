// Tests lie where their module lies: a newcomer who changes a module finds them, and a module without tests is seen.
import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import { filesBelow, readSources } from './project.js';
import { modules } from './table.js';

/** Folders of test/ beside the modules of src/. */
const others = new Set(
  'architecture bench browser chaos container dovecot exim fleet fuzz kit kit-self model oracle package prometheus rsyslog scenario shells systemd vectors'.split(
    ' ',
  ),
);

/** The longest module that holds the path; undefined: none does. */
function moduleOf(path: string): string | undefined {
  const parts = posix.dirname(path).split('/').slice(1);
  const names = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  return names.findLast((name) => Object.hasOwn(modules, name));
}

void test('a test belongs to a module or to a folder with a purpose of its own, and every pure module has one', () => {
  const tests = filesBelow('test').filter(
    (path) => path !== 'test/README.md' && !others.has(path.split('/')[1] ?? ''),
  );
  assert.deepEqual(
    tests.filter((path) => moduleOf(path) === undefined),
    [],
  );
  const tested = new Set(tests.filter((path) => path.endsWith('.test.ts')).map(moduleOf));
  const pure = new Set(
    [...readSources().keys()].map(moduleOf).filter((name) => /^(?:protocol|domain)\b/.test(name ?? '')),
  );
  assert.ok(pure.size > 10);
  assert.deepEqual(
    [...pure].filter((name) => !tested.has(name)),
    ['domain/admin/page'],
    'this one holds sentences only',
  );
});
