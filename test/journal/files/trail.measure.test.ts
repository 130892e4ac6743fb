// Goal: a look at the size of the journal, which everybody at the page may ask for, and a receiver that is followed again, leave the main
// thread alone however slow the disk of the journal is. What must not happen: one synchronous call.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import { measureTrail } from '../../../src/journal/files/trail-size.js';
import { createFollower } from '../../../src/ship/shipping/follow.js';
import { createPositionFile } from '../../../src/ship/shipping/position.js';
import { syncCallsOf } from '../../kit/plain/sync-calls.js';
import { openDiskJournal } from '../../ship/shipping/journal-on-disk.js';

const checkpointOf = (seq: number): string =>
  `${JSON.stringify({ seq, time: '2026-11-21T02:14:00.000Z', event: 'checkpoint' })}\n`;

void test('the size of a journal, in all of its forms, without a synchronous call', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(300);
  journal.rotate();
  journal.write(5);
  const at = (name: string): string => join(journal.directory, name);
  writeFileSync(at('checkpoint-4.json'), checkpointOf(4));
  writeFileSync(at('checkpoint.json'), checkpointOf(9));
  const made = await syncCallsOf(async () => {
    const { segments, oldestSeq, checkpoint } = await measureTrail(journal.directory);
    assert.deepEqual([segments, oldestSeq, checkpoint?.seq], [2, 1, 9]);
    await assert.rejects(measureTrail(at('nowhere')), JournalFault);
  });
  assert.deepEqual(made, []);
  writeFileSync(at('checkpoint.json'), Buffer.alloc(bounds.besideFileBytes + 1));
  await assert.rejects(measureTrail(journal.directory), JournalFault);
});

void test('a receiver that connects again is followed from where it stood without a synchronous call', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(300);
  journal.rotate();
  journal.write(5);
  const kept = createPositionFile(journal.directory, 'logs.example.com:6514');
  const follower = createFollower(journal.directory, () => undefined);
  t.after(() => follower.close());
  await follower.next(journal.seq);
  const { position } = follower;
  await kept.save({ journal: 'ab'.repeat(16), position });
  const made = await syncCallsOf(async () => {
    const found = await kept.load();
    assert.deepEqual(found?.position, position);
    await follower.seek(position);
    await follower.next(journal.seq);
    await follower.goBehind(position.seq, position.hash);
    await follower.next(journal.seq);
  });
  assert.deepEqual(made, []);
});
