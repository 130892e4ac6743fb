// Goal: one user has one name here, whatever the client wrote; what could mean something else is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  createUserNames,
  defaultCharacters,
  parseCharacterClass,
  userNameMax,
} from '../../../src/doveadm/names/user-name.js';
import { foldAscii } from '../../../src/host/words/text.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

const plain = createUserNames({ characters: defaultCharacters });
const withRealm = createUserNames({ characters: defaultCharacters, defaultRealm: 'Example.COM' });

const table: readonly (readonly [text: string, without: string, realm: string])[] = [
  ['alice@example.com', 'alice@example.com', 'alice@example.com'],
  ['ALICE@Example.Com', 'alice@example.com', 'alice@example.com'],
  ['alice', 'alice', 'alice@example.com'],
  ['Alice+tag', 'alice+tag', 'alice+tag@example.com'],
  ['', 'refused: empty', 'refused: empty'],
  ['alice@', 'refused: empty-part', 'refused: empty-part'],
  ['@example.com', 'refused: empty-part', 'refused: empty-part'],
  ['alice@evil@example.com', 'refused: two-realms', 'refused: two-realms'],
  ['alice*', 'refused: character', 'refused: character'],
  ['al?ce', 'refused: character', 'refused: character'],
  ['alice bob', 'refused: character', 'refused: character'],
  ['alice\0', 'refused: character', 'refused: character'],
  ['alice\n', 'refused: character', 'refused: character'],
  ['../etc', 'refused: character', 'refused: character'],
  ['älice', 'refused: character', 'refused: character'],
  // KELVIN SIGN folds to k in Unicode; it must not become one here.
  ['\u212Aate', 'refused: character', 'refused: character'],
  ['%u', 'refused: character', 'refused: character'],
];

for (const [text, without, realm] of table) {
  void test(`${JSON.stringify(text)} is ${without}, with a default realm ${realm}`, () => {
    const show = (names: typeof plain): string => {
      const result = names.normalise(text);
      return result.kind === 'name' ? result.name : `refused: ${result.code}`;
    };
    assert.equal(show(plain), without);
    assert.equal(show(withRealm), realm);
  });
}

void test('names that keep their case: letters and realm as they are', () => {
  const kept = createUserNames({ characters: defaultCharacters, defaultRealm: 'Example.COM', case: 'keep' });
  for (const [text, name] of [
    ['Alice', 'Alice@Example.COM'],
    ['Alice@example.com', 'Alice@example.com'],
    ['alice', 'alice@Example.COM'],
  ] as const)
    assert.deepEqual(kept.normalise(text), { kind: 'name', name });
});

// bounds.userNameBytes
void test('a name above the limit is refused, also when only its realm takes it there', () => {
  assert.equal(plain.normalise('a'.repeat(userNameMax)).kind, 'name');
  assert.equal(plain.normalise('a'.repeat(userNameMax + 1)).kind, 'refused');
  assert.equal(withRealm.normalise('a'.repeat(userNameMax)).kind, 'refused');
});

void test('normalising a normal name changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => {
      for (const names of [plain, withRealm]) {
        const once = names.normalise(text);
        if (once.kind === 'name') assert.deepEqual(names.normalise(once.name), once);
      }
    }),
    { numRuns: 500 * rounds },
  );
});

void test('a refusal never repeats the name', () => {
  const result = plain.normalise('secret name');
  assert.ok(result.kind === 'refused' && !result.message.includes('secret'));
});

const classes: readonly (readonly [text: string, yes: string, no: string])[] = [
  ['a-c', 'abc', 'dAB-'],
  ['a-', 'a-', 'b'],
  ['-a', 'a-', 'b'],
  ['a-c-', 'abc-', 'd'],
  ['!', '!', 'a'],
  ['a-zäö', 'azäö', 'ü'],
  ['\u{1F600}-\u{1F602}', '\u{1F601}', '\u{1F603}'],
];

for (const [text, yes, no] of classes) {
  void test(`the class ${text} has ${yes} and not ${no}`, () => {
    const read = parseCharacterClass(text);
    assert.ok(read.kind === 'class');
    for (const character of yes) assert.match(character, new RegExp(`^[${read.set}]$`, 'u'));
    for (const character of no) assert.doesNotMatch(character, new RegExp(`^[${read.set}]$`, 'u'));
  });
}

void test('classes that would let masks, blanks or control characters into names are bad', () => {
  for (const text of ['', '*', 'a?', ' ', 'a b', '\t', '\0-z', '!-~', 'z-a', '\u007f', '\u202e', '\ud800']) {
    assert.equal(parseCharacterClass(text).kind, 'bad', JSON.stringify(text));
    assert.throws(() => createUserNames({ characters: text }), RangeError);
  }
});

// Folding as Dovecot's.
void test('folds ASCII letters and nothing else, as the server does in its C locale', () => {
  const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).join('');
  const folded = Buffer.from(ascii).map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));
  assert.equal(foldAscii(ascii), Buffer.from(folded).toString());
  // Kelvin sign, long s, dotted capital I, capital A with diaeresis, capital sigma: letters to Unicode, not to the server.
  for (const other of ['\u212a', '\u017f', '\u0130', '\u00c4', '\u03a3']) {
    assert.equal(foldAscii(other), other);
    assert.equal(foldAscii(`A${other}Z`), `a${other}z`);
  }
  assert.equal(foldAscii(''), '');
});
