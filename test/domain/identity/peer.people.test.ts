// Goal: a peer is among people by the kernel's numbers alone, and what the kernel did not say matches nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAmong } from '../../../src/domain/identity/peer.js';

const people = { uids: new Set([1001, 0]), gids: new Set([2000, 0]) };
const listener = 'support';

void test('by uid, by the own group, by a supplementary one', () => {
  assert.ok(isAmong(people, { listener, uid: 1001, gid: 1001, groups: [] }));
  assert.ok(isAmong(people, { listener, uid: 7, gid: 2000, groups: [] }));
  assert.ok(isAmong(people, { listener, uid: 7, gid: 7, groups: [8, 2000] }));
  assert.ok(!isAmong(people, { listener, uid: 7, gid: 7, groups: [8, 9] }));
});

void test('a uid is no gid', () => {
  assert.ok(!isAmong(people, { listener, uid: 2000, gid: 1001, groups: [1001] }));
});

void test('who is not known is nobody, though root is meant', () => {
  assert.ok(!isAmong(people, { listener }));
  assert.ok(!isAmong(people, { listener, pid: 1, user: 'root' }));
  assert.ok(!isAmong({ uids: new Set(), gids: new Set() }, { listener, uid: 0, gid: 0, groups: [0] }));
});
