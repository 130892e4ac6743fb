// Goal: the user of the daemon's unit is known, and a service that fails at each start.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noService, readService } from '../../../src/gate/health/looks.js';

void test('the unit: its user, and whether it fails at each start', () => {
  const uidOf = (name: string): number | undefined => (name === 'dovegate' ? 999 : undefined);
  const lines = (active: string, sub: string): string =>
    `LoadState=loaded\nActiveState=${active}\nSubState=${sub}\nStatusText=${active === 'active' ? 'closed: no socket' : ''}\nUser=dovegate\n`;
  assert.deepEqual(readService(lines('active', 'running'), uidOf), {
    uid: 999,
    isFailing: false,
    isRunning: true,
    refuses: 'no socket',
  });
  assert.deepEqual(readService(lines('inactive', 'dead'), uidOf), {
    uid: 999,
    isFailing: false,
    isRunning: false,
    refuses: undefined,
  });
  assert.deepEqual(readService(lines('activating', 'auto-restart'), uidOf), {
    uid: 999,
    isFailing: true,
    isRunning: false,
    refuses: undefined,
  });
  assert.deepEqual(readService(lines('failed', 'failed'), uidOf), {
    uid: 999,
    isFailing: true,
    isRunning: false,
    refuses: undefined,
  });
  assert.deepEqual(readService('LoadState=not-found\nUser=\n', uidOf), noService);
});
