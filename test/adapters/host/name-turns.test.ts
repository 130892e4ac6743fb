// Goal: one question in flight for each turn, the turns one after the other, so many at once, a second and waiting, and none waits longer
// than its time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NameTurns, type TurnLimits } from '../../../src/adapters/host/name-turns.js';
import { createFakeClock, settle } from '../../kit/fake-clock.js';

function stand(limits: Partial<TurnLimits>) {
  const clock = createFakeClock();
  const turns = new NameTurns(clock, {
    atOnce: 16,
    atOnceOfMute: 2,
    perSecond: 100,
    waiting: 1000,
    waitingOfTurn: 100,
    waitMs: 5000,
    ...limits,
  });
  /** Questions in flight, in the order of their starts. */
  const flying = new Map<string, () => void>();
  const started: string[] = [];
  const answers = new Map<string, string | undefined>();
  const ask = (turn: string, name: string): void => {
    const asking = (): Promise<string> => {
      started.push(name);
      return new Promise((resolve) =>
        flying.set(name, () => {
          flying.delete(name);
          resolve(`${name}!`);
        }),
      );
    };
    void turns.take(turn, asking).then((answer) => answers.set(name, answer));
  };
  const answer = async (name: string): Promise<void> => {
    flying.get(name)?.();
    await settle();
  };
  return { clock, ask, answer, started, answers, flying };
}

void test('one question of each turn, and the turns one after the other', async () => {
  const { ask, answer, started, answers, clock } = stand({ atOnce: 2 });
  for (const name of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) ask(name.slice(0, 1), name);
  assert.deepEqual(started, ['a1', 'b1']);
  await answer('b1');
  assert.deepEqual(started, ['a1', 'b1', 'c1']);
  await answer('c1');
  // `a` is still in flight.
  assert.deepEqual(started, ['a1', 'b1', 'c1', 'c2']);
  await answer('a1');
  assert.deepEqual(started, ['a1', 'b1', 'c1', 'c2', 'a2']);
  ask('d', 'd1');
  await answer('c2');
  await answer('a2');
  assert.deepEqual(started.slice(5), ['d1', 'a3']);
  await answer('a3');
  await answer('d1');
  assert.deepEqual([...answers.values()], ['b1!', 'c1!', 'a1!', 'c2!', 'a2!', 'a3!', 'd1!']);
  assert.equal(clock.timers, 0);
});

void test('so many a second', async () => {
  const { clock, ask, answer, started } = stand({ perSecond: 3 });
  for (const turn of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) ask(turn, turn);
  for (const name of ['a', 'b', 'c']) await answer(name);
  assert.equal(started.length, 3);
  await clock.advance(999);
  assert.equal(started.length, 3);
  await clock.advance(1);
  assert.equal(started.length, 6);
  await clock.advance(1000);
  assert.equal(started.length, 7);
});

void test('no place: of all, or of a turn; and a place is free again when a question starts', async () => {
  const { ask, answer, answers } = stand({ atOnce: 1, waiting: 3, waitingOfTurn: 2 });
  for (const name of ['a1', 'a2', 'a3', 'a4']) ask('a', name);
  await settle();
  assert.deepEqual([...answers.keys()], ['a4']);
  ask('b', 'b1');
  ask('c', 'c1');
  await settle();
  assert.deepEqual([...answers.keys()], ['a4', 'c1']);
  await answer('a1');
  ask('c', 'c2');
  await settle();
  assert.deepEqual(
    [...answers],
    [
      ['a4', undefined],
      ['c1', undefined],
      ['a1', 'a1!'],
    ],
  );
});

void test('no answer in time, waiting or in flight; a late one frees its turn', async () => {
  const { clock, ask, answer, answers, started, flying } = stand({ atOnce: 1 });
  ask('a', 'a1');
  ask('b', 'b1');
  await clock.advance(5000);
  assert.deepEqual(
    [...answers],
    [
      ['a1', undefined],
      ['b1', undefined],
    ],
  );
  ask('c', 'c1');
  assert.deepEqual(started, ['a1']);
  assert.deepEqual([...flying.keys()], ['a1']);
  await answer('a1');
  assert.deepEqual(started, ['a1', 'c1']);
  await answer('c1');
  assert.equal(answers.get('c1'), 'c1!');
  assert.equal(clock.timers, 0);
});
