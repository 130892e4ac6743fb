// Goal: what is remembered of lines is bounded in its length and in its number.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineKey, lineScope } from '../../../src/gate/command/assessment.js';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';

void test('a longer line is not remembered', () => {
  assert.ok(lineKey('1\0', Buffer.alloc(512)) !== undefined);
  assert.equal(lineKey('1\0', Buffer.alloc(512 + 1)), undefined);
});

void test('so many principals are told apart; one more, and all of them get a new number', () => {
  const policy = openMemoryEngine().context.policy({ listener: 'support', uid: 1000 }, undefined);
  assert.ok(policy !== undefined);
  const scopeOf = (at: number): string =>
    lineScope({ listener: 'support', principal: `p${at}@support`, clientMinor: 2, policy });
  const first = scopeOf(0);
  assert.equal(scopeOf(0), first);
  const scopes = new Set(Array.from({ length: 1000 + 1 }, (_, at) => scopeOf(at)));
  assert.equal(scopes.size, 1000 + 1);
  assert.notEqual(scopeOf(0), first);
});
