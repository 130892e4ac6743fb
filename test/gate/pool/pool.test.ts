// Goal: exchanges get upstreams in turn, as few as will do, and none that is not sound; upstreams are there before somebody asks. Phases:
// leasing and reuse; waiting; failed dials; upstreams that age, change or speak; a Dovecot that reloads, stops, stops and lives on in its
// processes, or keeps no connection; drain in every state, and enable. What must not happen: an upstream above the maximum, a dead one that
// is handed out, somebody who waits for nobody, a rush of dials, a timer or transport that stays behind.
// bounds.upstreamsPerBackend, bounds.queueWaiters, bounds.queueMs, bounds.upstreamLifetimeMs, bounds.upstreamFreshMs, bounds.upstreamIdleMs

import { test } from 'node:test';
import { comparePoolStories } from './pool-stories.js';

void test('leases, dials and upstreams after each act, as pool.txt has them', () =>
  comparePoolStories('test/gate/pool/pool.txt'));
