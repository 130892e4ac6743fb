// Goal: users are spread evenly, and only those move who must when the list of backends changes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseByRendezvous } from '../../../src/domain/policy/route.js';

const users = Array.from({ length: 20_000 }, (_, index) => `user${index}@example${index % 7}.org`);

function countsOf(backends: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const user of users) {
    const backend = chooseByRendezvous(user, backends);
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  return counts;
}

void test('each backend has its share', () => {
  for (const backends of [
    ['mail1', 'mail2'],
    ['mail1', 'mail2', 'mail3'],
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'],
  ]) {
    const fair = users.length / backends.length;
    for (const [backend, count] of countsOf(backends)) {
      assert.ok(Math.abs(count - fair) < fair * 0.06, `${backend} has ${count} of ${fair}`);
    }
  }
});

void test('who is added takes a share from everybody, and nobody else moves', () => {
  const before = ['mail1', 'mail2', 'mail3'];
  const after = [...before, 'mail4'];
  let moved = 0;
  for (const user of users) {
    const to = chooseByRendezvous(user, after);
    if (to === chooseByRendezvous(user, before)) continue;
    assert.equal(to, 'mail4', `${user} moved between backends that stayed`);
    moved += 1;
  }
  assert.ok(Math.abs(moved - users.length / 4) < users.length * 0.015, `${moved} moved`);
});

void test('the order of the list does not matter, and the choice is for ever', () => {
  assert.equal(
    chooseByRendezvous('alice@example.org', ['mail1', 'mail2', 'mail3']),
    chooseByRendezvous('alice@example.org', ['mail3', 'mail1', 'mail2']),
  );
  // Other values here would move the users of everybody who upgrades.
  const choices = ['alice', 'bob', 'carol', 'dave', 'eve', 'bücher'].map((name) =>
    chooseByRendezvous(`${name}@example.org`, ['mail1', 'mail2', 'mail3', 'mail4']),
  );
  assert.deepEqual(choices, ['mail1', 'mail2', 'mail1', 'mail4', 'mail2', 'mail2']);
});
