// Goal: a test of an allow holds only if every value passes; one of a deny strikes if any value may be meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GlobList } from '../../../src/domain/names/glob.js';
import type { ValueTest } from '../../../src/domain/policy/policy.js';
import { createRegex } from '../../../src/domain/policy/regex.js';
import { passes, strikes } from '../../../src/domain/policy/value-test.js';

const expression = createRegex('a+');
assert.ok(expression.kind === 'regex');

const tests = {
  any: { kind: 'any' },
  present: { kind: 'present' },
  absent: { kind: 'absent' },
  oneOf: { kind: 'one-of', globs: new GlobList(['a', 'b*']), isOptional: false },
  optional: { kind: 'one-of', globs: new GlobList(['a']), isOptional: true },
  equals: { kind: 'equals', values: ['a', 'b'], isOptional: false },
  number: { kind: 'number', atLeast: 2n, atMost: 5n, isOptional: false },
  atMost: { kind: 'number', atLeast: undefined, atMost: 5n, isOptional: false },
  regex: { kind: 'regex', regex: expression.regex, isOptional: false },
} as const satisfies Record<string, ValueTest>;

type Row = readonly [
  name: keyof typeof tests,
  values: readonly string[] | undefined,
  allow: boolean,
  deny: boolean,
];

const table: readonly Row[] = [
  ['any', undefined, true, true],
  ['any', ['x'], true, true],
  ['present', undefined, false, false],
  ['present', ['x'], true, true],
  ['absent', undefined, true, true],
  ['absent', ['x'], false, false],
  ['oneOf', undefined, false, true],
  ['oneOf', [], false, false],
  ['oneOf', ['a'], true, true],
  ['oneOf', ['a', 'bc'], true, true],
  ['oneOf', ['a', 'x'], false, true],
  ['oneOf', ['A'], false, true],
  ['oneOf', ['x'], false, false],
  ['optional', undefined, true, true],
  ['optional', ['x'], false, false],
  ['equals', undefined, false, true],
  ['number', undefined, false, true],
  ['regex', undefined, false, true],
  ['equals', ['a', 'b'], true, true],
  ['equals', ['A', 'b'], false, true],
  ['equals', ['b', 'a'], false, false],
  ['equals', ['a'], false, false],
  ['number', ['2'], true, true],
  ['number', ['5'], true, true],
  ['number', ['1'], false, false],
  ['number', ['2', '9'], false, true],
  ['number', ['99999999999999999999'], false, false],
  ['number', ['3x'], false, false],
  ['number', [''], false, false],
  ['number', ['0x3'], false, false],
  ['atMost', ['0'], true, true],
  ['atMost', ['-1'], false, false],
  ['regex', ['aa'], true, true],
  ['regex', ['aa', 'b'], false, true],
  ['regex', ['AA'], false, true],
];

for (const [name, values, allow, deny] of table) {
  void test(`${name} of ${JSON.stringify(values)}`, () => {
    assert.equal(passes(tests[name], values), allow);
    assert.equal(strikes(tests[name], values, false), deny);
  });
}

void test('a mask may mean what a deny names', () => {
  const secret: ValueTest = { kind: 'one-of', globs: new GlobList(['secret*']), isOptional: false };
  for (const value of ['*', 'S%', '*et', 's?cret', '%']) {
    assert.equal(strikes(secret, [value], true), true, value);
    assert.equal(strikes(secret, [value], false), false, value);
  }
  assert.equal(strikes(secret, ['public*'], true), false);
});
