// Goal: the keys of a terminal as a line, whole and key by key. What must not happen: bytes that stay in memory, half a character.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HiddenLine } from '../../../src/gate/begin/hash-password.js';

/** What keys come to: the line and `|` and what is behind it; `-`: given up; undefined: not a line yet. */
function typed(keys: string, size: number, bytesMax = 100): string | undefined {
  const line = new HiddenLine(bytesMax);
  const all = Buffer.from(keys);
  for (let at = 0; at < all.length; at += size) {
    const chunk = Buffer.from(all.subarray(at, at + size));
    const step = line.push(chunk);
    assert.ok(
      chunk.every((byte) => byte === 0),
      'overwritten',
    );
    if (step.kind === 'given-up') return '-';
    if (step.kind === 'line') return `${step.bytes.toString()}|${step.rest.toString()}`;
  }
  return undefined;
}

void test('keys and lines', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['secret\r', 'secret|'],
    ['secret\n', 'secret|'],
    ['secret', undefined],
    ['\r', '|'],
    ['secres\x7ft\r', 'secret|'],
    ['x\x08\x08secret\r', 'secret|'],
    ['gr\u00fc\u{1f600}\x7fn\r', 'gr\u00fcn|'],
    ['wrong\x15right\r', 'right|'],
    ['wro\x03ng\r', '-'],
    ['\x04', '-'],
    ['secret\x04', 'secret|'],
    ['two words\r', 'two words|'],
  ];
  for (const [keys, expected] of cases) {
    for (const size of [1, 3, 100]) assert.equal(typed(keys, size), expected, JSON.stringify([keys, size]));
  }
});

void test('what was typed ahead is behind the line; what is too long is told by its length', () => {
  assert.equal(typed('one\rtwo\r', 100), 'one|two\r');
  assert.equal(typed('123456789\r', 2, 5), '12345|');
});
