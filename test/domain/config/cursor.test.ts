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
