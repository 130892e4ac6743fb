// Goal: the fingerprint is SHA-256 over UTF-8, so that others can compute it too.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Hex } from '../../../src/domain/identity/credentials.js';

void test('known answers', () => {
  assert.equal(sha256Hex(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  assert.equal(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  assert.notEqual(sha256Hex('ä'), sha256Hex('a'));
});
