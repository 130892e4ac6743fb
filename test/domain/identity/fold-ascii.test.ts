// Folding as Dovecot's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldAscii } from '../../../src/domain/identity/fold-ascii.js';

void test('folding is ASCII only', () => {
  assert.equal(foldAscii('ABCxyzÄ\u212AİI'), 'abcxyzÄ\u212Aİi');
});
