import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeUtf8, escapeText, unescapeLenient, unescapeText } from '../../src/protocol/lines.js';

const soup = fc
  .array(fc.constantFrom('\0', '\x01', '\t', '\r', '\n', '0', '1', 't', 'r', 'n', 'x', 'ü'), {
    maxLength: 40,
  })
  .map((letters) => letters.join(''));

void test('NUL, SOH, TAB, CR and LF are escaped, and nothing else', () => {
  assert.equal(escapeText('a\0b\x01c\td\re\nf'), 'a\x010b\x011c\x01td\x01re\x01nf');
  assert.equal(escapeText('\x02\x1f\x7f Ünïcode'), '\x02\x1f\x7f Ünïcode');
  assert.equal(escapeText('').length, 0);
});

void test('a field without SOH is not copied', () => {
  const plain = Buffer.from('nothing special');
  assert.equal(unescapeLenient(plain), plain);
});

void test('round trip', () => {
  fc.assert(
    fc.property(soup, (text) => {
      const escaped = escapeText(text);
      assert.ok(!/[\0\t\r\n]/.test(escaped));
      assert.equal(unescapeText(escaped), text);
      assert.equal(unescapeLenient(Buffer.from(escaped)).toString(), text);
    }),
  );
});

void test('strict: SOH at the end, and SOH before another byte than 0 1 t r n', () => {
  for (const field of ['\x01', 'a\x01', 'a\x01X', '\x01\x01', '\x012', '\x01T', 'a\x01tb\x01']) {
    assert.throws(() => unescapeText(field), { name: 'WireFault', code: 'bad-escape' }, field);
  }
});

void test('lenient, as Dovecot: SOH X is X, SOH at the end is nothing', () => {
  assert.equal(unescapeLenient(Buffer.from('fe\x01Xtch')).toString(), 'feXtch');
  assert.equal(unescapeLenient(Buffer.from('fetch\x01')).toString(), 'fetch');
  assert.equal(unescapeLenient(Buffer.from('\x01\x01t')).toString(), '\x01t');
});

void test('strict and lenient agree wherever strict takes the field', () => {
  fc.assert(
    fc.property(soup, (text) => {
      let strict: string;
      try {
        strict = unescapeText(text);
      } catch {
        return;
      }
      assert.equal(unescapeLenient(Buffer.from(text)).toString(), strict);
    }),
  );
});

void test('text is UTF-8 or nothing, and a byte order mark stays', () => {
  assert.equal(decodeUtf8(Buffer.from('Ünïcode')), 'Ünïcode');
  assert.equal(decodeUtf8(Buffer.from('efbbbf61', 'hex')), '\ufeffa');
  for (const hex of ['ff', 'c3', 'c080', 'eda080', 'f4908080']) {
    assert.equal(decodeUtf8(Buffer.from(hex, 'hex')), undefined, hex);
  }
});
