// What a stream may have lost: the blocks that were not settled when something was odd, and those of the time after it, up to a bound.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { SentBlocks } from '../../../src/ship/shipping/sent-blocks.js';

const block = (first: number) => ({ first, last: first + 9 });

function dueOf(sent: SentBlocks, nowMs: number): number[] {
  const found: number[] = [];
  for (let next = sent.next(nowMs); next !== undefined; next = sent.next(nowMs)) {
    found.push(next.first);
    sent.sentAgain(true);
  }
  return found;
}

void test('settled blocks are never sent again; those around a doubt are, when it has been quiet for a while', () => {
  const sent = new SentBlocks(10_000);
  sent.sent(block(1), 0, 0);
  sent.sent(block(11), 0, 0);
  assert.equal(sent.dueMs, undefined);
  sent.sent(block(21), 10, 1_000);
  sent.doubt(2_000);
  assert.equal(sent.dueMs, 12_000);
  sent.sent(block(31), 10, 11_999);
  sent.sent(block(41), 10, 12_000);
  assert.deepEqual(dueOf(sent, 11_999), []);
  assert.deepEqual(dueOf(sent, 12_000), [31, 21, 11]);
  assert.equal(sent.dueMs, undefined);
  sent.sent(block(51), 40, 19_000);
  sent.doubt(20_000);
  sent.doubt(25_000);
  assert.deepEqual([dueOf(sent, 34_999), dueOf(sent, 35_000)], [[], [51, 41]]);
});

void test('what was sent again and is in doubt again is sent once more, and then no more', () => {
  const sent = new SentBlocks(0);
  sent.sent(block(1), 0, 0);
  sent.sent(block(11), 0, 0);
  const times = [0, 10_000, 20_000].map((nowMs) => {
    sent.doubt(nowMs);
    sent.sent(block(nowMs + 21), 0, nowMs + 9_000);
    return dueOf(sent, nowMs + 9_000);
  });
  assert.deepEqual(times, [
    [11, 1],
    [21, 11, 1],
    [10_021, 21],
  ]);
  sent.sent(block(30_001), 30_000, 30_000);
  sent.doubt(30_000);
  assert.deepEqual(dueOf(sent, 40_000), [30_001]);
});

void test('a suspect of several blocks goes in pieces, the last one first; what the journal lacks is dropped', () => {
  const sent = new SentBlocks(0);
  sent.sent({ first: 1, last: 30 }, 0, 0);
  sent.doubt(0);
  sent.split({ first: 1, last: 10 });
  sent.split({ first: 11, last: 20 });
  assert.deepEqual(dueOf(sent, 5_000), [21, 11, 1]);
  sent.doubt(5_000);
  assert.equal(sent.next(10_000)?.last, 30);
  sent.sentAgain(false);
  assert.deepEqual(dueOf(sent, 10_000), [11, 1]);
});

void test('what is sent from an earlier record on anyway is forgotten', () => {
  const sent = new SentBlocks(0);
  for (const first of [1, 11, 21]) sent.sent(block(first), 0, 0);
  sent.doubt(0);
  sent.sent(block(31), 0, 0);
  sent.lostAfter(15);
  assert.equal(sent.next(5_000)?.last, 15);
  assert.deepEqual(dueOf(sent, 5_000), [11, 1]);
});

// bounds.natsSuspects
void test('of more than the bound the newest are kept', () => {
  const sent = new SentBlocks(600_000);
  for (let at = 0; at < bounds.natsSuspects + 3; at += 1) sent.sent(block(at * 10 + 1), 0, 0);
  sent.doubt(0);
  const due = dueOf(sent, 60_000);
  assert.deepEqual([due.length, due.at(-1)], [bounds.natsSuspects, 31]);
});
