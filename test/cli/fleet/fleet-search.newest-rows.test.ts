// Goal: rows come in the order of time, newest first, whatever order they were found in; at one time by host, then the later record first;
// of more than are kept, the newest are kept and the others are counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { createNewestRows } from '../../../src/cli/fleet/fleet-search.js';
import { formatTime } from '../../../src/domain/audit/record.js';
import type { ExchangeRow } from '../../../src/domain/trail/search.js';

function rowAt(ms: number | undefined, seq: number, text = ''): ExchangeRow {
  const time = ms === undefined ? 'soon' : formatTime(ms);
  return {
    fields: { time, id: `E${seq}`, text },
    admittedSeq: seq,
    completedSeq: seq + 1,
    completedTime: undefined,
  };
}

const idsOf = (rows: readonly ExchangeRow[]) => rows.map(({ fields }) => String(fields['id']));

void test('newest first; at one time by host, then the later record first; what has no time at the end', () => {
  const newest = createNewestRows(10);
  newest.add('gate2', rowAt(1000, 1));
  newest.add('gate1', rowAt(undefined, 2));
  newest.add('gate1', rowAt(2000, 3));
  newest.add('gate1', rowAt(1000, 4));
  newest.add('gate1', rowAt(1000, 5));
  newest.add('gate2', rowAt(3000, 6));
  assert.deepEqual(idsOf(newest.finish().rows), ['E6', 'E3', 'E5', 'E4', 'E1', 'E2']);
});

void test('of more rows than are asked for, the newest ones', () => {
  const newest = createNewestRows(7);
  // 0, 37, 74, 10, 47, ...: each once.
  for (let at = 0; at < 101; at += 1) newest.add('gate1', rowAt((at * 37) % 101, (at * 37) % 101));
  const { rows, older } = newest.finish();
  assert.deepEqual(idsOf(rows), ['E100', 'E99', 'E98', 'E97', 'E96', 'E95', 'E94']);
  assert.equal(older, 94);
});

// bounds.fleetRowsBytes, bounds.fleetRows
void test('of more bytes than are kept, the newest rows, without a gap', () => {
  const newest = createNewestRows(bounds.fleetRows, 10_000);
  const text = 'x'.repeat(900);
  for (let at = 0; at < 101; at += 1) newest.add('gate1', rowAt((at * 37) % 101, (at * 37) % 101, text));
  const { rows, older } = newest.finish();
  assert.ok(rows.length >= 7 && rows.length <= 10, String(rows.length));
  assert.equal(rows.length + older, 101);
  assert.deepEqual(
    idsOf(rows),
    rows.map((_, at) => `E${100 - at}`),
  );
  const one = createNewestRows(bounds.fleetRows, 10);
  one.add('gate1', rowAt(1, 1, text));
  assert.equal(one.finish().rows.length, 1);
});
