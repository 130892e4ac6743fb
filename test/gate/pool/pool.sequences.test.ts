// Goal: whatever happens to a pool, in whatever order, its books are right. 2,000 sequences of events from seeds, with a clock
// turned by hand; after each event the counts are compared with what the test itself knows, and at the end nothing may be left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Demand } from '../../../src/gate/pool/lease.js';
import type { CloseReason } from '../../../src/host/ports/transport.js';
import {
  type DialledEnd,
  greeting,
  logPacket,
  poolSizes,
  replyPacket,
} from '../../kit/gate/memory-backend.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { type Leasing, openPool, type PooledStory, poolLimits } from './pooled.js';

const sequences = 1_300 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const eventsEach = 24;
const connections = 3;
const queue = 5;
const principals = ['a@support', 'b@support', 'c@jobs'];

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
  mode: 'serving' | 'drained' | 'draining';
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
  lease: (run, chance) => lease(run, chance),
  'lease a fresh one': (run, chance) => lease(run, chance, { isFresh: true }),
  'lease for a change': (run, chance) => lease(run, chance, { isYoung: true }),
  'lease a fresh one for a change': (run, chance) => lease(run, chance, { isFresh: true, isYoung: true }),
  'lease twice': (run, chance) => {
    lease(run, chance);
    lease(run, chance);
  },
  'Dovecot is restarted': async ({ story }) => {
    // Whoever was given an upstream just now has begun on it.
    await settle();
    for (const { peer } of story.dialler.open) peer.replace();
  },
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
  'finish with TEMPFAIL': (run, chance) => pick(running(run), chance)?.finish('not-reusable', 'tempfail'),
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
  'a command that kills': async (run, chance) => {
    const upstream = pick(running(run), chance)?.upstream;
    if (upstream?.state.at !== 'leased') return;
    upstream.write([Buffer.from('command\n')])?.catch(() => undefined);
    for (const end of live(run)) if (chance(2) === 0) end.peer.end();
    const reading = upstream.next().catch(() => upstream.close('peer-gone'));
    await settle();
    upstream.close('reply-timeout', true);
    await reading;
  },
  'Dovecot reloads': (run) => {
    for (const end of live(run)) {
      say(end, logPacket('warning', 'doveadm: Killed with signal 15 (by pid=1 uid=0 code=kill)'));
      end.peer.end();
    }
  },
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
  'an operator drains': (run, chance) => {
    if (chance(3) > 0) return;
    run.story.pool.setDrained(true);
    if (run.mode === 'serving') run.mode = 'drained';
  },
  'an operator enables': (run) => {
    run.story.pool.setDrained(false);
    if (run.mode === 'drained') run.mode = 'serving';
  },
  drain: (run, chance) => {
    if (chance(6) > 0) return;
    run.story.pool.drain();
    run.mode = 'draining';
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

function lease({ story, leasings }: Run, chance: Chance, demand: Partial<Demand> = {}): void {
  const principal = pick(principals, chance) ?? '';
  leasings.push(story.lease({ principal, ...demand, weight: principal === 'c@jobs' ? 3 : 1 }));
}

function greet(run: Run, chance: Chance, bytes: string | Buffer): void {
  const end = pick(speaking(run), chance);
  if (end === undefined) return;
  run.ungreeted.delete(end);
  say(end, bytes);
}

/** What must hold whenever nothing is about to run. */
function assertBooks(run: Run): void {
  const { story, mode } = run;
  const { dialing, idle, leased, waiters, health } = story.pool.snapshot();
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
  const changing = waiting(run).filter(({ isFresh, isYoung }) => !isFresh && isYoung).length;
  assert.ok(content === changing || idle === 0, 'nobody waits while an upstream is idle that would do');
  const isHeldBack = changing > 0 && idle > 0 && dialing === 0 && health === 'up';
  assert.ok(!isHeldBack, 'an old upstream keeps no change from a new one');
  for (const { began, isYoung } of run.leasings) {
    assert.notEqual(began?.isReplaced, true, 'nobody begins on an upstream of before a restart');
    assert.ok(
      !isYoung || began === undefined || began.ageMs < poolLimits.freshForMs,
      'no change on an old one',
    );
  }
  const isFull = dialing + idle + leased === connections;
  assert.ok(isFull || health !== 'up' || dialing >= content, 'nobody waits while there is room');
  const alone = users.filter(({ isFresh }) => isFresh);
  assert.ok(alone.length <= 1, 'half of them at most are given to those who must be alone');
  for (const { upstream } of alone) assert.equal(upstream?.exchanges, 1, 'a used one for a fresh one');
  const isDown = health === 'down' || health === 'probing';
  assert.ok(!isDown || idle + leased === 0, 'what is down has no upstream');
  // Only who made the dial that is under way.
  assert.ok(!isDown || waiters <= (health === 'down' ? 0 : 1), 'nobody waits for what is down');
  assert.equal(health === 'drained', mode !== 'serving');
  assert.ok(
    mode === 'serving' || (waiters === 0 && idle === 0 && dialing === 0),
    'nothing begins after a drain',
  );
  const open = story.dialler.open.length;
  // One more while somebody looks whether the backend greets.
  const most = Math.min(connections, idle + leased + dialing + 1);
  assert.ok(open >= idle + leased && open <= most, 'every open transport is accounted for');
  // One for each waiter, each idle upstream and each dial; one of the health, one of the look for slow clients, and one of a
  // look at a backend that does not answer. A leased upstream may have one left.
  const surplusTimers = story.clock.timers - waiters - idle - dialing;
  assert.ok(
    surplusTimers >= 0 && surplusTimers <= leased + (mode === 'serving' ? 3 : 0),
    'no timer without an owner',
  );
  assert.ok(waiters === 0 || dialing + leased + surplusTimers > 0, 'nobody waits for nobody');
}

async function playSequence(seed: number): Promise<string[]> {
  const chance = createChance(seed);
  const story = openPool(
    {
      connections,
      idle: chance(3),
      queue,
      queueTimeoutMs: 5_000,
      idleTimeoutMs: 7_000,
      maxLifetimeMs: 20_000,
      redialMs: 500,
    },
    { minor: null, chance: () => chance(100) / 100 },
  );
  const run: Run = { story, leasings: [], ungreeted: new Set(), done: [], mode: 'serving' };
  const greetsAtOnce = chance(2) === 0;
  story.dialler.onAccept((end) => {
    if (greetsAtOnce && chance(3) > 0) end.peer.send(greeting(2));
    else run.ungreeted.add(end);
  });
  const names = Object.keys(events);
  if (chance(2) === 0) story.pool.start();
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
    run.mode = 'draining';
    await settle();
    for (const leasing of running(run)) await leasing.finish();
    await settle();
    assertBooks(run);
    assert.deepEqual(poolSizes(story.pool), [0, 0, 0, 0]);
    assert.deepEqual([story.clock.timers, story.dialler.open.length], [0, 0]);
    assert.deepEqual([waiting(run).length, running(run).length], [0, 0]);
    const opened = story.events.filter(({ kind }) => kind === 'upstream-opened').length;
    const closed = story.events.filter((event) => event.kind === 'upstream-closed').length;
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
    'ended gone thrown queue-full queue-timeout draining backend-drained dial-refused dial-timeout closed-early auth-rejected version-unsupported';
  for (const way of ways.split(' ')) {
    assert.ok((outcomes.get(way) ?? 0) >= 20, `${way}: ${JSON.stringify([...outcomes])}`);
  }
});
