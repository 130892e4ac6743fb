// Goal: transfers that move, however fast, keep no principal waiting for 15 s. Phases: every way to hold all upstreams, by one principal,
// by accounts of one place, by many principals; whose lease ends, and who gets the upstream.
// What must not happen: a transfer that ends though its principal has no more than its share, or though nobody needs it; an end
// where nothing moves and the backend is waited for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demandedRate } from '../../../src/gate/pool/fair-share.js';
import type { SlowClient, Transfer } from '../../../src/gate/pool/lease.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { greeting, memoryTarget } from '../../kit/gate/memory-backend.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { column } from '../../kit/plain/columns.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { type Asked, assertEnds, assertRefused, type Leasing, openPool, type PooledStory } from './pooled.js';

const minRateBytes = 65_536;
const wide = { queue: 500, queueTimeoutMs: 600_000, minRateBytes };

type Rate = number | 'fast' | 'thinks';

interface Mover {
  readonly leasing: Leasing;
  readonly given: SlowClient[];
}

/**
 * From now on bytes of this lease move. `fast`: its client is never waited for; `thinks`: nothing moves, and its client is not waited
 * for either.
 */
function move(story: PooledStory, leasing: Leasing, rate: Rate): Mover {
  const { transfer, given, pace } = transferOf(story, leasing, rate === 'fast' ? 1_000_000_000 : rate);
  pace.transfer = transfer;
  if (typeof rate === 'number') pace.begin(transfer, story.clock.now());
  return { leasing, given };
}

function transferOf(story: PooledStory, leasing: Leasing, rate: number | 'thinks') {
  const given: SlowClient[] = [];
  const { clock } = story;
  const { pace } = leasing.upstream ?? assert.fail('not leased');
  const transfer: Transfer & { isRated: boolean } = {
    startMs: clock.now(),
    isRated: true,
    get movedBytes() {
      return rate === 'thinks' ? 0 : Math.floor(((clock.now() - this.startMs) / 1000) * rate);
    },
    giveUp(why) {
      given.push(why);
      pace.end(clock.now());
      void leasing.finish('aborted');
    },
  };
  return { transfer, given, pace };
}

/** Leases for `asked`, all of which move; every one that ends comes again. */
async function hold(story: PooledStory, asked: readonly Asked[], rate: (at: number) => Rate) {
  const movers: Mover[] = [];
  const waiting = new Set<{ readonly leasing: Leasing; readonly at: number }>();
  for (const [at, one] of asked.entries()) waiting.add({ leasing: story.lease(one), at });
  const step = async (): Promise<void> => {
    await settle();
    for (const each of waiting) {
      if (each.leasing.upstream === undefined) continue;
      waiting.delete(each);
      movers.push(move(story, each.leasing, rate(each.at)));
    }
    for (const [at, { leasing }] of movers.entries()) {
      if (leasing.outcome === 'leased') continue;
      movers.splice(at, 1);
      const again = { principal: leasing.principal, origin: leasing.origin };
      waiting.add({ leasing: story.lease(again), at });
      ended += 1;
    }
  };
  let ended = 0;
  await step();
  return {
    get ended() {
      return ended;
    },
    async pass(ms: number, isOver: () => boolean): Promise<number> {
      for (let passed = 0; passed < ms; passed += 100) {
        if (isOver()) return passed;
        await story.clock.advance(100);
        await step();
      }
      return ms;
    },
  };
}

const speeds: readonly (readonly [string, (at: number) => Rate])[] = [
  ['90 KB/s', () => 90_000],
  ['1 MB/s', () => 1_000_000],
  ['1 GB/s, held up by their backend only', () => 'fast'],
  ['nothing, since their backend is silent', () => 'thinks'],
  ['a mixture', (at) => [90_000, 1_000_000, 10_000_000, 'fast' as const][at % 4] ?? 0],
];
const ownAddress = (count: number): readonly Asked[] =>
  Array.from({ length: count }, (_, at) => ({ principal: `hog${at}@jobs` }));
const crowds: readonly (readonly [string, (connections: number) => readonly Asked[], longestMs: number])[] = [
  ['one principal', (n) => Array.from({ length: 4 * n }, () => ({ principal: 'hog@jobs' })), 12_000],
  [
    'accounts of one address',
    (n) => Array.from({ length: 4 * n }, (_, at) => ({ principal: `hog${at}@jobs`, origin: '192.0.2.1' })),
    12_000,
  ],
  ['as many addresses as upstreams', ownAddress, 12_000],
  // Each upstream goes to one more of them before.
  ['twice as many addresses as upstreams', (n) => ownAddress(2 * n), 15_000],
  ['four times as many addresses as upstreams', (n) => ownAddress(4 * n), 22_000],
];
for (const [crowd, askedOf, longestMs] of crowds) {
  for (const [speed, rate] of speeds) {
    void test(`${crowd}, with ${speed}: others wait less than ${longestMs / 1000} s, each time`, async () => {
      for (const connections of [1, 4]) {
        const story = openPool({ ...wide, connections });
        const hogs = await hold(story, askedOf(connections), rate);
        await hogs.pass(20_000, () => false);
        for (const round of [1, 2, 3]) {
          const before = hogs.ended;
          const victim = story.lease({ principal: 'victim@support' });
          const waitMs = await hogs.pass(30_000, () => victim.outcome === 'leased');
          assert.ok(waitMs < longestMs, `${connections} upstreams, round ${round}: ${waitMs} ms`);
          if (crowd === 'one principal') assert.equal(hogs.ended - before, 1, 'no more than is needed');
          await victim.finish();
        }
        story.pool.drain();
      }
    });
  }
}

void test('accounts of one address with commands of 2 s each: after 5 s the next upstream is for another address', async () => {
  for (const connections of [1, 4]) {
    const story = openPool({ ...wide, connections });
    const asked = Array.from({ length: 32 * connections }, (_, at) => ({
      principal: `hog${at}@jobs`,
      origin: '192.0.2.1',
    }));
    let hogs = asked.map((one) => story.lease(one));
    const step = async (): Promise<void> => {
      const running = hogs.filter(({ outcome }) => outcome === 'leased');
      await story.clock.advance(2_000);
      for (const one of running) {
        await one.finish();
        hogs.push(story.lease({ principal: one.principal, origin: one.origin }));
      }
      hogs = hogs.filter(({ outcome }) => outcome !== 'ended');
      await settle();
    };
    for (let n = 0; n < 3; n += 1) await step();
    const victim = await story.leased({ principal: 'victim@support', origin: '192.0.2.2' });
    let waitedMs = 0;
    for (; victim.outcome === 'waiting' && waitedMs < 60_000; waitedMs += 2_000) await step();
    assert.ok(waitedMs <= 8_000, `${connections} upstreams: ${waitedMs} ms`);
    story.pool.drain();
  }
});

// bounds.sharePatienceMs, bounds.sharePatienceMaxMs
void test('the demanded rate doubles every half second from 5 s on, and nothing suffices after 10 s', () => {
  const asked = [0, 4_999, 5_000, 5_500, 6_000, 9_000, 9_999, 10_000].map((waitedMs) =>
    Math.round(demandedRate(minRateBytes, waitedMs) / minRateBytes),
  );
  assert.deepEqual(asked, [0, 0, 1, 2, 4, 256, 1023, Number.POSITIVE_INFINITY]);
});

/** After `ms`: which of them were ended, in the order of `movers`. */
async function endedAfter(story: PooledStory, ms: number, movers: readonly Mover[]): Promise<boolean[]> {
  await story.clock.advance(ms);
  return movers.map(({ given }) => given.length > 0);
}

// [what it shows, who has the upstreams, who waits, how fast each moves]
const withinShare: readonly (readonly [string, string, string, Rate])[] = [
  ['alone, whatever else of it waits', 'aa', 'aaaaaaaaaa', 90_000],
  ['alone, as fast as it may', 'aa', 'aaaaaaaaaa', 'fast'],
  ['with half of the upstreams', 'abab', 'ab', 70_000],
  ['three upstreams and two principals: the odd one stays where it is', 'aab', 'ab', 90_000],
  ['with replies of which nothing comes', 'ab', 'ab', 'thinks'],
];
for (const [what, holders, waiters, rate] of withinShare) {
  void test(`never ended: ${what}`, async () => {
    const story = openPool({ ...wide, connections: holders.length });
    const movers: Mover[] = [];
    for (const principal of holders) movers.push(move(story, await story.leased({ principal }), rate));
    for (const principal of waiters) story.lease({ principal });
    const ended = await endedAfter(story, 120_000, movers);
    assert.ok(!ended.includes(true));
    story.pool.drain();
  });
}

void test('the slowest ends first, and only one', async () => {
  const story = openPool({ ...wide, connections: 3 });
  const movers: Mover[] = [];
  for (const rate of [1_000_000, 100_000, 10_000_000])
    movers.push(move(story, await story.leased({ principal: 'hog@jobs' }), rate));
  const victim = story.lease({ principal: 'victim@support' });
  assert.deepEqual(await endedAfter(story, 7_000, movers), [false, true, false]);
  assert.equal(victim.outcome, 'leased');
  assert.deepEqual(await endedAfter(story, 60_000, movers), [false, true, false]);
  story.pool.drain();
});

void test('of equal ones the longest ends first', async () => {
  const story = openPool({ ...wide, connections: 3 });
  const movers: Mover[] = [];
  for (const principal of ['a@x', 'b@x', 'c@x']) {
    await story.clock.advance(1_000);
    movers.unshift(move(story, await story.leased({ principal }), 'fast'));
  }
  story.lease({ principal: 'victim@support' });
  assert.deepEqual(await endedAfter(story, 11_000, movers), [false, false, true]);
  story.pool.drain();
});

void test('the reason says whether it was slower than min_rate', async () => {
  for (const [rate, why] of [
    [0, 'client-stall'],
    [8_192, 'client-slow'],
    [90_000, 'over-share'],
    ['fast', 'over-share'],
  ] as const) {
    const story = openPool({ ...wide, connections: 1 });
    const mover = move(story, await story.leased({ principal: 'hog@jobs' }), rate);
    const victim = story.lease({ principal: 'victim@support' });
    await story.clock.advance(11_000);
    assert.deepEqual([mover.given, victim.outcome], [[why], 'leased']);
    await victim.finish();
    story.pool.drain();
    assert.equal(story.clock.timers, 0);
  }
});

void test('of a reply of which nothing comes no rate is demanded; after 10 s one ends, and what may change something never does', async () => {
  const story = openPool({ ...wide, connections: 4 });
  const hog = { principal: 'hog@jobs' };
  const silent = [1, 2, 3].map(() => story.lease(hog));
  await settle();
  const movers = silent.map((leasing) => move(story, leasing, 'thinks'));
  const change = await story.leased(hog);
  const victim = story.lease({ principal: 'victim@support' });
  assert.deepEqual(await endedAfter(story, 9_900, movers), [false, false, false]);
  assert.equal((await endedAfter(story, 600, movers)).filter(Boolean).length, 1);
  assert.deepEqual([victim.outcome, change.outcome], ['leased', 'leased']);
  await victim.finish();
  await endedAfter(story, 120_000, movers);
  assert.equal(movers.flatMap(({ given }) => given).join(), 'over-share', 'no more than is needed');
  story.pool.drain();
});

void test('no rate is demanded of a client that was slow while its backend is silent', async () => {
  const story = openPool({ ...wide, connections: 1 });
  const hog = move(story, await story.leased({ principal: 'hog@jobs' }), 8_192);
  story.lease({ principal: 'victim@support' });
  await story.clock.advance(4_000);
  const pace = hog.leasing.upstream?.pace;
  assert.ok(pace?.transfer);
  pace.end(story.clock.now());
  const { startMs, movedBytes } = pace.transfer;
  pace.transfer = { startMs, movedBytes, giveUp: (why) => void hog.given.push(why) };
  assert.deepEqual(await endedAfter(story, 5_900, [hog]), [false]);
  assert.deepEqual(await endedAfter(story, 1_000, [hog]), [true]);
  story.pool.drain();
});

void test('changes on all upstreams are left alone, however long others wait', async () => {
  const story = openPool({ ...wide, connections: 2 });
  const changes = [1, 2].map(() => story.lease({ principal: 'hog@jobs' }));
  await settle();
  const victim = story.lease({ principal: 'victim@support' });
  await story.clock.advance(120_000);
  assert.deepEqual(column([...changes, victim], 'outcome'), ['leased', 'leased', 'waiting']);
  story.pool.drain();
});

// bounds.transferMinMs
void test('a transfer has 3 s, though another principal has waited for long', async () => {
  const story = openPool({ ...wide, connections: 1 });
  const change = await story.leased({ principal: 'hog@jobs' });
  const next = story.lease({ principal: 'next@jobs' });
  const victim = story.lease({ principal: 'victim@support' });
  await story.clock.advance(30_000);
  await change.finish();
  const mover = move(story, next, 90_000);
  assert.deepEqual(await endedAfter(story, 2_900, [mover]), [false]);
  assert.deepEqual(await endedAfter(story, 700, [mover]), [true]);
  assert.equal(victim.outcome, 'leased');
  story.pool.drain();
});

void test('accounts of one address count as one against others, and as several among each other', async () => {
  const story = openPool({ ...wide, connections: 4 });
  const panel = (key: string): Asked => ({ principal: `${key}@panel`, origin: '192.0.2.10' });
  const movers: Mover[] = [];
  for (const key of ['a', 'b', 'c', 'd']) movers.push(move(story, await story.leased(panel(key)), 90_000));
  const first = story.lease({ principal: 'victim@support' });
  const second = story.lease({ principal: 'victim@support' });
  const third = story.lease({ principal: 'victim@support' });
  assert.equal((await endedAfter(story, 60_000, movers)).filter(Boolean).length, 2, 'half for each address');
  assert.deepEqual([first.outcome, second.outcome, third.outcome], ['leased', 'leased', 'waiting']);
  third.abort('gone');
  // One of the two that the address has left, not one of the other address.
  const own = story.lease(panel('e'));
  await endedAfter(story, 12_000, movers);
  assert.equal(movers.filter(({ given }) => given.length > 0).length, 3);
  assert.deepEqual([own.outcome, first.outcome, second.outcome], ['leased', 'leased', 'leased']);
  story.pool.drain();
});

void test('a neighbor of the hog is not ended for it', async () => {
  const story = openPool({ ...wide, connections: 4 });
  const hog = { principal: 'hog@jobs', origin: '192.0.2.10' };
  const movers = [
    move(story, await story.leased({ principal: 'neighbor@jobs', origin: hog.origin }), 10_000_000),
  ];
  for (let n = 0; n < 3; n += 1) movers.push(move(story, await story.leased(hog), 10_000_000));
  const victims = [1, 2].map(() => story.lease({ principal: 'victim@support' }));
  assert.deepEqual(await endedAfter(story, 60_000, movers), [false, true, true, false]);
  assert.deepEqual(column(victims, 'outcome'), ['leased', 'leased']);
  story.pool.drain();
});

// One principal does not keep an upstream from the others.
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
function holdUp(story: PooledStory, leasing: Leasing, rate: number): SlowClient[] {
  const { transfer, given, pace } = transferOf(story, leasing, rate);
  pace.begin(transfer, story.clock.now());
  return given;
}

for (const [name, rate, why] of [
  ['nothing', 0, 'client-stall'],
  ['8 KB/s', 8_192, 'client-slow'],
] as const) {
  // bounds.minRateBytes
  void test(`a client that moves ${name} is given up within 11 s, when another principal waits, and only then`, async () => {
    const story = openPool({ ...wide, connections: 1 });
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
  const story = openPool({ ...wide, connections: 2 });
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

for (const [what, connections, begin] of [
  ['no transfer ends', 2, (story: PooledStory, leasing: Leasing) => move(story, leasing, 90_000).given],
  ['no client is given up', 16, (story: PooledStory, leasing: Leasing) => holdUp(story, leasing, 0)],
] as const)
  void test(`${what} while there is room and a dial for the waiter is under way`, async () => {
    const target = memoryTarget({ greetingTimeoutMs: 60_000 });
    const story = openPool({ ...wide, connections }, { minor: null, target });
    const held = await story.leased({ principal: 'hog@jobs' });
    story.dialler.ends[0]?.peer.send(greeting(2));
    await settle();
    const given = begin(story, held);
    const victim = await story.leased({ principal: 'victim@support' });
    assert.equal(story.dialler.dials, 2);
    await story.clock.advance(20_000);
    assert.deepEqual([given, victim.outcome], [[], 'waiting']);
    story.dialler.ends[1]?.peer.send(greeting(2));
    await settle();
    assert.equal(victim.outcome, 'leased');
    story.pool.drain();
  });

// Goal: turns at a backend are fair. Phases: a greedy principal and a newcomer; shares of those who always wait; server commands
// among mail commands. What must not happen: a newcomer that waits longer than one command's time for each upstream; server
// commands that take all places, or get none.

const commandMs = 100;

/** Lets whoever is leased finish after a command's time, and tells who was leased in this round. */
async function turnOf(story: PooledStory, all: readonly Leasing[]): Promise<Leasing[]> {
  await settle();
  const running = all.filter(({ outcome }) => outcome === 'leased');
  await story.clock.advance(commandMs);
  for (const leasing of running) await leasing.finish(leasing.isFresh ? 'not-reusable' : undefined);
  return running;
}

void test('each of those who always wait gets its share, whatever its commands take and whoever comes and goes', async () => {
  const random = seededRandom(42);
  // Enough that the share of the heaviest is well below half: more than that nobody gets while others wait.
  const story = openPool({ connections: 16, queue: 500, queueTimeoutMs: 600_000 });
  const weights = new Map([
    ['a@support', 1],
    ['b@support', 1],
    ['c@jobs', 1],
    ['d@jobs', 2],
  ]);
  const served = new Map<string, number>();
  let all: Leasing[] = [];
  const ask = (principal: string): void => {
    all.push(story.lease({ principal, weight: weights.get(principal) ?? 1 }));
  };
  for (const principal of weights.keys()) for (let n = 0; n < 20; n += 1) ask(principal);
  await settle();
  for (let n = 0; n < 2_000; n += 1) {
    const running = all.filter(({ outcome }) => outcome === 'leased');
    const ends = running[Math.floor(random() * running.length)];
    assert.ok(ends, 'somebody runs');
    await ends.finish();
    served.set(ends.principal, (served.get(ends.principal) ?? 0) + 1);
    if (weights.has(ends.principal)) ask(ends.principal);
    if (random() < 0.1) ask(`guest${n}@support`);
    all = all.filter(({ outcome }) => outcome === 'leased' || outcome === 'waiting');
    const idler = all.find(
      ({ outcome, principal }) => outcome === 'waiting' && principal.startsWith('guest'),
    );
    if (random() < 0.02) idler?.abort('gone');
  }
  const unit = (served.get('a@support') ?? 0) / 1;
  for (const [principal, weight] of weights) {
    const share = (served.get(principal) ?? 0) / unit;
    assert.ok(Math.abs(share - weight) <= 0.05 * weight, `${principal}: ${share}`);
  }
  story.pool.drain();
});

void test('PROTOCOL 8.1: server commands have an upstream each, first and last, and leave half of the places to the others', async () => {
  const story = openPool({ connections: 4, queue: 500, queueTimeoutMs: 600_000 });
  const asked = (isFresh: boolean): Asked => ({
    principal: isFresh ? 'greedy@support' : 'mail@jobs',
    isFresh,
  });
  const servers = Array.from({ length: 100 }, () => story.lease(asked(true)));
  const mails = Array.from({ length: 100 }, () => story.lease(asked(false)));
  let most = 0;
  for (let n = 0; n < 200; n += 1) {
    const running = await turnOf(story, [...servers, ...mails]);
    most = Math.max(most, running.filter(({ isFresh }) => isFresh).length);
    if (mails.every(({ outcome }) => outcome === 'ended')) break;
  }
  assert.equal(most, 2);
  const doneServers = servers.filter(({ outcome }) => outcome === 'ended').length;
  assert.ok(doneServers >= 40, `${doneServers} server commands while 100 mail commands ran`);
  // One dial for each server command, and two upstreams that serve all mail commands.
  const reasons = story.events.flatMap((event) => (event.kind === 'upstream-closed' ? event : []));
  assert.ok(story.dialler.dials <= doneServers + 8, `${story.dialler.dials} dials`);
  for (const { exchanges } of reasons) assert.equal(exchanges, 1, 'nothing runs beside a server command');
  story.pool.drain();
});

void test('with one connection, server commands and mail commands take turns', async () => {
  const story = openPool({ connections: 1, queue: 50, queueTimeoutMs: 600_000 });
  const all: Leasing[] = [];
  for (let n = 0; n < 5; n += 1) all.push(story.lease({ principal: 'who@support', isFresh: true }));
  for (let n = 0; n < 5; n += 1) all.push(story.lease({ principal: 'mail@jobs' }));
  const order: string[] = [];
  for (let n = 0; n < 10; n += 1) for (const each of await turnOf(story, all)) order.push(each.principal);
  assert.deepEqual(order.slice(0, 9).join(' '), `who@support${' mail@jobs who@support'.repeat(4)}`);
  story.pool.drain();
});

for (const [weight, rounds] of [
  [1, 8],
  [4, 4],
] as const) {
  void test(`with one connection, weights ${weight} and 1 give turns ${weight}:1, also to a principal that sends one command after another`, async () => {
    const story = openPool({ connections: 1, queue: 50, queueTimeoutMs: 600_000 });
    const all = Array.from({ length: 20 }, () => story.lease({ principal: 'a@support', weight }));
    await settle();
    let next = await story.leased({ principal: 'b@support' });
    all.push(next);
    let order = '';
    while (order.length < rounds * (weight + 1)) {
      const [running, ...more] = all.filter(({ outcome }) => outcome === 'leased');
      assert.ok(running !== undefined && more.length === 0);
      order += running.principal.slice(0, 1);
      await running.finish();
      if (running !== next) continue;
      next = await story.leased({ principal: 'b@support' });
      all.push(next);
    }
    assert.equal(order, `${'a'.repeat(weight)}b`.repeat(rounds));
    story.pool.drain();
  });
}

void test('with one connection, a newcomer is served before the next turn of a principal whose round is over', async () => {
  const story = openPool({ connections: 1, queue: 50, queueTimeoutMs: 600_000 });
  const all = Array.from({ length: 9 }, () => story.lease({ principal: 'a@support', weight: 2 }));
  // The round of a@support ends with its fourth command; nobody else waits until then.
  for (let n = 0; n < 3; n += 1) await turnOf(story, all);
  const newcomers = ['b@support', 'c@support'].map((principal) => story.lease({ principal }));
  const order: string[] = [];
  for (let n = 0; n < 5; n += 1)
    for (const each of await turnOf(story, [...all, ...newcomers])) order.push(each.principal);
  assert.deepEqual(order, ['a@support', 'b@support', 'c@support', 'a@support', 'a@support']);
  story.pool.drain();
});

void test('a queue that is full of one principal shuts out no other', async () => {
  const story = openPool({ connections: 1, queue: 10 });
  await story.leased({ principal: 'greedy@support' });
  const greedy = Array.from({ length: 10 }, () => story.lease({ principal: 'greedy@support' }));
  const surplus = await story.leased({ principal: 'greedy@support' });
  assertRefused(surplus, 'queue-full');
  const others = Array.from({ length: 5 }, () => story.lease({ principal: 'new@support' }));
  await settle();
  assert.deepEqual([...new Set(others.map(({ outcome }) => outcome))], ['waiting']);
  assert.deepEqual(
    greedy.map(({ outcome }) => outcome === 'waiting'),
    [true, true, true, true, true, false, false, false, false, false],
  );
  const sixth = await story.leased({ principal: 'new@support' });
  assertRefused(sixth, 'queue-full');
  assert.equal(story.pool.snapshot().waiters, 10);
  await assertEnds(story);
});

// bounds.queueWaiters
void test('a queue that is full of accounts of one place, each with one command, shuts out no other place', async () => {
  const queue = bounds.queueWaiters;
  const story = openPool({ connections: 4, queue, queueTimeoutMs: 600_000 });
  const crowd = (at: number): Asked => ({ principal: `hog${at}@jobs`, origin: '192.0.2.1' });
  for (let at = 0; at < 4; at += 1) story.lease(crowd(at));
  await settle();
  const waiting = Array.from({ length: queue }, (_, at) => story.lease(crowd(4 + at)));
  await settle();
  const victim = await story.leased({ principal: 'victim@support', origin: '192.0.2.2' });
  assert.equal(victim.outcome, 'waiting');
  assert.equal(waiting.filter(({ outcome }) => outcome !== 'waiting').length, 1);
  const surplus = await story.leased(crowd(queue + 4));
  assertRefused(surplus, 'queue-full');
  assert.equal(story.pool.snapshot().waiters, queue);
  await assertEnds(story);
});
