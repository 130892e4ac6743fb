// Goal: strangers take turns by the places that they come from. What must not happen: a place with a thousand that keeps one with a single
// stranger waiting, everybody else kept waiting by all of them, somebody who never has a turn.

import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { test } from 'node:test';
import { UnauthenticatedTurns } from '../../../src/gate/login/login-queue.js';
import { settle } from '../../kit/plain/fake-clock.js';

/** Turns whose ends are made by hand; `served`: the places in the order in which they had theirs. */
function open(known: readonly string[] = []) {
  const ends: (() => void)[] = [];
  const clock = { nowMs: 1000 };
  const turns = new UnauthenticatedTurns(
    (network) => known.includes(network),
    () => new Promise((resolve) => void ends.push(resolve)),
    () => clock.nowMs,
  );
  const served: string[] = [];
  return {
    turns,
    clock,
    served,
    come: (network: string, count = 1, signal?: AbortSignal, isLast = false): void => {
      for (let n = 0; n < count; n += 1)
        void turns
          .take(network, signal, isLast)
          .then(() => served.push(isLast ? `${network} (last)` : network));
    },
    turn: async (): Promise<void> => {
      ends.shift()?.();
      await settle();
    },
    isOver: () => ends.length === 0,
  };
}

void test('four in a turn, then everybody else', async () => {
  const { come, turn, served, isOver } = open();
  come('a', 6);
  assert.deepEqual(served, []);
  await turn();
  assert.equal(served.length, 4);
  await turn();
  assert.deepEqual([served.length, isOver()], [6, true]);
  come('a');
  await turn();
  assert.equal(served.length, 7);
});

void test('peers that are gone have no turn: those after them are next, and nothing of them is kept', async () => {
  const { come, turn, turns, served, isOver } = open();
  const gone = new AbortController();
  setMaxListeners(0, gone.signal);
  come('a', 1000, gone.signal);
  come('a');
  come('b', 500, gone.signal);
  assert.equal(turns.size, 1501);
  gone.abort();
  await settle();
  assert.equal(turns.size, 1);
  served.length = 0;
  come('c', 1, gone.signal);
  await settle();
  assert.deepEqual(served, ['c']);
  await turn();
  assert.deepEqual([served, turns.size], [['c', 'a'], 0]);
  come('b');
  await turn();
  assert.deepEqual([served.at(-1), turns.size, isOver()], ['b', 0, true]);
});

void test('places take turns, however many come from one', async () => {
  const { come, turn, served } = open();
  come('a', 1000);
  come('b', 2);
  come('c');
  await turn();
  assert.deepEqual(served, ['a', 'b', 'c', 'a']);
  await turn();
  assert.deepEqual(served.slice(4), ['b', 'a', 'a', 'a']);
});

void test('places with a success come before, whoever came first', async () => {
  const { come, turn, served } = open(['proven']);
  come('a', 100);
  come('b');
  come('proven', 2);
  await turn();
  assert.deepEqual(served, ['proven', 'proven', 'a', 'b']);
  await turn();
  assert.deepEqual(served.slice(4), ['a', 'a', 'a', 'a']);
});

void test('peers that took many turns already come after all others, also of their own network, and delay no stranger', async () => {
  const { come, turn, served, clock } = open(['proven']);
  come('proven', 50, undefined, true);
  come('a');
  come('proven');
  await turn();
  assert.deepEqual(served, ['proven', 'a', 'proven (last)', 'proven (last)']);
  clock.nowMs += 1;
  come('stranger', 4);
  await turn();
  // Such peers keep coming, but nobody else does: there is no need to wait.
  come('proven', 1, undefined, true);
  await turn();
  assert.deepEqual(served.slice(4), ['stranger', 'stranger', 'stranger', 'stranger']);
});

void test('while more keep coming, only those with a success are served at once, the others every 20 ms', async () => {
  const { come, turn, served, clock } = open(['proven']);
  come('a', 10);
  await turn();
  assert.equal(served.length, 4);
  for (let at = 0; at < 5; at += 1) {
    come('b');
    clock.nowMs += 3;
    await turn();
  }
  assert.equal(served.length, 4);
  come('proven');
  await turn();
  assert.deepEqual(served.slice(4), ['proven']);
  come('b');
  clock.nowMs += 5;
  await turn();
  assert.equal(served.length, 9, 'a stranger is not put off for ever');
  // Nobody came since: there is no need to wait.
  await turn();
  assert.equal(served.length, 13);
});
