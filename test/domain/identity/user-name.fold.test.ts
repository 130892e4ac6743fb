// Folding as Dovecot's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldAscii } from '../../../src/domain/identity/user-name.js';

void test('folding is ASCII only', () => {
  assert.equal(foldAscii('ABCxyzÄ\u212AİI'), 'abcxyzÄ\u212Aİi');
});

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
