// Goal: turns are fair. Phases: the order between and within principals; weights; who is passed over; promises; positions. What
// must not happen: a principal that gets more than its share, a newcomer that waits for more than a turn of each of the others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Place } from '../../../src/concurrency/ordered-set.js';
import { FairQueue, type Queued } from '../../../src/gateway/pool/fair-queue.js';

interface Named extends Queued {
  readonly name: string;
  place: Place<Named> | undefined;
}

const anything = (): boolean => true;
/** Nobody has enough. */
const hungry = (): boolean => false;
const anyOnly = (isFresh: boolean): boolean => !isFresh;

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

void test('a newcomer waits at most for the rest of the round of each of the others', () => {
  const { queue, add } = open({ greedy: 2 });
  for (let n = 0; n < 200; n += 1) add('greedy');
  for (let n = 0; n < 51; n += 1) queue.take(anything, hungry);
  add('new');
  assert.equal(queue.take(anything, hungry)?.name, 'greedy52');
  assert.equal(queue.take(anything, hungry)?.name, 'new1');
});

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

void test('who makes room is of the place with most waiters, though each of its principals has few', () => {
  const { queue, add } = open();
  for (const principal of 'abcd') add(principal, false, 'crowd');
  add('d', false, 'crowd');
  for (const principal of 'xxxx') add(principal, true, 'desk');
  const of = (principal: string, origin: string): string | undefined =>
    queue.lastOfMost({ principal, origin })?.name;
  assert.equal(of('new', 'home'), 'd2', 'of the place its principal with most');
  assert.equal(of('x', 'desk'), undefined, 'five and four: the next one would only change places');
  assert.equal(of('y', 'desk'), 'x4', 'of its own place the principal with most');
  assert.equal(of('e', 'crowd'), 'd2', 'the same place');
  assert.equal(of('a', 'crowd'), undefined, 'two and one');
});

void test('the waiters of a principal are counted for each kind, without those who were promised something', () => {
  const { queue, add } = open();
  for (const principal of 'aaab') add(principal);
  for (let n = 0; n < 2; n += 1) add('a', true);
  const counts = (): number[] => [
    queue.countOf('a', false),
    queue.countOf('a', true),
    queue.countOf('b', false),
    queue.countOf('c', false),
  ];
  assert.deepEqual(counts(), [3, 2, 1, 0]);
  const taken = queue.take(anything, hungry);
  assert.equal(taken?.name, 'a1');
  queue.promise(taken);
  assert.deepEqual(counts(), [2, 2, 1, 0]);
  queue.clear();
  assert.deepEqual(counts(), [0, 0, 0, 0]);
});

void test('a principal that is postponed has its next turn after all who wait now', () => {
  const { queue, add } = open({ a: 3 });
  for (const principal of ['a', 'a', 'b', 'c']) add(principal);
  queue.postpone('a');
  queue.postpone('nobody');
  assert.deepEqual([queue.hasLine('a'), queue.hasLine('nobody')], [true, false]);
  assert.equal(takeAll(queue), 'b1 c1 a1 a2');
});

void test('a principal whose turns are used up comes after all who wait when the next one is taken', () => {
  const { queue, add } = open({ a: 2 });
  for (const principal of 'aaaaa') add(principal);
  assert.equal(queue.take(anything, hungry)?.name, 'a1');
  assert.equal(queue.take(anything, hungry)?.name, 'a2');
  for (const principal of 'bc') add(principal);
  assert.equal(takeAll(queue), 'b1 c1 a3 a4 a5');
});

void test('a turn that is spent counts as one that was taken', () => {
  const { queue, add } = open({ a: 3, b: 2 });
  for (const principal of 'aaaa') add(principal);
  queue.spendTurn('a');
  queue.spendTurn('nobody');
  for (const principal of 'bbb') add(principal);
  add('c');
  assert.equal(takeAll(queue), 'a1 a2 b1 b2 c1 a3 a4 b3');
});

void test('whether a waiter of another principal could take something: its kind, its share, and no promise', () => {
  const { queue, add } = open();
  const anyone = (
    isSated: (principal: string) => boolean = hungry,
    accepts: (isFresh: boolean) => boolean = anything,
  ): boolean => queue.hasOtherFor('a', accepts, isSated);
  add('a');
  assert.equal(anyone(), false);
  const fresh = add('b', true);
  assert.deepEqual(
    [anyone(), anyone(hungry, anyOnly), anyone((principal) => principal === 'b')],
    [true, false, false],
  );
  queue.delete(fresh);
  queue.promise(fresh);
  assert.equal(anyone(), false);
  add('c');
  assert.deepEqual([anyone(hungry, anyOnly), queue.hasOtherFor('c', anyOnly, hungry)], [true, true]);
});

void test('a principal that has enough is passed over while one waits that has not, and keeps its turn', () => {
  const { queue, add } = open();
  for (const principal of ['a', 'a', 'b', 'c']) add(principal);
  const sated = (principal: string): boolean => principal !== 'c';
  assert.equal(queue.take(anything, sated)?.name, 'c1');
  // All that wait have enough: turns as ever.
  assert.deepEqual([queue.hasOther('a'), queue.hasOther('c')], [true, true]);
  assert.equal(queue.take(anything, sated)?.name, 'a1');
  assert.equal(queue.take(anything, sated)?.name, 'b1');
  assert.equal(queue.hasOther('a'), false);
  assert.equal(queue.take(anything, sated)?.name, 'a2', 'nobody else waits');
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

void test('the oldest waiter, wherever it stands', () => {
  const { queue, add } = open();
  const oldest = (): string | undefined => queue.oldest?.name;
  assert.equal(oldest(), undefined);
  add('a');
  add('b', true);
  add('a', true);
  const first = queue.take(anyOnly, hungry);
  assert.deepEqual([first?.name, oldest()], ['a1', 'b1']);
  // Promised waiters are out of the order, and wait all the same.
  if (first !== undefined) queue.promise(first);
  assert.equal(oldest(), 'a1');
  queue.clear();
  assert.equal(oldest(), undefined);
});
