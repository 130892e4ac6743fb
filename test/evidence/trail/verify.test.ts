// Goal: a forged journal does not fill the memory of the program that checks it. What is said of each trail is in verdicts.txt.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVerifier, type Verdict } from '../../../src/evidence/trail/verify.js';
import { createCheckpointVerifier } from '../../../src/journal/records/checkpoints.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { key, makeTrail, nameOf, seal, started, verify } from './paper-trail.js';

/** What is said of so many records. */
function verdictOf(count: number, recordOf: (at: number) => JournalRecord): Verdict {
  const ledger = new Ledger('dovegate test', undefined, 'ab');
  const lines: string[] = [];
  for (let at = 0; at < count; at += 1) seal(lines, ledger, recordOf(at));
  return verify({ segments: [{ name: nameOf(1), lines }], kept: [] }, { trustedKeys: [], isPart: true });
}

test('admissions without completion: so many are followed, and fewer are listed', () => {
  const admissionOf = (at: number): JournalRecord => ({ time: started, event: 'admission', id: `E${at}` });
  const { open, openCount, faultCount } = verdictOf(200_000 + 1_000, admissionOf);
  assert.deepEqual([open.length, openCount, faultCount], [20, 200_000, 0]);
});

test('keys that sign are listed up to a limit', () => {
  const verifier = createCheckpointVerifier([], [], () => undefined);
  for (let n = 0; n < 1000 + 1_000; n += 1) {
    const text = `{"seq":${n + 1},"key":"${'A'.repeat(43)}=","signature":"${'A'.repeat(86)}==","prev":"","hash":"${'0'.repeat(64)}"}`;
    verifier.judge(text, { key: `key${n}` }, { file: 'f', line: n, seq: n });
  }
  const { keys } = verifier.finish({ file: 'f', line: 1, seq: 1 }, 1);
  assert.equal(keys.length, 1000);
});

test('steps of the clock are kept up to a limit', () => {
  const step = { event: 'clock', step_ms: 60_000 } as const;
  const { steps } = verdictOf(10_000 + 10, (at) => ({ time: started + at * 60_000, ...step }));
  assert.equal(steps.length, 10_000);
});

void test('it does not matter where a receiver cut its files', () => {
  const lines = makeTrail().segments.flatMap((segment) => segment.lines);
  const kindsOf = (linesOfFile: number, isShipped: boolean): string[] => {
    const options = { trustedKeys: [key.key], kept: [], isPart: false, isShipped, faultsMax: 10 };
    const verifier = createVerifier(options);
    for (const [at, line] of lines.entries()) {
      if (at % linesOfFile === 0) verifier.beginSegment(`received.${at / linesOfFile}`);
      verifier.takeLine(Buffer.from(line), true);
    }
    return verifier.finish().faults.map(({ kind }) => kind);
  };
  for (let count = 1; count <= lines.length; count += 1)
    assert.deepEqual(kindsOf(count, true), [], `files of ${count} lines`);
  // Segment 2 begins with line 11: as the start of a file it would ask for a file of the name 00000001.jsonl.
  assert.equal(kindsOf(10, false)[0], 'segment-missing');
});
