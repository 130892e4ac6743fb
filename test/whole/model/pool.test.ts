// The model of the pool: no trace breaks an invariant, and each planted error is found. The real pool takes the steps of the model, in all
// orders of a few decisions and by chance in many.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exploreAll, findFlaws, playAll, playRandom, type Run } from './figures.js';
import { poolModel } from './pool-model.js';
import { PoolStand } from './pool-stand.js';
import type { PoolFlaw, Scene } from './pool-state.js';

const two: Scene = {
  connections: 2,
  queue: 3,
  principals: {
    a: { origin: 'x', kind: 'slow' },
    b: { origin: 'y', kind: 'fast' },
    c: { origin: 'y', kind: 'stall' },
  },
};
const one: Scene = {
  connections: 1,
  queue: 3,
  principals: {
    a: { origin: 'x', kind: 'slow' },
    b: { origin: 'y', kind: 'fast' },
    c: { origin: 'z', kind: 'change' },
  },
};
const four: Scene = {
  connections: 4,
  queue: 5,
  principals: { a: { origin: 'x', kind: 'slow' }, b: { origin: 'y', kind: 'change' } },
};
const scenes: readonly (readonly [name: string, scene: Scene])[] = [
  ['two upstreams, two of three principals from one place', two],
  ['one upstream, and a principal that changes mail', one],
  ['four upstreams, and a principal that changes mail', four],
];

for (const [name, scene] of scenes)
  void test(`${name}: no trace of the pool breaks an invariant`, (t) => {
    exploreAll(t, `pool with ${name}`, poolModel(scene), 4);
  });

const flaws: readonly (readonly [PoolFlaw, string])[] = [
  ['one lease too many', 'no more upstreams than connections'],
  ['a lease for two', 'no exchange has two leases, or waits while it has one'],
  ['no time limit', 'no waiter waits longer than its time'],
  ['its own are ended', 'no principal loses a lease for itself'],
  ['the first that came', 'nobody is given more than half while another waits with less'],
  ['nobody is ended', 'a principal without a lease does not wait beside transfers above their share'],
  ['an idle one stays idle', 'no upstream is idle while somebody waits that may have it'],
  ['waiters stay at the drain', 'after a drain nothing waits, is idle or is dialled'],
  ['empty lines stay', 'each line has waiters, and each has a turn'],
  ['waits for what is down', 'nobody waits for a backend that is down'],
  ['a change takes any', 'no change begins on an upstream that was dialled before'],
  ['a change is handed any', 'no change begins on an upstream that was dialled before'],
  ['an older file is leased', 'nothing begins on an upstream of an older socket file'],
  ['an older file is handed over', 'nothing begins on an upstream of an older socket file'],
];
void test('each planted error breaks its invariant', (t) => {
  const { a = assert.fail(), b = assert.fail() } = one.principals;
  findFlaws(t, flaws, (flaw) => {
    if (flaw.startsWith('a change')) return poolModel({ ...one, flaw });
    const isOne = flaw === 'nobody is ended' || flaw === 'a lease for two';
    return poolModel({ ...(isOne ? { ...one, principals: { a, b } } : two), flaw });
  });
});

function runOf(sceneOf: (count: number) => Scene): Run {
  return async (choose, _random, count = 0) => {
    const stand = new PoolStand(sceneOf(count), choose);
    await stand.beside.told(() => stand.run());
  };
}

for (const [name, scene] of scenes)
  void test(`${name}: the code does as the model in all orders of decisions`, (t) =>
    playAll(
      t,
      2,
      runOf(() => scene),
    ));

void test('the code does as the model in long sequences', async (t) => {
  await playRandom(
    t,
    36,
    60,
    runOf((count) => scenes[count % scenes.length]?.[1] ?? one),
  );
});
