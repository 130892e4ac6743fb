// A trail as a receiver stored it: cut into files of its own, with lines of others between the records.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVerifier, type Verdict } from '../../../src/domain/trail/verify.js';
import { key, makeTrail } from './paper-trail.js';

/** All records of the usual trail in files of so many lines; `''` is a line of somebody else. */
function verifyShipped(lines: readonly string[], linesOfFile: number, isShipped = true): Verdict {
  const verifier = createVerifier({
    trustedKeys: [key.key],
    kept: [],
    isPart: false,
    isShipped,
    faultsMax: 10,
  });
  for (const [at, line] of lines.entries()) {
    if (at % linesOfFile === 0) verifier.beginSegment(`received.${at / linesOfFile}`);
    if (line === '') verifier.skipLine();
    else verifier.takeLine(Buffer.from(line), true);
  }
  return verifier.finish();
}

const lines = makeTrail().segments.flatMap((segment) => segment.lines);

void test('it does not matter where a receiver cut its files', () => {
  for (let count = 1; count <= lines.length; count += 1) {
    assert.deepEqual(verifyShipped(lines, count).faults, [], `files of ${count} lines`);
  }
  // Segment 2 begins with line 11: as the start of a file it would ask for a file of the name 00000001.jsonl.
  assert.equal(verifyShipped(lines, 10, false).faults[0]?.kind, 'segment-missing');
});

void test('skipped lines count for the place of a fault, and for nothing else', () => {
  const mixed = lines.flatMap((line, at) => (at % 3 === 0 ? ['', line] : [line]));
  assert.deepEqual(verifyShipped(mixed, 100).faults, []);
  const at = mixed.findIndex((line) => line.includes('"seq":14,'));
  const changed = mixed.with(at, (mixed[at] ?? '').replace('alice', 'alicf'));
  const [fault] = verifyShipped(changed, 100).faults;
  assert.deepEqual(
    [fault?.kind, fault?.file, fault?.line, fault?.seq],
    ['changed', 'received.0', at + 1, 14],
  );
});
