// Goal: the pattern language means exactly what its four lines say, at any length, in linear time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { GlobList, globLengthMax } from '../../../src/domain/names/glob.js';

const table: readonly (readonly [pattern: string, text: string, expected: boolean])[] = [
  ['*', 'alice@example.com', true],
  ['*', '', true],
  ['*', 'a@b@c', true],
  ['**', '', true],
  ['**', 'a@b', true],
  ['*@example.com', 'alice@example.com', true],
  ['*@example.com', '@example.com', true],
  ['*@example.com', 'alice@evil@example.com', false],
  ['*@example.com', 'alice@example.com.evil', false],
  ['*@example.com', 'aliceexample.com', false],
  ['**@example.com', 'alice@evil@example.com', true],
  ['alice@*', 'alice@example.com', true],
  ['alice@*', 'alice@', true],
  ['alice@*', 'alice', false],
  ['alice@*', 'alice@a@b', false],
  ['alice*', 'alice', true],
  ['alice*', 'alice.smith', true],
  ['alice*', 'alice@example.com', false],
  ['alice**', 'alice@example.com', true],
  ['*@*', 'a@b', true],
  ['*@*', 'ab', false],
  ['*@*', 'a@b@c', false],
  ['a*b*c', 'abc', true],
  ['a*b*c', 'aXbYbZc', true],
  ['a*b*c', 'acb', false],
  ['**a*b', 'a@ab', true],
  ['**a*b', 'a@b', false],
  ['***', 'x@y', true],
  ['a***b', 'a@b', true],
  ['', '', true],
  ['', 'x', false],
  ['a.c', 'abc', false],
  ['a?c', 'abc', false],
  ['a?c', 'a?c', true],
  ['[ab]', 'a', false],
  ['\\*', 'x', false],
  ['Trash*', 'Trash/2020', true],
  ['ä*', 'äbc', true],
];

for (const [pattern, text, expected] of table) {
  void test(`"${pattern}" ${expected ? 'matches' : 'does not match'} "${text}"`, () => {
    assert.equal(new GlobList([pattern]).matches(text), expected);
    assert.equal(new GlobList([pattern]).matches(text), expected);
    assert.equal(new GlobList(['no-such-text', pattern]).matches(text), expected);
  });
}

/** The meaning, written as plainly as can be: slow, and obviously right. */
function matchesPlainly(pattern: string, text: string): boolean {
  if (pattern === '*') return true;
  if (pattern === '') return text === '';
  if (pattern.startsWith('*')) {
    const isDouble = pattern.startsWith('**');
    const rest = pattern.slice(isDouble ? 2 : 1);
    for (let length = 0; length <= text.length; length += 1) {
      if (!isDouble && text.slice(0, length).includes('@')) return false;
      if (matchesRest(rest, text.slice(length))) return true;
    }
    return false;
  }
  return text !== '' && text[0] === pattern[0] && matchesRest(pattern.slice(1), text.slice(1));
}

/** As above, but behind the beginning a lone `*` is no longer the whole pattern. */
function matchesRest(pattern: string, text: string): boolean {
  return pattern === '*' ? !text.includes('@') : matchesPlainly(pattern, text);
}

void test('any pattern agrees with the plain reading of it', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '@'), maxLength: 9 });
  const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '@', '*', '*'), maxLength: 9 });
  fc.assert(
    fc.property(patterns, letters, (pattern, text) => {
      const expected = matchesPlainly(pattern, text);
      assert.equal(new GlobList([pattern]).matches(text), expected);
      assert.equal(new GlobList(['zz', pattern]).matches(text), expected);
    }),
    { numRuns: 20_000 },
  );
});

void test('patterns longer than a machine word', () => {
  for (const length of [29, 30, 31, 32, 61, 62, 63, 64, 100, 500]) {
    const body = 'ab'.repeat(length).slice(0, length);
    const glob = new GlobList([`*${body}*`]);
    assert.equal(glob.matches(`xx${body}yy`), true, `length ${length}`);
    assert.equal(glob.matches(`xx${body.slice(0, -1)}_yy`), false, `length ${length}`);
    assert.equal(glob.matches(`x@x${body}yy`), false, `length ${length}`);
  }
});

void test('a hostile text costs what its length costs', () => {
  const glob = new GlobList([`${'*a'.repeat(300)}*b`]);
  const shorter = 'a'.repeat(20_000);
  const longer = 'a'.repeat(80_000);
  glob.matches(shorter);
  const time = (text: string): number => {
    // Of this process: what else the machine does is not counted.
    const from = process.cpuUsage();
    assert.equal(glob.matches(text), false);
    const { user, system } = process.cpuUsage(from);
    return user + system;
  };
  const best = (text: string): number => Math.min(...Array.from({ length: 7 }, () => time(text)));
  const first = best(shorter);
  const second = best(longer);
  assert.ok(second < first * 16, `4 times the text took ${(second / first).toFixed(1)} times as long`);
});

// bounds.patternChars
void test('too long a pattern is refused', () => {
  assert.throws(() => new GlobList(['a'.repeat(globLengthMax + 1)]), RangeError);
});
