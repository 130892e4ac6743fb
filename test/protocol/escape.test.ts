import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  decodeUtf8,
  escapeField,
  escapeText,
  splitFields,
  unescapeField,
  unescapeLenient,
  unescapeText,
} from '../../src/protocol/escape.js';

const bytes = fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array));
const soup = fc
  .array(fc.constantFrom('\0', '\x01', '\t', '\r', '\n', '0', '1', 't', 'r', 'n', 'x', 'ü'), {
    maxLength: 40,
  })
  .map((letters) => letters.join(''));

void test('NUL, SOH, TAB, CR and LF are escaped, and nothing else', () => {
  assert.equal(escapeField('a\0b\x01c\td\re\nf').toString(), 'a\x010b\x011c\x01td\x01re\x01nf');
  assert.equal(escapeField('\x02\x1f\x7f Ünïcode').toString(), '\x02\x1f\x7f Ünïcode');
  assert.equal(escapeField('').length, 0);
});

void test('a buffer without anything to escape is not copied, and neither is a field without SOH', () => {
  const plain = Buffer.from('nothing special');
  assert.equal(escapeField(plain), plain);
  assert.equal(unescapeField(plain), plain);
  assert.equal(unescapeLenient(plain), plain);
});

void test('round trip: any bytes, any text', () => {
  fc.assert(
    fc.property(bytes, (value) => {
      const escaped = escapeField(value);
      assert.ok(!/[\0\t\r\n]/.test(escaped.toString('latin1')));
      assert.deepEqual(unescapeField(escaped), value);
      assert.deepEqual(unescapeLenient(escaped), value);
    }),
  );
  fc.assert(
    fc.property(soup, (text) => {
      assert.equal(unescapeField(Buffer.from(escapeText(text))).toString(), text);
      assert.equal(unescapeText(escapeText(text)), text);
      assert.deepEqual(escapeField(text), escapeField(Buffer.from(text)));
    }),
  );
});

void test('strict: SOH at the end, and SOH before another byte than 0 1 t r n', () => {
  for (const field of ['\x01', 'a\x01', 'a\x01X', '\x01\x01', '\x012', '\x01T', 'a\x01tb\x01']) {
    assert.throws(() => unescapeField(Buffer.from(field)), { name: 'WireFault', code: 'bad-escape' }, field);
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
      const field = Buffer.from(text);
      let strict: Buffer;
      try {
        strict = unescapeField(field);
      } catch {
        return;
      }
      assert.deepEqual(unescapeLenient(field), strict);
      assert.equal(unescapeText(text), strict.toString());
    }),
  );
});

void test('fields are split at TAB before they are unescaped', () => {
  const split = (line: string): string[] => splitFields(Buffer.from(line)).map(String);
  assert.deepEqual(split('a\tb\x01tc\t'), ['a', 'b\tc', '']);
  assert.deepEqual(split(''), ['']);
  assert.deepEqual(split('\t\t'), ['', '', '']);
  assert.throws(() => split('a\x01\tb'), { code: 'bad-escape' });
});

void test('text is UTF-8 or nothing, and a byte order mark stays', () => {
  assert.equal(decodeUtf8(Buffer.from('Ünïcode')), 'Ünïcode');
  assert.equal(decodeUtf8(Buffer.from('efbbbf61', 'hex')), '\ufeffa');
  for (const hex of ['ff', 'c3', 'c080', 'eda080', 'f4908080']) {
    assert.equal(decodeUtf8(Buffer.from(hex, 'hex')), undefined, hex);
  }
});
