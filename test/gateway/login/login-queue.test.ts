// Goal: one judgement at a time, and an order in which no guesser keeps an honest one waiting. What must not happen: two judgements
// at once, a try that is never answered, a queue that grows, an honest login behind more than one of those who failed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  LoginPace,
  LoginQueue,
  type PendingTry,
  type TryAnswer,
} from '../../../src/gateway/login/login-queue.js';
import { createFakeClock, type FakeClock, settle } from '../../kit/fake-clock.js';

const hashMs = 100;

/** A queue whose judgements take their time on a clock that is turned; a name that ends in `!` is right. */
function open() {
  const clock = createFakeClock();
  const pace = new LoginPace();
  const queue = new LoginQueue(clock, pace);
  const judged: string[] = [];
  const forgotten: string[] = [];
  let running = 0;
  let serial = 0;

  function add(network: string, name: string, key = `${(serial += 1)}`): PendingTry & { said?: TryAnswer } {
    const made: PendingTry & { said?: TryAnswer } = queue.add({
      key,
      source: { network, name },
      pauseMaxMs: 2500,
      judge: async () => {
        running += 1;
        assert.equal(running, 1, 'one at a time');
        await new Promise<void>((resolve) => void clock.setTimer(hashMs, resolve));
        running -= 1;
        judged.push(`${network} ${name}`);
        return name.endsWith('!');
      },
      forget: () => void forgotten.push(`${network} ${name}`),
    });
    void made.answer.then((answer) => {
      made.said = answer;
    });
    return made;
  }

  return { clock, pace, queue, judged, forgotten, add };
}

/** Turns the clock until it was answered; how long that took. */
async function untilAnswered(clock: FakeClock, pending: { said?: TryAnswer }): Promise<number> {
  const startMs = clock.now();
  for (let turns = 0; pending.said === undefined; turns += 1) {
    assert.ok(turns < 10_000, 'never answered');
    await settle();
    if (pending.said === undefined) await clock.advance(clock.nextTimerMs ?? assert.fail('no timer'));
  }
  return clock.now() - startMs;
}

void test('one after the other, in the order in which they came; each is answered, and its password forgotten once', async () => {
  const { clock, judged, forgotten, add, queue } = open();
  const tries = [add('a', 'x'), add('b', 'y!'), add('c', 'z')];
  for (const each of tries) await untilAnswered(clock, each);
  assert.deepEqual(
    tries.map(({ said }) => said),
    ['wrong', 'right', 'wrong'],
  );
  assert.deepEqual(judged, ['a x', 'b y!', 'c z']);
  assert.deepEqual(forgotten, judged);
  assert.deepEqual([queue.size, clock.timers], [0, 0]);
});

void test('first a place with a success, then one that did not fail, then who failed least', async () => {
  const { clock, pace, judged, add } = open();
  const nowMs = clock.now();
  for (let n = 0; n < 3; n += 1) pace.failed({ network: 'thrice', name: 'x' }, nowMs - 60_000, 2500);
  pace.failed({ network: 'once', name: 'x' }, nowMs - 60_000, 2500);
  pace.succeeded({ network: 'proven', name: 'x' }, nowMs - 60_000);
  add('first', 'x');
  const tries = ['thrice', 'once', 'fresh', 'proven'].map((network) => add(network, 'x'));
  assert.deepEqual(
    tries.map(({ isSuspect }) => isSuspect),
    [true, true, false, false],
  );
  for (const each of tries) await untilAnswered(clock, each);
  assert.deepEqual(judged, ['first x', 'proven x', 'fresh x', 'once x', 'thrice x']);
});

void test('who failed waits for the pause, and keeps nobody else waiting', async () => {
  const { clock, add } = open();
  await untilAnswered(clock, add('a', 'x'));
  await untilAnswered(clock, add('a', 'x'));
  const again = add('a', 'x');
  assert.equal(await untilAnswered(clock, add('b', 'y!')), hashMs);
  assert.equal(again.said, undefined);
  // Its pause of 500 ms began before the other one's hash.
  assert.equal(await untilAnswered(clock, again), 500);
});

void test('who says the same as another waits with it: one judgement, one failure', async () => {
  const { clock, pace, judged, forgotten, add } = open();
  add('other', 'x');
  const tries = Array.from({ length: 30 }, () => add('a', 'x', 'same'));
  tries[0]?.takeBack();
  await clock.advance(hashMs);
  // One comes while it is judged.
  tries.push(add('a', 'x', 'same'));
  await clock.advance(hashMs);
  assert.ok(tries.every(({ said }) => said === 'wrong'));
  assert.deepEqual(judged, ['other x', 'a x']);
  assert.equal(forgotten.length, 32);
  assert.equal(pace.standing({ network: 'a', name: 'x' }, clock.now()).nameFailures, 1);
});

// bounds.loginWaitersPerNetwork
void test('of one place eight wait: for one more the oldest of the worst goes', async () => {
  const { clock, pace, add, queue } = open();
  add('busy', 'x');
  pace.failed({ network: 'a', name: 'root' }, clock.now() - 60_000, 2500);
  const guess = add('a', 'root');
  const names = Array.from({ length: 7 }, (_, n) => add('a', `n${n}`));
  const ninth = add('a', 'n7');
  await settle();
  assert.equal(guess.said, 'crowded');
  const tenth = add('a', 'n8');
  await settle();
  assert.deepEqual(
    [names[0]?.said, names[1]?.said, ninth.said, tenth.said],
    ['crowded', undefined, undefined, undefined],
  );
  // Whoever is worse than all others is the one who goes.
  const worse = add('a', 'root');
  await settle();
  assert.equal(worse.said, 'crowded');
  assert.equal(queue.size, 8);
});

// bounds.loginWaiters
void test('64 wait in all: for one more the worst goes, and of equals who comes from the place with most', async () => {
  const { clock, pace, add, queue } = open();
  add('busy', 'x');
  pace.failed({ network: 'guesser', name: 'x' }, clock.now() - 60_000, 2500);
  const guess = add('guesser', 'x');
  const many = Array.from({ length: 4 }, (_, n) => add('many', `n${n}`));
  const single = Array.from({ length: 59 }, (_, n) => add(`single${n}`, 'x'));
  assert.equal(queue.size, 64);
  const honest = add('honest', 'x!');
  const another = add('another', 'x!');
  await settle();
  assert.equal(queue.size, 64);
  assert.deepEqual([guess.said, many[0]?.said, many[1]?.said], ['crowded', 'crowded', undefined]);
  assert.ok([honest, another, ...single].every(({ said }) => said === undefined));
});

void test('taken back: answered at once; a judgement that runs goes on, and counts', async () => {
  const { clock, pace, judged, add, queue } = open();
  const running = add('a', 'x');
  const waiting = add('b', 'x');
  waiting.takeBack();
  running.takeBack();
  await settle();
  assert.deepEqual([waiting.said, running.said, queue.size], ['gone', undefined, 0]);
  await clock.advance(hashMs);
  assert.deepEqual(judged, ['a x']);
  assert.equal(pace.standing({ network: 'a', name: 'x' }, clock.now()).nameFailures, 1);
  assert.equal(clock.timers, 0);
});

void test('the last one that waits for a pause is taken back: no timer is left', async () => {
  const { clock, add } = open();
  await untilAnswered(clock, add('a', 'x'));
  const paused = add('a', 'x');
  assert.equal(clock.timers, 1);
  paused.takeBack();
  await settle();
  assert.deepEqual([paused.said, clock.timers], ['gone', 0]);
});

void test('a judgement that cannot be made is told to its asker, counts for nothing, and the next one is judged', async () => {
  const clock = createFakeClock();
  const pace = new LoginPace();
  const queue = new LoginQueue(clock, pace);
  const source = { network: 'a', name: 'x' };
  const common = { source, pauseMaxMs: 2500, forget: () => undefined };
  const bad = queue.add({ ...common, key: '1', judge: () => Promise.reject(new Error('no memory')) });
  const good = queue.add({ ...common, key: '2', judge: () => Promise.resolve(true) });
  await assert.rejects(bad.answer, /no memory/);
  assert.equal(await good.answer, 'right');
  assert.equal(pace.standing(source, clock.now()).failures, 0);
});

void test('among any number of guessers who failed before, an honest login waits for one hash besides its own', async () => {
  for (const guessers of [1, 10, 100, 1000]) {
    const { clock, pace, add } = open();
    let seed = guessers;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    for (let n = 0; n < guessers; n += 1) {
      pace.failed({ network: `g${n}`, name: 'migrator' }, clock.now() - random(600_000), 2500);
    }
    const attack = (): void => {
      for (let n = 0; n < 100; n += 1)
        add(`g${random(guessers)}`, random(2) === 0 ? 'migrator' : `name${random(50)}`);
    };
    for (let round = 0; round < 20; round += 1) {
      attack();
      await clock.advance(random(3 * hashMs));
      attack();
      const honest = add(`honest${round}`, 'migrator!');
      attack();
      const waitedMs = await untilAnswered(clock, honest);
      assert.equal(honest.said, 'right');
      assert.ok(waitedMs <= 2 * hashMs, `${waitedMs} ms among ${guessers} guessers`);
    }
  }
});

void test('strangers who never failed before cost an honest one whose place succeeded lately one hash besides its own', async () => {
  const { clock, pace, add } = open();
  pace.succeeded({ network: 'honest', name: 'migrator!' }, clock.now());
  for (let n = 0; n < 500; n += 1) add(`fresh${n}`, 'migrator');
  const honest = add('honest', 'migrator!');
  for (let n = 500; n < 1000; n += 1) add(`fresh${n}`, 'migrator');
  assert.ok((await untilAnswered(clock, honest)) <= 2 * hashMs);
  assert.equal(honest.said, 'right');
});
