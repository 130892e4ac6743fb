// Goal: a start that did not find all that the run before had in memory is a warning at its place, and no fault: nobody changed anything.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../../src/domain/audit/ledger.js';
import type { OwnRecord } from '../../../src/domain/audit/record.js';
import { nameOf, seal, started, verify } from './paper-trail.js';

const journal = 'ab'.repeat(16);

/** A first start, then one that says so much of the memory of the run before. */
function twoStarts(said: Partial<OwnRecord>) {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  seal(lines, ledger, { time: started, event: 'start', journal, format: 1 });
  seal(lines, ledger, { time: started + 1, event: 'start', journal, format: 1, ...said });
  return verify({ segments: [{ name: nameOf(1), lines }], kept: [] }, { trustedKeys: [] });
}

const warnings: readonly [string, Partial<OwnRecord>, string][] = [
  ['gone', { ring: 'missing' }, 'the memory of the run before was gone'],
  [
    'damaged',
    { recovered: 5, ring: 'damaged', lost: 2 },
    'the memory of the run before was damaged (2 places)',
  ],
  [
    'damaged, nobody knows how much',
    { ring: 'damaged', lost: 'unknown' },
    'the memory of the run before was damaged',
  ],
  [
    'replaced',
    { ring: 'foreign', lost: 'unknown' },
    'the memory of the run before was replaced, or the machine was started since',
  ],
  ['what a later release says', { ring: 'melted' }, 'the memory of the run before could not be used'],
];

for (const [name, said, what] of warnings) {
  void test(`the memory was ${name}`, () => {
    const { faults, forgotten } = twoStarts(said);
    assert.deepEqual(faults, []);
    const text = `${what}, so the last reads and outcomes before this start may be missing`;
    const time = '2026-11-20T08:00:00.001Z';
    assert.deepEqual(forgotten, [{ seq: 2, file: nameOf(1), line: 2, time, text }]);
  });
}

void test('records that were recovered are no warning', () => {
  assert.deepEqual(twoStarts({ recovered: 7 }).forgotten, []);
});
