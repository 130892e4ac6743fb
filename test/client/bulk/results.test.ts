// Goal: what a bulk run prints is one line a user, harmless to a terminal, and JSON that holds all of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBulkProgress, describeCounts, formatResult } from '../../../src/client/bulk/results.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

const evil = 'a\x1b[2J\n\u202e';
const ok = { kind: 'ok', rows: [{ root: 'x', value: evil }, ['1', '2']], isCut: false } as const;
const failed = { kind: 'failed', code: 'NOUSER', message: evil, id: '01K' } as const;

void test('a line for people', () => {
  const line = formatResult('table', evil, 'bulk-1', ok, undefined);
  assert.match(line, /^a\\x1b\[2J\\n\\u\{202e\} +ok {7}x a\\x1b\[2J\\n\\u\{202e\}; 1 2$/);
  assert.match(
    formatResult('table', 'bob', 't', failed, undefined),
    /^bob +failed {3}NOUSER: a\\x1b.*, id 01K$/,
  );
  assert.equal(formatResult('table', 'bob', 't', failed, 60).length, 60);
  const many = { kind: 'ok', rows: Array.from({ length: 30 }, () => ['x']), isCut: false } as const;
  assert.match(formatResult('table', 'bob', 't', many, undefined), /(?:x; ){20}\(30 rows\)$/);
});

void test('a line of JSON', () => {
  for (const result of [ok, failed, { kind: 'unknown', message: 'm', id: undefined }] as const) {
    const line = formatResult('json', evil, 'bulk-1', result, 10);
    assert.match(line, /^[ -~]+$/);
    const { user, result: kind, tag } = JSON.parse(line);
    assert.deepEqual([user, kind, tag], [evil, result.kind, 'bulk-1']);
  }
  const cut = JSON.parse(
    formatResult('json', 'a', undefined, { kind: 'ok', rows: [], isCut: true }, undefined),
  );
  assert.deepEqual(cut, { user: 'a', result: 'ok', rows_dropped: true });
});

void test('how far it is, how long it takes, and what it waits for', async () => {
  const clock = createFakeClock();
  const drawn: string[] = [];
  const told: string[] = [];
  const screen = { complain: (text: string) => void told.push(text) };
  const progress = createBulkProgress(clock, screen, (text) => drawn.push(text), 10_000, 1_000);
  await clock.advance(10_000);
  progress.draw(2_000, { ok: 1_990, failed: 9, unknown: 1 });
  progress.draw(2_001, { ok: 1_990, failed: 9, unknown: 1 });
  assert.deepEqual(drawn, ['\r\x1b[K2,000 of 10,000 users (10 not ok), 100/s, 1 min 20 s left']);
  progress.waits(5_000, 'over a limit');
  progress.clear();
  progress.clear();
  assert.deepEqual(drawn.slice(1), ['\r\x1b[Kwaits 5 s: over a limit', '\r\x1b[K']);
  assert.deepEqual(told, []);
  // Into a file: a line for a long wait, once.
  const silent = createBulkProgress(clock, screen, undefined, 10, 0);
  silent.draw(1, { ok: 1, failed: 0, unknown: 0 });
  for (const ms of [9_000, 60_000, 59_000, 60_000]) silent.waits(ms, 'over a limit');
  assert.deepEqual(told, ['dovegate: waits 1 min: over a limit']);
});

void test('counts', () => {
  assert.equal(
    describeCounts({ ok: 12_345, failed: 0, unknown: 1 }),
    '12,346 users: 12,345 ok, 0 failed, 1 unknown',
  );
  assert.equal(describeCounts({ ok: 1, failed: 0, unknown: 0 }), '1 user: 1 ok, 0 failed, 0 unknown');
});
