import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, toLowerAscii } from '../../../src/domain/commands/series.js';

void test('oldest first', () => {
  assert.deepEqual(allSeries, ['2.3', '2.4']);
  assert.deepEqual([...allSeries].toSorted(), allSeries);
});

void test('folds ASCII letters and nothing else, as the server does in its C locale', () => {
  const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).join('');
  const folded = Buffer.from(ascii).map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));
  assert.equal(toLowerAscii(ascii), Buffer.from(folded).toString());
  // Kelvin sign, long s, dotted capital I, capital A with diaeresis, capital sigma: letters to Unicode, not to the server.
  for (const other of ['\u212a', '\u017f', '\u0130', '\u00c4', '\u03a3']) {
    assert.equal(toLowerAscii(other), other);
    assert.equal(toLowerAscii(`A${other}Z`), `a${other}z`);
  }
  assert.equal(toLowerAscii(''), '');
});
