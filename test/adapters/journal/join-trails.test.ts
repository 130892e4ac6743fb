// Goal: the parts of one journal in two directories, however they overlap, are read as the journal itself: each line once, in its order,
// twice in a row, and verified as a whole. What is in neither stays a hole.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { packMember } from '../../../src/adapters/journal/compressed.js';
import { joinTrails } from '../../../src/adapters/journal/join-trails.js';
import { verifyTrail } from '../../../src/adapters/journal/search-trail.js';
import { findTrail, readPieces, type Trail } from '../../../src/adapters/journal/trail.js';
import { signKey, writeJournal } from '../../cli/audit/shown.js';
import { segmentFiles, temporaryDirectory } from './reading.js';

interface Segment {
  readonly name: string;
  readonly lines: readonly string[];
}

const segmentsOf = (directory: string): readonly Segment[] =>
  segmentFiles(directory).map((name) => ({
    name,
    lines: readFileSync(join(directory, name), 'utf8').split(/(?<=\n)/),
  }));

/** Lines `from` to `to` of a journal, as a mirror has them; closed segments are compressed. */
function part(t: TestContext, segments: readonly Segment[], from: number, to: number): string {
  const directory = temporaryDirectory(t);
  const own = segments.flatMap(({ name, lines }) => {
    const kept = lines.filter((line) => {
      const seq = Number(/^\{"seq":(\d+)/.exec(line)?.[1]);
      return seq >= from && seq <= to;
    });
    return kept.length === 0 ? [] : [{ name, bytes: Buffer.from(kept.join('')) }];
  });
  for (const [at, { name, bytes }] of own.entries())
    if (at === own.length - 1) writeFileSync(join(directory, name), bytes);
    else writeFileSync(join(directory, `${name}.gz`), packMember(bytes));
  return directory;
}

async function read({ files }: Trail): Promise<string> {
  const pieces: string[] = [];
  for (const file of files) for await (const { bytes } of readPieces(file)) pieces.push(bytes.toString());
  return pieces.join('');
}

void test('two parts of a journal are one', async (t) => {
  const segments = segmentsOf(await writeJournal(t));
  assert.ok(segments.length > 4);
  const lines = segments.flatMap((segment) => segment.lines);
  const all = lines.length;
  const [, second, third] = segments;
  const starts = [second, third].map((segment) =>
    Number(/^\{"seq":(\d+)/.exec(segment?.lines[0] ?? '')?.[1]),
  );
  const [start = 0, next = 0] = starts;
  const cuts: readonly (readonly [number, number])[] = [
    // Ends and begins within segments, with a segment, next to each other, one within the other.
    [start + 5, start - 3],
    [start + 5, start],
    [start + 5, start + 6],
    [start - 1, start],
    [next - 1, start],
    [next + 4, 1],
    [all, start + 2],
    [all, all],
  ];
  for (const [end, begin] of cuts) {
    const directories = [part(t, segments, 1, end), part(t, segments, begin, all)];
    for (const order of [directories, directories.toReversed()]) {
      const trail = await joinTrails(order.map((directory) => findTrail([directory])));
      const what = `to ${end}, from ${begin}`;
      assert.equal(await read(trail), lines.join(''), what);
      assert.equal(await read(trail), lines.join(''), `${what}, again`);
      const verdict = await verifyTrail(trail, {
        trustedKeys: [signKey.key],
        fromSeq: undefined,
        faultsMax: 20,
      });
      assert.deepEqual([verdict.faults, verdict.lastSeq], [[], all], what);
    }
  }
  const gone = [part(t, segments, 1, start + 1), part(t, segments, start + 4, all)];
  const trail = await joinTrails(gone.map((directory) => findTrail([directory])));
  const { faults } = await verifyTrail(trail, {
    trustedKeys: [signKey.key],
    fromSeq: undefined,
    faultsMax: 20,
  });
  assert.deepEqual(
    faults.map(({ kind, seq }) => [kind, seq]),
    [['missing', start + 2]],
  );
  const [alone = ''] = gone;
  assert.deepEqual(await joinTrails([findTrail([alone])]), findTrail([alone]));
});
