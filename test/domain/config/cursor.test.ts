// Goal: every value of the tree is found again with its place, its spelling and its path, also when it is not there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCursor, valuePlace } from '../../../src/domain/config/cursor.js';
import { parseYaml } from '../../../src/domain/config/parse-yaml.js';
import { ProblemList } from '../../../src/domain/config/problem.js';

function cursorOf(text: string, file = '/etc/d.yaml') {
  const problems = new ProblemList();
  const root = parseYaml(file, text, problems);
  assert.ok(root);
  return { root, problems, cursor: createCursor(root, problems) };
}

const text = 'a:\n  b: [007, x, "y"]\n  c: 0660\n';

void test('spellings and places', () => {
  const { cursor } = cursorOf(text);
  const a = cursor.down('a');
  assert.equal(a.source('c'), '0660');
  assert.equal(a.source('b'), undefined);
  assert.deepEqual(a.words('b'), ['007', 'x', 'y']);
  assert.deepEqual(
    [0, 1, 2].map((index) => a.place('b', index).column),
    [7, 12, 15],
  );
  assert.deepEqual(a.words('c'), ['0660']);
  assert.deepEqual(a.words('nothing'), []);
  assert.deepEqual(a.place('c'), { file: '/etc/d.yaml', line: 3, column: 3 });
});

void test('what is not there has the place of what it would be in', () => {
  const { cursor } = cursorOf(text);
  assert.deepEqual(cursor.place('a', 'missing', 'deeper'), { file: '/etc/d.yaml', line: 1, column: 1 });
  assert.deepEqual(cursor.place('nothing'), { file: '/etc/d.yaml', line: 1, column: 1 });
});

void test('paths are relative to the file', () => {
  const { cursor } = cursorOf('a: x/y\nb: /abs\nc: ../z\n', '/etc/dovegate/d.yaml');
  assert.equal(cursor.file('a'), '/etc/dovegate/x/y');
  assert.equal(cursor.file('b'), '/abs');
  assert.equal(cursor.file('c'), '/etc/z');
  assert.equal(cursor.file('nothing'), undefined);
  assert.equal(cursor.resolve('q', 'a'), '/etc/dovegate/q');
});

void test('problems carry the path of the file, also when items before were taken out', () => {
  const { cursor: whole, problems } = cursorOf(text);
  const cursor = whole.without([whole.down('a', 'b', 0)])?.down('a');
  assert.ok(cursor);
  cursor.error(['b', 1], 'one');
  cursor.warning(['c'], 'two');
  cursor.warning(['c'], 'three', undefined, { file: 'other', line: 7, column: 8 });
  assert.deepEqual(
    problems
      .sorted()
      .map(({ file, line, column, path, message }) => `${file}:${line}:${column} ${path} ${message}`),
    ['/etc/d.yaml:2:15 a.b[2] one', '/etc/d.yaml:3:3 a.c two', 'other:7:8 a.c three'],
  );
});

void test('the place of the value at a path, names with dots included', () => {
  const { root } = cursorOf('m:\n  a.b:\n    c: x\n  a: { b: [y, { k: z }] }\n  one: [w]\n');
  const at = (path: string): string => {
    const { line, column } = valuePlace(root, path) ?? { line: 0, column: 0 };
    return `${line}:${column}`;
  };
  assert.deepEqual(
    ['m.a.b.c', 'm.a.b[0]', 'm.a.b[1].k', 'm.one', 'm.a.b[7]', 'm.nothing', 'm.a.b.cd', 'ma'].map(at),
    ['3:8', '4:12', '4:20', '5:9', '0:0', '0:0', '0:0', '0:0'],
  );
});
