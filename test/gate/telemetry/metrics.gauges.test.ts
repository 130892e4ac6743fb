// What snapshots become, and what is no longer there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { Running } from '../../../src/gate/now/running.js';
import { createGauges } from '../../../src/gate/telemetry/metrics.js';
import { backend, drained, exchange, fault, healthy, pageTold, shipTold } from '../../kit/gate/running.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';

const fail = (text: string): never => assert.fail(text);
const key = { policy: 'panel', expiresMs: undefined, failures: 0 };
const first: Running = {
  ...healthy,
  usage: {
    cpuSeconds: 1.5,
    residentBytes: 2,
    startedSeconds: 3,
    openDescriptors: 4,
    descriptorsMax: undefined,
  },
  listeners: [
    {
      name: 'support',
      address: 'unix:/run/support.sock',
      sessions: 3,
      unauthenticated: 40,
      sessionsMax: 200,
    },
    { name: 'jobs', address: '127.0.0.1:24246', sessions: 0, unauthenticated: 0, sessionsMax: 1000 },
  ],
  backends: [backend('mail1', { dialing: 1, idle: 2, leased: 3, overdue: 1, waiters: 4 })],
  journal: { ...healthy.journal, unsyncedMs: 20, freeBytes: undefined },
  exchanges: [exchange('1', { durationMs: 20 }), exchange('2', { durationMs: 61_500 })],
  sinks: [
    {
      name: 'logs.example.com:6514',
      state: 'connected',
      fault: undefined,
      lagRecords: 12,
      lagMs: 1_250,
      safeSeq: 0,
    },
  ],
  keys: [
    { ...key, listener: 'panel', name: 'modoboa', leftMs: undefined, lastUsedMs: undefined },
    { ...key, listener: 'panel', name: 'graph', leftMs: 3_600_400, lastUsedMs: 1_767_323_045_600 },
  ],
};

const next: Running = {
  ...first,
  configHash: 'bb',
  listeners: healthy.listeners.map((each) => ({ ...each, sessions: 1 })),
  backends: [drained('mail2', { newer: 'reads', waiters: 9 })],
  journal: {
    ...healthy.journal,
    state: 'failed',
    space: 'reserve',
    fault: fault('removed', 'the directory is gone', 'it failed'),
    lost: 7,
    unsyncedMs: 3_500,
    freeBytes: 0,
  },
  exchanges: [],
  sinks: [{ name: 'other:6514', state: 'forked', fault: undefined, lagRecords: 1, lagMs: 0, safeSeq: 0 }],
  certificates: [
    { role: 'listener', name: 'gate', leftMs: 86_400_400 },
    { role: 'client-ca', name: 'gate', leftMs: -1_000 },
  ],
  keys: [{ ...key, listener: 'panel', name: 'modoboa', leftMs: -2_000, lastUsedMs: undefined }],
  log: { dropped: 2, suppressed: new Map([['session-closed', 3_790]]) },
};

async function shown(registry: Registry): Promise<readonly string[]> {
  const text = await registry.metrics();
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('snapshots are shown whole, as gauges.txt has them: what nobody knows is absent, and the next one replaces the one before', async () => {
  const registry = new Registry();
  const setGauges = createGauges(registry, fail);
  const asked: Asked[] = [];
  for (const [what, snapshot] of [
    ['the first', first],
    ['the next, of other names and numbers', next],
  ] as const) {
    setGauges(snapshot);
    const lines = await shown(registry);
    asked.push([what, () => lines.toSorted().join('\n')]);
  }
  compareAnswers('test/gate/telemetry/gauges.txt', asked);
});

test('what cannot be set is absent and told, and everything else is there', async () => {
  const registry = new Registry();
  const errors: string[] = [];
  const setGauges = createGauges(registry, (text) => void errors.push(text));
  setGauges(first);
  const whole = await shown(registry);
  const { journal, ...rest } = first;
  setGauges({
    ...rest,
    get journal(): typeof journal {
      throw new RangeError('no such number');
    },
    page: { told: pageTold },
    ship: { ...shipTold, notices: [{ name: 'chat', delivered: -1, failed: 0, dropped: 0, lagMs: 0 }] },
  });
  const left = new Set(await shown(registry));
  const gone = whole.filter((line) => !left.has(line));
  const unexpected = gone.filter((line) => !/^dovegate_(?:ready|audit_(?!ship_))/.test(line));
  assert.deepEqual(unexpected, []);
  assert.ok(gone.some((line) => line.startsWith('dovegate_audit_writable')));
  assert.ok(left.has('dovegate_page_people 1'));
  assert.deepEqual(
    errors.map((text) => text.split(':', 1)[0]),
    ['metrics of readiness', 'metrics of journal', 'metrics of notices'],
  );
});
