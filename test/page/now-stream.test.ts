// Goal: the daemon is asked only while somebody watches, and once for all; a mail user's name is in no byte for whom it does not concern; who
// reads slowly has the state of now and costs no memory; that the daemon does not answer is told at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MadeNow } from '../../src/domain/door/door.js';
import type { Now } from '../../src/domain/page/api.js';
import { createCover } from '../../src/domain/views/view.js';
import { NowStream, type Sight } from '../../src/page/now-stream.js';
import { createFakeClock, settle } from '../kit/fake-clock.js';
import { emptyNow as empty } from '../kit/now.js';

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
  const asked: boolean[] = [];
  let wake = (): void => undefined;
  const story = {
    clock,
    now: empty,
    users: [] as readonly string[],
    /** Why the daemon does not answer. */
    away: undefined as string | undefined,
    get made() {
      return made;
    },
    /** Whether the daemon was asked, and let go. */
    asked,
    /** The daemon makes a state, or goes away. */
    changed: async () => {
      wake();
      await settle();
    },
    watch,
    watchers: () => stream.watchers,
  };
  async function* states(signal: AbortSignal): AsyncGenerator<MadeNow> {
    asked.push(true);
    const end = (): void => wake();
    signal.addEventListener('abort', end, { once: true });
    try {
      while (!signal.aborted) {
        if (story.away !== undefined) throw new Error(story.away);
        made += 1;
        const { running, troubles, runningUsers, troubleUsers } = rowsOf(story.users);
        const now = { ...story.now, at: `state ${made}`, running, troubles, runningCount: running.length };
        yield { now, runningUsers, troubleUsers };
        if (!signal.aborted)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      signal.removeEventListener('abort', end);
      asked.push(false);
    }
  }
  const stream = new NowStream({ clock, states });

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
        if (name !== 'away') now = name === 'snapshot' ? JSON.parse(data) : { ...now, ...JSON.parse(data) };
        while (reader.isSlow) await new Promise(setImmediate);
      }
      hasEnded = true;
    })();
    return reader;
  }

  return story;
}

void test('the daemon is asked while somebody watches, and not before or after', async () => {
  const story = open();
  await settle();
  assert.deepEqual([story.made, story.clock.timers, story.asked], [0, 0, []]);
  const [one, other] = [story.watch(), story.watch('all', 'all')];
  await settle();
  assert.deepEqual([story.watchers(), story.asked], [2, [true]]);
  one.abort();
  await story.changed();
  assert.deepEqual([one.hasEnded(), other.hasEnded(), story.watchers()], [true, false, 1]);
  other.abort();
  await settle();
  const { made } = story;
  await story.clock.advance(60_000);
  assert.deepEqual([story.made, story.clock.timers, story.asked], [made, 0, [true, false]]);
  assert.deepEqual([one.left(), other.left()], [1, 1]);
});

void test('a snapshot first, then what differs', async () => {
  const story = open();
  const reader = story.watch();
  await settle();
  assert.deepEqual(reader.events(), ['snapshot']);
  assert.deepEqual(reader.now(), { ...empty, at: 'state 1' });
  await story.changed();
  assert.equal(reader.pieces[1], 'event: change\ndata: {"at":"state 2"}\n\n');
  story.users = ['alice@example.org'];
  await story.changed();
  const change = JSON.parse(reader.pieces[2]?.split('data: ')[1] ?? '');
  assert.deepEqual(Object.keys(change), ['at', 'runningCount', 'running', 'troubles']);
  assert.equal(reader.now().running[0]?.user, undefined);
});

void test('the daemon goes: told at once and twice a second, then what changed meanwhile', async () => {
  const story = open();
  const reader = story.watch();
  await settle();
  story.away = 'nobody is there';
  await story.changed();
  assert.equal(reader.pieces[1], 'event: away\ndata: {"text":"nobody is there"}\n\n');
  await story.clock.advance(1_000);
  assert.equal(reader.events().filter((event) => event === 'away').length, 3);
  const late = story.watch('all', 'all');
  await settle();
  assert.deepEqual(late.events(), ['away']);
  story.away = undefined;
  story.users = ['alice@example.org'];
  await story.clock.advance(500);
  assert.equal(reader.now().running.length, 1);
  assert.deepEqual([reader.events().at(-1), late.events().at(-1)], ['change', 'snapshot']);
  reader.abort();
  late.abort();
  await settle();
  assert.equal(story.clock.timers, 0);
});

void test('twenty watchers of one view: one state, and one text for all of them', async () => {
  const story = open();
  const readers = Array.from({ length: 20 }, () => story.watch());
  await settle();
  for (let at = 0; at < 10; at += 1) await story.changed();
  assert.equal(story.made, 11);
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
  await settle();
  story.users = users.toReversed();
  await story.changed();
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
  await settle();
  for (let at = 0; at < 50; at += 1) {
    story.users = at === 10 ? ['a@example.org'] : story.users;
    story.now = { ...story.now, tiles: { ...story.now.tiles, perSecond: at } };
    await story.changed();
  }
  const seen = slow.pieces.length;
  slow.isSlow = false;
  await settle();
  await settle();
  assert.ok(slow.pieces.length - seen <= 3, `${slow.pieces.length - seen}`);
  assert.deepEqual(slow.now(), quick.now());
});

void test('who is not the same any more sees no further state', async () => {
  const story = open();
  let isStill = true;
  const reader = story.watch('all', 'all', () => isStill);
  await settle();
  isStill = false;
  const seen = reader.pieces.length;
  story.users = ['zuluq7@other.test'];
  await story.changed();
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
  await story.changed();
  await settle();
  assert.deepEqual([narrowed.now().runningCount, all.now().running.length], [2, 2]);
  assert.doesNotMatch(narrowed.pieces.join(''), /job@support|alice|bob|"id"/);
  // What is left and did not change is not sent again.
  assert.doesNotMatch(narrowed.pieces[1] ?? '', /"head"|"running":/);
  narrowed.abort();
  all.abort();
});
