// Goal: exchanges get upstreams in turn, as few as will do, and none that is not sound. Phases: leasing and reuse; waiting; failed
// dials; upstreams that age, change or speak; drain in every state. What must not happen: an upstream above the maximum, somebody
// who waits for nobody, a timer or transport that stays behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Abortable } from '../../../src/host/concurrency/abortable.js';
import { Secret } from '../../../src/rules/identity/credentials.js';
import { at, greeting, logPacket, memoryTarget, poolSizes } from '../../kit/gate/memory-backend.js';
import { column } from '../../kit/plain/columns.js';
import { settle } from '../../kit/plain/fake-clock.js';
import {
  assertEnds,
  assertFault,
  assertRefused,
  closings,
  openPool,
  type PooledStory,
  poolLimits,
} from './pooled.js';

/** Sizes as `dialing idle leased waiters`. */
function assertSizes(story: PooledStory, expected: string): void {
  assert.equal(poolSizes(story.pool).join(' '), expected);
}

void test('nothing is dialled before somebody comes; then one upstream serves one after another', async () => {
  const story = openPool();
  assert.deepEqual([story.dialler.dials, story.pool.series], [0, undefined]);
  for (let n = 1; n <= 3; n += 1) {
    const leasing = await story.leased();
    assert.deepEqual([leasing.upstream?.id, leasing.upstream?.exchanges], ['mail1-1', n]);
    assertSizes(story, '0 0 1 0');
    await leasing.finish();
    assert.equal(leasing.outcome, 'ended');
    assertSizes(story, '0 1 0 0');
  }
  assert.deepEqual([story.dialler.dials, story.pool.series], [1, '2.3']);
  await assertEnds(story);
  const kinds = story.events.map((event) => event.kind);
  assert.deepEqual(kinds, ['upstream-opened', 'upstream-closed']);
});

// bounds.upstreamsPerBackend
void test('never more than the maximum; who waits is served in the order of coming', async () => {
  const story = openPool({ connections: 2, queue: 10 });
  const all = Array.from({ length: 6 }, () => story.lease());
  await settle();
  assert.deepEqual(
    [story.dialler.dials, all.map(({ outcome }) => outcome)],
    [2, ['leased', 'leased', 'waiting', 'waiting', 'waiting', 'waiting']],
  );
  for (let n = 0; n < 4; n += 1) {
    assertSizes(story, `0 0 2 ${4 - n}`);
    await all[n]?.finish();
    assert.deepEqual(all.map(({ outcome }) => outcome).indexOf('waiting'), n === 3 ? -1 : n + 3);
  }
  assert.equal(story.dialler.dials, 2);
  await assertEnds(story);
});

void test('the newest idle upstream is taken, so that the others age out', async () => {
  const story = openPool({ connections: 3 });
  const three = [await story.leased(), await story.leased(), await story.leased()];
  for (const n of [1, 0, 2]) {
    await three[n]?.finish();
    await story.clock.advance(1_000);
  }
  for (let n = 0; n < 100; n += 1) {
    const leasing = await story.leased();
    assert.equal(leasing.upstream?.id, 'mail1-3');
    await leasing.finish();
    await story.clock.advance(1_000);
  }
  assert.deepEqual(closings(story), ['mail1-2 idle-timeout', 'mail1-1 idle-timeout']);
  assertSizes(story, '0 1 0 0');
  await assertEnds(story);
});

// bounds.queueWaiters, bounds.queueMs
void test('the queue has a limit, and waiting has one', async () => {
  const story = openPool({ connections: 1, queue: 2, queueTimeoutMs: 5_000 });
  await story.leased();
  const waiting = [story.lease(), story.lease()];
  const surplus = await story.leased();
  assertRefused(surplus, 'queue-full');
  await story.clock.advance(4_999);
  assertSizes(story, '0 0 1 2');
  await story.clock.advance(1);
  for (const leasing of waiting) assertRefused(leasing, 'queue-timeout');
  assertSizes(story, '0 0 1 0');
  // Of the upstream that is leased.
  assert.equal(story.clock.timers, 1);
  await assertEnds(story);
});

void test('who waits is told after 5 s, and then ever less often', async () => {
  const story = openPool({ connections: 1, queueTimeoutMs: 60_000 });
  await story.leased();
  const waiting = await story.leased();
  const { told } = waiting;
  const times: number[] = [];
  for (let second = 1; second < 60; second += 1) {
    const before = told.length;
    await story.clock.advance(1_000);
    if (told.length > before) times.push(second);
  }
  assert.deepEqual([times, told.length], [[5, 15, 35], 3]);
  await assertEnds(story);
});

void test('aborted before it asked: no idle one is spent on it, nor the one kept for who must be alone', async () => {
  const story = openPool({ idle: 1 });
  story.pool.start();
  await settle();
  const abortable = new Abortable();
  abortable.abort('early');
  for (const isFresh of [false, true]) {
    await assert.rejects(
      story.pool.withLease({
        principal: 'desk@support',
        origin: 'uid 1',
        weight: 1,
        isFresh,
        isYoung: false,
        abortable,
        use: () => assert.fail('leased'),
      }),
      (fault) => fault === 'early',
    );
  }
  assertSizes(story, '0 1 0 0');
  const next = await story.leased();
  assert.equal(next.upstream?.exchanges, 1, 'nothing ran on it yet');
  await next.finish();
});

void test('who waited leaves while the dial runs: the upstream is kept for the next', async () => {
  const story = openPool({}, { minor: null });
  const first = await story.leased();
  first.abort('gone');
  await settle();
  assertSizes(story, '1 0 0 0');
  at(story.dialler.ends, 0).peer.send(greeting(2));
  await settle();
  assertSizes(story, '0 1 0 0');
  assert.equal(story.clock.nextTimerMs, poolLimits.idleTimeoutMs);
  const second = await story.leased({ isFresh: true });
  assert.equal(second.upstream?.exchanges, 1, 'nothing ran on it yet');
  await assertEnds(story);
});

void test('an idle upstream that speaks, ends or vanishes is never handed out', async () => {
  for (const leave of ['speak', 'end', 'vanish'] as const) {
    const story = openPool();
    await (await story.leased()).finish();
    const { peer } = at(story.dialler.ends, 0);
    if (leave === 'speak') peer.send(logPacket('error', 'dying'));
    else peer[leave]();
    await settle();
    assertSizes(story, '0 0 0 0');
    const stray = story.events.flatMap((event) => (event.kind === 'backend-log' ? event : []));
    assert.deepEqual(
      stray.map(({ upstream, id, text }) => [upstream, id, text]),
      leave === 'speak' ? [['mail1-1', undefined, 'dying']] : [],
    );
    const next = await story.leased();
    assert.equal(next.upstream?.id, 'mail1-2');
    await assertEnds(story);
  }
});

void test('nobody listens: who waits and who comes is told at once, and it comes back by itself', async () => {
  const story = openPool({ connections: 2, redialMs: 500 });
  story.dialler.setAnswer('refuse');
  const all = [story.lease(), story.lease(), story.lease()];
  await settle();
  for (const leasing of all) assertFault(leasing, 'dial-refused');
  assertSizes(story, '0 0 0 0');
  const { dials } = story.dialler;
  for (let n = 0; n < 100; n += 1) assertFault(await story.leased(), 'dial-refused');
  assert.deepEqual([story.dialler.dials, story.pool.snapshot().health], [dials, 'down']);
  await story.clock.advance(499);
  assert.equal(story.dialler.dials, dials);
  await story.clock.advance(1);
  assert.equal(story.dialler.dials, dials + 1);
  story.dialler.setAnswer('accept');
  await story.clock.advance(1_000);
  assert.deepEqual([story.dialler.dials, story.pool.snapshot().health], [dials + 2, 'up']);
  const next = await story.leased();
  assert.deepEqual([next.outcome, story.dialler.dials], ['leased', dials + 2]);
  await next.finish();
  const told = story.events.filter(({ kind }) => kind === 'backend-down' || kind === 'backend-up');
  assert.deepEqual(column(told, 'kind'), ['backend-down', 'backend-up']);
  await assertEnds(story);
});

void test('a Dovecot that is reloaded ends a connection before its greeting: it is dialled once more, for who waits', async () => {
  const story = openPool({ connections: 2, redialMs: 500 });
  let ends = 1;
  story.dialler.onAccept(({ peer }) => (ends-- > 0 ? peer.end() : peer.send(greeting(2))));
  const first = await story.leased();
  assert.deepEqual([first.outcome, story.dialler.dials, story.pool.snapshot().health], ['leased', 2, 'up']);
  await first.finish('lifetime');
  ends = 9;
  assertFault(await story.leased(), 'closed-early');
  assert.deepEqual([story.dialler.dials, story.pool.snapshot().health], [3, 'down']);
  await assertEnds(story);
});

void test('down for long: a command dials at once, if no dial was just before it, and has what that brings', async () => {
  const story = openPool({ connections: 2, redialMs: 500, redialMaxMs: 4_000 });
  story.dialler.setAnswer('refuse');
  assertFault(await story.leased(), 'dial-refused');
  await story.clock.advance(1_500);
  // The next pause is of 2 s.
  assert.equal(story.dialler.dials, 3);
  await story.clock.advance(499);
  assertFault(await story.leased(), 'dial-refused');
  assert.equal(story.dialler.dials, 3);
  await story.clock.advance(1);
  assertFault(await story.leased(), 'dial-refused');
  assert.equal(story.dialler.dials, 4);
  await story.clock.advance(500);
  story.dialler.setAnswer('accept');
  const next = await story.leased();
  assert.deepEqual([next.outcome, story.dialler.dials], ['leased', 5]);
  await assertEnds(story);
});

void test('one of two dials fails: who waits is not told before the other has failed too', async () => {
  for (const second of ['serves', 'fails'] as const) {
    const story = openPool({ connections: 2 }, { minor: null });
    const both = [story.lease(), story.lease()];
    await settle();
    assertSizes(story, '2 0 0 2');
    at(story.dialler.ends, 0).peer.end();
    await settle();
    assertSizes(story, '1 0 0 2');
    if (second === 'fails') {
      at(story.dialler.ends, 1).peer.end();
      await settle();
      for (const leasing of both) assertFault(leasing, 'closed-early');
    } else {
      at(story.dialler.ends, 1).peer.send(greeting(2));
      await settle();
      assert.deepEqual(column(both, 'outcome'), ['leased', 'waiting']);
      await at(both, 0).finish();
      assert.equal(at(both, 1).outcome, 'leased');
      await at(both, 1).finish();
    }
    await assertEnds(story);
  }
});

void test('while others serve, a failed dial holds back the next one, then it is tried again', async () => {
  const story = openPool({ connections: 2, redialMs: 500 });
  await story.leased();
  story.dialler.setAnswer('refuse');
  const waiting = [await story.leased(), await story.leased()];
  assert.equal(story.dialler.dials, 2);
  await story.clock.advance(499);
  assert.equal(story.dialler.dials, 2);
  await story.clock.advance(1);
  assert.equal(story.dialler.dials, 3);
  story.dialler.setAnswer('accept');
  // The pause doubles.
  await story.clock.advance(999);
  assert.equal(story.dialler.dials, 3);
  await story.clock.advance(1);
  assert.deepEqual([story.dialler.dials, ...waiting.map(({ outcome }) => outcome)], [4, 'leased', 'waiting']);
  await assertEnds(story);
});

void test('the one that served goes while the next dial is held back: it is dialled at once', async () => {
  const story = openPool({ connections: 2, redialMs: 500 });
  const running = await story.leased();
  story.dialler.setAnswer('refuse');
  const waiting = await story.leased();
  story.dialler.setAnswer('accept');
  await running.finish('peer-gone');
  assert.deepEqual([waiting.outcome, story.dialler.dials], ['leased', 3]);
  await assertEnds(story);
});

void test('a wrong password: many clients do not make many logins', async () => {
  let isLocked = true;
  const passwords = () => Promise.resolve([new Secret('p')]);
  const target = memoryTarget({ mayAuthenticateInClear: true, passwords });
  const story = openPool({ redialMs: 500 }, { minor: null, target });
  story.dialler.onAccept(({ peer }) => {
    peer.send('VERSION\tdoveadm-client\t1\t2\n-\n');
    void peer.receive((bytes) => bytes.includes('PLAIN')).then(() => peer.send(isLocked ? '-\n' : '+\n'));
  });
  assertFault(await story.leased(), 'auth-rejected');
  const { dials } = story.dialler;
  for (let n = 0; n < 1000; n += 1) assertFault(await story.leased(), 'auth-rejected');
  assert.equal(story.dialler.dials, dials);
  isLocked = false;
  await story.clock.advance(499);
  assertFault(await story.leased(), 'auth-rejected');
  await story.clock.advance(1);
  const next = await story.leased();
  assert.equal(next.outcome, 'leased');
  await next.finish('not-reusable');
  // And what failed before it is forgotten.
  assert.equal((await story.leased()).outcome, 'leased');
  assert.equal(story.dialler.dials, dials + 2);
});

void test('a dial that worked makes a failure before it old', async () => {
  const story = openPool({ redialMs: 500 }, { minor: null });
  const two = [story.lease(), story.lease()];
  await settle();
  at(story.dialler.ends, 0).peer.send('VERSION\tdoveadm-client\t1\t2\n-\n');
  await settle();
  at(story.dialler.ends, 1).peer.send(greeting(2));
  await settle();
  await at(two, 0).finish();
  await at(two, 1).finish('not-reusable');
  const next = await story.leased();
  assert.equal(next.outcome, 'waiting', 'it dials, and does not repeat a fault that is over');
  assertSizes(story, '1 0 0 1');
  await assertEnds(story);
});

void test('another series than before: idle ones go at once, leased ones when they come back', async () => {
  const story = openPool({ connections: 3 }, { minor: null });
  const minors = [2, 2, 3];
  story.dialler.onAccept(({ peer }) => peer.send(greeting(minors.shift() ?? 3)));
  const first = await story.leased();
  const second = await story.leased();
  assert.equal(story.pool.series, '2.3');
  const third = await story.leased();
  assert.equal(third.upstream?.server.series, '2.4');
  assert.equal(story.pool.series, '2.4');
  await second.finish();
  assert.deepEqual(closings(story), ['mail1-2 series-changed']);
  await third.finish();
  await first.finish();
  assert.deepEqual(closings(story), ['mail1-2 series-changed', 'mail1-1 series-changed']);
  assertSizes(story, '0 1 0 0');
  await assertEnds(story);
});

void test('another series than before, found by a dial that nobody waits for any more', async () => {
  const story = openPool({ connections: 2 }, { minor: null });
  const first = await story.leased();
  const second = await story.leased();
  at(story.dialler.ends, 0).peer.send(greeting(2));
  await settle();
  await first.finish();
  assert.equal(second.outcome, 'leased');
  await second.finish();
  assertSizes(story, '1 1 0 0');
  at(story.dialler.ends, 1).peer.send(greeting(4));
  await settle();
  assert.deepEqual(closings(story), ['mail1-1 series-changed']);
  assertSizes(story, '0 1 0 0');
  await assertEnds(story);
});

void test('a newer Dovecot is told once, also after it was away', async () => {
  const story = openPool({ connections: 2 }, { minor: 5 });
  const told = (): unknown[] =>
    story.events.flatMap((event) => (event.kind === 'backend-newer' ? [event] : []));
  for (let n = 0; n < 2; n += 1) await story.leased();
  assert.deepEqual(told(), [
    { kind: 'backend-newer', level: 'warn', backend: 'mail1', minor: 5, newer: 'reads' },
  ]);
  assert.ok(story.pool.snapshot().isNewer);
  await assertEnds(story);
});

void test('a series that is configured is known from the start, and another one is refused', async () => {
  const story = openPool({}, { configured: { series: '2.4', release: undefined, newer: 'reads' }, minor: 2 });
  assert.equal(story.pool.series, '2.4');
  assertFault(await story.leased(), 'version-unsupported');
  await assertEnds(story);
});

// bounds.upstreamLifetimeMs
void test('an old upstream is closed when it comes back', async () => {
  const story = openPool({ maxLifetimeMs: 30_000 });
  const first = await story.leased();
  await story.clock.advance(29_999);
  await first.finish();
  assertSizes(story, '0 1 0 0');
  const second = await story.leased();
  assert.equal(second.upstream?.id, 'mail1-1');
  await story.clock.advance(1);
  await second.finish();
  assert.deepEqual(closings(story), ['mail1-1 lifetime']);
  await assertEnds(story);
});

void test('Dovecot was restarted: nobody is leased, given or handed over an upstream whose path shows another socket', async () => {
  const story = openPool({ connections: 1, freshForMs: Number.POSITIVE_INFINITY });
  await (await story.leased()).finish();
  at(story.dialler.ends, 0).peer.replace();
  const second = await story.leased();
  assert.equal(second.upstream?.id, 'mail1-2');
  const [third, fourth] = [await story.leased({ isYoung: true }), await story.leased()];
  await second.finish();
  assert.equal(third.upstream?.id, 'mail1-2');
  at(story.dialler.ends, 1).peer.replace();
  await third.finish();
  assert.equal(fourth.upstream?.id, 'mail1-3');
  await fourth.finish();
  assert.deepEqual(closings(story), ['mail1-1 stale', 'mail1-2 stale']);
  await assertEnds(story);
});

void test('Dovecot was restarted during a dial: what was dialled is not given', async () => {
  const story = openPool({}, { minor: null });
  const leasing = await story.leased();
  const { peer } = at(story.dialler.ends, 0);
  peer.replace();
  peer.send(greeting(2));
  await settle();
  assertSizes(story, '1 0 0 1');
  at(story.dialler.ends, 1).peer.send(greeting(2));
  await settle();
  assert.equal(leasing.upstream?.id, 'mail1-2');
  await assertEnds(story);
});

// bounds.upstreamFreshMs
void test('a change gets an upstream that was dialled just now, a read any; the old one gives its room', async () => {
  const story = openPool({ freshForMs: 1_000 });
  await (await story.leased()).finish();
  await story.clock.advance(999);
  await (await story.leased({ isYoung: true })).finish();
  await story.clock.advance(1);
  const read = await story.leased();
  assert.equal(read.upstream?.id, 'mail1-1');
  await read.finish();
  const change = await story.leased({ isYoung: true });
  assert.equal(change.upstream?.id, 'mail1-2');
  await change.finish();
  assert.deepEqual(closings(story), ['mail1-1 renewed']);
  assertSizes(story, '0 1 0 0');
  await assertEnds(story);
});

void test('a change that waits is not passed over for reads that take the old upstream', async () => {
  const story = openPool({ connections: 1, freshForMs: 1_000 });
  const first = await story.leased();
  await story.clock.advance(1_000);
  const change = await story.leased({ isYoung: true });
  const read = await story.leased();
  await first.finish();
  assert.deepEqual([change.upstream?.id, read.outcome], ['mail1-2', 'waiting']);
  await change.finish();
  assert.equal(read.upstream?.id, 'mail1-2');
  await assertEnds(story);
});

void test('while nothing may be dialled, a change waits, and reads go on with what is there', async () => {
  const story = openPool({ connections: 3, freshForMs: 1_000 });
  const [held, other] = [await story.leased(), await story.leased()];
  await other.finish();
  await story.clock.advance(1_000);
  story.dialler.setAnswer('refuse');
  const change = await story.leased({ isYoung: true });
  // The idle one gave its room to a dial that failed.
  assertSizes(story, '0 0 1 1');
  const read = await story.leased();
  await held.finish();
  assert.deepEqual([read.upstream?.id, change.outcome], ['mail1-1', 'waiting']);
  await read.finish();
  story.dialler.setAnswer('accept');
  await story.clock.advance(500);
  assert.equal(change.upstream?.id, 'mail1-3');
  await assertEnds(story);
});

void test('drain: while it dials, greets, has just been greeted, waits, or is held back', async () => {
  for (const phase of ['dials', 'greets', 'is greeted', 'waits', 'is held back'] as const) {
    const story = openPool({ connections: 2 }, { minor: phase.includes('greet') ? null : 2 });
    const running = phase === 'waits' || phase === 'is held back' ? [await story.leased()] : [];
    if (phase === 'waits') running.push(await story.leased());
    if (phase === 'dials') story.dialler.setAnswer('hang');
    if (phase === 'is held back') story.dialler.setAnswer('refuse');
    const waiting = await story.leased();
    assert.equal(waiting.outcome, 'waiting');
    if (phase === 'is greeted') at(story.dialler.ends, 0).peer.send(greeting(2));
    story.pool.drain();
    await settle();
    assertRefused(waiting, 'draining');
    assert.equal(story.clock.timers, running.length);
    // A dial that was given up is no fault of the backend.
    assert.equal(
      story.events.filter(({ kind }) => kind === 'dial-failed').length,
      phase === 'is held back' ? 1 : 0,
    );
    await assertEnds(story);
  }
});

void test('an upstream that comes back goes to whose turn it is at once, and is never idle between', async () => {
  const story = openPool({ connections: 1 });
  const first = await story.leased();
  const { upstream } = first;
  // The holder of the only upstream has had its turn: another principal comes before the next command of its own.
  const [third, second] = [await story.leased(), await story.leased({ principal: 'other@support' })];
  const timersMs = story.clock.timers;
  await first.finish();
  assert.deepEqual([second.upstream?.id, third.outcome], [upstream?.id, 'waiting']);
  assert.deepEqual([upstream?.exchanges, story.clock.timers], [2, timersMs - 1]);
  await second.finish();
  assert.equal(third.upstream?.id, upstream?.id);
  await assertEnds(story);
});

// Goal: upstreams are there before somebody asks, and only sound ones. Phases: kept ready, aging, lifetime; a Dovecot that reloads,
// stops, stops and lives on in its processes, or keeps no connection; drain and enable. What must not happen: a rush of dials, a
// dead upstream that is handed out, a client that waits for a backend that is known to be away.

void test('kept ready from the start, two dials at a time, and no more than are to be kept', async () => {
  const story = openPool({ connections: 6, idle: 4 }, { minor: null });
  await settle();
  assert.equal(story.dialler.dials, 0, 'nothing before the start');
  story.pool.start();
  await settle();
  assert.equal(story.dialler.dials, 2);
  for (let n = 0; n < 4; n += 1) {
    at(story.dialler.ends, n).peer.send(greeting(2));
    await settle();
  }
  assert.deepEqual([story.dialler.dials, poolSizes(story.pool)], [4, [0, 4, 0, 0]]);
  // Those that run count: they come back.
  await story.leased();
  assert.deepEqual([story.dialler.dials, poolSizes(story.pool)], [4, [0, 3, 1, 0]]);
  await assertEnds(story);
});

// bounds.upstreamIdleMs
void test('those that are kept do not age; the surplus does; a lifetime ends all of them, one replaced after the other', async () => {
  const limits = { connections: 4, idle: 1, idleTimeoutMs: 10_000, maxLifetimeMs: 60_000, lookEveryMs: 1e9 };
  const story = openPool(limits, { chance: () => 0.5 });
  story.pool.start();
  await settle();
  const three = [await story.leased(), await story.leased(), await story.leased()];
  for (const leasing of three) await leasing.finish();
  await story.clock.advance(10_000);
  assert.deepEqual(closings(story), ['mail1-1 idle-timeout', 'mail1-2 idle-timeout']);
  await story.clock.advance(46_999);
  assert.deepEqual(poolSizes(story.pool), [0, 1, 0, 0]);
  assert.equal(story.dialler.dials, 3);
  // A tenth of the lifetime is chance, here half of it.
  await story.clock.advance(1);
  assert.deepEqual(closings(story).slice(2), ['mail1-3 lifetime']);
  assert.deepEqual([story.dialler.dials, poolSizes(story.pool)], [4, [0, 1, 0, 0]]);
  await assertEnds(story);
});

void test('with idle 0 an upstream serves who waits already, and is closed at once when nobody does', async () => {
  const story = openPool({ connections: 1, idle: 0 });
  story.pool.start();
  const two = [await story.leased(), await story.leased()];
  await at(two, 0).finish();
  assert.equal(at(two, 1).upstream?.exchanges, 2);
  await at(two, 1).finish();
  await story.clock.advance(0);
  assert.deepEqual(closings(story), ['mail1-1 idle-timeout']);
  // Also one whose client left while it was dialled.
  story.lease().abort('gone');
  await story.clock.advance(0);
  assert.deepEqual([story.dialler.dials, poolSizes(story.pool)], [2, [0, 0, 0, 0]]);
  await assertEnds(story);
});

void test('a server command gets one that is ready and unused, and another one takes its place', async () => {
  const story = openPool({ connections: 4, idle: 1 });
  story.pool.start();
  await settle();
  const fresh = await story.leased({ isFresh: true });
  assert.deepEqual([fresh.upstream?.id, fresh.upstream?.exchanges], ['mail1-1', 1]);
  assert.deepEqual(poolSizes(story.pool), [0, 1, 1, 0]);
  // It is closed whatever its exchange says.
  await fresh.finish();
  assert.deepEqual(closings(story), ['mail1-1 not-reusable']);
  await assertEnds(story);
});

void test('PROTOCOL 12 trap 27: idle upstreams that a reload ends are replaced, and no client notices', async () => {
  const story = openPool({ connections: 4, idle: 2 });
  story.pool.start();
  await story.clock.advance(5_000);
  const reloaded = story.dialler.open;
  for (const { peer } of reloaded) {
    peer.send(logPacket('warning', 'Killed with signal 15 (by pid=1 uid=0 code=kill)'));
    peer.end();
  }
  await settle();
  assert.deepEqual([poolSizes(story.pool), story.pool.snapshot().health], [[0, 2, 0, 0], 'up']);
  for (const { transport } of reloaded) assert.notEqual(transport.closedFor, undefined);
  const next = await story.leased();
  assert.equal(next.outcome, 'leased');
  await assertEnds(story);
});

void test('PROTOCOL 9: a Dovecot that stopped is found out though its processes live on', async () => {
  const story = openPool({ connections: 3, redialMs: 500 });
  const three = [await story.leased(), await story.leased(), await story.leased()];
  for (const leasing of three) await leasing.finish();
  await story.clock.advance(5_000);
  story.dialler.setAnswer('refuse');
  for (let n = 0; n < 2; n += 1) await (await story.leased()).finish('not-reusable', 'tempfail');
  assert.deepEqual(closings(story), ['mail1-3 not-reusable', 'mail1-2 not-reusable', 'mail1-1 stale']);
  const next = await story.leased();
  assertFault(next, 'dial-refused');
  story.dialler.setAnswer('accept');
  await story.clock.advance(500);
  const again = await story.leased();
  assert.equal(again.outcome, 'leased');
  await assertEnds(story);
});

void test('a Dovecot that stopped while nobody asks is found out by looking, twice', async () => {
  const story = openPool({ connections: 3, idle: 1, redialMs: 500, lookEveryMs: 4_000 });
  story.pool.start();
  await settle();
  story.dialler.setAnswer('refuse');
  await story.clock.advance(4_000);
  assert.equal(story.pool.snapshot().health, 'pausing');
  await story.clock.advance(500);
  assert.deepEqual([closings(story), story.pool.snapshot().health], [['mail1-1 stale'], 'down']);
  story.dialler.setAnswer('accept');
  await story.clock.advance(4_000);
  assert.deepEqual([story.pool.snapshot().health, poolSizes(story.pool)], ['up', [0, 1, 0, 0]]);
  await assertEnds(story);
});

void test('PROTOCOL 12 trap 25: a backend at its process limit refuses nobody who can be served', async () => {
  const story = openPool({ connections: 3, queue: 10, redialMs: 500 }, { minor: null });
  const running = await story.leased();
  at(story.dialler.ends, 0).peer.send(greeting(2));
  await settle();
  assert.equal(running.outcome, 'leased');
  // The others are accepted and mute.
  const waiting = [story.lease(), story.lease(), story.lease()];
  await story.clock.advance(2_000);
  assert.deepEqual([...new Set(waiting.map(({ outcome }) => outcome))], ['waiting']);
  assert.equal(story.pool.snapshot().failed.greeting, 2);
  await running.finish();
  for (const leasing of waiting) {
    assert.equal(leasing.outcome, 'leased');
    await leasing.finish();
  }
  await assertEnds(story);
});

for (const idle of [1, 3])
  void test(`a Dovecot that restarts ends ${idle} new connections: they are replaced, and no command is refused`, async () => {
    const story = openPool({ connections: 4, idle });
    story.pool.start();
    await settle();
    assert.deepEqual(poolSizes(story.pool), [0, idle, 0, 0]);
    for (const { peer } of story.dialler.open) peer.end();
    await settle();
    const next = await story.leased();
    assert.equal(next.outcome, 'leased');
    await next.finish();
    assert.deepEqual([poolSizes(story.pool), story.pool.snapshot().health], [[0, idle, 0, 0], 'up']);
    assert.ok(!story.events.some(({ kind }) => kind === 'backend-down'));
    await assertEnds(story);
  });

void test('one that stops then is down with the first dial that fails', async () => {
  const story = openPool({ connections: 4, idle: 1 });
  story.pool.start();
  await settle();
  story.dialler.setAnswer('refuse');
  for (const { peer } of story.dialler.open) peer.end();
  await settle();
  const next = await story.leased();
  assertFault(next, 'dial-refused');
  assert.deepEqual([story.dialler.dials, story.pool.snapshot().health], [2, 'down']);
  await assertEnds(story);
});

for (const idle of [1, 3])
  void test(`a backend that greets and keeps none of ${idle} connections is not dialled in a circle`, async () => {
    const limits = { connections: 3, idle, redialMs: 500, redialMaxMs: 4_000 };
    const story = openPool(limits, { minor: null });
    story.dialler.onAccept(({ peer }) => {
      peer.send(greeting(2));
      setImmediate(() => peer.end());
    });
    story.pool.start();
    for (let n = 0; n < 600; n += 1) await story.clock.advance(100);
    const { dials } = story.dialler;
    assert.ok(dials >= 10 && dials <= 25 * idle, `${dials} dials in a minute`);
    assert.ok(story.pool.snapshot().failed.greeting >= 10);
    assert.equal(story.events.filter(({ kind }) => kind === 'backend-down').length > 0, true);
    await assertEnds(story);
  });

void test('drained by an operator: idle ones go, who waits and comes is refused, what runs ends; and back', async () => {
  const story = openPool({ connections: 2, idle: 1 });
  story.pool.start();
  await settle();
  const [first, second] = [await story.leased(), await story.leased()];
  const waiting = await story.leased();
  await second.finish();
  assert.equal(waiting.outcome, 'leased');
  const late = await story.leased();
  story.pool.setDrained(true);
  await settle();
  for (const refused of [late, await story.leased()]) assertRefused(refused, 'backend-drained');
  assert.deepEqual([poolSizes(story.pool), story.pool.snapshot().health], [[0, 0, 2, 0], 'drained']);
  await first.finish();
  await waiting.finish();
  assert.deepEqual([waiting.outcome, poolSizes(story.pool)], ['ended', [0, 0, 0, 0]]);
  assert.equal(story.clock.timers, 0);
  story.pool.setDrained(true);
  story.pool.setDrained(false);
  await settle();
  assert.deepEqual([poolSizes(story.pool), story.pool.snapshot().health], [[0, 1, 0, 0], 'up']);
  const again = await story.leased();
  assert.equal(again.outcome, 'leased');
  await assertEnds(story);
  story.pool.setDrained(false);
  assert.equal(story.pool.snapshot().health, 'drained', 'nothing leads back from the end of the daemon');
});

void test('drained from the beginning: started, it dials nothing before it is enabled', async () => {
  const story = openPool({ connections: 2, idle: 1 });
  story.pool.setDrained(true);
  story.pool.start();
  await story.clock.advance(60_000);
  assert.equal(story.dialler.dials, 0);
  story.pool.setDrained(false);
  await settle();
  assert.deepEqual(poolSizes(story.pool), [0, 1, 0, 0]);
  await assertEnds(story);
});

void test('a backend that was down is dialled by itself after a drain, and by the pool of a reload; its outage ends once', async () => {
  const away = openPool();
  away.dialler.setAnswer('refuse');
  assertFault(await away.leased(), 'dial-refused');
  away.pool.setDrained(true);
  await away.clock.advance(3_000);
  assert.equal(away.dialler.dials, 1);
  away.pool.setDrained(false);
  await settle();
  assert.deepEqual([away.dialler.dials, away.pool.snapshot().health], [2, 'down']);
  const back = openPool({}, { past: away.pool.past, clock: away.clock });
  away.pool.setDrained(true);
  for (let reload = 0; reload < 2; reload += 1) {
    back.pool.start();
    await settle();
  }
  assert.deepEqual([back.dialler.dials, back.pool.snapshot().health], [1, 'up']);
  const ups = back.events.filter(({ kind }) => kind === 'backend-up');
  const durations = ups.map((event) => 'duration_ms' in event && event.duration_ms);
  assert.deepEqual(durations, [3_000]);
  await assertEnds(back);
  await assertEnds(away);
});
