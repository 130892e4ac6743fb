// The word for a host in the subjects of a stream.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostWordOf, isHostWord } from '../../../src/domain/fleet/block.js';

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
