// Goal: a client is given up for the time in which it is waited for, and for nothing else. Phases: clients that move nothing, too little,
// enough, in lumps; time of a backend between; a pause between two questions; one lease after the other.
// What must not happen: an honest client that is given up because a backend, or another lease, took its time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientPace, paceWindowMs, type SlowClient } from '../../../src/gate/pool/lease.js';

const minRate = 64 * 1024;

/** A lease whose client is asked about each second. */
function lease(pace = new ClientPace()) {
  let nowMs = 5_000;
  let movedBytes = 123;
  const given: SlowClient[] = [];
  return {
    pace,
    given,
    /** Waits for the client for so many seconds, in each of which it moves so many bytes. */
    hold(seconds: number, bytesEach: number | ((second: number) => number), isRated = true): void {
      pace.begin(
        {
          get movedBytes() {
            return movedBytes;
          },
          isRated,
          giveUp: (why) => void given.push(why),
        },
        nowMs,
      );
      for (let second = 0; second < seconds && given.length === 0; second += 1) {
        pace.check(nowMs, minRate);
        nowMs += 1_000;
        movedBytes += typeof bytesEach === 'number' ? bytesEach : bytesEach(second);
        pace.check(nowMs, minRate);
      }
      pace.end(nowMs);
    },
    /** The client is not waited for; it may move bytes even so. */
    pass(seconds: number, bytesEach = 0): void {
      for (let second = 0; second < seconds; second += 1) {
        nowMs += 1_000;
        movedBytes += bytesEach;
        pace.check(nowMs, minRate);
      }
    },
    /** Nobody asks for so long. */
    skip(seconds: number): void {
      nowMs += seconds * 1_000;
    },
  };
}

// [what it shows, bytes of each second, after how many seconds it is given up, why]
const rates: readonly (readonly [
  string,
  number | ((second: number) => number),
  number | undefined,
  string,
])[] = [
  ['nothing at all', 0, 10, 'client-stall'],
  ['8 KB/s', 8_192, 10, 'client-slow'],
  ['one byte', (second) => (second === 5 ? 1 : 0), 10, 'client-slow'],
  ['too little, even with what the kernel may not have counted yet', minRate - 4_200, 10, 'client-slow'],
  ['just enough', minRate, undefined, ''],
  ['enough, all at once every five seconds', (second) => (second % 5 === 0 ? 5 * minRate : 0), undefined, ''],
  ['fast, and then nothing', (second) => (second < 20 ? 10 * minRate : 0), 30, 'client-stall'],
  ['fast, and then slow', (second) => (second < 20 ? 10 * minRate : 1_000), 30, 'client-slow'],
];
for (const [name, bytes, afterSeconds, why] of rates) {
  void test(`${name}: ${why === '' ? 'goes on' : why}`, () => {
    const story = lease();
    story.hold((afterSeconds ?? 121) - 1, bytes);
    assert.deepEqual(story.given, []);
    if (afterSeconds === undefined) return;
    const again = lease();
    again.hold(afterSeconds, bytes);
    assert.deepEqual(again.given, [why]);
  });
}

void test('only the time counts in which the client is waited for', () => {
  const story = lease();
  for (let n = 0; n < 9; n += 1) {
    story.hold(1, 1_000);
    story.pass(5);
  }
  assert.deepEqual(story.given, []);
  story.hold(1, 1_000);
  assert.deepEqual(story.given, ['client-slow']);
  const honest = lease();
  honest.hold(5, minRate);
  honest.pass(600);
  honest.hold(5, minRate);
  assert.deepEqual(honest.given, []);
  const between = lease();
  // What it moves while nobody waits for it does not count for it either: it is not what holds the lease up.
  for (let n = 0; n < 10; n += 1) {
    between.hold(1, 0);
    between.pass(1, 10 * minRate);
  }
  assert.deepEqual(between.given, ['client-stall']);
});

void test('a client that has moved nothing for the whole time is given up at the first question', () => {
  const pace = new ClientPace();
  const given: SlowClient[] = [];
  pace.begin({ movedBytes: 7, isRated: true, giveUp: (why) => void given.push(why) }, 1_000);
  pace.check(1_000 + paceWindowMs - 1, minRate);
  assert.deepEqual(given, []);
  pace.check(1_000 + paceWindowMs, minRate);
  assert.deepEqual(given, ['client-stall']);
});

void test('a speed is known after two seconds', () => {
  const story = lease();
  story.hold(1, 1_000);
  assert.equal(story.pace.speed, Number.POSITIVE_INFINITY);
  story.hold(1, 1_000);
  assert.ok(story.pace.speed < minRate, String(story.pace.speed));
});

void test('averages do not reach over a time in which nobody asked', () => {
  const story = lease();
  story.hold(5, 1_000);
  story.skip(60);
  story.hold(9, 1_000);
  assert.deepEqual(story.given, []);
});

void test('where no rate holds, only a client that moves nothing is given up', () => {
  const story = lease();
  story.hold(60, 1, false);
  assert.deepEqual(story.given, []);
  story.hold(10, 0, false);
  assert.deepEqual(story.given, ['client-stall']);
});

void test('the next lease knows nothing of the one before', () => {
  const story = lease();
  story.hold(9, 0);
  story.pace.reset();
  story.hold(9, 0);
  assert.deepEqual(story.given, []);
});

void test('a client that reads fast enough is left alone where the kernel counts whole buffers only', () => {
  // What SIOCOUTQ of a UNIX socket moves by: a buffer counts as taken when its last byte is read.
  const lump = 37_120;
  for (const [rate, expected] of [
    [minRate, []],
    [68_000, []],
    [minRate - 8_192, ['client-slow']],
  ] as const) {
    for (let offset = 0; offset < lump; offset += 1_000) {
      const pace = new ClientPace();
      const given: SlowClient[] = [];
      let nowMs = 0;
      pace.begin(
        {
          get movedBytes() {
            return Math.floor((offset + (rate * nowMs) / 1000) / lump) * lump;
          },
          isRated: true,
          giveUp: (why) => void given.push(why),
        },
        nowMs,
      );
      for (; nowMs <= 120_000 && given.length === 0; nowMs += 510) pace.check(nowMs, minRate);
      assert.deepEqual(given, expected, `${rate} B/s, first buffer ${offset} bytes in`);
    }
  }
});
