// Goal: whose bytes fill the journal, and who is refused for it. What must not happen: somebody who is limited below 80 % of the size, or
// while a larger writer is not; a table that grows with the principals; counts that a restart forgets.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Shares } from '../../../src/journal/files/shares.js';
import { admission, keepAll, openFor, type Watched } from './opening.js';
import { temporaryDirectory } from './reading.js';

const hour = 3_600_000;
const size = 1_000_000;

const namesOf = ({ largest }: Shares['filling']): string =>
  largest.map(({ principal }) => principal).join(' ');

function sharesOf(written: readonly (readonly [principal: string, bytes: number])[]): Shares {
  const shares = new Shares();
  shares.takeText(undefined, 0, 0);
  shares.age(0, hour);
  shares.endLook(0, 0, size);
  for (const [principal, bytes] of written) shares.add(principal, bytes);
  return shares;
}

// bounds.fillingPercent, bounds.smallWriterPercent
void test('nobody is limited below 80 %, never a smaller writer before a larger one, and small ones go on to the end', () => {
  const principal = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const writes = fc.array(fc.tuple(principal, fc.integer({ min: 1, max: 120_000 })), { maxLength: 60 });
  fc.assert(
    fc.property(writes, (written) => {
      const shares = sharesOf([]);
      const bytes = new Map<string, number>();
      let all = 0;
      for (const [one, more] of written) {
        const isOver = shares.isOver(one);
        const own = bytes.get(one) ?? 0;
        if (all < 0.8 * size || own < 0.01 * size) assert.ok(!isOver);
        else if (own === Math.max(...bytes.values())) assert.ok(isOver, 'the largest is refused first');
        for (const [other, theirs] of bytes)
          if (isOver && theirs > own) assert.ok(shares.isOver(other), `${other} is larger than ${one}`);
        if (isOver) continue;
        shares.add(one, more);
        bytes.set(one, own + more);
        all += more;
      }
      assert.equal(shares.youngBytes, all);
    }),
  );
});

void test('while one loops, another one that writes as much as fits goes on to 96 %', () => {
  const shares = sharesOf([]);
  while (!shares.isOver('loop')) shares.add('loop', 1000);
  assert.equal(shares.youngBytes, 0.8 * size);
  while (!shares.isOver('other')) shares.add('other', 1000);
  assert.ok(Math.abs(shares.youngBytes - 0.96 * size) <= 1000, String(shares.youngBytes));
  while (shares.youngBytes < size) {
    assert.ok(!shares.isOver('small'));
    shares.add(undefined, 1000);
  }
});

void test('what is older than keep_min counts no more, and what was compressed counts as it lies there', () => {
  const shares = sharesOf([['loop', 850_000]]);
  assert.ok(shares.isOver('loop'));
  shares.endLook(shares.startLook(), 90_000, size);
  assert.deepEqual([shares.youngBytes, shares.isOver('loop')], [90_000, false]);
  shares.endLook(shares.startLook(), 850_000, size);
  assert.ok(shares.isOver('loop'));
  for (let at = 1; at <= 8; at += 1) shares.age((at * hour) / 8, hour);
  assert.ok(shares.isOver('loop'), 'the first part ended an eighth later than it began');
  shares.age((9 * hour) / 8, hour);
  assert.deepEqual([shares.youngBytes, shares.isOver('loop')], [0, false]);
});

void test('of more than 512 principals the largest are counted by name, and the others as a number', () => {
  const shares = sharesOf([['loop', 500_000]]);
  for (let at = 0; at < 10_000; at += 1) shares.add(`p${at}@support`, 40);
  assert.equal(shares.youngBytes, 900_000);
  assert.ok(shares.isOver('loop'));
  const { parts } = JSON.parse(shares.text(0));
  const named = parts.flatMap(({ bytes }: { bytes: unknown[] }) => bytes);
  assert.ok(named.length <= 512 && named.length >= 256, `${named.length} names`);
  assert.ok(!shares.isOver('p9999@support'));
  assert.ok(shares.text(0).length < 512 * 64);
});

// bounds.calmPercent
void test('the warning names five writers, and lasts until the young records are below 75 %', () => {
  const shares = sharesOf(Array.from({ length: 9 }, (_, at) => [`p${at}`, 90_000 + at] as const));
  const look = (bytes: number) => {
    shares.endLook(shares.startLook(), bytes, size);
    return shares.filling;
  };
  assert.equal(namesOf(look(810_000)), 'p8 p7 p6 p5 p4');
  assert.ok(look(750_000).isFilling);
  assert.ok(!look(749_999).isFilling);
  assert.ok(!look(799_999).isFilling, 'it begins at 80 %');
});

void test('in a full journal all are refused but those who wrote less than 1 %', () => {
  const written = { loop: 980_001, edge: 10_000, small: 9_999 };
  const shares = sharesOf(Object.entries(written));
  const refused = Object.keys(written).filter((one) => shares.isOver(one));
  assert.deepEqual(refused, ['loop', 'edge']);
});

void test('the parts of many short runs are joined, and no byte is lost', () => {
  let text: string | undefined;
  for (let run = 0; run < 100; run += 1) {
    const shares = new Shares();
    shares.takeText(text, 0, run);
    shares.add('bob@support', 10);
    text = shares.text(run);
  }
  const { parts } = JSON.parse(text ?? '');
  // And the one that goes on.
  assert.equal(parts.length, 24 + 1);
  const sum = parts.reduce((total: number, { all }: { all: number }) => total + all, 0);
  assert.equal(sum, 1_000);
});

const limits = { ...keepAll, keepMinMs: hour, sizeMax: { bytes: 400_000 } };

/** Until a look at the segments says so: what was counted since the last one is a little more than what lies there. */
async function fill({ journal, events }: Watched): Promise<void> {
  for (let at = 0; !events.some(({ kind }) => kind === 'filling'); at += 1) {
    if (journal.isOverShare('bob@support')) {
      assert.ok(journal.filling.youngBytes >= 0.75 * 400_000);
      await new Promise((resolve) => setTimeout(resolve, 5));
    } else await journal.appendDurable(admission(`E${at}`));
  }
}

void test('a start knows what the run before counted; without its file the segments count as written by nobody', async (t) => {
  const directory = temporaryDirectory(t);
  // One segment, so nothing is compressed.
  const open = () => openFor(t, directory, { limits: () => limits });
  const first = await open();
  await first.seen('tended');
  await fill(first);
  const told = await first.seen('filling');
  assert.ok(told.kind === 'filling' && told.filling.isFilling);
  assert.equal(namesOf(told.filling), 'bob@support');
  await first.journal.close();

  const second = await open();
  await second.seen('filling');
  assert.ok(second.journal.isOverShare('bob@support'));
  assert.ok(!second.journal.isOverShare('eve@support'));
  await second.journal.close();
  assert.match(readFileSync(join(directory, 'shares.json'), 'utf8'), /"bob@support"/);

  for (const text of [undefined, '{"format":1,"parts":[{"until":1,"all":-5,"bytes":[]}]}', '{"format":2}']) {
    if (text === undefined) rmSync(join(directory, 'shares.json'));
    else writeFileSync(join(directory, 'shares.json'), text);
    const third = await open();
    const unknown = await third.seen('filling');
    assert.ok(unknown.kind === 'filling' && unknown.filling.isFilling);
    assert.deepEqual(unknown.filling.largest, []);
    assert.ok(!third.journal.isOverShare('bob@support'));
    await third.journal.close();
  }
});
