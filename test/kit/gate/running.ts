// A snapshot of a healthy gate, and parts to make it ill with.

import type { RunningExchange } from '../../../src/gate/command/overdue.js';
import type { Fault, PageTold, Running, RunningBackend } from '../../../src/gate/now/running.js';

export function backend(name: string, more: Partial<RunningBackend> = {}): RunningBackend {
  return {
    name,
    address: `${name}.example.com:24245`,
    host: `${name}.example.com`,
    series: '2.3',
    newer: undefined,
    health: 'up',
    sinceMs: 0,
    mayBeLonger: false,
    fault: undefined,
    drained: [],
    lost: 0,
    refused: 0,
    refusedPerSecond: 0,
    connections: 4,
    dialing: 0,
    idle: 1,
    leased: 0,
    overdue: 0,
    waiters: 0,
    oldestWaitMs: 0,
    failed: { dial: 0, tls: 0, greeting: 0, authentication: 0, reply: 0 },
    countedMs: 0,
    queue: 1000,
    passwordFiles: ['/etc/dovegate/mail.password'],
    caFile: '/etc/dovegate/ca.pem',
    ...more,
  };
}

/** `text`: what another program may have said. */
export function fault(code: string, text: string, ...why: Fault['why']): Fault {
  return { code, text, why };
}

const refused = fault('dial-refused', 'nobody listens', 'what the table says', 'ask');

export function down(name: string, more: Partial<RunningBackend> = {}): RunningBackend {
  return backend(name, { health: 'down', fault: refused, idle: 0, ...more });
}

export function drained(name: string, more: Partial<RunningBackend> = {}): RunningBackend {
  return backend(name, { health: 'drained', drained: [{}], idle: 0, ...more });
}

export function exchange(id: string, more: Partial<RunningExchange> = {}): RunningExchange {
  return {
    id,
    listener: 'support',
    session: 'S1',
    principal: 'bob@support',
    user: 'alice@example.org',
    command: 'search',
    backend: 'mail1',
    isWaiting: false,
    isOverdue: false,
    durationMs: 12.3,
    clientMs: 0,
    deadlineMs: undefined,
    isKilled: false,
    ...more,
  };
}

export const pageTold: PageTold = {
  version: '1.2.3',
  people: 1,
  watchers: 0,
  signIns: 0,
  refusedSignIns: 0,
  ageMs: 0,
};

export const shipTold: NonNullable<Running['ship']> = {
  isConnected: true,
  isAbsent: false,
  ageMs: 0,
  names: [],
  notices: [],
};

export const healthy: Running = {
  version: '1.2.3',
  runtime: 'v20.19.0',
  atMs: Date.UTC(2026, 10, 21, 2, 30),
  started: '2026-01-02T03:04:05.000Z',
  uptimeMs: 60_000.4,
  state: 'serving',
  configHash: 'aa',
  policies: { seen: 'p1', served: 'p1' },
  loaded: { since: '2026-11-21T02:14:00.000Z', by: 'anna', files: ['/etc/dovegate/dovegate.yaml: of uid 0'] },
  observing: [],
  candidates: [],
  listeners: [
    { name: 'support', address: 'unix:/run/support.sock', sessions: 2, unauthenticated: 0, sessionsMax: 200 },
  ],
  backends: [backend('mail1'), backend('mail2')],
  routes: [
    { place: 'dovegate.yaml:9', backends: ['mail1'] },
    { place: 'dovegate.yaml:10', backends: ['mail1', 'mail2'] },
  ],
  journal: {
    state: 'writable',
    space: 'normal',
    fault: undefined,
    directory: '/var/lib/dovegate/audit',
    seq: 7,
    lost: 0,
    unsyncedMs: 12.4,
    freeBytes: 3 * 1024 ** 3,
    filling: { isFilling: false, youngBytes: 0, bytesMax: Infinity, largest: [] },
    missing: undefined,
    isDamaged: false,
    isAppended: false,
    memory: '/run/dovegate/audit.ring',
    memoryFault: undefined,
  },
  locks: [],
  sinks: [],
  certificates: [],
  keys: [],
  exchanges: [],
  lookups: [],
  refusedKeys: [],
  failedLogins: { count: 0, most: undefined },
  stall: undefined,
  acknowledged: () => undefined,
  log: { dropped: 0, suppressed: new Map() },
};
