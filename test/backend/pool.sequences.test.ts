// Goal: whatever happens to a pool, in whatever order, its books are right. 2,000 sequences of events from a seed, with a clock
// turned by hand; after each event the counts are compared with what the test itself knows, and at the end nothing may be left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloseReason } from '../../src/ports/close-reason.js';
import { seededRandom } from '../kit/chunkings.js';
import { settle } from '../kit/fake-clock.js';
import { type DialledEnd, greeting, logPacket, replyPacket } from '../kit/memory-backend.js';
import { type Leasing, openPool, type PooledStory } from './pooled.js';

const sequences = 2_000;
const eventsEach = 24;
const connections = 3;
const queue = 4;

/** Whole numbers from 0 to below `below`, from a seed. */
function createChance(seed: number): (below: number) => number {
  const random = seededRandom(seed);
  return (below) => Math.floor(random() * below);
}

interface Run {
  readonly story: PooledStory;
  readonly leasings: Leasing[];
  /** Ends on which the backend has not greeted. */
  readonly ungreeted: Set<DialledEnd>;
  readonly done: string[];
  isDraining: boolean;
}

type Chance = (below: number) => number;

function pick<T>(list: readonly T[], chance: Chance): T | undefined {
  return list[chance(list.length)];
}

const waiting = ({ leasings }: Run): Leasing[] => leasings.filter(({ outcome }) => outcome === 'waiting');
const running = ({ leasings }: Run): Leasing[] => leasings.filter(({ outcome }) => outcome === 'leased');
/** Open ends on which the backend has greeted. */
const live = ({ story, ungreeted }: Run): DialledEnd[] =>
  story.dialler.open.filter((end) => !ungreeted.has(end));
const speaking = (run: Run): DialledEnd[] => run.story.dialler.open.filter((end) => run.ungreeted.has(end));

const oddReasons: readonly CloseReason[] = ['not-reusable', 'reply-timeout', 'wire-fault', 'aborted'];

/** What may happen; each picks its victim and does nothing where there is none. */
const events: Readonly<Record<string, (run: Run, chance: Chance) => unknown>> = {
  lease: (run) => run.leasings.push(run.story.lease()),
  'lease a fresh one': (run) => run.leasings.push(run.story.lease(true)),
  'lease twice': (run) => run.leasings.push(run.story.lease(), run.story.lease()),
  'dials are accepted': ({ story }) => story.dialler.setAnswer('accept'),
  'dials are refused': ({ story }) => story.dialler.setAnswer('refuse'),
  'dials hang': ({ story }) => story.dialler.setAnswer('hang'),
  greets: (run, chance) => greet(run, chance, greeting(2)),
  'greets too': (run, chance) => greet(run, chance, greeting(2)),
  'greets as another series': (run, chance) => greet(run, chance, greeting(chance(2) === 0 ? 3 : 2)),
  'greets with a log line': (run, chance) =>
    greet(run, chance, Buffer.concat([Buffer.from(greeting(2)), logPacket('info', 'x')])),
  'greets with an answer': (run, chance) =>
    greet(run, chance, Buffer.concat([Buffer.from(greeting(2)), replyPacket('\n')])),
  'asks for a password': (run, chance) => greet(run, chance, 'VERSION\tdoveadm-client\t1\t2\n-\n'),
  'ends instead of a greeting': (run, chance) => pick(speaking(run), chance)?.peer.end(),
  finish: (run, chance) => pick(running(run), chance)?.finish(),
  'finish too': (run, chance) => pick(running(run), chance)?.finish(),
  'finish oddly': (run, chance) => pick(running(run), chance)?.finish(pick(oddReasons, chance)),
  throw: (run, chance) => pick(running(run), chance)?.fail(new Error('thrown')),
  'read a reply': async (run, chance) => {
    const upstream = pick(running(run), chance)?.upstream;
    if (upstream?.state.at !== 'leased') return;
    upstream.write([Buffer.from('command\n')])?.catch(() => undefined);
    const reading = upstream.next().catch(() => upstream.close('peer-gone'));
    for (const end of live(run)) if (chance(2) === 0) say(end, replyPacket('row\t\n+\n'));
    await settle();
    upstream.close('reply-timeout', true);
    await reading;
  },
  'closed within': (run, chance) => pick(running(run), chance)?.upstream?.close('aborted', true),
  'abort who waits': (run, chance) => pick(waiting(run), chance)?.abort('gone'),
  'abort anybody': (run, chance) => pick(run.leasings, chance)?.abort('gone'),
  'a peer ends': (run, chance) => pick(live(run), chance)?.peer.end(),
  'a peer vanishes': (run, chance) => pick(live(run), chance)?.peer.vanish(),
  'a peer speaks': (run, chance) => {
    const end = pick(live(run), chance);
    if (end !== undefined) say(end, replyPacket('row\t'));
  },
  'a moment': ({ story }) => story.clock.advance(100),
  'until a dial is tried again': ({ story }) => story.clock.advance(500),
  'until something is due': ({ story }) => story.clock.advance(story.clock.nextTimerMs ?? 0),
  'a long time': ({ story }) => story.clock.advance(6_000),
  drain: (run, chance) => {
    if (chance(6) > 0) return;
    run.story.pool.drain();
    run.isDraining = true;
  },
};

/** A backend that has ended says no more. */
function say(end: DialledEnd, bytes: string | Buffer): void {
  try {
    end.peer.send(bytes);
  } catch {
    // It was told so by the test before.
  }
}

function greet(run: Run, chance: Chance, bytes: string | Buffer): void {
  const end = pick(speaking(run), chance);
  if (end === undefined) return;
  run.ungreeted.delete(end);
  say(end, bytes);
}

/** What must hold whenever nothing is about to run. */
function assertBooks(run: Run): void {
  const { story, isDraining } = run;
  const { dialing, idle, leased, waiters } = story.pool.snapshot();
  assert.equal(waiters, waiting(run).length, 'waiters are those who wait');
  const users = running(run).filter(({ upstream }) => upstream?.state.at === 'leased');
  assert.equal(leased, users.length, 'no lease without a user');
  assert.equal(
    new Set(users.map(({ upstream }) => upstream)).size,
    users.length,
    'no upstream has two users',
  );
  assert.ok(dialing + idle + leased <= connections, 'never more than the maximum');
  assert.ok(waiters <= queue, 'never a longer queue');
  const content = waiting(run).filter(({ isFresh }) => !isFresh).length;
  assert.ok(content === 0 || idle === 0, 'nobody waits while an upstream is idle that would do');
  const surplusTimers = story.clock.timers - waiters - idle - dialing;
  assert.ok(waiters === 0 || dialing + leased + surplusTimers > 0, 'nobody waits for nobody');
  for (const { isFresh, upstream } of users)
    if (isFresh) assert.equal(upstream?.exchanges, 1, 'a used one for a fresh one');
  assert.ok(!isDraining || (waiters === 0 && idle === 0 && dialing === 0), 'nothing begins after a drain');
  const open = story.dialler.open.length;
  assert.ok(
    open >= idle + leased && open <= idle + leased + dialing,
    'every open transport is accounted for',
  );
  // One for each waiter, each idle upstream and each dial; and one that looks again after a failed dial.
  assert.ok(surplusTimers === 0 || (surplusTimers === 1 && !isDraining), 'no timer without an owner');
}

async function playSequence(seed: number): Promise<string[]> {
  const chance = createChance(seed);
  const story = openPool(
    { connections, queue, queueTimeoutMs: 5_000, idleTimeoutMs: 7_000, maxLifetimeMs: 20_000, redialMs: 500 },
    { minor: null },
  );
  const run: Run = { story, leasings: [], ungreeted: new Set(), done: [], isDraining: false };
  const greetsAtOnce = chance(2) === 0;
  story.dialler.onAccept((end) => {
    if (greetsAtOnce && chance(3) > 0) end.peer.send(greeting(2));
    else run.ungreeted.add(end);
  });
  const names = Object.keys(events);
  try {
    for (let n = 0; n < eventsEach; n += 1) {
      const name = names[chance(names.length)] ?? '';
      run.done.push(name);
      const happening = events[name]?.(run, chance);
      // Now and then the next thing happens before anybody has noticed this one.
      if (chance(5) === 0) continue;
      await happening;
      await settle();
      assertBooks(run);
    }
    story.pool.drain();
    run.isDraining = true;
    await settle();
    for (const leasing of running(run)) await leasing.finish();
    await settle();
    assertBooks(run);
    assert.deepEqual(story.pool.snapshot(), { dialing: 0, idle: 0, leased: 0, waiters: 0 });
    assert.deepEqual([story.clock.timers, story.dialler.open.length], [0, 0]);
    assert.deepEqual([waiting(run).length, running(run).length], [0, 0]);
    const opened = story.events.filter(({ kind }) => kind === 'upstream-opened').length;
    const closed = story.events.filter(({ kind }) => kind === 'upstream-closed').length;
    assert.equal(opened, closed, 'each upstream was told of twice');
  } catch (fault) {
    throw new Error(`seed ${seed}: ${run.done.join(', ')}: ${String(fault)}`, { cause: fault });
  }
  return run.leasings.map(({ outcome }) =>
    outcome instanceof Error
      ? (Reflect.get(outcome, 'why') ?? Reflect.get(outcome, 'code') ?? 'thrown')
      : outcome,
  );
}

void test(`${sequences} sequences of events`, async () => {
  const outcomes = new Map<string, number>();
  for (let seed = 1; seed <= sequences; seed += 1) {
    for (const outcome of await playSequence(seed)) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  // That every way to end was met often shows that the events are not too wild to get anywhere.
  const ways =
    'ended gone thrown queue-full queue-timeout draining dial-refused dial-timeout closed-early auth-rejected version-unsupported';
  for (const way of ways.split(' ')) {
    assert.ok((outcomes.get(way) ?? 0) >= 20, `${way}: ${JSON.stringify([...outcomes])}`);
  }
});
