// The model of the ring: no trace breaks an invariant, and each planted error is found. The real ring, writer and start take the steps of
// the model, in all orders of a few decisions and by chance in many.

import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { exploreAll, findFlaws, playAll, playRandom, type Run } from './figures.js';
import { type RingFlaw, ringModel } from './ring-model.js';
import { RingStand } from './ring-stand.js';

/** Where the ring begins: at its start, and 9 units before its end, into which a small record fits, and no large one. */
const positions = [0, 40] as const;

for (const position of positions)
  void test(`from ${position} on, no trace of the ring breaks an invariant`, (t) => {
    exploreAll(t, `ring from ${position}`, ringModel(position), 9);
  });

const kept = 'a record that was answered safe is in the segments or in the ring, whatever happened';
const flaws: readonly (readonly [RingFlaw, string])[] = [
  ['answered when placed', kept],
  ['space is not checked', kept],
  ['released before it is written', kept],
  ['frames of another ring are taken', 'no line is of a record that was never put'],
  ['the newest first', 'the order is kept'],
  ['written frames are taken again', 'no record has two lines'],
  ['a pair by two stores', 'records that are put together are there together or not at all'],
  ['admissions use all of it', 'admissions leave half of the space to outcomes'],
  ['a damaged header stops the start', 'a damaged or foreign header never stops a start'],
  ['damage is not told', 'a start that finds damage says so'],
];
void test('each planted error breaks its invariant', (t) => {
  findFlaws(t, flaws, (flaw) => ringModel(40, flaw));
});

function runIn(folder: string, positionOf: (count: number) => number): Run {
  return async (choose, random, count = 0) => {
    const stand = new RingStand(folder, positionOf(count), choose, random);
    await stand.beside.told(() => stand.run());
  };
}

for (const position of positions)
  void test(`from ${position} on, the code does as the model in all orders of decisions`, async (t) => {
    const folder = join(temporaryDirectory(t), 'run');
    await playAll(
      t,
      position === 0 ? 4 : 3,
      runIn(folder, () => position),
    );
  });

void test('the code does as the model in long sequences', async (t) => {
  const folder = join(temporaryDirectory(t), 'run');
  await playRandom(
    t,
    16,
    60,
    runIn(folder, (count) => positions[count % 2] ?? 0),
  );
});
