// Where a run ends and the next one begins, record by record. What verifying a whole trail makes of it is in verify.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRunEnds } from '../../../src/evidence/trail/run-ends.js';

/** What is said about each of some records, in a chain in which the hash of record N is `hN`. */
function told(
  records: readonly { readonly event: string; readonly outcome?: string; readonly [key: string]: unknown }[],
): unknown[] {
  const ends = createRunEnds();
  const found = records.map(({ event, outcome = 'ok', ...record }, at) => {
    const seq = at + 1;
    const head = `{"seq":${seq},"event":"${event}","id":"E","outcome":"${outcome}"`;
    const link = { seq, prev: `h${at}`, hash: `h${seq}` };
    return ends.take(event, head, record, link, { file: 'f', line: seq, seq })?.line;
  });
  return [...found.filter((line) => line !== undefined), ...(ends.finish() === undefined ? [] : ['open'])];
}

const start = { event: 'start' };
const checkpoint = { event: 'checkpoint' };
const end = [{ event: 'stop' }, checkpoint];
const run = [start, checkpoint, { event: 'admission' }, { event: 'completion' }];

void test('runs one after the other, with what a start writes first', () => {
  const unknown = { event: 'completion', outcome: 'unknown' };
  assert.deepEqual(told([...run, ...end, ...run, ...end]), []);
  assert.deepEqual(told([...run, ...end, checkpoint, { event: 'clock' }, unknown, ...run, ...end]), []);
  assert.deepEqual(told([...run, ...run, ...end]), [], 'a crash between');
  const killed = [...run, ...end, { event: 'clock' }, start, unknown, ...run];
  assert.deepEqual(told(killed), [], 'a start that was killed');
});

void test('the last checkpoint may begin a segment, and then has what that one carries behind it', () => {
  const last = { event: 'checkpoint', carries: 2 };
  const carried = [{ event: 'lock' }, { event: 'journal' }];
  assert.deepEqual(told([...run, { event: 'stop' }, last, ...carried]), []);
  assert.deepEqual(told([...run, { event: 'stop' }, last, ...carried, ...run]), []);
  const tooMany = [...run, { event: 'stop' }, last, ...carried, { event: 'lock' }];
  assert.deepEqual(told(tooMany), [9]);
});

void test('each record that no start writes is told, once for all after it', () => {
  for (const event of ['admission', 'completion', 'retire', 'reload', 'operator', 'limit', 'log'])
    assert.deepEqual(told([...run, ...end, { event }, { event }]), [7], event);
  const unsealed = [...run, ...end, start, { event: 'admission' }];
  assert.deepEqual(told(unsealed), [8], 'a start without its checkpoint');
  assert.deepEqual(told([...run, ...end, { event: 'clock' }]), ['open'], 'no start follows');
});

void test('a start names the last record before it', () => {
  const named = (seq: number, last_hash: string) => ({ event: 'start', last_seq: seq, last_hash });
  assert.deepEqual(told([...run, ...end, named(6, 'h6'), checkpoint]), []);
  assert.deepEqual(told([...run, ...end, named(6, 'other'), checkpoint]), [7]);
  assert.deepEqual(told([...run, ...end, named(3, 'h3'), checkpoint]), [7]);
  assert.deepEqual(told([...run, ...run, named(6, 'h6'), checkpoint]), [9]);
  const recovered = { ...named(6, 'h6'), recovered: 2 };
  assert.deepEqual(told([...run, ...run, recovered, checkpoint]), [], 'from the memory of that run');
});

void test('a start is compared with the last 512 records, and with no older ones', () => {
  const before = [start, checkpoint, ...Array.from({ length: 700 }, () => ({ event: 'log' }))];
  const last = before.length;
  const named = (seq: number) => ({ event: 'start', last_seq: seq, last_hash: 'other', recovered: 1 });
  assert.deepEqual(told([...before, named(last - 511), checkpoint]), [last + 1]);
  assert.deepEqual(told([...before, named(last - 512), checkpoint]), []);
});

void test('a start that names half of the record before it, or the very record between two runs', () => {
  const only = (more: object) => ({ event: 'start', ...more });
  assert.deepEqual(told([...run, ...end, only({ last_seq: 6 }), checkpoint]), []);
  assert.deepEqual(told([...run, ...end, only({ last_hash: 'other' }), checkpoint]), []);
  // The last record that no start writes is the one that the start names.
  assert.deepEqual(told([...run, only({ last_seq: 4, last_hash: 'h4' }), checkpoint]), []);
  assert.deepEqual(told([...run, only({ last_seq: 3, last_hash: 'h3' }), checkpoint]), [5]);
});
