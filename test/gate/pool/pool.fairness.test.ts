// Goal: turns at a backend are fair. Phases: a greedy principal and a newcomer; shares of those who always wait; server commands
// among mail commands. What must not happen: a newcomer that waits longer than one command's time for each upstream; server
// commands that take all places, or get none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { type Asked, assertEnds, assertRefused, type Leasing, openPool, type PooledStory } from './pooled.js';

const commandMs = 100;

/** Lets whoever is leased finish after a command's time, and tells who was leased in this round. */
async function round(story: PooledStory, all: readonly Leasing[]): Promise<Leasing[]> {
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
    const running = await round(story, [...servers, ...mails]);
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
  for (let n = 0; n < 10; n += 1) for (const each of await round(story, all)) order.push(each.principal);
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
  for (let n = 0; n < 3; n += 1) await round(story, all);
  const newcomers = ['b@support', 'c@support'].map((principal) => story.lease({ principal }));
  const order: string[] = [];
  for (let n = 0; n < 5; n += 1)
    for (const each of await round(story, [...all, ...newcomers])) order.push(each.principal);
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
