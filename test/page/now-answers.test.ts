// What the page shows of now. The daemon is asked only while somebody watches, and once for all; a mail user's name is in no byte for whom
// it does not concern, and a narrowed state names no person, program or command; who reads slowly has the state of now; that the daemon
// does not answer is told at once. As CSV, backends are a line each, with nothing that a spreadsheet obeys.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MadeNow } from '../../src/gate/door/door.js';
import type { BackendNow, Now } from '../../src/gate/now/now.js';
import type { PageCaller } from '../../src/page/http/page-request.js';
import { createNowHandlers, formatBackends } from '../../src/page/now-answers.js';
import { NowStream } from '../../src/page/now-stream.js';
import { emptyNow } from '../kit/gate/now.js';
import { createFakeClock, settle } from '../kit/plain/fake-clock.js';

const resting = {
  connections: 10,
  dialing: 0,
  idle: 0,
  leased: 0,
  waiting: 0,
  oldestWaitMs: 0,
  failed: {},
  countedSince: '2026-11-20T00:00:00.000Z',
  drained: [],
};

const up: BackendNow = {
  ...resting,
  name: 'mail1',
  address: 'mail1.example.com:24245',
  series: '2.4',
  isUp: true,
  health: 'up',
  since: '2026-11-21T02:14:00.000Z',
  idle: 2,
  leased: 8,
  waiting: 3,
  oldestWaitMs: 1234,
  failed: { dial: 1, tls: 2, greeting: 3, authentication: 4, reply: 5 },
  certificateEnds: '2027-01-01T00:00:00.000Z',
};

void test('one line each, after the names of the columns', () => {
  const down: BackendNow = {
    ...resting,
    name: 'mail2',
    address: 'unix:/run/dovecot/doveadm-server',
    isUp: false,
    health: 'down',
    text: 'connection refused',
  };
  assert.equal(
    formatBackends([up, down]),
    [
      'backend,address,series,status,health,since,error,connections_max,dialing,idle,leased,waiting,oldest_wait_ms,failed_dial,failed_tls,failed_greeting,failed_authentication,failed_reply,failed_since,certificate_ends,drained_by',
      'mail1,mail1.example.com:24245,2.4,up,up,2026-11-21T02:14:00.000Z,,10,0,2,8,3,1234,1,2,3,4,5,2026-11-20T00:00:00.000Z,2027-01-01T00:00:00.000Z,',
      'mail2,unix:/run/dovecot/doveadm-server,,down,down,,connection refused,10,0,0,0,0,0,0,0,0,0,0,2026-11-20T00:00:00.000Z,,',
      '',
    ].join('\r\n'),
  );
});

void test('names of operators command no spreadsheet and make no further cell', () => {
  const drained = [{ by: '=HYPERLINK("http://x"),2026-11-21' }, {}];
  const [, line = ''] = formatBackends([{ ...up, isUp: false, health: 'drained', drained }]).split('\r\n');
  assert.match(line, /,drained,drained,/);
  assert.ok(line.endsWith(`,"'=HYPERLINK(""http://x""),2026-11-21; configuration"`), line);
  assert.equal(formatBackends([{ ...up, drained: [{ by: 'a\r\nb' }] }]).split('\r\n').length, 3);
});

type Problem = Now['head']['problems'][number];
const problem = (code: string, text: string, isDegrading = true, key = code): Problem => {
  return { code, key, text, isDegrading };
};
/** As everybody may know it. */
const heldProblem = (at: number) => problem('held', 'a mailbox is held', false, `held H${at}`);

/** A daemon that makes a state each time that it is told to. */
function desk() {
  const clock = createFakeClock();
  let wake = (): void => undefined;
  const story = {
    clock,
    now: emptyNow,
    users: [] as readonly string[],
    /** Each of them is held. */
    isHeld: false,
    /** Why the daemon does not answer. */
    away: undefined as string | undefined,
    made: 0,
    /** Whether it was asked, and let go. */
    asked: [] as boolean[],
    /** The daemon makes a state, or goes away. */
    changed: async () => {
      wake();
      await settle();
    },
    watch,
    watchers: () => stream.watchers,
  };
  async function* states(signal: AbortSignal): AsyncGenerator<MadeNow> {
    story.asked.push(true);
    const end = (): void => wake();
    signal.addEventListener('abort', end, { once: true });
    while (!signal.aborted) {
      if (story.away !== undefined) throw new Error(story.away);
      story.made += 1;
      const { users } = story;
      const names = { principal: 'job@support', listener: 'support' };
      const now: Now = {
        ...story.now,
        at: `state ${story.made}`,
        running: users.map((_, at) => ({ id: `R${at}`, ...names, command: 'search', durationMs: 1 })),
        troubles: users.map((_, at) => ({
          at: 'now',
          id: `T${at}`,
          kind: 'denied',
          ...names,
          text: 'No.',
          owner: 'policy',
        })),
        runningCount: users.length,
        ...(story.isHeld && { head: { ...story.now.head, problems: users.map((_, at) => heldProblem(at)) } }),
      };
      const namedProblems = users.map((user, at) => ({ key: `held H${at}`, user, text: `${user} is held` }));
      yield { now, runningUsers: users, troubleUsers: users, namedProblems };
      if (!signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
    }
    story.asked.push(false);
  }
  const stream = new NowStream({ clock, states });
  const { now: answer } = createNowHandlers({ states }, stream, () => []);

  function watch(more: Partial<PageCaller> = {}, isStill: () => boolean = () => true) {
    const controller = new AbortController();
    let now: Now | undefined;
    const reader = {
      pieces: [] as string[],
      hasEnded: false,
      /** While true it does not read on. */
      isSlow: false,
      abort: () => controller.abort(),
      /** As the page has it. */
      now: () => now ?? assert.fail('no snapshot yet'),
      events: () => reader.pieces.map((piece) => /^event: (\w+)\n/.exec(piece)?.[1] ?? piece),
    };
    const who: PageCaller = { name: 'oncall', roles: ['view'], users: undefined, from: [], ...more };
    const { signal } = controller;
    const request = { endpoint: 'now', params: [], body: '', who, isStill, signal } as const;
    void (async () => {
      const reply = await answer?.(request, undefined);
      assert.ok(reply !== undefined && 'pieces' in reply);
      for await (const piece of reply.pieces) {
        reader.pieces.push(piece);
        const [, name, data = ''] = /^event: (\w+)\ndata: ([^\n]*)\n\n$/.exec(piece) ?? [];
        if (name !== 'away') now = name === 'snapshot' ? JSON.parse(data) : { ...now, ...JSON.parse(data) };
        while (reader.isSlow) await new Promise(setImmediate);
      }
      reader.hasEnded = true;
    })();
    return reader;
  }

  return story;
}

const auditor: Partial<PageCaller> = { name: 'anna', roles: ['audit'] };

void test('the daemon is asked while somebody watches, and not before or after', async () => {
  const story = desk();
  await settle();
  assert.deepEqual([story.made, story.clock.timers, story.asked], [0, 0, []]);
  const readers = [story.watch(), story.watch(auditor)];
  await settle();
  assert.deepEqual([story.watchers(), story.asked], [2, [true]]);
  readers[0]?.abort();
  await story.changed();
  assert.deepEqual([readers.map(({ hasEnded }) => hasEnded), story.watchers()], [[true, false], 1]);
  readers[1]?.abort();
  story.watch().abort();
  await settle();
  const { made } = story;
  await story.clock.advance(60_000);
  assert.deepEqual([story.made, story.watchers(), story.clock.timers], [made, 0, 0]);
  assert.equal(story.asked.at(-1), false);
});

void test('a snapshot first, then what differs', async () => {
  const story = desk();
  const reader = story.watch();
  await settle();
  assert.deepEqual(reader.events(), ['snapshot']);
  assert.deepEqual(reader.now(), { ...emptyNow, at: 'state 1' });
  await story.changed();
  assert.equal(reader.pieces[1], 'event: change\ndata: {"at":"state 2"}\n\n');
  story.users = ['alice@example.org'];
  await story.changed();
  const change = JSON.parse(reader.pieces[2]?.split('data: ')[1] ?? '');
  assert.deepEqual(Object.keys(change).toSorted(), ['at', 'running', 'runningCount', 'troubles']);
});

void test('the daemon goes: told at once and twice a second, then what changed meanwhile', async () => {
  const story = desk();
  const reader = story.watch();
  await settle();
  story.away = 'nobody is there';
  await story.changed();
  assert.equal(reader.pieces[1], 'event: away\ndata: {"text":"nobody is there"}\n\n');
  await story.clock.advance(1_000);
  assert.equal(reader.events().filter((event) => event === 'away').length, 3);
  const late = story.watch(auditor);
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

void test('a view sees the users that it covers, and no byte of another; one that is narrowed sees no exchange', async () => {
  const story = desk();
  story.users = users;
  story.isHeld = true;
  const limits = { roles: ['audit', 'view'], users: ['*@example.org'] } as const;
  const [nobody, all] = [story.watch(), story.watch(auditor)];
  const [limited, narrowed] = [story.watch(limits), story.watch({ ...limits, roles: ['audit'] })];
  await settle();
  story.users = users.toReversed();
  await story.changed();
  assert.doesNotMatch(nobody.pieces.join(''), /"user"|zuluq7|example\.org/);
  assert.doesNotMatch(limited.pieces.join(''), /zuluq7|other/);
  for (const rows of [limited.now().running, limited.now().troubles])
    assert.deepEqual(
      // Where a user stood, nothing tells that there was one.
      rows.flatMap((row) => ('user' in row ? [row.user] : [])),
      ['*@example.org', 'alice@example.org'],
    );
  const heldIn = (reader: typeof all): readonly string[] =>
    reader.now().head.problems.flatMap(({ text }) => (text === 'a mailbox is held' ? [] : [text]));
  assert.deepEqual(heldIn(limited), ['*@example.org is held', 'alice@example.org is held']);
  assert.equal(heldIn(all).length, users.length - 1);
  const seen = all.now().running.map(({ user = '' }) => user);
  assert.deepEqual(seen, users.toReversed());
  assert.deepEqual([narrowed.now().running, narrowed.now().runningCount], [[], users.length]);
  assert.doesNotMatch(narrowed.pieces.join(''), /job@support|zuluq7|example|"id"/);
});

void test('a slow reader has the state of now when it reads on, and nothing is kept for it', async () => {
  const story = desk();
  const [slow, quick] = [story.watch(), story.watch()];
  await settle();
  slow.isSlow = true;
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
  const story = desk();
  let isStill = true;
  const reader = story.watch(auditor, () => isStill);
  await settle();
  isStill = false;
  const seen = reader.pieces.length;
  story.users = ['zuluq7@other.test'];
  await story.changed();
  const { hasEnded, pieces } = reader;
  assert.deepEqual([hasEnded, pieces.length, story.watchers(), story.clock.timers], [true, seen, 0, 0]);
});

void test('a narrowed state: of what is wrong what concerns records, and nobody by name in it and in who drained', async () => {
  const story = desk();
  const since = '2026-11-21T02:14:00.000Z';
  const ofRecords = problem('audit-reserve', 'The disk of the audit records is full.');
  const now: Now = {
    ...emptyNow,
    head: {
      ...emptyNow.head,
      problems: [
        { ...ofRecords, acknowledged: { by: 'anna', until: '2026-11-22T00:00:00.000Z' } },
        problem('backend-down', 'mail1 is down: connection refused.'),
        problem('queue-grows', '3 wait for a slow client: anna@support.'),
        problem('key-refused', 'The key "annas-panel" was refused.', false),
        problem('a-later-one', 'anna did it', false),
      ],
    },
    backends: [
      { ...up, drained: [{}, { by: 'anna, who is on call', since, reason: 'anna replaces a disk' }] },
    ],
  };
  story.now = now;
  const reader = story.watch({ ...auditor, users: ['*@example.org'] });
  await settle();
  const left = reader.now();
  assert.doesNotMatch(JSON.stringify(left), /anna|01ID/);
  assert.deepEqual(left.backends[0]?.drained, [{}, { by: 'an operator', since }]);
  assert.deepEqual(left.head.problems, [ofRecords]);
});
