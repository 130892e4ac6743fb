// Tests lie where their sources lie: a newcomer who changes a part finds them, and a pure folder without tests is seen.
import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import { parts } from './parts.js';
import { filesBelow } from './project.js';

/** Folders of test/ beside the parts: the whole program, what tests are made of, what was captured, and this. */
const others = ['whole', 'kit', 'vectors', 'architecture'];
const names = parts.map(({ name }) => name);

const folderOf = (path: string): string => posix.dirname(path).split('/').slice(1, 3).join('/');
const folders = new Set(filesBelow('src').map(folderOf));
const tests = filesBelow('test').filter((path) => path.endsWith('.test.ts'));

void test('a test lies in a part, in a folder that the part has, or among those of the whole program', () => {
  assert.ok(tests.length > 500);
  const stray = tests.filter((path) => {
    const [, part = ''] = path.split('/');
    return names.includes(part) ? !folders.has(folderOf(path)) && part !== 'page' : !others.includes(part);
  });
  assert.deepEqual(stray, []);
});

void test('every folder of doveadm, rules and evidence has tests', () => {
  const tested = new Set(tests.map(folderOf));
  const pure = [...folders].filter((folder) => /^(?:doveadm|rules|evidence)\//.test(folder));
  assert.ok(pure.length > 10);
  assert.deepEqual(
    pure.filter((folder) => !tested.has(folder)),
    [],
  );
});
