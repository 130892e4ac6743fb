// From events to numbers; that a hostile client cannot make more of them; and that watching costs next to nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { Running } from '../../../src/gate/now/running.js';
import type { EngineEvent, ExchangeEnded } from '../../../src/gate/outcome/events.js';
import { createGauges, createMetrics, type Metrics } from '../../../src/gate/telemetry/metrics.js';
import { ended } from '../../kit/gate/exchange-ended.js';
import { backend, drained, exchange, fault, healthy, pageTold, shipTold } from '../../kit/gate/running.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';

const sink = { name: 'logs.example.com:6514', fault: undefined, lagRecords: 12, lagMs: 0, safeSeq: 0 };
const nothing: Running = { ...healthy, sinks: [{ ...sink, state: 'connected' }] };
const commands = new Set(['quota get', 'search', 'constructor']);

function open(snapshot: () => Running = () => nothing): { metrics: Metrics } {
  return { metrics: createMetrics({ commands, snapshot, onError: () => undefined }) };
}

const asked = (command: string | undefined): ExchangeEnded['exchange'] => ({ ...ended.exchange, command });

async function valuesOf(metrics: Metrics): Promise<ReadonlyMap<string, number>> {
  const values = new Map<string, number>();
  for (const line of (await metrics.render()).split('\n')) {
    const [, series, value] = /^([^#].*) (\S+)$/.exec(line) ?? [];
    if (series !== undefined) values.set(series, Number(value));
  }
  return values;
}

test('exchanges, bytes, times, dials, log lines and records are counted under their names, as metrics.txt has them', async () => {
  const { metrics } = open();
  metrics.observe(ended);
  metrics.observe({
    ...ended,
    outcome: 'failed',
    shadow: 'over-limit',
    bytesIn: 0,
    bytesOut: 10,
    bytesUp: 7,
  });
  metrics.observe({
    ...ended,
    backend: undefined,
    decision: 'deny',
    outcome: 'denied',
    bytesIn: 0,
    waitMs: undefined,
  });
  const more: EngineEvent[] = [
    { kind: 'upstream-opened', level: 'info', backend: 'mail1', upstream: 'mail1-1' },
    { kind: 'dial-failed', level: 'error', backend: 'mail1', type: 'tls-failed', text: 'why' },
    { kind: 'dial-failed', level: 'debug', backend: 'mail1', type: 'tls-failed', text: 'why' },
    { kind: 'backend-log', level: 'error', backend: 'mail1', upstream: 'mail1-1', type: 'error', text: 'x' },
    { kind: 'session-opened', level: 'debug', listener: 'support', session: 'S1', minor: 2 },
    { kind: 'session-refused', level: 'warn', listener: 'support', principal: '1000@support', text: 'x' },
    { kind: 'audit-failed', level: 'error', text: 'x' },
  ];
  for (const event of more) metrics.observe(event);
  metrics.recordsSynced(5, 3);
  const login = {
    kind: 'login-failed',
    level: 'warn',
    listener: 'jobs',
    type: 'failed',
    address: '192.0.2.1',
    account: 'x"}',
    why: undefined,
  } as const;
  metrics.observe(login);
  metrics.observe({ ...login, level: undefined });
  metrics.observe({ kind: 'login', level: undefined, listener: 'jobs', type: 'ok' });
  metrics.observe({ ...login, listener: 'panel', account: 'modoboa', why: 'expired' });
  metrics.observe({ ...login, listener: 'panel', account: 'dvg_4kQx81Zp' });
  for (const status of [200, 401, 401])
    metrics.observe({ kind: 'http-request', level: undefined, listener: 'panel', status });
  metrics.recordsSynced(1, 30);
  const counted = [...(await valuesOf(metrics))].filter(([, value]) => value !== 0);
  const seen: unknown[] = [];
  const see = (...row: readonly unknown[]): void => void seen.push(row);
  metrics.exchanges.eachOfListeners(see);
  metrics.exchanges.eachOfBackends(see);
  metrics.exchanges.eachOfDurations(see);
  compareAnswers('test/gate/telemetry/metrics.txt', [
    ['all that is not 0', () => counted.map((each) => each.join(' ')).join('\n')],
    ['for the charts of the page', () => seen.map((row) => JSON.stringify(row)).join('\n')],
  ]);
});

test('a backend has the times of what was sent there, and the failures that are its own', async () => {
  const { metrics } = open();
  const failed = { ...ended, outcome: 'failed', status: '-TEMPFAIL', durationMs: 405 } as const;
  const unsent = { ...failed, isSent: false, upstream: undefined, durationMs: 1 } as const;
  for (const error of ['backend-drained', 'queue-full', 'audit-failed', 'draining'] as const)
    metrics.observe({ ...unsent, error });
  metrics.observe({ ...unsent, decision: 'deny', outcome: 'denied' });
  metrics.observe({ ...unsent, error: 'dial-refused' });
  metrics.observe({ ...failed, status: '-NOUSER' });
  metrics.observe({ ...failed, outcome: 'unknown', error: 'killed' });
  metrics.observe({ ...failed, error: 'closed-early' });
  metrics.observe(ended);
  const series = 'dovegate_backend_exchanges_total';
  const times = 'dovegate_exchange_duration_seconds_count';
  const values = [...(await valuesOf(metrics))].filter(
    ([name]) => name.startsWith(series) || name.startsWith(times),
  );
  assert.deepEqual(values, [
    [`${series}{backend="mail1",outcome="failed",owner="server"}`, 2],
    [`${series}{backend="mail1",outcome="failed",owner="requester"}`, 1],
    [`${series}{backend="mail1",outcome="unknown",owner="operator"}`, 1],
    [`${series}{backend="mail1",outcome="ok",owner="-"}`, 1],
    [`${times}{listener="support",backend="mail1"}`, 4],
  ]);
});

test('ten thousand commands that nobody knows add one series, whatever they look like', async () => {
  const { metrics } = open();
  metrics.observe({ ...ended, exchange: asked(undefined), decision: 'deny', outcome: 'unparsable' });
  const before = await valuesOf(metrics);
  const hostile = ['', 'other"} 1\nx{', '__proto__', 'toString', 'QUOTA GET', 'quota get ', '\u0000', 'é'];
  for (let at = 0; at < 10_000; at += 1) {
    const command = `${hostile[at % hostile.length] ?? ''}${at < hostile.length ? '' : at.toString(36)}`;
    metrics.observe({ ...ended, exchange: asked(command), decision: 'deny', outcome: 'unparsable' });
  }
  const after = await valuesOf(metrics);
  assert.deepEqual([...after.keys()], [...before.keys()]);
  const other =
    'dovegate_exchanges_total{listener="support",command="other",decision="deny",outcome="unparsable"}';
  assert.equal(after.get(other), 10_001);
});

test('every line of the answer is of the text format, every metric has its help and type', async () => {
  const { metrics } = open();
  metrics.observe(ended);
  const text = await metrics.render();
  assert.ok(text.endsWith('\n'));
  const named = new Set<string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, comment] = /^# (?:HELP|TYPE) ((?:dovegate|process)_[a-z_]+) .+$/.exec(line) ?? [];
    if (comment !== undefined) named.add(comment);
    else {
      const [, name] =
        /^((?:dovegate|process)_[a-z_]+?)(?:_bucket|_sum|_count)?(?:\{.*\})? [0-9.e+-]+$/.exec(line) ?? [];
      assert.ok(name !== undefined && named.has(name), line);
    }
  }
  assert.ok(named.size > 40, String(named.size));
});

test('a snapshot that fails fails the reading, and not the next one', async () => {
  let isBroken = true;
  const { metrics } = open(() => {
    if (isBroken) throw new Error('not now');
    return nothing;
  });
  await assert.rejects(async () => metrics.render(), /not now/);
  isBroken = false;
  assert.match(await metrics.render(), /dovegate_audit_writable 1/);
});

// What snapshots become, and what is no longer there.

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
  const answers: Asked[] = [];
  for (const [what, snapshot] of [
    ['the first', first],
    ['the next, of other names and numbers', next],
  ] as const) {
    setGauges(snapshot);
    const lines = await shown(registry);
    answers.push([what, () => lines.toSorted().join('\n')]);
  }
  compareAnswers('test/gate/telemetry/gauges.txt', answers);
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
