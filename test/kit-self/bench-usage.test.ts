// The cost of a command, as the benches read it from /proc (test/bench/load/usage.ts).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { costOf, parseEnded, parseThread, type Snapshot, type Usage } from '../bench/load/usage.js';

// proc(5): utime 42, stime 17, cutime 300, cstime 20, in ticks of 10 ms. The name is what a program calls itself.
const stat =
  '1234 (a) R (b) S 1 1234 1234 0 -1 4194560 100 0 0 0 42 17 300 20 20 0 11 0 500 1000 200 18446744073709551615 0 0';
const status =
  'Name:\ta) R (b\nThreads:\t11\nvoluntary_ctxt_switches:\t250\nnonvoluntary_ctxt_switches:\t13\n';

test('a thread: its processor time is exact, the part of the kernel is in ticks, switches count together', () => {
  assert.deepEqual(parseThread(stat, status, '600123000 5000 263\n'), {
    us: 600_123,
    kernelUs: 170_000,
    switches: 263,
  });
});

test('children that ended stand in the stat of their parent', () => {
  assert.deepEqual(parseEnded(stat), { us: 3_200_000, kernelUs: 200_000 });
});

const usage = (us: number, kernelUs: number, switches: number): Usage => ({ us, kernelUs, switches });
const snapshot = (threads: readonly (readonly [number, Usage])[], endedUs = 0): Snapshot => ({
  threads: new Map(threads),
  ended: { us: endedUs, kernelUs: endedUs / 2 },
});

test('the cost of a command is what all threads used, new ones included', () => {
  const before = snapshot([[1, usage(1_000, 200, 10)]]);
  const after = snapshot([
    [1, usage(2_000, 600, 30)],
    [2, usage(500, 100, 4)],
  ]);
  assert.deepEqual(costOf(before, after, 10), { us: 150, kernelUs: 50, switches: 2.4 });
});

test('a process that ended moves its time into its parent: none is lost, but its switches are unknown', () => {
  const before = snapshot([
    [1, usage(1_000, 0, 10)],
    [2, usage(4_000, 0, 40)],
  ]);
  const after = snapshot([[1, usage(1_500, 0, 20)]], 6_000);
  assert.deepEqual(costOf(before, after, 5), { us: 500, kernelUs: 600, switches: Number.NaN });
});
