// Goal: a mask is let through only where every user that it could match would be, whatever tricks its stars play.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { GlobList, isMask, isWithin, mayOverlap } from '../../../src/domain/names/glob.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

const within: readonly (readonly [mask: string, globs: readonly string[], expected: boolean])[] = [
  ['*@example.com', ['*@example.com'], true],
  ['bob*@example.com', ['*@example.com'], true],
  ['b?b@example.com', ['*@example.com'], true],
  ['*@example.com', ['*@example.org', '**@example.com'], true],
  ['*', ['*'], true],
  ['*', ['*@example.com'], false],
  ['*o*m', ['*@example.com'], false],
  ['*@*', ['*@example.com'], false],
  ['*@example.co?', ['*@example.com'], false],
  ['*@*example.com', ['*@example.com'], false],
  ['*example.com', ['*@example.com'], false],
  ['bob*', ['bob*'], false],
  ['support-*@example.com', ['support-*@example.com'], true],
  ['support-*@example.com', ['support-a*@example.com'], false],
  ['support-?@example.com', ['support-?@example.com'], false],
  ['*@example.com', [], false],
];

for (const [mask, globs, expected] of within) {
  void test(`${mask} is ${expected ? '' : 'not '}within ${globs.join(' ')}`, () => {
    assert.equal(isWithin(mask, new GlobList(globs)), expected);
  });
}

const overlap: readonly (readonly [mask: string, globs: readonly string[], expected: boolean])[] = [
  ['*@example.com', ['ceo@example.com'], true],
  ['c?o@example.com', ['ceo@example.com'], true],
  ['*e*', ['ceo@example.com'], true],
  ['bob*@example.com', ['ceo@example.com'], false],
  ['*@example.org', ['ceo@example.com'], false],
  ['*@example.org', ['*@example.com'], false],
  ['a*@example.com', ['*z@example.com'], true],
  ['a?@example.com', ['a@example.com'], false],
  ['*', ['x'], true],
  ['*', [], false],
  ['x', ['**'], true],
];

for (const [mask, globs, expected] of overlap) {
  void test(`${mask} ${expected ? 'may overlap' : 'does not overlap'} ${globs.join(' ')}`, () => {
    assert.equal(mayOverlap(mask, new GlobList(globs)), expected);
  });
}

void test('what is a mask', () => {
  assert.equal(isMask('bob@example.com'), false);
  for (const text of ['*', 'a?', 'bob*@example.com']) assert.equal(isMask(text), true);
});

/** The definition, by a table of what is left of both: its cost is the product of their lengths. */
function mayOverlapByDefinition(mask: string, pattern: string): boolean {
  const known = new Map<string, boolean>();
  const ask = (i: number, j: number): boolean => {
    const key = `${i} ${j}`;
    let answer = known.get(key);
    if (answer === undefined) {
      const [a, b] = [mask[i], pattern[j]];
      if (a === undefined && b === undefined) answer = true;
      else if (a === '*') answer = ask(i + 1, j) || (b !== undefined && ask(i, j + 1));
      else if (b === '*') answer = ask(i, j + 1) || (a !== undefined && ask(i + 1, j));
      else
        answer =
          a !== undefined && b !== undefined && (a === b || a === '?' || b === '?') && ask(i + 1, j + 1);
      known.set(key, answer);
    }
    return answer;
  };
  return pattern === '**' || pattern === '*' || ask(0, 0);
}

void test('whether masks and patterns overlap is what the definition says', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'b', '@', '*', '?'), maxLength: 9 }),
      fc.string({ unit: fc.constantFrom('a', 'b', '@', '*'), maxLength: 9 }),
      (mask, pattern) => {
        assert.equal(mayOverlap(mask, new GlobList([pattern])), mayOverlapByDefinition(mask, pattern));
      },
    ),
    { numRuns: 15_000 * rounds },
  );
});

/** Dovecot's own matching of a mask, as an expression of the language. */
function masks(mask: string, text: string): boolean {
  const source = mask.replace(/[*?]|[^*?]/gu, (sign) =>
    sign === '*' ? '.*' : sign === '?' ? '.' : sign.replace(/[.+^${}()|[\]\\]/g, '\\$&'),
  );
  return new RegExp(`^${source}$`, 's').test(text);
}

const signs = fc.string({ unit: fc.constantFrom('a', 'b', '@', '*', '?'), maxLength: 6 });
const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '@', '*'), maxLength: 6 });
const user = fc
  .tuple(
    fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 }),
    fc.option(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 })),
  )
  .map(([name, realm]) => (realm === null ? name : `${name}@${realm}`));

void test('no user that a mask matches is outside of what it is within, or inside of what it does not overlap', () => {
  fc.assert(
    fc.property(signs, fc.array(patterns, { maxLength: 3 }), user, (mask, globs, name) => {
      if (!masks(mask, name)) return;
      const list = new GlobList(globs);
      if (isWithin(mask, list)) assert.ok(list.matches(name));
      if (!mayOverlap(mask, list)) assert.ok(!list.matches(name));
    }),
    { numRuns: 15_000 * rounds },
  );
});
