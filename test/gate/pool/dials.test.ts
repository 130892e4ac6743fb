// Goal: dials are counted, bounded and told. Phases: good and bad ones; looks; an idle upstream that was lost; giving up. What
// must not happen: a dial that is told twice or not at all, a look that stands in the way of a dial.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineEvent } from '../../../src/gate/outcome/events.js';
import { type PasswordRead, sharingReads } from '../../../src/gate/pool/dial.js';
import { createDials, type DialsOwner, Health } from '../../../src/gate/pool/dials.js';
import { createTempfailWatch } from '../../../src/gate/pool/open-upstreams.js';
import type { Upstream } from '../../../src/gate/pool/upstream.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';
import { Secret } from '../../../src/rules/identity/credentials.js';
import {
  at,
  carelessOwner,
  createMemoryDialler,
  greeting,
  memoryTarget,
} from '../../kit/gate/memory-backend.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { poolLimits } from './pooled.js';

function open() {
  const dialler = createMemoryDialler();
  const clock = createFakeClock();
  const told: string[] = [];
  const upstreams: Upstream[] = [];
  const owner: DialsOwner = {
    ...carelessOwner,
    opened(upstream) {
      told.push(`opened ${upstream.id}`);
      upstreams.push(upstream);
    },
    dialFailed: (fault) => void told.push(`failed ${fault.code}`),
    match: () => void told.push('match'),
    get openCount() {
      return upstreams.filter(({ state }) => state.at !== 'closed').length;
    },
    hasRoom: true,
  };
  const dials = createDials(
    {
      target: memoryTarget(),
      configured: { series: 'auto', release: undefined, newer: 'reads' },
      limits: poolLimits,
      connect: dialler.connect,
      clock,
      observe: () => undefined,
      chance: () => 0,
    },
    owner,
  );
  return { dialler, clock, told, upstreams, dials };
}

const greets = ({ dialler }: ReturnType<typeof open>): void =>
  dialler.onAccept(({ peer }) => peer.send(greeting(2)));

// bounds.dialsPerBackend
void test('so many at once, and not more', async () => {
  const story = open();
  story.dialler.setAnswer('hang');
  for (; story.dials.isAllowed; ) story.dials.dial();
  await settle();
  assert.deepEqual([story.dials.count, story.dialler.dials], [8, 8]);
  story.dials.abort(new Error('enough'));
  await settle();
  assert.deepEqual([story.dials.count, story.clock.timers], [0, 0]);
  assert.ok(!story.told.some((word) => word.startsWith('failed')), 'what was given up is no fault');
  assert.deepEqual(story.dials.health.failed.dial, 0);
});

void test('one that died at once and unused counts as a dial that failed', async () => {
  const story = open();
  greets(story);
  story.dials.dial();
  await settle();
  const upstream = at(story.upstreams, 0);
  upstream.release(1_000);
  upstream.close('lifetime');
  story.dials.lost(upstream);
  assert.deepEqual([story.told.at(-1), story.dials.health.failed.greeting], ['failed closed-early', 1]);
  const { length } = story.told;
  await story.clock.advance(1_000);
  story.dials.lost(upstream);
  assert.equal(story.told.filter((word) => word.startsWith('failed')).length, 1);
  assert.ok(story.told.length >= length);
  story.dials.abort('end');
  story.dials.health.rest();
  await settle();
  assert.equal(story.clock.timers, 0);
});

void test('what is gone after a dial failed beside it does not leave the backend as one that serves', async () => {
  const story = open();
  greets(story);
  story.dials.dial();
  await settle();
  story.dialler.setAnswer('refuse');
  story.dials.dial();
  await settle();
  assert.equal(story.dials.health.state.at, 'pausing');
  // Nobody asks for another one.
  at(story.upstreams, 0).close('lifetime');
  await story.clock.advance(poolLimits.redialMs);
  await settle();
  assert.equal(story.dials.health.state.at, 'down');
  story.dials.abort('end');
  story.dials.health.rest();
});

void test('a password file that cannot be read while another one serves is told once, until it changes', async () => {
  const unread = new Error('/etc/next: EACCES');
  const empty = new Error('/etc/next: is empty');
  const good = new Secret('good');
  const reads: readonly (readonly PasswordRead[])[] = [
    [good, unread],
    [good, unread],
    [good, good],
    [unread, good],
    [empty, good],
    [empty, empty],
  ];
  const notes: string[] = [];
  let read = -1;
  const target = sharingReads(
    memoryTarget({ passwords: () => Promise.resolve(reads[read] ?? assert.fail('one too many')) }),
    (text) => void notes.push(text),
  );
  for (read = 0; read < reads.length; read += 1) await target.passwords();
  assert.deepEqual(notes, ['/etc/next: EACCES', '/etc/next: EACCES', '/etc/next: is empty']);
});

// A backend that is away is found out once, dialled ever less often, and found again soon.
const healthLimits = { redialMs: 100, redialMaxMs: 1_000, lookEveryMs: 4_000 };
const refused = new UpstreamFault('dial-refused', 'nobody listens');

function openHealth({ chance = () => 0, hasRoom = true }: { chance?: () => number; hasRoom?: boolean } = {}) {
  const clock = createFakeClock();
  const events: EngineEvent[] = [];
  const calls: string[] = [];
  const health = new Health({
    backend: 'mail1',
    past: { opened: 0, downSinceMs: undefined },
    limits: healthLimits,
    clock,
    chance,
    observe: (event) => void events.push(event),
    retry() {
      calls.push('retry');
      return hasRoom;
    },
    look: () => void calls.push('look'),
  });
  return { clock, events, calls, health };
}

type Story = ReturnType<typeof openHealth>;

/** Ways into each state. */
const ways: Readonly<Record<Health['state']['at'], (story: Story) => Promise<void> | void>> = {
  up: () => undefined,
  pausing: ({ health }) => health.dialFailed(refused, false),
  retrying: async ({ health, clock }) => {
    health.dialFailed(refused, false);
    await clock.advance(100);
  },
  down: ({ health }) => health.dialFailed(refused, true),
  probing: async ({ health, clock }) => {
    health.dialFailed(refused, true);
    await clock.advance(100);
  },
};

// [from, a good dial, a failed one while others live, a failed one while nothing lives, the pause is over]
const table: readonly (readonly [keyof typeof ways, string, string, string, string])[] = [
  ['up', 'up', 'pausing', 'down', 'up'],
  ['pausing', 'up', 'pausing', 'down', 'retrying'],
  ['retrying', 'up', 'pausing', 'down', 'retrying'],
  ['down', 'up', 'pausing', 'down', 'probing'],
  ['probing', 'up', 'pausing', 'down', 'probing'],
];
for (const [from, good, bad, worse, later] of table) {
  void test(`from ${from}`, async () => {
    const steps: readonly (readonly [(story: Story) => Promise<void> | void, string])[] = [
      [({ health }) => health.dialled(), good],
      [({ health }) => health.dialFailed(refused, false), bad],
      [({ health }) => health.dialFailed(refused, true), worse],
      [({ clock }) => clock.advance(1_000), later],
      [({ health }) => health.rest(), 'up'],
    ];
    for (const [step, to] of steps) {
      const story = openHealth();
      await ways[from](story);
      assert.equal(story.health.state.at, from);
      await step(story);
      assert.equal(story.health.state.at, to);
      assert.ok(story.clock.timers <= 1, 'at most one timer');
      const isDown = to === 'down' || to === 'probing';
      assert.equal(story.health.fault, isDown ? refused : undefined);
    }
  });
}

void test('who may dial', async () => {
  // [state, alone, not alone, not alone while another is dialled]
  const rights = [
    ['up', true, true, true],
    ['pausing', true, false, false],
    ['retrying', true, true, false],
    ['down', false, false, false],
    ['probing', false, false, false],
  ] as const;
  for (const [state, alone, others, dialling] of rights) {
    const story = openHealth();
    await ways[state](story);
    const { health } = story;
    assert.deepEqual(
      [health.mayDial(true, false), health.mayDial(false, false), health.mayDial(false, true)],
      [alone, others, dialling],
      state,
    );
  }
});

// bounds.redialMaxMs
void test('pauses double up to their maximum, and half of each is chance', async () => {
  const story = openHealth();
  const pauses: (number | undefined)[] = [];
  for (let n = 0; n < 6; n += 1) {
    story.health.dialFailed(refused, true);
    pauses.push(story.clock.nextTimerMs);
    await story.clock.advance(1_000);
    assert.equal(story.health.state.at, 'probing');
  }
  assert.deepEqual(pauses, [100, 200, 400, 800, 1_000, 1_000]);
  const random = seededRandom(5);
  for (let n = 0; n < 100; n += 1) {
    const chancy = openHealth({ chance: random });
    chancy.health.dialFailed(refused, true);
    const pauseMs = chancy.clock.nextTimerMs ?? 0;
    assert.ok(pauseMs > 50 && pauseMs <= 100, String(pauseMs));
  }
});

void test('where nothing can be dialled after a pause, there is another one', async () => {
  const story = openHealth({ hasRoom: false });
  story.health.dialFailed(refused, false);
  await story.clock.advance(100);
  assert.deepEqual([story.health.state.at, story.calls, story.clock.timers], ['pausing', ['retry'], 1]);
  await story.clock.advance(100);
  assert.deepEqual([story.calls.length, story.clock.timers], [2, 1]);
});

void test('what is down is told once, and that it is back once', async () => {
  const story = openHealth();
  for (let n = 0; n < 10; n += 1) {
    story.health.dialFailed(refused, true);
    await story.clock.advance(1_000);
  }
  story.health.dialled();
  story.health.dialled();
  const changes = story.events.filter(({ kind }) => kind !== 'dial-failed');
  assert.deepEqual(changes, [
    {
      kind: 'backend-down',
      level: 'error',
      text: 'backend mail1 is down: nobody listens',
      backend: 'mail1',
      type: 'dial-refused',
    },
    {
      kind: 'backend-up',
      level: 'warn',
      text: 'backend mail1 is back',
      backend: 'mail1',
      duration_ms: 10_000,
    },
  ]);
  const firsts = story.events.flatMap((event) => (event.kind === 'dial-failed' ? [event.level] : []));
  assert.deepEqual(firsts, ['error', ...Array<string>(9).fill('debug')]);
});

void test('failures are counted by the step that failed', () => {
  const { health } = openHealth();
  health.dialFailed(refused, false);
  health.dialFailed(new UpstreamFault('dial-timeout', 'silent', undefined, 'greeting'), false);
  health.dialFailed(new UpstreamFault('tls-failed', 'pin'), false);
  health.dialFailed(new UpstreamFault('auth-rejected', 'wrong'), false);
  health.leaseEnded('reply-timeout', undefined);
  health.leaseEnded('wire-fault', undefined);
  for (const reason of ['aborted', 'not-reusable', undefined] as const) health.leaseEnded(reason, undefined);
  health.leaseEnded('peer-gone', 'other');
  assert.deepEqual(health.failed, { dial: 1, tls: 1, greeting: 1, authentication: 1, reply: 2 });
});

void test('several dials that fail together are one failure; a dial that was good for a moment ends no row', async () => {
  const story = openHealth();
  for (let n = 0; n < 7; n += 1) story.health.dialFailed(refused, false);
  story.health.dialFailed(refused, true);
  assert.equal(story.clock.nextTimerMs, 100);
  await story.clock.advance(100);
  story.health.dialled();
  story.health.dialFailed(refused, true);
  assert.equal(story.clock.nextTimerMs, 200);
  await story.clock.advance(200);
  story.health.dialled();
  await story.clock.advance(2_000);
  story.health.dialFailed(refused, true);
  assert.equal(story.clock.nextTimerMs, 100);
});

void test('while nobody asks somebody looks; a reply is as good as a look', async () => {
  const story = openHealth();
  await story.clock.advance(60_000);
  assert.deepEqual([story.calls, story.clock.timers], [[], 0], 'nobody looks before it is watched');
  story.health.watch();
  await story.clock.advance(3_999);
  assert.deepEqual(story.calls, []);
  await story.clock.advance(1);
  assert.deepEqual(story.calls, ['look']);
  story.health.dialled();
  await story.clock.advance(3_000);
  story.health.leaseEnded(undefined, 'other');
  await story.clock.advance(3_999);
  assert.deepEqual(story.calls, ['look']);
  await story.clock.advance(1);
  assert.deepEqual(story.calls, ['look', 'look']);
  await story.clock.advance(3_000);
  story.health.leaseEnded('not-reusable', 'tempfail');
  await story.clock.advance(1_000);
  assert.equal(story.calls.length, 3, 'TEMPFAIL is no sign of life');
  story.health.dialFailed(refused, false);
  await story.clock.advance(50);
  assert.equal(story.clock.timers, 1);
  story.health.rest();
  await story.clock.advance(60_000);
  assert.deepEqual([story.calls.length, story.clock.timers], [3, 0]);
});

void test('since when it is up or down is one time, however often it is asked', async () => {
  const { clock, health } = openHealth();
  const startedMs = health.changedMs;
  assert.equal(startedMs, clock.wallMs());
  await clock.advance(1_234.5);
  health.dialFailed(refused, true);
  const downMs = health.changedMs;
  assert.equal(downMs, clock.wallMs());
  await clock.advance(333.3);
  health.dialFailed(refused, true);
  assert.deepEqual([health.state.at === 'up', health.changedMs], [false, downMs]);
  await clock.advance(0.4);
  health.dialled();
  assert.equal(health.changedMs, clock.wallMs());
  assert.ok(health.changedMs > downMs);
});

// TEMPFAILs of a Dovecot that stopped are told from others.
const nowMs = 100_000;

void test('PROTOCOL 9: two TEMPFAIL in a row from old upstreams make all of their age and older doubtful', () => {
  const watch = createTempfailWatch();
  assert.equal(watch.answered(20_000, 'tempfail', nowMs), undefined);
  assert.equal(watch.answered(10_000, 'tempfail', nowMs), 20_000);
  assert.equal(watch.answered(10_000, 'tempfail', nowMs), undefined, 'and from then on it counts anew');
});

void test('an answer of another kind from one of them, or an older one, ends the row', () => {
  const watch = createTempfailWatch();
  watch.answered(20_000, 'tempfail', nowMs);
  assert.equal(watch.answered(20_000, 'other', nowMs), undefined);
  assert.equal(watch.answered(10_000, 'tempfail', nowMs), undefined);
});

void test('Dovecot was restarted: newer upstreams are well, and that says nothing for the old ones', () => {
  const watch = createTempfailWatch();
  watch.answered(20_000, 'tempfail', nowMs);
  for (let n = 0; n < 100; n += 1) watch.answered(30_000, 'other', nowMs);
  assert.equal(watch.answered(10_000, 'tempfail', nowMs), 20_000);
});

void test('TEMPFAIL from an upstream that was just opened has another cause', () => {
  const watch = createTempfailWatch();
  for (let n = 0; n < 100; n += 1) {
    assert.equal(watch.answered(nowMs - 999, 'tempfail', nowMs), undefined);
  }
});
