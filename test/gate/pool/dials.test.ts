// Goal: dials are counted, bounded and told. Phases: good and bad ones; looks; an idle upstream that was lost; giving up. What
// must not happen: a dial that is told twice or not at all, a look that stands in the way of a dial.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDials, type DialsOwner } from '../../../src/gate/pool/dials.js';
import type { Upstream } from '../../../src/gate/pool/upstream.js';
import { carelessOwner, createMemoryDialler, memoryTarget } from '../../kit/gate/memory-backend.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { poolLimits } from './pooled.js';

function open() {
  const dialler = createMemoryDialler();
  const clock = createFakeClock();
  const told: string[] = [];
  const upstreams: Upstream[] = [];
  const owner: DialsOwner = {
    ...carelessOwner,
    opened(upstream) {
      told.push(`opened ${upstream.id}`);
      upstreams.push(upstream);
    },
    dialFailed: (fault) => void told.push(`failed ${fault.code}`),
    match: () => void told.push('match'),
    get openCount() {
      return upstreams.filter(({ state }) => state.at !== 'closed').length;
    },
    hasRoom: true,
  };
  const dials = createDials(
    {
      target: memoryTarget(),
      configured: { series: 'auto', release: undefined, newer: 'reads' },
      limits: poolLimits,
      connect: dialler.connect,
      clock,
      observe: () => undefined,
      chance: () => 0,
    },
    owner,
  );
  return { dialler, clock, told, upstreams, dials };
}

// bounds.dialsPerBackend
void test('so many at once, and not more', async () => {
  const story = open();
  story.dialler.setAnswer('hang');
  for (; story.dials.isAllowed; ) story.dials.dial();
  await settle();
  assert.deepEqual([story.dials.count, story.dialler.dials], [8, 8]);
  story.dials.abort(new Error('enough'));
  await settle();
  assert.deepEqual([story.dials.count, story.clock.timers], [0, 0]);
  assert.ok(!story.told.some((word) => word.startsWith('failed')), 'what was given up is no fault');
  assert.deepEqual(story.dials.health.failed.dial, 0);
});
