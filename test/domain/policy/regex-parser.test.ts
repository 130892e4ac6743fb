// Goal: what the small language does not have is a fault with a reason, and no expression takes long to read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRegex, RegexFault, regexSizeMax } from '../../../src/domain/policy/regex-parser.js';

const faults: readonly (readonly [source: string, why: RegExp])[] = [
  ['(a', /not closed/],
  ['a)', /closes nothing/],
  ['[a', /not closed/],
  ['[]', /not closed/],
  ['[z-a]', /range/],
  ['[a-\\d]', /range/],
  ['[[:alpha:]]', /write \\\[/],
  ['*a', /nothing before/],
  ['a|*', /nothing before/],
  ['a**', /repeats a repetition/],
  ['a*?', /repeats a repetition/],
  ['a{2}{3}', /repeats a repetition/],
  ['a{', /\{/],
  ['a{x}', /\{/],
  ['a{,3}', /\{/],
  ['a{3,2}', /backwards/],
  ['a^b', /in the middle/],
  ['a$b', /in the middle/],
  ['(^a)', /in the middle/],
  ['(?=a)', /\(\?/],
  ['(?i)a', /\(\?/],
  ['(?<n>a)', /\(\?/],
  ['\\1', /not taken/],
  ['\\b', /not taken/],
  ['\\pL', /not taken/],
  ['\\x41', /not taken/],
  ['a\\', /backslash/],
  [`a{${regexSizeMax + 1}}`, /more than/],
  ['.{1,1000}.{1,1000}x', /more than/],
  ['(((((a{9}){9}){9}){9}){9}){9}', /more than/],
  ['(((((){99}){99}){99}){99}){99}', /repeats too much/],
  ['('.repeat(30) + ')'.repeat(30), /nested/],
  ['a|'.repeat(600), /too long|more than/],
];

for (const [source, why] of faults) {
  // bounds.regexDepth, bounds.regexPositions, bounds.regexSourceChars, bounds.regexSteps
  void test(`/${source.slice(0, 40)}/ is a fault`, () => {
    assert.throws(
      () => parseRegex(source),
      (error) => error instanceof RegexFault && why.test(error.message),
    );
  });
}

void test('the positions of an expression', () => {
  const program = parseRegex('a(b|c)*d?');
  assert.deepEqual(program.sets.map(([range]) => String.fromCodePoint(range?.[0] ?? 0)).join(''), 'abcd');
  assert.deepEqual(program.first, [0]);
  assert.deepEqual(
    [...program.last].toSorted((a, b) => a - b),
    [0, 1, 2, 3],
  );
  assert.deepEqual(
    [...(program.follow[1] ?? [])].toSorted((a, b) => a - b),
    [1, 2, 3],
  );
  assert.equal(program.isEmpty, false);
});
