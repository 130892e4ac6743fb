// Goal: a record is found by its seq in segments of every form, by reading few of them, and whoever asks learns whether it is the one that
// somebody else has. What must not happen: a search through years of records at each start.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openSegmentReader, segmentName } from '../../../src/journal/files/segments.js';
import { findRecord } from '../../../src/ship/shipping/find-record.js';
import { createFollower, type FollowFault } from '../../../src/ship/shipping/follow.js';
import { type DiskJournal, openDiskJournal } from './journal-on-disk.js';

/** Segments 1 to `count` of ten records each; every second one is compressed. */
function openSegments(t: TestContext, count: number): DiskJournal {
  const journal = openDiskJournal(t);
  for (let number = 1; number <= count; number += 1) {
    journal.write(10);
    if (number < count) journal.rotate();
    if (number % 2 === 0 && number < count) journal.compress(number);
  }
  return journal;
}

function hashOf(journal: DiskJournal, seq: number): string {
  const { hash } = JSON.parse(journal.lines[seq - 1] ?? '{}');
  return String(hash);
}

function follow({ directory }: DiskJournal) {
  const faults: FollowFault[] = [];
  const follower = createFollower(directory, (fault) => faults.push(fault));
  return Object.assign(follower, { faults });
}

async function nextSeqs(follower: ReturnType<typeof follow>, untilSeq: number): Promise<number[]> {
  const seqs: number[] = [];
  for (;;) {
    const batch = await follower.next(untilSeq);
    if (batch === undefined) return seqs;
    seqs.push(...batch.lines.map(({ seq }) => seq));
  }
}

void test('every record of every segment is found where it lies', async (t) => {
  const journal = openSegments(t, 4);
  for (let seq = 1; seq <= 40; seq += 1) {
    const found = await findRecord(journal.directory, seq);
    assert.deepEqual(
      [found.seq, found.hash, found.segment],
      [seq, hashOf(journal, seq), Math.ceil(seq / 10)],
    );
    const segment = { number: found.segment, name: segmentName(found.segment), isCompressed: false };
    const reader = (await openSegmentReader(journal.directory, segment)) ?? assert.fail('it is there');
    const line = await reader.read(found.start, found.end - found.start);
    assert.equal(line.toString(), `${journal.lines[seq - 1]}\n`);
    await reader.close();
  }
  await assert.rejects(findRecord(journal.directory, 41), { code: 'unreadable' });
});

void test('behind it the follower goes on, and says whose record it is', async (t) => {
  const journal = openSegments(t, 4);
  const follower = follow(journal);
  assert.equal(await follower.goBehind(15, hashOf(journal, 15)), 'same');
  assert.deepEqual([follower.position.seq, follower.position.segment], [15, 2]);
  assert.deepEqual(
    await nextSeqs(follower, 38),
    Array.from({ length: 23 }, (_, at) => 16 + at),
  );
  assert.equal(await follower.goBehind(40, hashOf(journal, 40)), 'same');
  assert.deepEqual(await nextSeqs(follower, 40), []);
  assert.deepEqual(await follower.goBehind(15, 'ab'.repeat(32)), { hash: hashOf(journal, 15) });
  await follower.close();
  assert.deepEqual(follower.faults, []);
});

void test('older than the oldest: the gap is told, and one that does not follow is another journal', async (t) => {
  const journal = openSegments(t, 4);
  journal.remove(1);
  const follower = follow(journal);
  assert.equal(await follower.goBehind(10, hashOf(journal, 10)), 'gone');
  assert.deepEqual((await nextSeqs(follower, 40)).at(0), 11);
  assert.deepEqual(follower.faults, []);
  assert.deepEqual(await follower.goBehind(10, 'ab'.repeat(32)), { hash: undefined });
  assert.equal(await follower.goBehind(4, 'ab'.repeat(32)), 'gone');
  assert.deepEqual((await nextSeqs(follower, 40)).at(0), 11);
  assert.deepEqual(follower.faults, [{ kind: 'missing', from: 5, to: 10 }]);
  await follower.close();
});

void test('a damaged record, a damaged and an empty segment are passed over', async (t) => {
  const journal = openSegments(t, 5);
  const lines = journal.lines.slice(20, 30).with(4, 'X'.repeat(300));
  writeFileSync(join(journal.directory, segmentName(3)), `${lines.join('\n')}\n`);
  writeFileSync(join(journal.directory, `${segmentName(4)}.gz`), 'this is not gzip');
  journal.rotate();
  const follower = follow(journal);
  // 25 is damaged, and the record behind it says which one it was.
  assert.equal(await follower.goBehind(25, hashOf(journal, 25)), 'gone');
  assert.deepEqual((await nextSeqs(follower, 50)).at(0), 26);
  assert.deepEqual(await follower.goBehind(25, 'ab'.repeat(32)), { hash: undefined });
  for (const seq of [24, 26, 45]) assert.equal((await findRecord(journal.directory, seq)).seq, seq);
  assert.equal((await findRecord(journal.directory, 35)).seq, 41);
  await follower.close();
});

void test('of four hundred segments nine are read', async (t) => {
  const journal = openSegments(t, 400);
  assert.equal((await findRecord(journal.directory, 1_234)).segment, 124);
  // Those that a search by halves looks at; whoever reads another one fails.
  const looked = [201, 101, 151, 126, 113, 119, 122, 124, 125];
  for (let number = 1; number <= 400; number += 1) {
    if (looked.includes(number)) continue;
    journal.remove(number);
    mkdirSync(join(journal.directory, segmentName(number)));
  }
  assert.equal((await findRecord(journal.directory, 1_234)).segment, 124);
  await assert.rejects(findRecord(journal.directory, 3_000), { code: 'EFTYPE' });
});
