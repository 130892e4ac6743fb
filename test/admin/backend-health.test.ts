// What dialling has shown of a backend.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBackendHealth } from '../../src/admin/backend-health.js';
import type { EngineEvent } from '../../src/engine/events.js';

const failed = (backend: string): EngineEvent => ({
  kind: 'dial-failed',
  backend,
  code: 'dial-refused',
  text: 'nobody listens',
});
const opened = (backend: string): EngineEvent => ({
  kind: 'upstream-opened',
  backend,
  upstream: `${backend}-1`,
  series: '2.3',
  serverMinor: 2,
  durationMs: 1,
});

test('up until a dial fails, down until one succeeds, and up as long as an upstream lives', () => {
  const health = createBackendHealth();
  assert.equal(health.stateOf('mail1', 0).isUp, true);
  health.observe(failed('mail1'));
  assert.deepEqual(health.stateOf('mail1', 0), { isUp: false, text: 'dial-refused, nobody listens' });
  assert.deepEqual(health.stateOf('mail1', 1), { isUp: true, text: undefined });
  assert.equal(health.stateOf('mail2', 0).isUp, true);
  health.observe(opened('mail2'));
  assert.equal(health.stateOf('mail1', 0).isUp, false);
  health.observe(opened('mail1'));
  assert.equal(health.stateOf('mail1', 0).isUp, true);
});
