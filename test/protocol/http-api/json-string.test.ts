// The insides of strings, one after the other: what they say, where they end, and what only a check of them keeps.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hexDigit, joinSurrogates, StringReader } from '../../../src/protocol/http-api/json-string.js';
import { chunkings } from '../../kit/chunkings.js';

void test('several strings in a row, each up to its quote, in every cut', () => {
  const insides = ['plain', '', 'a\\"b\\\\', '\u00fc\u{1f600}\\ud83d\\ude00\\u00e9\\/\\b\\f\\n\\r\\t'];
  const expected = ['plain', '', 'a"b\\', '\u00fc\u{1f600}\u{1f600}\u00e9/\b\f\n\r\t'];
  const bytes = Buffer.from(insides.map((inside) => `${inside}"`).join(''));
  for (const { name, chunks } of chunkings(bytes)) {
    const reader = new StringReader(100);
    const read: string[] = [];
    reader.begin(true);
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        const quote = reader.read(chunk, at);
        assert.equal(reader.error, undefined);
        if (quote < 0) break;
        read.push(reader.take());
        reader.begin(true);
        at = quote + 1;
      }
    }
    assert.deepEqual(read, expected, name);
  }
});

void test('a string that is only checked holds nothing, whatever its length', () => {
  const reader = new StringReader(4);
  reader.begin(false);
  for (let chunk = 0; chunk < 1000; chunk += 1) {
    assert.equal(reader.read(Buffer.from('long \u00fc \\n \\u00e9 '), 0), -1);
    assert.equal(reader.pendingBytes, 0);
  }
  assert.equal(reader.read(Buffer.from('x"'), 0), 1);
  assert.equal(reader.error, undefined);
  reader.begin(false);
  reader.read(Buffer.of(0x61, 0xff), 0);
  assert.equal(reader.error, 'Invalid UTF-8 character');
});

void test('digits and surrogates', () => {
  assert.deepEqual(
    Array.from('09afAFg/:@G`').map((one) => hexDigit(one.charCodeAt(0))),
    [0, 9, 10, 15, 10, 15, -1, -1, -1, -1, -1, -1],
  );
  assert.equal(joinSurrogates(0xd83d, 0xde00), 0x1f600);
});
