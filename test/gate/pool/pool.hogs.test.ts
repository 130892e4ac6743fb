// Goal: one principal does not keep an upstream from the others. Phases: half of the upstreams while others wait, in every order; upstreams
// that are still dialled; clients that hold theirs up while others wait. What must not happen: a lease that is taken away for the half, an
// upstream that stays idle while somebody waits, a client given up for whom nobody else waits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SlowClient } from '../../../src/gate/pool/lease.js';
import { greeting } from '../../kit/gate/memory-backend.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { type Leasing, openPool, type PooledStory } from './pooled.js';

const wide = { queue: 500, queueTimeoutMs: 600_000 };
const leasedOf = (all: readonly Leasing[], principal: string): number =>
  all.filter((each) => each.outcome === 'leased' && each.principal === principal).length;
const waitingOf = (all: readonly Leasing[], principal: string): number =>
  all.filter((each) => each.outcome === 'waiting' && each.principal === principal).length;

for (const [connections, half] of [
  [2, 1],
  [3, 1],
  [4, 2],
  [8, 4],
] as const) {
  void test(`${connections} upstreams: what is held stays, and beyond ${half} no new one while another waits`, async () => {
    const story = openPool({ ...wide, connections });
    const greedy = Array.from({ length: 3 * connections }, () =>
      story.lease({ principal: 'greedy@support' }),
    );
    await settle();
    assert.equal(leasedOf(greedy, 'greedy@support'), connections, 'nobody else waits');
    const others = Array.from({ length: 3 * connections }, () => story.lease({ principal: 'other@support' }));
    await settle();
    assert.equal(leasedOf(greedy, 'greedy@support'), connections, 'nothing is taken away');
    for (let n = 0; n < half; n += 1) {
      await greedy.find(({ outcome }) => outcome === 'leased')?.finish();
      assert.equal(leasedOf(others, 'other@support'), n + 1, 'each that comes free is the other one’s');
    }
    story.pool.drain();
  });
}

void test('whatever comes and goes: nobody gets a new one beyond half while somebody with less waits, and none stays idle', async () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const random = seededRandom(seed);
    const connections = 1 + Math.floor(random() * 6);
    const half = Math.max(1, Math.floor(connections / 2));
    const story = openPool({ ...wide, connections });
    const principals = ['a@x', 'b@x', 'c@x', 'd@x'];
    let all: Leasing[] = [];
    for (let n = 0; n < 400; n += 1) {
      const before = new Map(all.map((each) => [each, each.outcome]));
      const running = all.filter(({ outcome }) => outcome === 'leased');
      // One thing at a time, so that each new lease is seen with those who wait beside it.
      if (random() < 0.5 && running.length > 0) {
        const one = running[Math.floor(random() * running.length)];
        await one?.finish(one.isFresh || random() < 0.2 ? 'not-reusable' : undefined);
      } else if (random() < 0.1) {
        all.find(({ outcome }) => outcome === 'waiting')?.abort('gone');
        await settle();
      } else {
        const principal = principals[Math.floor(random() ** 2 * principals.length)] ?? '';
        all.push(story.lease({ principal, isFresh: random() < 0.1 }));
        await settle();
      }
      for (const each of all) {
        if (each.outcome !== 'leased' || before.get(each) === 'leased') continue;
        const own = leasedOf(all, each.principal);
        const hungry = principals.filter(
          (other) =>
            other !== each.principal &&
            waitingOf(all, other) > 0 &&
            leasedOf(all, other) < half &&
            hasPlain(all, other),
        );
        assert.ok(
          own <= half || hungry.length === 0,
          `seed ${seed}, ${n}: ${each.principal} has ${own} of ${connections}, ${hungry.join()} waits`,
        );
      }
      const { idle, dialing } = story.pool.snapshot();
      const waits = all.some(({ outcome, isFresh }) => outcome === 'waiting' && !isFresh);
      assert.ok(!waits || idle === 0 || dialing > 0, `seed ${seed}, ${n}: ${idle} idle`);
      all = all.filter(({ outcome }) => outcome === 'leased' || outcome === 'waiting');
    }
    story.pool.drain();
  }
});

/** Somebody of it waits for any upstream, not only for a fresh one. */
function hasPlain(all: readonly Leasing[], principal: string): boolean {
  return all.some((each) => each.principal === principal && each.outcome === 'waiting' && !each.isFresh);
}

void test('upstreams that are still dialled for one principal are for another that comes meanwhile', async () => {
  const story = openPool({ ...wide, connections: 4 }, { minor: null });
  const greedy = Array.from({ length: 8 }, () => story.lease({ principal: 'greedy@support' }));
  await settle();
  assert.equal(story.dialler.dials, 4);
  const others = Array.from({ length: 3 }, () => story.lease({ principal: 'other@support' }));
  await settle();
  for (const { peer } of story.dialler.ends) peer.send(greeting(2));
  await settle();
  assert.deepEqual([leasedOf(greedy, 'greedy@support'), leasedOf(others, 'other@support')], [2, 2]);
  story.pool.drain();
});

/** The exchange of a lease waits for its client from now on, which moves so many bytes a second. */
function holdUp(story: PooledStory, leasing: Leasing, bytesEach: number): SlowClient[] {
  const given: SlowClient[] = [];
  const startMs = story.clock.now();
  assert.ok(leasing.upstream);
  leasing.upstream.pace.begin(
    {
      get movedBytes() {
        return Math.floor(((story.clock.now() - startMs) / 1000) * bytesEach);
      },
      isRated: true,
      giveUp(why) {
        given.push(why);
        leasing.upstream?.pace.end(story.clock.now());
        void leasing.finish('aborted');
      },
    },
    startMs,
  );
  return given;
}

for (const [name, rate, why] of [
  ['nothing', 0, 'client-stall'],
  ['8 KB/s', 8_192, 'client-slow'],
] as const) {
  // bounds.minRateBytes
  void test(`a client that moves ${name} is given up within 11 s, when another principal waits, and only then`, async () => {
    const story = openPool({ ...wide, connections: 1, minRateBytes: 65_536 });
    const slow = await story.leased({ principal: 'slow@support' });
    const given = holdUp(story, slow, rate);
    await story.clock.advance(20_000);
    const own = await story.leased({ principal: 'slow@support' });
    await story.clock.advance(20_000);
    assert.deepEqual([given, own.outcome], [[], 'waiting']);
    const victim = await story.leased({ principal: 'victim@support' });
    await story.clock.advance(11_000);
    // Not the other one of the same principal, though that waited before: it could hold up as well.
    assert.deepEqual([given, victim.outcome, own.outcome], [[why], 'leased', 'waiting']);
    await victim.finish();
    assert.equal(own.outcome, 'leased');
    await own.finish();
    await story.clock.advance(2_000);
    story.pool.drain();
    assert.equal(story.clock.timers, 0);
  });
}

void test('a client that moves enough, and an exchange that waits for its backend, are left alone', async () => {
  const story = openPool({ ...wide, connections: 2, minRateBytes: 65_536 });
  const honest = await story.leased({ principal: 'honest@support' });
  const given = holdUp(story, honest, 70_000);
  const thinking = await story.leased({ principal: 'honest@support' });
  const victim = await story.leased({ principal: 'victim@support' });
  await story.clock.advance(120_000);
  assert.deepEqual([given, thinking.outcome, victim.outcome], [[], 'leased', 'waiting']);
  story.pool.drain();
});

/** Of 16 s in which the client of `held` moves nothing: whether it was given up. */
async function isGivenUp(story: PooledStory, held: Leasing): Promise<boolean> {
  const given = holdUp(story, held, 0);
  await story.clock.advance(16_000);
  return given.length > 0;
}

void test('no client is given up for a principal that has its half already', async () => {
  const story = openPool({ ...wide, connections: 2 });
  const held = await story.leased({ principal: 'paused@support' });
  const others = Array.from({ length: 2 }, () => story.lease({ principal: 'other@support' }));
  await settle();
  assert.deepEqual([leasedOf(others, 'other@support'), waitingOf(others, 'other@support')], [1, 1]);
  assert.equal(await isGivenUp(story, held), false);
  story.lease({ principal: 'third@support' });
  await story.clock.advance(1_000);
  assert.equal(held.outcome, 'ended', 'this one has less');
  story.pool.drain();
});

void test('a client is given up for a command that must be alone only where that makes a place for it', async () => {
  const story = openPool({ ...wide, connections: 4 });
  const held = await story.leased({ principal: 'paused@support' });
  const servers = await Promise.all(
    ['b@jobs', 'c@jobs'].map((principal) => story.leased({ principal, isFresh: true })),
  );
  await story.leased({ principal: 'd@jobs' });
  const waiter = await story.leased({ principal: 'e@jobs', isFresh: true });
  assert.deepEqual([leasedOf(servers, 'b@jobs'), leasedOf(servers, 'c@jobs')], [1, 1]);
  assert.equal(await isGivenUp(story, held), false, 'an upstream for any command');
  assert.equal(waiter.outcome, 'waiting');
  assert.ok(servers[0]);
  assert.equal(await isGivenUp(story, servers[0]), true, 'one of the half for server commands');
  assert.equal(waiter.outcome, 'leased');
  story.pool.drain();
});

void test('no client on an upstream of a server command is given up for others, while the next server command takes its place', async () => {
  const story = openPool({ ...wide, connections: 4 });
  const server = await story.leased({ principal: 'a@jobs', isFresh: true });
  for (const principal of ['b@jobs', 'c@jobs']) await story.leased({ principal });
  await story.leased({ principal: 'd@jobs', isFresh: true });
  const plain = await story.leased({ principal: 'e@support' });
  // The only one that could be helped is its own.
  const own = await story.leased({ principal: 'a@jobs', isFresh: true });
  assert.equal(await isGivenUp(story, server), false);
  assert.deepEqual([plain.outcome, own.outcome], ['waiting', 'waiting']);
  story.pool.drain();
});

void test('no client is given up while there is room and the backend is dialled', async () => {
  const story = openPool({ ...wide, connections: 16 }, { minor: null });
  const held = story.lease({ principal: 'paused@support' });
  await settle();
  story.dialler.ends[0]?.peer.send(greeting(2));
  await settle();
  const given = holdUp(story, held, 0);
  await story.clock.advance(11_000);
  const other = await story.leased({ principal: 'other@support' });
  assert.equal(story.dialler.dials, 2);
  await story.clock.advance(1_500);
  assert.deepEqual([given, other.outcome], [[], 'waiting']);
  story.dialler.ends[1]?.peer.send(greeting(2));
  await settle();
  assert.equal(other.outcome, 'leased');
  story.pool.drain();
});
