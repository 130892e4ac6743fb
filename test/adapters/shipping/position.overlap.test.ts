// What is sent again: the last minute or the last MiB, whichever reaches further back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginning, type Position } from '../../../src/adapters/shipping/follow.js';
import { createOverlap } from '../../../src/adapters/shipping/position.js';

const limits = { ms: 60_000, bytes: 1000 };

function behind(seq: number): Position {
  return { segment: 1, bytes: seq * 100, seq, hash: String(seq) };
}

void test('few bytes: older than a minute is not enough', () => {
  const overlap = createOverlap(limits, beginning);
  for (let seq = 1; seq <= 30; seq += 1) overlap.note(behind(seq), 100, seq * 10_000);
  assert.equal(overlap.sentSeq, 30);
  assert.equal(overlap.safe(300_000).seq, 20, 'ten records are 1000 bytes');
  assert.equal(overlap.safe(10_000_000).seq, 20, 'time alone makes nothing safe');
});

void test('many bytes: the last minute counts', () => {
  const overlap = createOverlap(limits, beginning);
  for (let seq = 1; seq <= 100; seq += 1) overlap.note(behind(seq), 5000, seq * 1000);
  assert.equal(overlap.safe(100_000).seq, 40);
  assert.equal(overlap.safe(130_000).seq, 70);
});

void test('nothing is safe at first but where it began; it never goes back', () => {
  const from = behind(7);
  const overlap = createOverlap(limits, from);
  assert.equal(overlap.safe(0), from);
  overlap.note(behind(8), 5000, 0);
  assert.equal(overlap.safe(59_999), from);
  overlap.note(behind(9), 5000, 59_999);
  let last = 0;
  for (let ms = 59_999; ms < 200_000; ms += 500) {
    const { seq } = overlap.safe(ms);
    assert.ok(seq >= last);
    last = seq;
  }
  assert.equal(last, 8);
});

void test('what is sent a second time is as old as it was the first time', () => {
  const overlap = createOverlap(limits, beginning);
  overlap.note(behind(1), 5000, 0);
  overlap.note(behind(2), 5000, 1000);
  // Every transport ends after 20 s, and everything is sent again each time: it gets on all the same.
  for (const ms of [20_000, 40_000, 60_000]) {
    overlap.note(behind(1), 5000, ms);
    overlap.note(behind(2), 5000, ms);
  }
  assert.equal(overlap.safe(60_000).seq, 1);
  assert.equal(overlap.sentSeq, 2);
});

void test('batches within a second share a place', () => {
  const overlap = createOverlap(limits, beginning);
  for (let seq = 1; seq <= 1000; seq += 1) overlap.note(behind(seq), 5000, seq * 10);
  // 1 to 100 left within one second, the last of them at 1000 ms.
  assert.deepEqual([overlap.safe(60_995).seq, overlap.safe(61_005).seq], [0, 100]);
});

void test('the last one becomes safe, too, where nothing comes behind it', () => {
  const overlap = createOverlap({ ms: 500, bytes: 0 }, beginning);
  overlap.note(behind(1), 5000, 0);
  overlap.note(behind(2), 5000, 900);
  assert.deepEqual([overlap.safe(1399).seq, overlap.safe(1400).seq], [0, 2]);
  const none = createOverlap({ ms: 0, bytes: 0 }, beginning);
  none.note(behind(1), 5000, 7);
  assert.equal(none.safe(7).seq, 1);
});
