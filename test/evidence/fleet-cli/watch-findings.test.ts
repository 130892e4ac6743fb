// Goal: a finding is told once when it begins and once when it ends, over restarts too; silence counts from what is known of the stream,
// and only the server's absence excuses it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FleetFinding } from '../../../src/evidence/fleet/shapes.js';
import { createFindingBook, createKnowledge } from '../../../src/evidence/fleet-cli/watch-findings.js';
import { formatTime } from '../../../src/host/words/instants.js';

const startMs = Date.UTC(2026, 10, 20, 8);
const missing = { kind: 'missing', host: 'gate1', journal: 'ab', seq: 7, text: 'record 7 is gone' } as const;
const silent = (lastMs: number): FleetFinding => ({
  kind: 'silent',
  host: 'gate2',
  time: formatTime(lastMs),
  text: `silent since ${lastMs}`,
});
const told = (lines: readonly string[]): string[] =>
  lines.map((line) => {
    const { event, kind, host, seq }: Readonly<Record<string, unknown>> = JSON.parse(line);
    return `${String(event)} ${String(kind)} ${String(host)} ${String(seq)}`;
  });

void test('each is told when it begins and when it ends', () => {
  const book = createFindingBook([]);
  assert.equal(told([book.begin(missing, startMs) ?? '']).join(), 'finding missing gate1 7');
  assert.equal(book.begin(missing, startMs), undefined);
  assert.deepEqual(told(book.update([missing, silent(1)], startMs)), ['finding silent gate2 undefined']);
  // Its sentence counts the time: it is the same one.
  assert.deepEqual(book.update([missing, silent(2)], startMs), []);
  assert.deepEqual(told(book.update([missing], startMs)), ['finding-ended silent gate2 undefined']);
  assert.deepEqual(told(book.update([], startMs)), ['finding-ended missing gate1 7']);
});

void test('after a restart only what changed is told', () => {
  const before = createFindingBook([]);
  before.update([missing, silent(1)], startMs);
  const after = createFindingBook(before.names());
  assert.ok(after.has(missing));
  assert.deepEqual(told(after.update([silent(5)], startMs)), ['finding-ended missing gate1 7']);
});

void test('a policy and a catalog that differ are two findings', () => {
  const differs = (text: string): FleetFinding => ({ kind: 'differs', host: 'gate1', text });
  const book = createFindingBook([]);
  assert.equal(book.update([differs('policy support'), differs('catalog')], startMs).length, 2);
  assert.equal(book.update([differs('catalog')], startMs).length, 1);
});

void test('the absence of the server excuses silence, and no more than it lasted', () => {
  const silentMs = 300_000;
  const known = createKnowledge();
  known.confirmed(startMs);
  // A round may take longer than others, and nobody is away.
  for (let ms = startMs; ms <= startMs + 60_000; ms += 20_000) known.confirmed(ms);
  const last = silent(startMs + 50_000);
  // An hour without a word of the server.
  known.lost(startMs + 62_000);
  known.confirmed(startMs + 60_000 + 3_600_000);
  assert.ok(known.isExcused(last, silentMs));
  known.confirmed(startMs + 3_660_000 + 290_000);
  assert.ok(known.isExcused(last, silentMs));
  known.confirmed(startMs + 3_660_000 + 292_000);
  assert.ok(!known.isExcused(last, silentMs), 'silent for 10 s before and 292 s after');
});

void test('at the start nothing is excused, but for a server that cannot be reached', () => {
  const silentMs = 300_000;
  const known = createKnowledge();
  // What is read first is old.
  known.heard(startMs);
  known.confirmed(startMs + 3_600_000);
  assert.ok(!known.isExcused(silent(startMs), silentMs));

  const away = createKnowledge();
  away.lost(startMs + 60_000);
  away.confirmed(startMs + 3_600_000);
  assert.ok(away.isExcused(silent(startMs), silentMs));
});

void test('what was stored while only we were away leaves no excuse', () => {
  const known = createKnowledge();
  known.confirmed(startMs);
  known.lost(startMs + 5_000);
  // Back after an hour, and two hosts had gone on every ten seconds. Their streams are read one after the other.
  for (const from of [startMs, startMs + 5_000])
    for (let ms = from; ms < startMs + 3_600_000; ms += 10_000) known.heard(ms);
  known.confirmed(startMs + 3_600_000);
  assert.ok(!known.isExcused(silent(startMs), 300_000));

  // The server was away for the second half of the hour.
  const both = createKnowledge();
  both.confirmed(startMs);
  both.lost(startMs + 5_000);
  for (let ms = startMs; ms < startMs + 1_800_000; ms += 5_000) both.heard(ms);
  both.confirmed(startMs + 3_600_000);
  assert.ok(both.isExcused(silent(startMs + 1_600_000), 300_000));
  assert.ok(!both.isExcused(silent(startMs + 1_400_000), 300_000));
});
