// Goal: an expression matches what JavaScript's own engine says it does, whole texts only.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createRegex, exampleOf, type Regex, regexTextMax } from '../../../src/rules/policy/regex.js';
import { parseRegex, type Ranges, RegexFault, regexSizeMax } from '../../../src/rules/policy/regex-parser.js';
import { projectRoot } from '../../kit/plain/root.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

function regex(source: string): Regex {
  const result = createRegex(source);
  assert.ok(result.kind === 'regex', result.kind === 'bad' ? `${source} ${result.message}` : '');
  return result.regex;
}

/** Whole texts only, and what the language's own engine reads otherwise or differently written. More: regex.txt. */
const table: readonly (readonly [source: string, yes: readonly string[], no: readonly string[]])[] = [
  ['', [''], ['a']],
  ['abc', ['abc'], ['ab', 'abcd', 'xabc', 'abc\n']],
  ['^abc$', ['abc'], ['xabc', 'abcx']],
  ['a|bc', ['a', 'bc'], ['abc', 'b', '']],
  ['(a{0,2}b){2}', ['bb', 'aabab'], ['b', 'aaabb']],
  ['.', ['a', '\n', '😀', 'ä', '\uffff'], ['', 'ab', '\uffffa']],
  ['[^a-c]', ['d', 'ä', '😀'], ['a', '']],
  ['[]a]', [']', 'a'], ['b']],
  ['[a-]', ['a', '-'], ['b']],
  ['\\d+\\s\\w', ['12 x', '3\t_'], ['12x', 'a b']],
  ['\\D\\S\\W', ['ab-'], ['1b-', 'a -', 'abc']],
];

void test('an example is a text that matches, as somebody would type it; there is none where it would say nothing', () => {
  const examples = {
    'ticket [0-9]+.*': 'ticket 1',
    '(INC|CHG)-\\d{6}': 'INC-111111',
    '[^a-z0-9]+ by \\w+': 'A by 1',
    '^.{3,}$': '111',
    '': undefined,
    'a*': undefined,
    'a{50}': undefined,
    '\\n|ä': undefined,
  };
  for (const [source, text] of Object.entries(examples)) assert.equal(exampleOf(source), text, source);
  for (const [source] of table) {
    const text = exampleOf(source);
    assert.ok(text === undefined || regex(source).matches(text), `${source}: ${text}`);
  }
});

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
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', 'ä', '😀'), maxLength: 6 });
  fc.assert(
    fc.property(tree, texts, (source, text) => {
      const result = createRegex(source);
      if (result.kind === 'bad') return;
      assert.equal(result.regex.matches(text), new RegExp(`^(?:${source})$`, 'su').test(text));
    }),
    { numRuns: 2_000 * rounds },
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

// Goal: what the small language has is read as written in regex.txt, and the rest is a fault with its reason. `DOVEGATE_ANSWERS=write`
// and this test write the file: read the difference. A program: the characters of each position, first and last positions, which can
// follow which, and whether it matches an empty text.
const programs = new URL('test/rules/policy/regex.txt', projectRoot);

void test('expressions and what they are read as: regex.txt', () => {
  const written = readFileSync(programs, 'utf8');
  const text = written.replaceAll(
    /^\/(.*)\/ {2}.*$/gm,
    (_, source: string) => `/${source}/  ${readAs(source)}`,
  );
  if (process.env['DOVEGATE_ANSWERS'] === 'write') writeFileSync(programs, text);
  else assert.equal(text, written);
});

function readAs(source: string): string {
  const result = createRegex(source);
  if (result.kind === 'bad') return `FAULT it ${result.message}`;
  assert.equal(result.regex.source, source);
  const { sets, first, last, follow, isEmpty } = parseRegex(source);
  const places = (list: Iterable<number>): string => [...list].join(' ');
  return [
    sets.map(shownSet).join(' '),
    `first ${places(first)}`,
    `last ${places(last)}`,
    ...[...follow.entries()].flatMap(([at, next]) => (next.size === 0 ? [] : `${at} > ${places(next)}`)),
    ...(isEmpty ? ['empty'] : []),
  ].join('; ');
}

function shownSet(ranges: Ranges): string {
  const each = ranges.map(([low, high]) =>
    low === high ? shownPoint(low) : `${shownPoint(low)}-${shownPoint(high)}`,
  );
  return each.length === 1 ? (each[0] ?? '') : `[${each.join(' ')}]`;
}

function shownPoint(code: number): string {
  return code > 0x20 && code < 0x7f
    ? String.fromCodePoint(code)
    : code.toString(16).toUpperCase().padStart(4, '0');
}

const tooMany = `stands for more than ${regexSizeMax} characters, repetitions written out`;
const limits: readonly (readonly [what: string, taken: string, refused: string, why: string])[] = [
  ['positions', `a{${regexSizeMax}}`, `a{${regexSizeMax + 1}}`, tooMany],
  ['depth', '('.repeat(20) + ')'.repeat(20), '('.repeat(21) + ')'.repeat(21), 'is nested more than 20 deep'],
  ['length', '()'.repeat(512), `${'()'.repeat(512)}.`, 'is too long'],
  ['steps', '(((){99}){99}){2}(){99}(){99}', '(((){99}){99}){2}(){99}(){99}a', 'repeats too much'],
];

for (const [what, taken, refused, why] of limits) {
  void test(`the limit of ${what}`, () => {
    assert.equal(createRegex(taken).kind, 'regex', taken);
    assert.deepEqual(createRegex(refused), { kind: 'bad', message: why });
    assert.throws(() => parseRegex(refused), RegexFault);
  });
}

// Goal: expressions of any size are matched as the engine of the language does: positions are bits in words and chunks, so each border
// between two of them counts.
const unusual = Array.from({ length: regexSizeMax }, (_, at) =>
  String.fromCodePoint(0x30 + at * 37 + (at % 5) * 0x3000),
);

for (const size of [1, 7, 8, 9, 16, 30, 31, 32, 61, 62, 63, regexSizeMax]) {
  void test(`${size} positions`, () => {
    const letters = unusual.slice(0, size);
    const signs = letters.map((letter) => (/[\w\u{80}-\u{10ffff}]/u.test(letter) ? letter : `\\${letter}`));
    const backwards = letters.toReversed().join('');
    const texts = [
      '',
      letters.join(''),
      backwards,
      letters.join('') + letters.join(''),
      ...letters.flatMap((letter, at) => [
        letter,
        letters.slice(at).join(''),
        letters.slice(0, at).join(''),
        (letters[at - 1] ?? '') + letter,
        letter + (letters[at - 1] ?? ''),
        String.fromCodePoint((letter.codePointAt(0) ?? 0) + 1),
        String.fromCodePoint((letter.codePointAt(0) ?? 0) - 1),
      ]),
    ];
    for (const source of [
      signs.join(''),
      `(${signs.join('|')})*`,
      signs.map((sign) => `${sign}?`).join(''),
      `(?:${signs.join('')})+`,
    ]) {
      const expected = new RegExp(`^(?:${source.replaceAll(/\\(?=[^\\^$.*+?()[\]{}|/])/g, '')})$`, 'su');
      const expression = regex(source);
      for (const text of texts)
        assert.equal(expression.matches(text), expected.test(text), `/${source}/ ${JSON.stringify(text)}`);
    }
  });
}
