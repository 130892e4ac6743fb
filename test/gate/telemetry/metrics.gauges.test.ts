// What snapshots become, and what is no longer there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { Running } from '../../../src/gate/now/running.js';
import { createGauges } from '../../../src/gate/telemetry/metrics.js';
import { backend, drained, exchange, fault, healthy, pageTold, shipTold } from '../../kit/gate/running.js';

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

async function shown(registry: Registry): Promise<Set<string>> {
  const text = await registry.metrics();
  return new Set(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')));
}

test('a snapshot is shown whole; what nobody knows yet is absent', async () => {
  const registry = new Registry();
  createGauges(registry, fail)(first);
  assert.deepEqual(
    await shown(registry),
    new Set([
      'dovegate_build_info{version="1.2.3",node="v20.19.0"} 1',
      'dovegate_config_info{hash="aa"} 1',
      'dovegate_config_reload_success 1',
      'dovegate_ready 1',
      'process_cpu_seconds_total 1.5',
      'process_resident_memory_bytes 2',
      'process_start_time_seconds 3',
      'process_open_fds 4',
      'dovegate_exchanges_running 2',
      'dovegate_exchange_oldest_seconds 61.5',
      'dovegate_upstreams{backend="mail1",state="dialing"} 1',
      'dovegate_upstreams{backend="mail1",state="idle"} 2',
      'dovegate_upstreams{backend="mail1",state="leased"} 3',
      'dovegate_upstreams{backend="mail1",state="overdue"} 1',
      'dovegate_waiters{backend="mail1"} 4',
      'dovegate_backend_up{backend="mail1"} 1',
      'dovegate_backend_drained{backend="mail1"} 0',
      'dovegate_backend_newer{backend="mail1"} 0',
      'dovegate_sessions{listener="support"} 3',
      'dovegate_sessions{listener="jobs"} 0',
      'dovegate_sessions_unauthenticated{listener="support"} 40',
      'dovegate_sessions_unauthenticated{listener="jobs"} 0',
      'dovegate_sessions_max{listener="support"} 200',
      'dovegate_sessions_max{listener="jobs"} 1000',
      'dovegate_audit_writable 1',
      'dovegate_audit_in_reserve 0',
      'dovegate_audit_ship_connected{sink="logs.example.com:6514"} 1',
      'dovegate_audit_unsynced_seconds 0.02',
      'dovegate_audit_lost_total 0',
      'dovegate_audit_ship_forked{sink="logs.example.com:6514"} 0',
      'dovegate_audit_ship_refused_total{sink="logs.example.com:6514"} 0',
      'dovegate_audit_ship_lag_records{sink="logs.example.com:6514"} 12',
      'dovegate_audit_ship_lag_seconds{sink="logs.example.com:6514"} 1.25',
      'dovegate_log_dropped_total 0',
      'dovegate_key_expiry_seconds{listener="panel",key="graph"} 3600',
      'dovegate_key_last_used_timestamp_seconds{listener="panel",key="graph"} 1767323046',
    ]),
  );
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
  const left = await shown(registry);
  const gone = [...whole].filter((line) => !left.has(line));
  assert.deepEqual(
    gone.filter((line) => !/^dovegate_(?:ready|audit_(?!ship_))/.test(line)),
    [],
  );
  assert.ok(gone.some((line) => line.startsWith('dovegate_audit_writable')));
  assert.ok(left.has('dovegate_page_people 1'));
  assert.deepEqual(
    errors.map((text) => text.split(':', 1)[0]),
    ['metrics of readiness', 'metrics of journal', 'metrics of notices'],
  );
});

test('the next one replaces it: other names, other numbers', async () => {
  const registry = new Registry();
  const setGauges = createGauges(registry, fail);
  setGauges(first);
  setGauges({
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
  });
  const lines = await shown(registry);
  for (const line of [
    'dovegate_config_info{hash="bb"} 1',
    'dovegate_ready 0',
    'dovegate_exchanges_running 0',
    'dovegate_exchange_oldest_seconds 0',
    'dovegate_audit_in_reserve 1',
    'dovegate_audit_ship_connected{sink="other:6514"} 0',
    'dovegate_audit_ship_forked{sink="other:6514"} 1',
    'dovegate_backend_up{backend="mail2"} 0',
    'dovegate_backend_drained{backend="mail2"} 1',
    'dovegate_backend_newer{backend="mail2"} 1',
    'dovegate_waiters{backend="mail2"} 9',
    'dovegate_audit_writable 0',
    'dovegate_audit_unsynced_seconds 3.5',
    'dovegate_audit_free_bytes 0',
    'dovegate_audit_lost_total 7',
    'dovegate_log_dropped_total 2',
    'dovegate_log_suppressed_total{event="session-closed"} 3790',
    'dovegate_key_expiry_seconds{listener="panel",key="modoboa"} -2',
    'dovegate_certificate_expiry_seconds{role="listener",name="gate"} 86400',
    'dovegate_certificate_expiry_seconds{role="client-ca",name="gate"} -1',
  ]) {
    assert.ok(lines.has(line), line);
  }
  assert.ok(![...lines].some((line) => /mail1|jobs|logs|graph|"aa"/.test(line)));
});
