// Goal: every record that is on disk is given out once, in its order, whatever happens to the files meanwhile. What must not happen:
// a record that is not on disk yet, a gap or damage that is not told, a journal that is taken for another one.

import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import * as fc from 'fast-check';
import {
  beginning,
  createFollower,
  type FollowFault,
  type Position,
} from '../../../src/ship/shipping/follow.js';
import { type DiskJournal, openDiskJournal } from './journal-on-disk.js';

function follow(t: TestContext, journal: DiskJournal, most?: Parameters<typeof createFollower>[2]) {
  const faults: FollowFault[] = [];
  const follower = createFollower(journal.directory, (fault) => faults.push(fault), most);
  t.after(() => follower.close());
  let position: Position = beginning;
  return {
    faults,
    follower,
    kinds: () => faults.map(({ kind }) => kind).join(' '),
    position: () => position,
    /** Everything that there is, as text. */
    all: async (untilSeq = journal.seq): Promise<string[]> => {
      const texts: string[] = [];
      for (;;) {
        const batch = await follower.next(untilSeq);
        if (batch === undefined) return texts;
        assert.ok(batch.lines.length > 0);
        assert.equal(batch.position.seq, batch.lines.at(-1)?.seq);
        const lines = batch.lines.map(({ bytes }) => bytes.toString());
        assert.equal(batch.text.toString(), `${lines.join('\n')}\n`);
        if (most !== undefined) assert.ok(lines.length <= most.lines && batch.text.length <= most.bytes);
        texts.push(...lines);
        ({ position } = batch);
      }
    },
  };
}

void test('no more is given out at once than was asked for, and nothing is left out by that', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(100);
  journal.rotate();
  journal.write(101);
  journal.compress(1);
  for (const most of [
    { bytes: 64 << 10, lines: 7 },
    { bytes: 8 << 10, lines: 1000 },
  ]) {
    const { all, kinds } = follow(t, journal, most);
    assert.deepEqual(await all(), journal.lines);
    assert.equal(kinds(), '');
  }
});

void test('a torn end waits for its rest', async (t) => {
  const journal = openDiskJournal(t);
  const { all, faults } = follow(t, journal);
  journal.write(2);
  journal.writeRaw('{"seq":3,"time":"2026-');
  assert.deepEqual(await all(), journal.lines);
  assert.deepEqual(await all(3), []);
  assert.deepEqual(faults, []);
});

void test('an end that is cut off and written again while the file is open: all of it is given out again', async (t) => {
  const journal = openDiskJournal(t);
  const { all, kinds } = follow(t, journal);
  journal.write(10);
  assert.deepEqual(await all(), journal.lines);
  journal.cut(5);
  // Longer than what was cut: the old place is in the middle of a record.
  journal.write(9, { action: 'x'.repeat(40) });
  assert.deepEqual(await all(), journal.lines);
  assert.equal(kinds(), 'not-continued');
});

void test('segments that go under its feet: what is open is read to its end, what was missed is told', async (t) => {
  const journal = openDiskJournal(t);
  const { all, faults, follower } = follow(t, journal);
  journal.write(300);
  const first = await follower.next(journal.seq);
  assert.ok(first !== undefined && first.lines.length < 300);
  const given = first.lines.length;
  for (let count = 0; count < 3; count += 1) {
    journal.rotate();
    journal.write(10);
  }
  journal.remove(1);
  journal.remove(2);
  assert.deepEqual(await all(), [...journal.lines.slice(given, 300), ...journal.lines.slice(310)]);
  assert.deepEqual(faults, [{ kind: 'missing', from: 301, to: 310 }]);
  // Who goes back misses what was there the first time; and what was told is not told again.
  for (let count = 0; count < 2; count += 1) {
    await follower.seek(first.position);
    assert.deepEqual(await all(), journal.lines.slice(310));
    assert.deepEqual(faults.slice(1), [{ kind: 'missing', from: given + 1, to: 310 }]);
  }
  // Who begins at what is left misses nothing.
  const fresh = follow(t, journal);
  assert.deepEqual(await fresh.all(), journal.lines.slice(310));
  assert.deepEqual(fresh.faults, []);
});

void test('damage is stepped over and told, however long it is', async (t) => {
  const journal = openDiskJournal(t);
  const { all, kinds } = follow(t, journal);
  journal.write(3);
  journal.writeRaw('garbage\n');
  journal.write(1);
  journal.writeRaw(`${'x'.repeat(200_000)}\n\n{"seq":}\n`);
  journal.write(2);
  assert.deepEqual(await all(), journal.lines);
  assert.equal(kinds(), 'damaged damaged');
  // A changed record has the form of one: whoever has it shall see what it is.
  const before = journal.lines.length;
  journal.write(1);
  journal.writeRaw((journal.lines[0] ?? '').replace('"seq":1,', '"seq":8,').concat('\n'));
  journal.seq = 8;
  assert.equal((await all()).length, journal.lines.length - before + 1);
});

void test('a journal that is not what was shipped, or has no such segment, is given out anew, as a whole', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(20);
  const shipped = follow(t, journal);
  await shipped.all();
  const at = shipped.position();
  const stories: Readonly<Record<string, () => Position>> = {
    'a segment that is not there, and none behind it'() {
      journal.write(5);
      return { ...at, segment: at.segment + 900 };
    },
    'its end was cut off'() {
      journal.cut(10);
      return at;
    },
    'its end was cut off, and others were written'() {
      journal.write(30, { user: 'mallory' });
      return at;
    },
  };
  for (const [name, change] of Object.entries(stories)) {
    const place = change();
    const { follower, all, kinds } = follow(t, journal);
    await follower.seek(place);
    assert.deepEqual(await all(), journal.lines, name);
    assert.equal(kinds(), 'not-continued', name);
  }
});

void test('a directory that cannot be read is told, and read when it is back', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(2);
  const { all } = follow(t, journal);
  renameSync(journal.directory, `${journal.directory}.gone`);
  await assert.rejects(all(), { code: 'ENOENT' });
  renameSync(`${journal.directory}.gone`, journal.directory);
  assert.deepEqual(await all(), journal.lines);
});

// Whatever is done to the files in whatever order: what is given out is the journal, record by record, up to what is on disk; what is
// not given out is told; and from every place that was reached one can go on.

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
