// A snapshot of a healthy daemon, and parts to make it ill with.

import type { BackendSnapshot, DaemonSnapshot } from '../../../src/adapters/admin/pages.js';

export function backend(name: string, more: Partial<BackendSnapshot> = {}): BackendSnapshot {
  const reach = { series: '2.3', isUp: true, health: 'up', text: undefined, connections: 4 };
  const failed = { dial: 0, tls: 0, greeting: 0, authentication: 0, reply: 0 };
  const counts = { dialing: 0, idle: 1, leased: 0, waiters: 0 };
  return { name, address: `${name}.example.com:24245`, ...reach, ...counts, failed, ...more };
}

export function down(name: string, text = 'dial-refused, nobody listens'): BackendSnapshot {
  return backend(name, { isUp: false, health: 'down', text, idle: 0 });
}

export const healthy: DaemonSnapshot = {
  version: '1.2.3',
  started: '2026-01-02T03:04:05.000Z',
  uptimeMs: 60_000.4,
  state: 'serving',
  configHash: 'aa',
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
    lost: 0,
    unsyncedMs: 12.4,
    freeBytes: 1e9,
    memory: '/run/dovegate/audit.ring',
    whyNoMemory: undefined,
  },
  sinks: [],
  keys: [],
};
