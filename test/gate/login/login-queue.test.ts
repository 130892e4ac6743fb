// Goal: one judgement at a time, and an order in which no guesser keeps an honest one waiting. What must not happen: two judgements
// at once, a try that is never answered, a queue that grows, an honest login behind more than one of those who failed.
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { test } from 'node:test';
import {
  LoginHistory,
  LoginQueue,
  type LoginSource,
  type TryAnswer,
  UnauthenticatedTurns,
} from '../../../src/gate/login/login-queue.js';
import { column } from '../../kit/plain/columns.js';
import { createFakeClock, type FakeClock, settle } from '../../kit/plain/fake-clock.js';

const hashMs = 100;

interface Tried {
  said?: TryAnswer;
  hangUp(): void;
}

/** A queue whose judgements take their time on a clock that is turned; a name that ends in `!` is right. */
function open() {
  const clock = createFakeClock();
  const history = new LoginHistory();
  const queue = new LoginQueue(clock, history);
  const judged: string[] = [];
  const forgotten: string[] = [];
  let running = 0;
  let serial = 0;

  function add(network: string, name: string, key = `${(serial += 1)}`): Tried {
    const client = new AbortController();
    const made: Tried = { hangUp: () => client.abort() };
    const login = {
      key,
      source: { network, name },
      judge: async () => {
        running += 1;
        assert.equal(running, 1, 'one at a time');
        await new Promise<void>((resolve) => void clock.setTimer(hashMs, resolve));
        running -= 1;
        judged.push(`${network} ${name}`);
        return name.endsWith('!');
      },
      forget: () => void forgotten.push(`${network} ${name}`),
    };
    void queue.check(login, client.signal).then((answer) => {
      made.said = answer;
    });
    return made;
  }

  /** All tokens of a network, or of a name there that is known. */
  function useUp(source: LoginSource): void {
    for (let n = 0; n < 4; n += 1) history.failed(source, clock.now());
  }

  return { clock, history, queue, judged, forgotten, add, useUp };
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
  assert.deepEqual(column(tries, 'said'), ['wrong', 'right', 'wrong']);
  assert.deepEqual(judged, ['a x', 'b y!', 'c z']);
  assert.deepEqual(forgotten, judged);
  assert.deepEqual([queue.size, clock.timers], [0, 0]);
});

void test('first a name, then a place with a success, then whose turn is longest ago, place by place and name by name', async () => {
  const { clock, history, judged, add } = open();
  history.succeeded({ network: 'proven', name: 'x' }, clock.now() - 60_000);
  add('first', 'x');
  for (const network of ['before', 'lately']) history.tookTurn({ network, name: 'x' }, true);
  const tries = [
    add('lately', 'x'),
    add('before', 'x'),
    add('before', 'y'),
    add('fresh', 'x'),
    add('proven', 'new'),
    add('proven', 'x'),
  ];
  for (const each of tries) await untilAnswered(clock, each);
  // After its turn the rest of a place comes after the others.
  assert.deepEqual(judged, [
    'first x',
    'proven x',
    'proven new',
    'fresh x',
    'before y',
    'lately x',
    'before x',
  ]);
});

void test('who has no token waits for one, and keeps nobody else waiting', async () => {
  const { clock, add, useUp } = open();
  useUp({ network: 'a', name: 'x' });
  const again = add('a', 'x!');
  assert.equal(await untilAnswered(clock, add('b', 'y!')), hashMs);
  assert.equal(again.said, undefined);
  assert.equal(await untilAnswered(clock, again), 1000);
});

void test('a name that nobody tried yet waits for one token beside guesses at one name from the same place', async () => {
  const { clock, add } = open();
  const flood = (): void => {
    for (let n = 0; n < 30; n += 1) add('a', 'root');
  };
  for (let n = 0; n < 12; n += 1) {
    flood();
    await clock.advance(500);
  }
  const right = add('a', 'migrator!');
  flood();
  assert.ok((await untilAnswered(clock, right)) <= 1000 + 2 * hashMs);
  assert.equal(right.said, 'right');
});

void test('who says the same as another waits with it: one judgement, one failure', async () => {
  const { clock, history, judged, forgotten, add } = open();
  add('other', 'x');
  const tries = Array.from({ length: 30 }, () => add('a', 'x', 'same'));
  tries[0]?.hangUp();
  await clock.advance(hashMs);
  // One comes while it is judged.
  tries.push(add('a', 'x', 'same'));
  await clock.advance(hashMs);
  assert.deepEqual(column(tries, 'said'), ['gone', ...Array.from({ length: 30 }, () => 'wrong')]);
  assert.deepEqual(judged, ['other x', 'a x']);
  assert.equal(forgotten.length, 32);
  for (let n = 0; n < 2; n += 1) history.failed({ network: 'a', name: 'x' }, clock.now());
  assert.equal(history.waitMs({ network: 'a', name: 'x' }, clock.now()), 0);
  history.failed({ network: 'a', name: 'x' }, clock.now());
  assert.equal(history.waitMs({ network: 'a', name: 'x' }, clock.now()), 1000);
});

// bounds.loginWaitersPerNetwork
void test('of one place eight wait: for one more the last in the order goes', async () => {
  const { history, add, queue } = open();
  add('busy', 'x');
  history.tookTurn({ network: 'a', name: 'root' }, true);
  const guess = add('a', 'root');
  const names = Array.from({ length: 7 }, (_, n) => add('a', `n${n}`));
  const ninth = add('a', 'n7');
  await settle();
  assert.equal(guess.said, 'crowded');
  // Of equals the newest.
  const tenth = add('a', 'n8');
  await settle();
  assert.deepEqual(
    [...names, ninth, tenth].map(({ said }) => said),
    [...Array.from({ length: 8 }, () => undefined), 'crowded'],
  );
  assert.equal(queue.size, 8);
});

// bounds.loginWaiters
void test('64 wait in all: for one more the last of the place with most goes, of equals one that had a turn, and none with a success', async () => {
  const { clock, history, add, queue } = open();
  add('busy', 'x');
  history.succeeded({ network: 'proven', name: 'x' }, clock.now());
  history.tookTurn({ network: 'single0', name: 'x' }, true);
  const proven = Array.from({ length: 5 }, (_, n) => add('proven', `n${n}`));
  const many = [add('many', 'n0'), add('many', 'n1')];
  const single = Array.from({ length: 57 }, (_, n) => add(`single${n}`, 'x'));
  assert.equal(queue.size, 64);
  const honest = add('honest', 'x!');
  await settle();
  assert.equal(queue.size, 64);
  assert.deepEqual([many[0]?.said, many[1]?.said], [undefined, 'crowded']);
  const another = add('another', 'x!');
  await settle();
  assert.equal(many[0]?.said, 'crowded', 'its place had a turn just now');
  const third = add('third', 'x!');
  await settle();
  assert.equal(single[0]?.said, 'crowded');
  assert.ok(
    [honest, another, third, ...proven, ...single.slice(1)].every(({ said }) => said === undefined),
    'the others wait',
  );
});

void test('hung up: answered at once; a judgement that runs goes on, and counts', async () => {
  const { clock, history, judged, forgotten, add, queue } = open();
  const running = add('a', 'x');
  const waiting = add('b', 'x');
  waiting.hangUp();
  running.hangUp();
  await settle();
  assert.deepEqual([waiting.said, running.said, queue.size], ['gone', 'gone', 0]);
  await clock.advance(hashMs);
  assert.deepEqual([judged, forgotten], [['a x'], ['b x', 'a x']]);
  for (let n = 0; n < 3; n += 1) history.failed({ network: 'a', name: 'x' }, clock.now());
  assert.equal(history.waitMs({ network: 'a', name: 'x' }, clock.now()), 1000);
  assert.equal(clock.timers, 0);
});

void test('the last one that waits for a token hangs up: no timer is left', async () => {
  const { clock, add, useUp } = open();
  useUp({ network: 'a', name: 'x' });
  const paused = add('a', 'x');
  assert.equal(clock.timers, 1);
  paused.hangUp();
  await settle();
  assert.deepEqual([paused.said, clock.timers], ['gone', 0]);
});

void test('among any number of guessers who had a turn before, an honest login waits for one hash besides its own', async () => {
  for (const guessers of [1, 10, 100, 1000, 4000]) {
    const { clock, history, add } = open();
    let seed = guessers;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    for (let n = 0; n < guessers; n += 1) history.tookTurn({ network: `g${n}`, name: 'migrator' }, false);
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

void test('thousands of places that nobody knows yet cost an honest one whose place succeeded lately one hash besides its own', async () => {
  const { clock, history, add } = open();
  history.succeeded({ network: 'honest', name: 'migrator!' }, clock.now());
  for (const name of ['migrator!', 'other!']) {
    for (let n = 0; n < 2000; n += 1) add(`fresh ${name} ${n}`, 'migrator');
    const honest = add('honest', name);
    for (let n = 2000; n < 4000; n += 1) add(`fresh ${name} ${n}`, 'migrator');
    assert.ok((await untilAnswered(clock, honest)) <= 2 * hashMs);
    assert.equal(honest.said, 'right');
  }
});

// Strangers take turns by the places that they come from.
/** Turns whose ends are made by hand; `served`: the places in the order in which they had theirs. */
function openTurns(known: readonly string[] = []) {
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
  const { come, turn, served, isOver } = openTurns();
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
  const { come, turn, turns, served, isOver } = openTurns();
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
  const { come, turn, served } = openTurns();
  come('a', 1000);
  come('b', 2);
  come('c');
  await turn();
  assert.deepEqual(served, ['a', 'b', 'c', 'a']);
  await turn();
  assert.deepEqual(served.slice(4), ['b', 'a', 'a', 'a']);
});

void test('places with a success come before, whoever came first', async () => {
  const { come, turn, served } = openTurns(['proven']);
  come('a', 100);
  come('b');
  come('proven', 2);
  await turn();
  assert.deepEqual(served, ['proven', 'proven', 'a', 'b']);
  await turn();
  assert.deepEqual(served.slice(4), ['a', 'a', 'a', 'a']);
});

void test('peers that took many turns already come after all others, also of their own network, and delay no stranger', async () => {
  const { come, turn, served, clock } = openTurns(['proven']);
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
  const { come, turn, served, clock } = openTurns(['proven']);
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

// What is remembered of logins, by table.
const at = (network: string, name = 'migrator@jobs'): LoginSource => ({ network, name });
const minute = 60_000;

/** How long the next try waits after each of so many failures, each at once when it may. */
function pausesOf(history: LoginHistory, count: number, nameOf: (n: number) => string): number[] {
  let nowMs = 1000;
  return Array.from({ length: count }, (_, n) => {
    history.failed(at('192.0.2.1', nameOf(n)), nowMs);
    const pause = history.waitMs(at('192.0.2.1', nameOf(n + 1)), nowMs);
    nowMs += pause;
    return pause;
  });
}

// bounds.loginFailures, bounds.loginPauseMs
void test('four failures of a network, of whatever names, then one a second', () => {
  const expected = [0, 0, 0, 1000, 1000, 1000];
  for (const nameOf of [() => 'root', (n: number) => `name${n}`])
    assert.deepEqual(pausesOf(new LoginHistory(), 6, nameOf), expected);
});

void test('a name that logged in from there has tokens of its own for an hour, and gives others none', () => {
  const history = new LoginHistory();
  for (let n = 0; n < 4; n += 1) history.failed(at('192.0.2.1', `name${n}`), 0);
  history.succeeded(at('192.0.2.1'), 0);
  const waits = (nowMs: number) =>
    ['migrator@jobs', 'root@jobs'].map((name) => history.waitMs(at('192.0.2.1', name), nowMs));
  assert.deepEqual(waits(0), [0, 1000]);
  for (let n = 0; n < 4; n += 1) history.failed(at('192.0.2.1'), 1000);
  assert.deepEqual(waits(1000), [1000, 0]);
  // Logging in again is no new bucket.
  history.succeeded(at('192.0.2.1'), 1000);
  assert.deepEqual(waits(1000), [1000, 0]);
  for (let n = 0; n < 4; n += 1) history.failed(at('192.0.2.1'), 61 * minute);
  assert.deepEqual(waits(61 * minute), [1000, 1000]);
});

void test('known for an hour, on its network only; then whose turn is longest ago', () => {
  const history = new LoginHistory();
  history.succeeded(at('office'), 0);
  assert.deepEqual(
    [history.isKnown('office', 0), history.isKnown('office', 60 * minute), history.isKnown('other', 0)],
    [true, false, false],
  );
  history.tookTurn(at('guesser', 'root'), true);
  history.tookTurn(at('dropped', 'root'), false);
  const places = [
    at('office'),
    at('office', 'root'),
    at('other'),
    at('guesser', 'root'),
    at('guesser', 'new'),
    at('dropped', 'root'),
  ].map((source) => history.placeOf(source, 0));
  assert.deepEqual(places, [
    [0, 0, 0],
    [1, 0, 0],
    [2, 0, 0],
    [2, 1, 1],
    [2, 1, 0],
    [2, 2, 0],
  ]);
});

void test('the tables are bounded: strangers push out no success, and no failure that still counts', () => {
  const history = new LoginHistory();
  history.succeeded(at('honest'), 0);
  for (let n = 0; n < 20; n += 1) history.failed(at('guesser'), 0);
  for (let n = 0; n < 20_000; n += 1) {
    const stranger = at(`stranger${n}`, `name${n}`);
    history.failed(stranger, 1);
    history.tookTurn(stranger, true);
  }
  assert.equal(history.size, 2 + 8192 + 8192 + 8192);
  assert.equal(history.isKnown('honest', 2), true);
  assert.equal(history.waitMs(at('guesser'), 2), 998);
  // The newest ones are remembered.
  assert.notEqual(history.placeOf(at('stranger19999'), 2)[1], 0);
  assert.equal(history.placeOf(at('stranger0'), 2)[1], 0);
  // Account owners cannot fill it either.
  for (let n = 0; n < 20_000; n += 1) history.succeeded(at(`owner${n}`), 3);
  assert.equal(history.size, 4 * 8192);
});

void test('a network where somebody failed within a minute is known, and no better than strangers in the turns', () => {
  const history = new LoginHistory();
  history.succeeded(at('192.0.2.1'), 0);
  assert.equal(history.isTrusted('192.0.2.1', 0), true);
  history.failed(at('192.0.2.1', 'root@jobs'), 1000);
  assert.deepEqual(
    [history.isTrusted('192.0.2.1', 61_000), history.isKnown('192.0.2.1', 61_000)],
    [false, true],
  );
  assert.equal(history.isTrusted('192.0.2.1', 61_001), true);
  assert.equal(history.isTrusted('192.0.2.9', 0), false);
});
