// The bell between the main thread and the writer's thread, and the marks that lie beside it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Bell, BellRope, type Mark } from '../../../src/journal/files/handover.js';
import { projectRoot } from '../../kit/plain/root.js';

/** Each of its values tells which one it is. */
const mark = (seq: number): Mark => ({
  segment: seq + 1,
  device: seq + 2,
  inode: 2 ** 40 + seq,
  bytes: seq * 500,
  seq,
  hash: `${seq}`.padStart(64, 'a'),
  stepsMs: -seq,
  oldestSeq: seq + 3,
  timeMs: 1_795_000_000_000 + seq,
  openSeq: seq + 4,
  position: seq * 400,
  records: seq + 5,
  lost: seq + 6,
});

function pair() {
  const rope = new BellRope();
  return { rope, bell: new Bell(rope.memory) };
}

void test('a bell that rang before is not waited for, and one wait hears all that rang', () => {
  const { rope, bell } = pair();
  rope.ring(1000, 64, false);
  bell.wait();
  assert.deepEqual([bell.nowMs, bell.head, bell.takeOrder()], [1000, 64, false]);
  rope.ring(1001, 128, false);
  rope.ring(1002.5, 2 ** 40, false);
  bell.wait();
  assert.deepEqual([bell.nowMs, bell.head], [1002.5, 2 ** 40]);
});

void test('each order is taken once, however often the bell rang', () => {
  const { rope, bell } = pair();
  rope.ring(1, 0, true);
  rope.ring(2, 0, false);
  rope.ring(3, 0, true);
  bell.wait();
  assert.deepEqual([bell.takeOrder(), bell.takeOrder(), bell.takeOrder()], [true, true, false]);
  rope.ring(4, 0, true);
  assert.equal(bell.takeOrder(), true, 'also before the bell that came with it');
  bell.wait();
  assert.equal(bell.takeOrder(), false);
});

void test('a mark is the same on the other side, and the last one counts', () => {
  const { rope, bell } = pair();
  for (const seq of [5, 7, 9]) {
    bell.lay(mark(seq));
    assert.deepEqual(rope.mark(), mark(seq));
  }
  bell.lay(mark(10));
  bell.lay(mark(11));
  assert.deepEqual(rope.mark(), mark(11));
});

void test('a mark that is read while others are laid is whole, and never older than one before', async (t) => {
  const { rope, bell } = pair();
  const last = 400_000;
  bell.lay(mark(1));
  const program = `
    const { workerData: { url, memory, last } } = require('node:worker_threads');
    import(url).then(({ Bell }) => {
      const bell = new Bell(memory);
      const mark = ${mark.toString()};
      for (let seq = 2; seq <= last; seq += 1) bell.lay(mark(seq));
    });
  `;
  const url = new URL('build/src/journal/files/handover.js', projectRoot).href;
  const worker = new Worker(program, { eval: true, workerData: { url, memory: rope.memory, last } });
  const ended = once(worker, 'exit');
  await once(worker, 'online');
  const seen = new Set<number>();
  for (let before = 1; before < last; ) {
    const read = rope.mark();
    assert.deepEqual(read, mark(read.seq));
    assert.ok(read.seq >= before);
    before = read.seq;
    seen.add(before);
  }
  assert.deepEqual(await ended, [0]);
  t.diagnostic(`${seen.size} of ${last} marks were read`);
});
