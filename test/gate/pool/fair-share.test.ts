// Goal: transfers that move, however fast, keep no principal waiting for 15 s. Phases: every way to hold all upstreams, by one principal,
// by accounts of one place, by many principals; whose lease ends, and who gets the upstream.
// Turns: a greedy principal and a newcomer; shares of those who always wait; server commands among mail commands.
// What must not happen: a transfer that ends though its principal has no more than its share, or though nobody needs it; an end
// where nothing moves and the backend is waited for; a newcomer that waits longer than one command's time for each upstream; server
// commands that take all places, or get none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demandedRate } from '../../../src/gate/pool/fair-share.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { comparePoolStories, move, type Rate } from './pool-stories.js';
import { type Asked, type Leasing, openPool, type PooledStory } from './pooled.js';

const minRateBytes = 65_536;
const wide = { queue: 500, queueTimeoutMs: 600_000, minRateBytes };

/** Leases for `asked`, all of which move; every one that ends comes again. */
async function hold(story: PooledStory, asked: readonly Asked[], rate: (at: number) => Rate) {
  const movers: { readonly leasing: Leasing }[] = [];
  const waiting = new Set<{ readonly leasing: Leasing; readonly at: number }>();
  for (const [at, one] of asked.entries()) waiting.add({ leasing: story.lease(one), at });
  const step = async (): Promise<void> => {
    await settle();
    for (const each of waiting) {
      if (each.leasing.upstream === undefined) continue;
      waiting.delete(each);
      movers.push(each);
      move(story, each.leasing, rate(each.at));
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

// bounds.transferMinMs, bounds.minRateBytes, bounds.queueWaiters
void test('whose lease ends, and whose turn it is, after each act, as fair-share.txt has it', () =>
  comparePoolStories('test/gate/pool/fair-share.txt'));

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
