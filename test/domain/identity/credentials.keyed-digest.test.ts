// Goal: a digest tells lists of parts apart, also where their bytes fall together, and is of this process only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKeyedDigest } from '../../../src/domain/identity/credentials.js';

void test('equal lists have equal digests, others do not', () => {
  const digest = createKeyedDigest();
  assert.equal(digest(['a', Buffer.from('b')]), digest([Buffer.from('a'), 'b']));
  const lists = [[], [''], ['', ''], ['ab'], ['a', 'b'], ['', 'ab'], ['ab', ''], ['a\0', 'b'], ['a', '\0b']];
  assert.equal(new Set(lists.map((parts) => digest(parts))).size, lists.length);
  assert.match(digest(['a']), /^[A-Za-z0-9+/]{32}$/);
});

void test('two processes never agree', () => {
  assert.notEqual(createKeyedDigest()(['a']), createKeyedDigest()(['a']));
});
