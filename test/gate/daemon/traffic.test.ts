// What the page gets to draw charts from: each count once for its team and its backend.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trafficOf } from '../../../src/gate/daemon/traffic.js';
import type { CountedExchanges } from '../../../src/gate/telemetry/metrics.js';
import { backend, healthy } from '../../kit/gate/running.js';

const [support] = healthy.listeners;
assert.ok(support !== undefined);
const running = {
  ...healthy,
  started: 'first',
  listeners: [support, { ...support, name: 'jobs' }],
  backends: [backend('mail1', { waiters: 3, idle: 1, leased: 2 }), backend('mail2', { idle: 0 })],
};

void test('counts are added up by team and by backend; those out of service count for nobody', () => {
  const counted: CountedExchanges = {
    eachOfListeners(visit) {
      visit('support', 'ok', 3);
      visit('support', 'ok', 2);
      visit('support', 'denied', 2);
      visit('support', 'limited', 1);
      visit('support', 'timeout', 1);
      visit('support', 'aborted', 1);
      visit('gone', 'failed', 4);
    },
    eachOfBackends(visit) {
      visit('mail1', 'ok', '-', 5);
      visit('mail1', 'unknown', 'server', 1);
      visit('mail1', 'failed', 'requester', 2);
      visit('old', 'partly', 'server', 4);
    },
    bounds: [0.1, 1],
    eachOfDurations(visit) {
      visit('support', 'mail1', [4, 1, 1]);
      visit('gone', 'old', [4, 0, 0]);
      visit('jobs', 'old', [0, 1, 0]);
    },
  };
  const none = { ended: 0, denied: 0, failed: 0, buckets: [0, 0, 0] };
  assert.deepEqual(trafficOf(counted, running), {
    run: 'first',
    bounds: [0.1, 1],
    teams: [
      { name: 'support', ended: 10, denied: 3, failed: 1, buckets: [4, 1, 1] },
      { ...none, name: 'jobs', buckets: [0, 1, 0] },
    ],
    backends: [
      { name: 'mail1', ended: 8, denied: 0, failed: 1, buckets: [4, 1, 1], waiting: 3 },
      { ...none, name: 'mail2', waiting: 0 },
    ],
  });
});
