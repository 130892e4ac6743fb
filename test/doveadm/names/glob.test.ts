// Goal: the pattern language means exactly what its four lines say, at any length, in linear time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  GlobList,
  globLengthMax,
  isMask,
  isUserAPart,
  isWithin,
  mayOverlap,
} from '../../../src/doveadm/names/glob.js';
import { withUserSign } from '../../../src/rules/proposals/generalise.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

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
    { numRuns: 5_000 * rounds },
  );
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

void test('too long a pattern is refused', () => {
  assert.throws(() => new GlobList(['a'.repeat(globLengthMax + 1)]), RangeError);
});

// Goal: a mask is let through only where every user that it could match would be, whatever tricks its stars play.

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
    { numRuns: 4_000 * rounds },
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
const patternsOfMask = fc.string({ unit: fc.constantFrom('a', 'b', '@', '*'), maxLength: 6 });
const userOfMask = fc
  .tuple(
    fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 }),
    fc.option(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 })),
  )
  .map(([name, realm]) => (realm === null ? name : `${name}@${realm}`));

void test('no user that a mask matches is outside of what it is within, or inside of what it does not overlap', () => {
  fc.assert(
    fc.property(signs, fc.array(patternsOfMask, { maxLength: 3 }), userOfMask, (mask, globs, name) => {
      if (!masks(mask, name)) return;
      const list = new GlobList(globs);
      if (isWithin(mask, list)) assert.ok(list.matches(name));
      if (!mayOverlap(mask, list)) assert.ok(!list.matches(name));
    }),
    { numRuns: 4_000 * rounds },
  );
});

void test('<user> is one folder, whatever the name of the user is', () => {
  const places = new GlobList(['mdbox:/backup/*/<user>', 'maildir:/mail/<user>/**'], { isLocation: true });
  const isOwn = (text: string, user: string | undefined): boolean => places.matches(text, user);
  for (const user of 'alice alice@example.com .alice a=b -x jos\u00e9 {user} $& [a]'.split(' '))
    assert.ok(isOwn(`mdbox:/backup/mon/${user}`, user) && isOwn(`maildir:/mail/${user}/new`, user), user);
  const hostile = '. .. a.. ../x a/b / a\\b a:b a:INDEX=/x %u %{user} * ** ?'.split(' ');
  for (const user of [...hostile, '', 'a b', 'a\n', 'a\0', '\u0085', '<user>', undefined])
    for (const name of [user ?? '', 'alice', '*', '<user>'])
      assert.equal(
        isOwn(`mdbox:/backup/mon/${name}`, user) || isOwn(`maildir:/mail/${name}/new`, user),
        false,
        user,
      );
  // What a star stands for is one part of the path, and not an empty one.
  const paths = '/backup/mon /backup//mon /backup/./mon /backup/a/b/mon /backup/x:y/mon /backup/%h/mon';
  for (const text of paths.split(' ')) assert.equal(isOwn(`mdbox:${text}`, 'mon'), false, text);
});

void test('a location has <user> where its user is a whole part of the path', () => {
  type Pair = readonly [location: string, user: string | undefined, expected: string | undefined];
  const pairs: readonly Pair[] = [
    ['mdbox:/backup/mon/bob@a.org', 'bob@a.org', 'mdbox:/backup/mon/<user>'],
    ['mdbox:/b/bob:INDEX=/i/bob', 'bob', 'mdbox:/b/<user>:INDEX=/i/<user>'],
    ['mdbox:/backup/bobby', 'bob', undefined],
    ['mdbox:bob/x', 'bob', undefined],
    ['mdbox:/backup/bob', undefined, undefined],
    ['mdbox:/backup/../bob', 'bob', undefined],
    ['mdbox:/backup/*/bob', 'bob', undefined],
    ['mdbox:/backup/..', '..', undefined],
  ];
  for (const [location, user, expected] of pairs) {
    const signed = withUserSign(location, user);
    assert.equal(signed, expected, location);
    if (signed === undefined) continue;
    assert.ok(isUserAPart(signed));
    assert.ok(new GlobList([signed], { isLocation: true }).matches(location, user), location);
  }
  for (const text of 'mdbox:<user> /a/x<user> /a/<user>x /a/<user>* /a/*<user> /<user>/%<user>'.split(' '))
    assert.equal(isUserAPart(text), false, text);
});
