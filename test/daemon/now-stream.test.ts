// Goal: one state is made for everybody who watches, at most 5 and at least 1 a second, and only while somebody does; a mail user's name is
// in no byte for whom it does not concern; who reads slowly has the state of now and costs no memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MadeNow, NowStream, type Sight } from '../../src/daemon/now-stream.js';
import type { Now } from '../../src/domain/page/api.js';
import { createCover } from '../../src/domain/views/view.js';
import { createFakeClock, settle } from '../kit/fake-clock.js';

const empty: Now = {
  at: '2026-11-21T02:14:00.000Z',
  head: {
    host: 'gate',
    version: '1',
    state: 'serving',
    since: '2026-11-21T02:14:00.000Z',
    started: '2026-11-21T02:14:00.000Z',
    configHash: 'abc',
    problems: [],
  },
  tiles: {
    perSecond: 0,
    history: [],
    failed: 0,
    denied: 0,
    waiting: 0,
    oldestWaitMs: 0,
    journal: { state: 'writable', seq: 1, unsyncedMs: 0, receivers: [] },
  },
  running: [],
  runningCount: 0,
  waitingCount: 0,
  troubles: [],
  backends: [],
};

function rowsOf(
  users: readonly string[],
): Pick<MadeNow, 'runningUsers' | 'troubleUsers'> & Pick<Now, 'running' | 'troubles'> {
  const names = { principal: 'job@support', listener: 'support' };
  return {
    running: users.map((_, at) => ({ id: `R${at}`, ...names, command: 'search', durationMs: 1 })),
    troubles: users.map((_, at) => ({ at: empty.at, id: `T${at}`, kind: 'denied', ...names, text: 'No.' })),
    runningUsers: users,
    troubleUsers: users,
  };
}

interface Reader {
  /** As the page has it. */
  readonly now: () => Now;
  readonly pieces: string[];
  readonly events: () => string[];
  readonly hasEnded: () => boolean;
  readonly abort: () => void;
  readonly left: () => number;
  /** While true it does not read on. */
  isSlow: boolean;
}

function open() {
  const clock = createFakeClock();
  let made = 0;
  /** What making has taken so far. */
  let spentMs = 0;
  let isChanged = false;
  const watched: boolean[] = [];
  const story = {
    clock,
    now: empty,
    users: [] as readonly string[],
    costMs: 0,
    /** What making throws. */
    bug: undefined as Error | undefined,
    faults: [] as unknown[],
    get made() {
      return made;
    },
    watched,
    changed: () => {
      isChanged = true;
    },
    watch,
    watchers: () => stream.watchers,
    hurry: () => stream.hurry(),
  };
  const stream = new NowStream({
    clock: { now: () => clock.now() + spentMs, setTimer: (ms, run) => clock.setTimer(ms, run) },
    make: () => {
      made += 1;
      spentMs += story.costMs;
      if (story.bug !== undefined) throw story.bug;
      const { running, troubles, runningUsers, troubleUsers } = rowsOf(story.users);
      const now = { ...story.now, at: `state ${made}`, running, troubles, runningCount: running.length };
      return { now, runningUsers, troubleUsers };
    },
    takeChanged: () => {
      const was = isChanged;
      isChanged = false;
      return was;
    },
    onFailed: (fault) => story.faults.push(fault),
    onWatched: (isWatched) => watched.push(isWatched),
  });

  function watch(key = 'nobody', sight?: Sight, isStill: () => boolean = () => true): Reader {
    const controller = new AbortController();
    let left = 0;
    let now: Now | undefined;
    let hasEnded = false;
    const pieces: string[] = [];
    const reader: Reader = {
      pieces,
      now: () => {
        assert.ok(now !== undefined, 'no snapshot yet');
        return now;
      },
      events: () => pieces.map((piece) => /^event: (\w+)\n/.exec(piece)?.[1] ?? piece),
      hasEnded: () => hasEnded,
      abort: () => controller.abort(),
      left: () => left,
      isSlow: false,
    };
    const told = stream.watch(key, sight, controller.signal, isStill, () => {
      left += 1;
    });
    void (async () => {
      for await (const piece of told) {
        pieces.push(piece);
        const [, name, data = ''] = /^event: (\w+)\ndata: ([^\n]*)\n\n$/.exec(piece) ?? [];
        now = name === 'snapshot' ? JSON.parse(data) : { ...now, ...JSON.parse(data) };
        while (reader.isSlow) await new Promise(setImmediate);
      }
      hasEnded = true;
    })();
    return reader;
  }

  return story;
}

void test('nothing is made before somebody watches, and nothing after the last one has left', async () => {
  const story = open();
  await story.clock.advance(60_000);
  assert.deepEqual([story.made, story.clock.timers, story.watched], [0, 0, []]);
  const [one, other] = [story.watch(), story.watch('all', 'all')];
  await settle();
  assert.deepEqual([story.watchers(), story.watched], [2, [true]]);
  one.abort();
  await story.clock.advance(1_000);
  assert.deepEqual([one.hasEnded(), other.hasEnded(), story.watchers()], [true, false, 1]);
  other.abort();
  await settle();
  const { made } = story;
  await story.clock.advance(60_000);
  assert.deepEqual([story.made, story.clock.timers, story.watched], [made, 0, [true, false]]);
  assert.deepEqual([one.left(), other.left()], [1, 1]);
});

void test('a snapshot first, then what differs', async () => {
  const story = open();
  const reader = story.watch();
  await settle();
  assert.deepEqual(reader.events(), ['snapshot']);
  assert.deepEqual(reader.now(), { ...empty, at: 'state 1' });
  await story.clock.advance(1_000);
  assert.equal(reader.pieces[1], 'event: change\ndata: {"at":"state 2"}\n\n');
  story.users = ['alice@example.org'];
  story.changed();
  await story.clock.advance(200);
  const change = JSON.parse(reader.pieces[2]?.split('data: ')[1] ?? '');
  assert.deepEqual(Object.keys(change), ['at', 'runningCount', 'running', 'troubles']);
  assert.equal(reader.now().running[0]?.user, undefined);
});

// bounds.statePaceMs
void test('at least one a second when nothing happens, and at most five when much does', async () => {
  const story = open();
  const reader = story.watch();
  await settle();
  for (let second = 0; second < 5; second += 1) {
    const before = reader.pieces.length;
    await story.clock.advance(1_000);
    assert.ok(reader.pieces.length > before, `second ${second}`);
  }
  const before = story.made;
  for (let step = 0; step < 1_000; step += 1) {
    story.changed();
    await story.clock.advance(5);
  }
  assert.ok(story.made - before >= 24 && story.made - before <= 26, `${story.made - before} in 5 s`);
});

void test('where a state takes 30 ms to make, fewer are made: a twentieth of the time', async () => {
  const story = open();
  story.costMs = 30;
  const reader = story.watch();
  for (let step = 0; step < 1_000; step += 1) {
    story.changed();
    await story.clock.advance(6);
  }
  assert.ok(story.made >= 6 && story.made <= 11, `${story.made} in 6 s`);
  reader.abort();
});

void test('people who come again and again get no more states made', async () => {
  const story = open();
  const stays = story.watch();
  for (let step = 0; step < 1_000; step += 1) {
    const reader = story.watch(`view ${step}`, () => false);
    await story.clock.advance(1);
    assert.equal(reader.events()[0], 'snapshot');
    reader.abort();
  }
  assert.ok(story.made <= 7, `${story.made}`);
  stays.abort();
});

void test('something got worse: told at once, within the pace', async () => {
  const story = open();
  const reader = story.watch();
  await story.clock.advance(1_000);
  await story.clock.advance(150);
  const before = reader.pieces.length;
  story.changed();
  story.hurry();
  await story.clock.advance(60);
  assert.equal(reader.pieces.length, before + 1);
  story.changed();
  story.hurry();
  await story.clock.advance(100);
  assert.equal(reader.pieces.length, before + 1, 'not sooner than 200 ms after the last one');
});

void test('twenty watchers of one view: one state, and one text for all of them', async () => {
  const story = open();
  const readers = Array.from({ length: 20 }, () => story.watch());
  await story.clock.advance(10_000);
  assert.ok(story.made <= 14, `${story.made}`);
  const [first] = readers;
  for (const reader of readers) assert.deepEqual(reader.pieces, first?.pieces);
});

const users = [
  'alice@example.org',
  'zuluq7bob@other.test',
  '*@example.org',
  '*@other.test',
  'zuluq7*',
  '*',
  'zuluq7bob@other.test@example.org',
  '*@zuluq7@example.org',
  'zuluq7"},{"user":"x"}@other.test',
  'zuluq7\n\ndata: {}\n\n@other.test',
  'zuluq7\u202e\ud800@other.test',
  `zuluq7${'x'.repeat(4096)}@other.test`,
  '',
];

void test('a view sees the users that it covers, and no byte of another', async () => {
  const story = open();
  story.users = users;
  const org = createCover(['*@example.org']);
  const nobody = story.watch();
  const all = story.watch('all', 'all');
  const limited = story.watch('org', (user) => org({ user, users: [user], args: [] }));
  await story.clock.advance(1_000);
  story.users = users.toReversed();
  story.changed();
  await story.clock.advance(1_000);
  assert.doesNotMatch(nobody.pieces.join(''), /"user"|zuluq7|example\.org/);
  assert.doesNotMatch(limited.pieces.join(''), /zuluq7|other/);
  const shown = limited.now().running.flatMap(({ user }) => user ?? []);
  assert.deepEqual(shown.toSorted(), ['*@example.org', 'alice@example.org']);
  assert.deepEqual(
    limited.now().troubles.map(({ user }) => user),
    limited.now().running.map(({ user }) => user),
  );
  assert.deepEqual(
    all.now().running.map(({ user = '' }) => user),
    users.toReversed(),
  );
  // Where a user stood, nothing tells that there was one.
  assert.deepEqual(
    limited
      .now()
      .running.map((row) => Object.keys(row).includes('user'))
      .filter(Boolean).length,
    2,
  );
});

void test('a slow reader has the state of now when it reads on, and nothing is kept for it', async () => {
  const story = open();
  const [slow, quick] = [story.watch(), story.watch()];
  await settle();
  slow.isSlow = true;
  await story.clock.advance(1_000);
  for (let at = 0; at < 50; at += 1) {
    story.users = at === 10 ? ['a@example.org'] : story.users;
    story.now = { ...story.now, tiles: { ...story.now.tiles, perSecond: at } };
    story.changed();
    await story.clock.advance(200);
  }
  const seen = slow.pieces.length;
  slow.isSlow = false;
  await settle();
  await story.clock.advance(200);
  assert.ok(slow.pieces.length - seen <= 3, `${slow.pieces.length - seen}`);
  assert.deepEqual(slow.now(), quick.now());
});

void test('who is not the same any more sees no further state', async () => {
  const story = open();
  let isStill = true;
  const reader = story.watch('all', 'all', () => isStill);
  await story.clock.advance(1_000);
  isStill = false;
  const seen = reader.pieces.length;
  story.users = ['zuluq7@other.test'];
  story.changed();
  await story.clock.advance(1_000);
  assert.deepEqual(
    [reader.hasEnded(), reader.pieces.length, reader.left(), story.clock.timers],
    [true, seen, 1, 0],
  );
});

void test('gone before it began: nothing is left of it', async () => {
  const story = open();
  const reader = story.watch();
  reader.abort();
  await settle();
  assert.deepEqual([reader.hasEnded(), reader.left(), story.watchers(), story.clock.timers], [true, 1, 0, 0]);
});

void test('a state that cannot be made is reported, ends nobody, and costs no more than another one', async () => {
  const story = open();
  const reader = story.watch();
  await story.clock.advance(1_000);
  const seen = reader.pieces.length;
  story.bug = new Error('a bug');
  await story.clock.advance(10_000);
  assert.deepEqual([reader.pieces.length, reader.hasEnded()], [seen, false]);
  assert.ok(story.faults.length > 5 && story.faults.length < 15, `${story.faults.length}`);
  assert.throws(() => story.watch('all', 'all'), /a bug/);
  assert.equal(story.watchers(), 1);
  story.bug = undefined;
  await story.clock.advance(1_000);
  assert.ok(reader.pieces.length > seen);
});

void test('a narrowed view has what its function leaves, at once and in changes, and others have all', async () => {
  const story = open();
  story.users = ['alice@example.org'];
  const all = story.watch('all', 'all');
  const narrowed = story.watch('narrowed', {
    narrow: (now) => ({ ...now, head: { ...now.head, host: 'h' }, running: [], troubles: [] }),
  });
  await settle();
  assert.deepEqual(
    [narrowed.now().running, narrowed.now().head.host, narrowed.now().runningCount],
    [[], 'h', 1],
  );
  assert.deepEqual([all.now().running.length, all.now().head.host], [1, 'gate']);
  story.users = ['alice@example.org', 'bob@example.org'];
  story.changed();
  await story.clock.advance(1_000);
  await settle();
  assert.deepEqual([narrowed.now().runningCount, all.now().running.length], [2, 2]);
  assert.doesNotMatch(narrowed.pieces.join(''), /job@support|alice|bob|"id"/);
  // What is left and did not change is not sent again.
  assert.doesNotMatch(narrowed.pieces[1] ?? '', /"head"|"running":/);
  narrowed.abort();
  all.abort();
});
