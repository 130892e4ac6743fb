import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenUpstreams } from '../../../src/gateway/pool/open-upstreams.js';
import type { Upstream } from '../../../src/gateway/pool/upstream.js';
import { createFakeClock } from '../../kit/fake-clock.js';
import { leasedUpstream } from '../../kit/memory-backend.js';
import { createMemoryTransport } from '../../kit/memory-transport.js';

const limits = { statusBytesMax: 100, frameBytesMax: 1_000, logLineBytesMax: 100 };

/** One that serves its `exchanges`th exchange. */
function upstream(exchanges = 1): Upstream {
  const { transport } = createMemoryTransport();
  const made = leasedUpstream(transport, createFakeClock(), { limits });
  for (let n = 1; n < exchanges; n += 1) {
    made.release(1_000);
    made.lease();
  }
  return made;
}

const all = (open: OpenUpstreams): Upstream[] => [...open.idle, ...open.leased];
const counts = (open: OpenUpstreams): number[] => [open.idle.length, open.leased.length, open.alone.size];

void test('each is in one state, and counts are sizes', () => {
  const open = new OpenUpstreams();
  const [a, b] = [upstream(), upstream()];
  open.setLeased(a, true);
  open.setIdle(b);
  assert.deepEqual(counts(open), [1, 1, 1]);
  assert.deepEqual([open.alone.has(a), open.alone.has(b), all(open)], [true, false, [b, a]]);
  open.setLeased(b, false);
  open.setIdle(a);
  assert.deepEqual([counts(open), open.alone.has(a)], [[1, 1, 0], false]);
  assert.deepEqual([open.delete(a), open.delete(a), all(open)], [true, false, [b]]);
  assert.deepEqual(counts(open), [0, 1, 0]);
});

void test('the newest idle one is the one that rested last; a fresh one is one on which nothing ran', () => {
  const open = new OpenUpstreams();
  const [a, b] = [upstream(2), upstream(3)];
  assert.equal(open.newestIdle(false), undefined);
  open.setIdle(a);
  open.setIdle(b);
  assert.deepEqual([open.idle[0], open.newestIdle(false), open.newestIdle(true)], [a, b, undefined]);
  assert.deepEqual([...open.idle], [a, b]);
  open.setIdle(a);
  assert.deepEqual([open.idle[0], open.newestIdle(false)], [b, a]);
});
