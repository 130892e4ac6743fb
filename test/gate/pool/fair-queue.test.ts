// Goal: turns are fair. Phases: the order between and within principals; weights; who is passed over; promises; positions. What
// must not happen: a principal that gets more than its share, a newcomer that waits for more than a turn of each of the others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Accepts, FairQueue, type Queued } from '../../../src/gate/pool/fair-queue.js';
import type { Place } from '../../../src/host/concurrency/ordered-set.js';

interface Named extends Queued {
  readonly name: string;
  place: Place<Named> | undefined;
}

const anything = (): boolean => true;
/** Nobody has enough. */
const hungry = (): boolean => false;
const anyOnly: Accepts = ({ isFresh }) => !isFresh;

/** A queue, and a way to fill it: `a3` is the third that `a` sent. */
function open(weights: Readonly<Record<string, number>> = {}) {
  const queue = new FairQueue<Named>();
  let arrival = 0;
  const sent = new Map<string, number>();
  const add = (principal: string, isFresh = false, origin = principal) => {
    arrival += 1;
    const count = (sent.get(principal) ?? 0) + 1;
    sent.set(principal, count);
    const waiter: Named = {
      place: undefined,
      principal,
      origin,
      weight: weights[principal] ?? 1,
      isFresh,
      isYoung: false,
      arrival,
      name: `${principal}${count}`,
    };
    queue.add(waiter);
    return waiter;
  };
  return { queue, add };
}

function takeAll(queue: FairQueue<Named>): string {
  const names: string[] = [];
  for (let next = queue.take(anything, hungry); next !== undefined; next = queue.take(anything, hungry))
    names.push(next.name);
  assert.equal(queue.size, 0);
  return names.join(' ');
}

void test('promised: out of the order and before all others; a broken promise puts it first again', () => {
  const { queue, add } = open();
  for (const principal of 'aab') add(principal);
  const [first, second] = [queue.take(anything, hungry), queue.take(anything, hungry)];
  assert.ok(first && second);
  queue.promise(first);
  queue.promise(second);
  assert.deepEqual([queue.size, queue.promisedCount, [...queue.promised]], [3, 2, [first, second]]);
  queue.breakPromise();
  assert.deepEqual([queue.size, [...queue.promised]], [3, [first]]);
  queue.breakPromise();
  queue.breakPromise();
  assert.equal(takeAll(queue), 'a1 b1 a2');
});

void test('a principal that is postponed has its next turn after all who wait now', () => {
  const { queue, add } = open({ a: 3 });
  for (const principal of ['a', 'a', 'b', 'c']) add(principal);
  queue.postpone('a');
  queue.postpone('nobody');
  assert.deepEqual([queue.hasLine('a'), queue.hasLine('nobody')], [true, false]);
  assert.equal(takeAll(queue), 'b1 c1 a1 a2');
});

void test('nobody is passed over for one that may take nothing, or was promised something; a promise may be broken', () => {
  const { queue, add } = open();
  add('a');
  const fresh = add('b', true);
  const sated = (principal: string): boolean => principal === 'a';
  assert.equal(queue.take(anyOnly, sated)?.name, 'a1');
  add('a');
  assert.equal(queue.take(anything, sated), fresh);
  queue.promise(fresh);
  assert.equal(queue.hasOther('a'), true);
  add('c');
  queue.breakPromise(fresh);
  assert.equal(queue.take(anything, sated), fresh);
  assert.equal(queue.take(anything, sated)?.name, 'c1');
  assert.equal(queue.take(anything, sated)?.name, 'a2');
});

void test('all leave in the order in which they came, whatever was promised or had the next turn', () => {
  const { queue, add } = open();
  for (const principal of 'aabca') add(principal);
  const first = queue.take(anything, hungry);
  const second = queue.take(anything, hungry);
  assert.ok(first && second);
  queue.promise(second);
  queue.promise(first);
  assert.deepEqual(
    queue.clear().map(({ name }) => name),
    ['a1', 'a2', 'b1', 'c1', 'a3'],
  );
  assert.equal(queue.size, 0);
});
