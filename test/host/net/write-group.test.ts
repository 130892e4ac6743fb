// Goal: what is written leaves in few calls, in order, in the turn in which it was written. Phases: short groups; long ones; many
// long ones in one turn; a side that is full. What must not happen: a copy of what is long, bytes that stay or change places.
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GroupWriter } from '../../../src/host/net/write-group.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

interface Recorded {
  readonly write: (...sizes: readonly number[]) => boolean;
  /** Sizes of what came in one call each. */
  readonly calls: number[][];
  /** In the order in which they came. */
  readonly came: Buffer[];
  readonly sent: Buffer[];
}

const kib = 1024;

/** A stream that takes everything at once, or nothing. */
function record(takes = true): Recorded {
  const calls: number[][] = [];
  const came: Buffer[] = [];
  const sent: Buffer[] = [];
  const take = (chunks: readonly Buffer[]): void => {
    calls.push(chunks.map((chunk) => chunk.length));
    came.push(...chunks);
  };
  const stream = new Writable({
    highWaterMark: 16 * kib,
    write(chunk: Buffer, _encoding, told) {
      take([chunk]);
      if (takes) told();
    },
    writev(chunks, told) {
      take(chunks.map(({ chunk }: { chunk: Buffer }) => chunk));
      if (takes) told();
    },
  });
  const group = new GroupWriter(createFakeClock());
  let filling = 0;
  const write = (...sizes: readonly number[]): boolean => {
    const parts = sizes.map((size) => Buffer.alloc(size, (filling += 1)));
    sent.push(...parts);
    return group.write(stream, parts);
  };
  return { write, calls, came, sent };
}

void test('a group of short parts is one short write, at once', () => {
  const { write, calls, came, sent } = record();
  assert.ok(write(5, 100, 1, 3));
  assert.ok(write(7));
  assert.ok(write(2 * kib));
  assert.deepEqual(calls, [[109], [7], [2 * kib]]);
  assert.deepEqual(Buffer.concat(came), Buffer.concat(sent));
});

void test('an empty group writes nothing, and tells whether there is room', () => {
  const { write, calls } = record();
  assert.ok(write());
  assert.deepEqual(calls, []);
});

void test('long groups of one turn leave together at its end, as they are and in order', async () => {
  const { write, calls, came, sent } = record();
  assert.ok(write(5, 16 * kib));
  assert.ok(write(5, 16 * kib));
  assert.ok(write(1, 2, 3));
  assert.deepEqual(calls, []);
  await turn();
  assert.deepEqual(calls, [[5, 16 * kib, 5, 16 * kib, 6]]);
  assert.deepEqual(Buffer.concat(came), Buffer.concat(sent));
  assert.equal(came[1], sent[1], 'not copied');
  write(3 * kib);
  await turn();
  assert.deepEqual(calls.slice(1), [[3 * kib]]);
});

void test('more than 64 KiB are not held back, and what follows is the next group', async () => {
  const { write, calls, came, sent } = record();
  for (let n = 0; n < 4; n += 1) assert.ok(write(16 * kib));
  assert.deepEqual(calls, [[16 * kib, 16 * kib, 16 * kib, 16 * kib]]);
  assert.ok(write(256 * kib));
  assert.ok(write(3 * kib));
  assert.deepEqual(calls.slice(1), [[256 * kib]]);
  await turn();
  assert.deepEqual(calls.slice(2), [[3 * kib]]);
  assert.deepEqual(Buffer.concat(came), Buffer.concat(sent));
});

void test('there is no room while the other side takes nothing', async () => {
  const { write, calls } = record(false);
  assert.ok(write(10));
  assert.ok(!write(128 * kib));
  assert.ok(!write(1));
  await turn();
  assert.deepEqual(calls, [[10]]);
});
