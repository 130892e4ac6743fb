// Goal: upstreams are there before somebody asks, and only sound ones. Phases: kept ready, aging, lifetime; a Dovecot that reloads,
// stops, stops and lives on in its processes, or keeps no connection; drain and enable. What must not happen: a rush of dials, a
// dead upstream that is handed out, a client that waits for a backend that is known to be away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, greeting, logPacket, poolSizes } from '../../kit/gate/memory-backend.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { assertEnds, assertFault, assertRefused, closings, openPool } from './pooled.js';

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
