// The word for a host in the subjects of a stream, and the id of a block.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHead, headerNames, hostWordOf, isHostWord } from '../../../src/domain/fleet/block.js';

const words: readonly (readonly [string, string])[] = [
  ['mail-gate-1', 'mail-gate-1'],
  ['Mail-Gate.Example.COM', 'Mail-Gate_Example_COM'],
  ['a'.repeat(64), 'a'.repeat(63)],
  ['', 'gate'],
  // Who reads all of them has this name, and a fleet.yaml cannot list it.
  ['verifier', 'gate_verifier'],
];

void test('every name of a machine has a word that a subject and a fleet.yaml can hold', () => {
  for (const [name, word] of words) {
    assert.equal(hostWordOf(name), word);
    assert.ok(isHostWord(word), word);
  }
});

void test('blocks have the same id only where their bytes are the same', () => {
  const [a, b, c] = ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)];
  const blocks = [
    ['j1', 1, 10, a],
    // Sent again, when more records had come.
    ['j1', 1, 20, b],
    // Records that were cut off and written again.
    ['j1', 1, 10, c],
    ['j1', 2, 10, a],
    ['j2', 1, 10, a],
  ] as const;
  const ids = blocks.map(([journal, first, last, head]) =>
    new Map(formatHead(journal, { kind: 'block', first, last, head })).get(headerNames.id),
  );
  assert.equal(new Set(ids).size, blocks.length);
});
