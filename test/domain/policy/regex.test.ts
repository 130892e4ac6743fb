// Goal: an expression matches what JavaScript's own engine says it does, whole texts only.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createRegex, type Regex, regexTextMax } from '../../../src/domain/policy/regex.js';
import { parseRegex, RegexFault, regexSizeMax } from '../../../src/domain/policy/regex-parser.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

function regex(source: string): Regex {
  const result = createRegex(source);
  assert.ok(result.kind === 'regex', result.kind === 'bad' ? `${source} ${result.message}` : '');
  return result.regex;
}

const table: readonly (readonly [source: string, yes: readonly string[], no: readonly string[]])[] = [
  ['', [''], ['a']],
  ['abc', ['abc'], ['ab', 'abcd', 'xabc', 'abc\n']],
  ['^abc$', ['abc'], ['xabc', 'abcx']],
  ['a\\$', ['a$'], ['a', 'a\\']],
  ['a|bc', ['a', 'bc'], ['abc', 'b', '']],
  ['(a|b)*c', ['c', 'abac'], ['ab', 'cc']],
  ['(?:ab)+', ['ab', 'abab'], ['', 'aba']],
  ['a?b', ['b', 'ab'], ['aab']],
  ['a{3}', ['aaa'], ['aa', 'aaaa']],
  ['a{0}b', ['b'], ['ab']],
  ['a{2,}', ['aa', 'aaaaa'], ['a', '']],
  ['a{1,3}', ['a', 'aa', 'aaa'], ['', 'aaaa']],
  ['(a{0,2}b){2}', ['bb', 'aabab'], ['b', 'aaabb']],
  ['.', ['a', '\n', '😀', 'ä'], ['', 'ab']],
  ['[a-c]+', ['abc'], ['abd']],
  ['[^a-c]', ['d', 'ä', '😀'], ['a', '']],
  ['[]a]', [']', 'a'], ['b']],
  ['[a-]', ['a', '-'], ['b']],
  ['[\\d.]+', ['1.2'], ['a']],
  ['[ä-ü]', ['ö'], ['a']],
  ['\\d+\\s\\w', ['12 x', '3\t_'], ['12x', 'a b']],
  ['\\D\\S\\W', ['ab-'], ['1b-', 'a -', 'abc']],
  ['\\.\\*\\(\\\\', ['.*(\\'], ['xx(\\']],
  ['\\n', ['\n'], ['n']],
  [
    'mailbox (Trash|Junk) savedbefore \\d+d',
    ['mailbox Trash savedbefore 30d'],
    ['mailbox Trash savedbefore 30d all'],
  ],
];

for (const [source, yes, no] of table) {
  void test(`/${source}/`, () => {
    for (const text of yes) assert.ok(regex(source).matches(text), JSON.stringify(text));
    for (const text of no) assert.ok(!regex(source).matches(text), JSON.stringify(text));
  });
}

const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', 'ä', '😀');
const { tree } = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    atom,
    fc.tuple(tie('tree'), tie('tree')).map(([one, other]) => `${one}${other}`),
    fc.tuple(tie('tree'), tie('tree')).map(([one, other]) => `(${one}|${other})`),
    fc
      .tuple(tie('tree'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{0,1}', '{2,}'))
      .map(([one, times]) => `(?:${one})${times}`),
  ),
}));

void test('any expression agrees with the engine of the language', () => {
  fc.assert(
    fc.property(
      tree,
      fc.string({ unit: fc.constantFrom('a', 'b', 'ä', '😀'), maxLength: 6 }),
      (source, text) => {
        const result = createRegex(source);
        if (result.kind === 'bad') return;
        assert.equal(result.regex.matches(text), new RegExp(`^(?:${source})$`, 'su').test(text));
      },
    ),
    { numRuns: 5_000 * rounds },
  );
});

// bounds.regexTextChars
void test('a value above the limit never matches', () => {
  assert.equal(regex('a*').matches('a'.repeat(regexTextMax)), true);
  assert.equal(regex('a*').matches('a'.repeat(regexTextMax + 1)), false);
});

void test('the size is what its limit says', () => {
  assert.equal(regex(`a{${regexSizeMax}}`).matches('a'.repeat(regexSizeMax)), true);
  assert.equal(regex(`.*b.{${regexSizeMax - 2}}`).matches(`aab${'c'.repeat(regexSizeMax - 2)}`), true);
});

// Goal: what the small language does not have is a fault with a reason, and no expression takes long to read.
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
  ['+a', /nothing before/],
  ['?a', /nothing before/],
  ['{2}a', /nothing before/],
  ['a*+', /repeats a repetition/],
  ['a{2b', /\{/],
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
