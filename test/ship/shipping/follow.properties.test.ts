// Whatever is done to the files in whatever order: what is given out is the journal, record by record, up to what is on disk; what is
// not given out is told; and from every place that was reached one can go on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  beginning,
  createFollower,
  type FollowFault,
  type Position,
} from '../../../src/ship/shipping/follow.js';
import { openDiskJournal } from './journal-on-disk.js';

const kind = (weight: number, what: string, count: fc.Arbitrary<number> = fc.constant(0)) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(what), count }),
});
const step = fc.oneof(
  kind(4, 'write', fc.integer({ min: 1, max: 400 })),
  kind(3, 'sync'),
  kind(4, 'read', fc.integer({ min: 1, max: 5 })),
  kind(2, 'rotate'),
  kind(2, 'compress', fc.nat(5)),
  kind(1, 'remove'),
  kind(1, 'heal'),
  kind(1, 'seek', fc.nat(20)),
);

void test('any history of a journal', async (t) => {
  const rounds = 20 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const journal = openDiskJournal(t);
      const missing: FollowFault[] = [];
      const follower = createFollower(journal.directory, (fault) => missing.push(fault));
      const positions: Position[] = [beginning];
      let synced = 0;
      let seq = 0;
      let current = 1;
      let oldest = 1;
      const compressed = new Set<number>();

      const read = async (batches: number): Promise<void> => {
        for (let count = 0; count < batches; count += 1) {
          const batch = await follower.next(synced);
          if (batch === undefined) return;
          for (const line of batch.lines) {
            assert.ok(line.seq <= synced, 'on disk');
            assert.equal(line.bytes.toString(), journal.lines[line.seq - 1]);
            const last = missing.at(-1);
            const isTold = last?.kind === 'missing' && last.to >= line.seq - 1;
            assert.ok(line.seq === seq + 1 || seq === 0 || isTold, `${line.seq} behind ${seq}`);
            ({ seq } = line);
          }
          assert.equal(batch.position.seq, seq);
          positions.push(batch.position);
        }
      };

      for (const { do: what, count } of steps) {
        const ofSegment = journal.lines.length - synced;
        if (what === 'write') journal.write(count);
        else if (what === 'sync') synced = journal.lines.length;
        else if (what === 'read') await read(count);
        else if (what === 'rotate') {
          // The writer syncs what it closes.
          synced = journal.lines.length;
          journal.rotate();
          current += 1;
        } else if (what === 'compress') {
          const number = oldest + count;
          if (number >= current || compressed.has(number)) continue;
          journal.compress(number);
          compressed.add(number);
        } else if (what === 'remove' && oldest < current) {
          // The record that tells of it is on disk before.
          journal.write(1);
          synced = journal.lines.length;
          journal.remove(oldest);
          oldest += 1;
        } else if (what === 'heal' && ofSegment > 0 && synced > 0) {
          // What was not synced is cut off and written again, as other records, to a new segment.
          journal.cut(ofSegment);
          journal.rotate();
          current += 1;
          journal.write(ofSegment, { user: 'written again' });
        } else if (what === 'seek') {
          const position = positions[count % positions.length] ?? beginning;
          await follower.seek(position);
          ({ seq } = position);
        }
      }
      await read(Infinity);
      assert.deepEqual(
        missing.filter((fault) => fault.kind !== 'missing'),
        [],
      );
      assert.equal(seq, synced);
      await follower.close();
    }),
    { numRuns: rounds },
  );
});
