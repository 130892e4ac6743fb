import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyedSemaphore } from '../../src/concurrency/limits.js';

const never = new AbortController().signal;

test('so many at once, then in the order in which they came; keys do not touch each other', async () => {
  const turns = new KeyedSemaphore();
  const first = await turns.take('a', 2, never);
  const second = await turns.take('a', 2, never);
  const order: string[] = [];
  const third = turns.take('a', 2, never).then((back) => {
    order.push('third');
    return back;
  });
  const fourth = turns.take('a', 2, never).then((back) => {
    order.push('fourth');
    return back;
  });
  const other = await turns.take('b', 1, never);
  assert.deepEqual(order, []);
  first();
  first();
  const back3 = await third;
  assert.deepEqual(order, ['third']);
  second();
  const back4 = await fourth;
  back3();
  back4();
  other();
  assert.equal(turns.size, 0);
});

test('who gives up takes no turn', async () => {
  const turns = new KeyedSemaphore();
  const back = await turns.take('a', 1, never);
  const controller = new AbortController();
  const waiting = turns.take('a', 1, controller.signal);
  controller.abort('gone');
  await assert.rejects(waiting, (reason) => reason === 'gone');
  await assert.rejects(turns.take('a', 1, controller.signal), (reason) => reason === 'gone');
  back();
  assert.equal(turns.size, 0);
});
