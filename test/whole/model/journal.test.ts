// The model of the journal: no trace breaks an invariant, and each planted error is found. The real driver, ring, writer and start take the
// steps of the model, in all orders of a few decisions and by chance in many.

import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { after, chooseAfter } from './explore.js';
import { exploreAll, findFlaws, playAll, playRandom, type Run } from './figures.js';
import { type JournalFlaw, journalModel } from './journal-model.js';
import { JournalStand } from './journal-stand.js';

/** Three exchanges run, and the second segment has begun. */
const begun = [
  'ask strict; bell; write S1; sync; release; report',
  'ask; bell; write A2; sync; release; report',
  'ask strict; bell; sync; open; write ck; sync; write S3; sync; release; keep; keep state; report',
].flatMap((steps) => steps.split('; '));
const places: readonly (readonly [name: string, before: readonly string[]])[] = [
  ['the first start', []],
  ['the second segment', begun],
];

for (const [name, before] of places)
  void test(`from ${name} on, no trace of the journal breaks an invariant`, (t) => {
    const model = journalModel({ idsMax: before.length === 0 ? 3 : 4 });
    exploreAll(t, `journal from ${name}`, after(model, before), before.length === 0 ? 6 : 5);
  });

const leaves =
  'a command of a strict effect leaves when its admission is on disk, any other when it is in the ring';
const flaws: readonly (readonly [JournalFlaw, string])[] = [
  ['sent before it is on disk', leaves],
  ['sent before it is published', leaves],
  ['released when written', 'the ring gives space free for what is on disk only'],
  ['kept before the sync', 'the copy of a checkpoint names a record on disk'],
  ['recovered twice', 'no record has two lines'],
  ['exchanges stay open', 'every admission before a start has an end before it'],
  ['a record after the stop', 'after a stop comes its checkpoint, and then nothing but a start'],
  [
    'an open exchange is retired',
    'a segment with an open exchange stays, and each that goes was retired on disk',
  ],
  ['a number is given again', 'what was on disk stays, under its number'],
];
/** Where the error shows after a few steps. */
const later = new Map<JournalFlaw, readonly string[]>([
  ['an open exchange is retired', begun],
  ['a record after the stop', ['stop', 'write stop', 'write ck!', 'sync', 'keep', 'keep state']],
]);
void test('each planted error breaks its invariant', (t) => {
  findFlaws(t, flaws, (flaw) => after(journalModel({ flaw, idsMax: 3 }), later.get(flaw) ?? []));
});

function runIn(folder: string, idsMax: number, beforeOf: (count: number) => readonly string[]): Run {
  return async (choose, random, count = 0) => {
    const before = beforeOf(count);
    const chosen = chooseAfter(before, choose);
    // Not killed on its way to the place from which the decisions are made.
    const mayEnd = random && (() => (stand.beside.trace.length <= before.length ? 1 : random()));
    const stand: JournalStand = new JournalStand(folder, journalModel({ idsMax }), chosen, mayEnd);
    await stand.beside.told(() => stand.run());
  };
}

for (const [name, before] of places)
  void test(`from ${name} on, the code does as the model in all orders of decisions`, async (t) => {
    const folder = join(temporaryDirectory(t), 'run');
    const small = before.length === 0 ? 3 : 2;
    await playAll(
      t,
      small,
      runIn(folder, 4, () => before),
    );
  });

void test('the code does as the model in long sequences', async (t) => {
  const folder = join(temporaryDirectory(t), 'run');
  await playRandom(
    t,
    8,
    60,
    runIn(folder, 12, (count) => places[count % 2]?.[1] ?? []),
  );
});
