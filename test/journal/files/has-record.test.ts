// Goal: a position that somebody claims is found in a plain and in a compressed segment, and nothing else is: no other seq, hash, place,
// segment, nor a file that is damaged or gone. What must not happen: a rejection, whatever is claimed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { hasRecord, type JournalPosition } from '../../../src/journal/files/has-record.js';
import { type DiskJournal, openDiskJournal } from '../../ship/shipping/journal-on-disk.js';

/** After the record `seq`, in a segment that begins with the record `from`. */
function positionOf({ lines }: DiskJournal, segment: number, from: number, seq: number): JournalPosition {
  const bytes = Buffer.byteLength(`${lines.slice(from - 1, seq).join('\n')}\n`);
  const { hash } = JSON.parse(lines[seq - 1] ?? '');
  return { segment, bytes, seq, hash: String(hash) };
}

void test('every record of a plain and of a compressed segment, and nothing that is claimed otherwise', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(20);
  journal.rotate();
  // So long that a look does not begin with the segment.
  journal.write(5, { args: Array.from({ length: 7 }, () => 'x'.repeat(900)) });
  journal.compress(1);
  const has = (position: JournalPosition): Promise<boolean> => hasRecord(journal.directory, position);
  for (const segment of [1, 2]) {
    const [from, to] = segment === 1 ? [1, 20] : [21, 25];
    for (let seq = from; seq <= to; seq += 1)
      assert.equal(await has(positionOf(journal, segment, from, seq)), true, `${seq}`);
    const good = positionOf(journal, segment, from, to - 1);
    const { hash: next } = positionOf(journal, segment, from, to);
    const { seq, bytes } = good;
    const wrong = {
      seq: [seq - 1, seq + 1, 0],
      hash: [next, '0'.repeat(64), ''],
      bytes: [0, 1, bytes - 1, bytes + 1, bytes + 1e6, Number.MAX_SAFE_INTEGER],
      segment: [0, 3 - segment, 3, Number.MAX_SAFE_INTEGER],
    };
    for (const [key, values] of Object.entries(wrong))
      for (const value of values)
        assert.equal(await has({ ...good, [key]: value }), false, `${segment} ${key} ${value}`);
  }
});

// bounds.recordBytes
void test('of lines without an end so much is read as two records are long', async (t) => {
  const journal = openDiskJournal(t);
  const line = 'x'.repeat(3 * bounds.recordBytes);
  journal.writeRaw(`${line}\n`);
  const bytes = line.length + 1;
  const has = (end: number, hash: string) =>
    hasRecord(journal.directory, { segment: 1, bytes: end, seq: 1, hash });
  assert.equal(await has(bytes, 'a'.repeat(64)), false);
  // A record behind it is found all the same.
  journal.write(1);
  const { hash } = JSON.parse(journal.lines[0] ?? '');
  const end = bytes + Buffer.byteLength(journal.lines[0] ?? '') + 1;
  assert.equal(await has(end, String(hash)), true);
});
