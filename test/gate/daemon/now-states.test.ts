// Goal: one state a second is made for all watchers together, at most 5 while the daemon gets better or worse, and none while nobody
// watches. A slow watcher gets the newest state and costs no memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NowStates } from '../../../src/gate/daemon/now-states.js';
import type { DoorNow } from '../../../src/gate/door/door.js';
import { emptyNow as empty } from '../../kit/gate/now.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';

function open() {
  const clock = createFakeClock();
  let made = 0;
  /** What making has taken so far. */
  let spentMs = 0;
  const watched: boolean[] = [];
  const story = {
    clock,
    perSecond: 0,
    costMs: 0,
    /** What making throws. */
    bug: undefined as Error | undefined,
    faults: [] as unknown[],
    get made() {
      return made;
    },
    watched,
    watch,
    hurry: () => states.hurry(),
  };
  const states = new NowStates({
    clock: { now: () => clock.now() + spentMs, setTimer: (ms, run) => clock.setTimer(ms, run) },
    make: () => {
      made += 1;
      spentMs += story.costMs;
      if (story.bug !== undefined) throw story.bug;
      const tiles = { ...empty.tiles, perSecond: story.perSecond };
      return {
        now: { ...empty, at: `state ${made}`, tiles },
        runningUsers: [],
        troubleUsers: [],
        namedProblems: [],
      };
    },
    onFailed: (fault) => story.faults.push(fault),
    onWatched: (isWatched) => watched.push(isWatched),
  });

  /** While it is slow it does not read on. */
  function watch() {
    const controller = new AbortController();
    let hasEnded = false;
    const lines: string[] = [];
    const abort = (): void => controller.abort();
    const reader = { lines, hasEnded: () => hasEnded, abort, isSlow: false };
    void (async () => {
      for await (const line of states.watch(controller.signal)) {
        lines.push(line);
        while (reader.isSlow) await new Promise(setImmediate);
      }
      hasEnded = true;
    })().catch((fault: unknown) => story.faults.push(fault));
    return reader;
  }

  return story;
}

function last(lines: readonly string[]): DoorNow {
  const made: DoorNow = JSON.parse(lines.at(-1) ?? '');
  return made;
}

void test('nothing is made before somebody watches, and nothing after the last one has left', async () => {
  const story = open();
  await story.clock.advance(60_000);
  assert.deepEqual([story.made, story.clock.timers, story.watched], [0, 0, []]);
  const [one, other] = [story.watch(), story.watch()];
  await settle();
  assert.deepEqual(story.watched, [true]);
  one.abort();
  await story.clock.advance(1_000);
  assert.deepEqual([one.hasEnded(), other.hasEnded(), story.watched], [true, false, [true]]);
  other.abort();
  await settle();
  const { made } = story;
  await story.clock.advance(60_000);
  assert.deepEqual([story.made, story.clock.timers, story.watched], [made, 0, [true, false]]);
});

void test('one a second, whatever happens, and at most five when it gets better and worse all the time', async () => {
  const story = open();
  const reader = story.watch();
  await settle();
  for (let second = 0; second < 5; second += 1) {
    const before = reader.lines.length;
    await story.clock.advance(1_000);
    assert.equal(reader.lines.length, before + 1, `second ${second}`);
  }
  const before = story.made;
  for (let step = 0; step < 1_000; step += 1) {
    story.hurry();
    await story.clock.advance(5);
  }
  assert.ok(story.made - before >= 24 && story.made - before <= 26, `${story.made - before} in 5 s`);
});

void test('where a state takes 30 ms to make, fewer are made: a twentieth of the time', async () => {
  const story = open();
  story.costMs = 30;
  const reader = story.watch();
  for (let step = 0; step < 1_000; step += 1) {
    story.hurry();
    await story.clock.advance(6);
  }
  assert.ok(story.made >= 6 && story.made <= 11, `${story.made} in 6 s`);
  reader.abort();
});

void test('something got worse: told at once, within the pace', async () => {
  const story = open();
  const reader = story.watch();
  await story.clock.advance(1_000);
  await story.clock.advance(300);
  const before = reader.lines.length;
  story.hurry();
  await story.clock.advance(1);
  assert.equal(reader.lines.length, before + 1);
  story.hurry();
  await story.clock.advance(100);
  assert.equal(reader.lines.length, before + 1, 'not sooner than 200 ms after the last one');
});

void test('a slow reader has the state of now when it reads on, and nothing is kept for it', async () => {
  const story = open();
  const [slow, quick] = [story.watch(), story.watch()];
  await settle();
  slow.isSlow = true;
  await story.clock.advance(1_000);
  for (let at = 0; at < 50; at += 1) {
    story.perSecond = at;
    story.hurry();
    await story.clock.advance(200);
  }
  const seen = slow.lines.length;
  slow.isSlow = false;
  await settle();
  await story.clock.advance(1_000);
  assert.ok(slow.lines.length - seen <= 3, `${slow.lines.length - seen}`);
  assert.deepEqual(last(slow.lines), last(quick.lines));
});
