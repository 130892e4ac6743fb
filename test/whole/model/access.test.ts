// The model of access on request: no trace breaks an invariant, and each planted error is found. The real desk and book take the steps of
// the model, in all orders of a few decisions and by chance in many.

import { test } from 'node:test';
import { type AccessFlaw, accessModel } from './access-model.js';
import { AccessStand } from './access-stand.js';
import { exploreAll, findFlaws, playAll, playRandom, type Run } from './figures.js';

void test('no trace of access breaks an invariant', (t) => {
  exploreAll(t, 'access', accessModel({ itemsMax: 2 }), 7);
});

const approved = 'a grant has approvals of as many other persons as its rule needs';
const longer = 'no grant is longer than it was approved for';
const more = 'no more commands than uses';
const flaws: readonly (readonly [AccessFlaw, string])[] = [
  ['own approval counts', approved],
  ['one person counts twice', approved],
  ['one approval is enough', approved],
  ['a fallen approval counts again', 'a request waits only where approvals are missing'],
  ['a step back prolongs', longer],
  ['a restart prolongs', longer],
  ['a restart gives uses back', more],
  ['a use is not counted', more],
  ['used after its end', 'no command after an end'],
  ['an end is forgotten', 'what has ended stays so'],
  ['a first use binds nothing', 'a grant serves one login'],
  ['a restart forgets the login', 'a grant serves one login'],
];
void test('each planted error breaks its invariant', (t) => {
  findFlaws(t, flaws, (flaw) => accessModel({ itemsMax: 1, flaw }));
});

const runWith =
  (itemsMax: number): Run =>
  async (choose) => {
    const stand = new AccessStand(choose, itemsMax);
    await stand.beside.told(() => stand.run());
  };

void test('the code does as the model in all orders of decisions', async (t) => {
  await playAll(t, 3, runWith(2));
});

void test('the code does as the model in long histories', async (t) => {
  await playRandom(t, 40, 100, runWith(8));
});
