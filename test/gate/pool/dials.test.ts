// Goal: dials are counted, bounded and told. Phases: good and bad ones; looks; an idle upstream that was lost; giving up. What
// must not happen: a dial that is told twice or not at all, a look that stands in the way of a dial.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PasswordRead, sharingReads } from '../../../src/gate/pool/dial.js';
import { createDials, type DialsOwner } from '../../../src/gate/pool/dials.js';
import type { Upstream } from '../../../src/gate/pool/upstream.js';
import { Secret } from '../../../src/rules/identity/credentials.js';
import {
  at,
  carelessOwner,
  createMemoryDialler,
  greeting,
  memoryTarget,
} from '../../kit/gate/memory-backend.js';
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

const greets = ({ dialler }: ReturnType<typeof open>): void =>
  dialler.onAccept(({ peer }) => peer.send(greeting(2)));

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

void test('one that died at once and unused counts as a dial that failed', async () => {
  const story = open();
  greets(story);
  story.dials.dial();
  await settle();
  const upstream = at(story.upstreams, 0);
  upstream.release(1_000);
  upstream.close('lifetime');
  story.dials.lost(upstream);
  assert.deepEqual([story.told.at(-1), story.dials.health.failed.greeting], ['failed closed-early', 1]);
  const { length } = story.told;
  await story.clock.advance(1_000);
  story.dials.lost(upstream);
  assert.equal(story.told.filter((word) => word.startsWith('failed')).length, 1);
  assert.ok(story.told.length >= length);
  story.dials.abort('end');
  story.dials.health.rest();
  await settle();
  assert.equal(story.clock.timers, 0);
});

void test('what is gone after a dial failed beside it does not leave the backend as one that serves', async () => {
  const story = open();
  greets(story);
  story.dials.dial();
  await settle();
  story.dialler.setAnswer('refuse');
  story.dials.dial();
  await settle();
  assert.equal(story.dials.health.state.at, 'pausing');
  // Nobody asks for another one.
  at(story.upstreams, 0).close('lifetime');
  await story.clock.advance(poolLimits.redialMs);
  await settle();
  assert.equal(story.dials.health.state.at, 'down');
  story.dials.abort('end');
  story.dials.health.rest();
});

void test('a password file that cannot be read while another one serves is told once, until it changes', async () => {
  const unread = new Error('/etc/next: EACCES');
  const empty = new Error('/etc/next: is empty');
  const good = new Secret('good');
  const reads: readonly (readonly PasswordRead[])[] = [
    [good, unread],
    [good, unread],
    [good, good],
    [unread, good],
    [empty, good],
    [empty, empty],
  ];
  const notes: string[] = [];
  let read = -1;
  const target = sharingReads(
    memoryTarget({ passwords: () => Promise.resolve(reads[read] ?? assert.fail('one too many')) }),
    (text) => void notes.push(text),
  );
  for (read = 0; read < reads.length; read += 1) await target.passwords();
  assert.deepEqual(notes, ['/etc/next: EACCES', '/etc/next: EACCES', '/etc/next: is empty']);
});
