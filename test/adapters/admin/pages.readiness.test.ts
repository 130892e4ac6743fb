// What makes the daemon not ready, and what it says then.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DaemonSnapshot, judgeReadiness } from '../../../src/adapters/admin/pages.js';
import { backend, down, healthy } from './snapshots.js';

const judged = (more: Partial<DaemonSnapshot>) => judgeReadiness({ ...healthy, ...more });
const codes = (more: Partial<DaemonSnapshot>): string[] => judged(more).reasons.map(({ code }) => code);
const broken = {
  ...healthy.journal,
  state: 'failed',
  fault: { code: 'removed', text: 'the directory is gone' },
} as const;

test('a healthy daemon is ready, and all its routes are up', () => {
  const { isReady, reasons, routes } = judged({});
  assert.equal(isReady, true);
  assert.deepEqual(reasons, []);
  assert.deepEqual(
    routes.map(({ state }) => state),
    ['up', 'up'],
  );
});

test('draining, a failed journal, a full disk, no backend: each is a reason, and all are told', () => {
  assert.deepEqual(codes({ state: 'draining' }), ['draining']);
  assert.deepEqual(codes({ journal: broken }), ['audit-failed']);
  assert.match(judged({ journal: broken }).reasons[0]?.text ?? '', /the directory is gone/);
  assert.deepEqual(codes({ journal: { ...healthy.journal, space: 'reserve' } }), ['audit-reserve']);
  const both = [down('mail1'), down('mail2', 'tls-failed, expired')];
  assert.deepEqual(codes({ backends: both }), ['backends-down']);
  assert.match(
    judged({ backends: both }).reasons[0]?.text ?? '',
    /mail1: dial-refused, nobody listens; mail2: tls-failed, expired/,
  );
  assert.deepEqual(codes({ state: 'draining', journal: broken, backends: both }), [
    'draining',
    'audit-failed',
    'backends-down',
  ]);
});

test('a daemon that is not configured has that reason alone, with the first problem', () => {
  const { isReady, reasons } = judged({
    state: 'closed',
    problems: ['dovegate.yaml:3:1: no such key\n    supprt:', 'more'],
    journal: broken,
    backends: [],
  });
  assert.equal(isReady, false);
  assert.deepEqual(reasons, [
    { code: 'not-configured', text: 'dovegate is not configured: dovegate.yaml:3:1: no such key' },
  ]);
});

test('one backend that is up is enough; the routes say who is left out', () => {
  const { isReady, routes } = judged({ backends: [down('mail1'), backend('mail2')] });
  assert.equal(isReady, true);
  assert.deepEqual(
    routes.map(({ state }) => state),
    ['down', 'partial'],
  );
});

test('a route to nobody and a daemon without backends are down', () => {
  assert.deepEqual(
    judged({ routes: [{ place: 'x:1', backends: [] }] }).routes.map(({ state }) => state),
    ['down'],
  );
  assert.deepEqual(codes({ backends: [] }), ['backends-down']);
});
