// Goal: every key and scalar knows its line and column, and nothing odd of YAML gets in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCursor, valuePlace } from '../../../src/rules/config/cursor.js';
import { parseYaml } from '../../../src/rules/config/parse-yaml.js';
import { ProblemList } from '../../../src/rules/config/problem.js';

function parse(text: string) {
  const problems = new ProblemList();
  const root = parseYaml('f.yaml', text, problems);
  const cursor = root && createCursor(root, problems);
  return {
    cursor,
    told: problems.sorted().map(({ line, column, message }) => `${line}:${column} ${message}`),
  };
}

const deep = (levels: number) => Array.from({ length: levels }, (_, at) => `${' '.repeat(at)}a:`).join('\n');
const odd: readonly (readonly [text: string, expected: RegExp])[] = [
  ['a: 1\na: 2\n', /^2:1 not valid YAML: this key stands here twice: keep one of them/],
  ['7: 1\n"7": 2\n', /^2:1 not valid YAML: this key stands here twice: keep one of them/],
  ['a: &x 1\nb: *x\n', /^2:4 aliases \(\*name\) are not taken/],
  ['a: [*@example.com]\n', /put patterns with \* in quotes/],
  ['a: !!binary aGk=\n', /^1:\d+ .*(taken|tag)/],
  ['a: !secret x\n', /^1:4 not valid YAML: Unresolved tag/],
  ['a: !!set {x}\n', /tag/],
  ['<<: {a: 1}\n', /^1:1 the key << is not taken/],
  ['__proto__: {a: 1}\n', /^1:1 the key __proto__ is not taken/],
  ['? [a]\n: 1\n', /a key must be plain text/],
  ['a: 1\n---\nb: 2\n', /^2:1 not valid YAML: a second document begins here/],
  ['- a\n', /^1:1 the file must be a map of keys/],
  ['a: "x\n', /not valid YAML/],
  ['a: {\n', /not valid YAML: a list or map that is open here is not closed: add \}/],
  ['a: [b }\n', /is not closed: add \]/],
  ['a:\n\tb: 1\n', /^2:1 not valid YAML: a tab begins this line: write spaces/],
  ['a:\n  b: 1\n c: 2\n', /^3:\d+ not valid YAML: the keys of one map begin in the same column/],
  ['a: b: c\n', /put a text with ": " in quotes/],
  ['a\nb: 1\n', /a key needs a colon behind it/],
  ['a: @x\n', /cannot start with reserved character @: put the text in quotes/],
  [`a: ${'['.repeat(40)}${']'.repeat(40)}\n`, /more than 32 levels/],
  // Their parser must not come near the end of its stack.
  ...['[', '{a: ', '- ', '? '].map(
    (mark) => [`a:\n  ${mark.repeat(50_000)}\n`, /^1:1 more than 32 levels/] as const,
  ),
  [deep(2_000), /^1:1 more than 32 levels/],
  [deep(40), /more than 32 levels/],
];

for (const [text, expected] of odd) {
  void test(`not taken: ${JSON.stringify(text.slice(0, 40))}`, () => {
    const { told } = parse(text);
    const isTold = told.some((line) => expected.test(line));
    assert.ok(isTold, JSON.stringify(told.slice(0, 3)));
  });
}

void test('an empty file is an empty map', () => {
  for (const text of ['', '# only a comment\n', '---\n']) {
    assert.deepEqual(parse(text).cursor?.value(), {});
    assert.deepEqual(parse(text).told, []);
  }
});

void test('a prototype cannot be reached through a key', () => {
  const { cursor } = parse('a: {__proto__: {polluted: 1}, constructor: 2}\n');
  assert.ok(cursor);
  assert.deepEqual(cursor.value(), { a: { constructor: 2 } });
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
});

// Goal: every value of the tree is found again with its place, its spelling and its path, also when it is not there.
function cursorOf(text: string, file = '/etc/d.yaml') {
  const problems = new ProblemList();
  const root = parseYaml(file, text, problems);
  assert.ok(root);
  return { root, problems, cursor: createCursor(root, problems) };
}

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
