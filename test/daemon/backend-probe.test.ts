// Backends that nobody asks are dialled now and then, one dial at a time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPool } from '../../src/backend/pool.js';
import type { Pool } from '../../src/backend/pool-options.js';
import { startBackendProbe } from '../../src/daemon/backend-probe.js';
import type { EngineEvent } from '../../src/engine/events.js';
import type { Connect } from '../../src/engine/ports.js';
import { UpstreamFault } from '../../src/ports/upstream-fault.js';
import { createFakeClock, type FakeClock } from '../kit/fake-clock.js';

function poolOn(connect: Connect, clock: FakeClock, observe: (event: EngineEvent) => void): Pool {
  const target = {
    name: 'mail1',
    address: { kind: 'tcp', host: 'mail1.example.com', port: 24245 },
    tls: 'off',
    demand: { serverName: 'mail1.example.com', ca: undefined, keyPins: [] },
    username: 'doveadm',
    passwords: () => Promise.resolve([]),
    mayAuthenticateInClear: true,
    connectTimeoutMs: 60_000,
    greetingTimeoutMs: 60_000,
  } as const;
  const counts = { connections: 4, queue: 4, redialMs: 1000 };
  const times = { queueTimeoutMs: 30_000, idleTimeoutMs: 300_000, maxLifetimeMs: 3_600_000 };
  const bytes = { statusBytesMax: 4096, frameBytesMax: 65_536, logLineBytesMax: 4096 };
  const limits = { ...counts, ...times, ...bytes };
  return createPool({ target, series: 'auto', limits, connect, clock, observe });
}

test('a backend that refuses is dialled every three seconds, and told each time; the end ends it', async () => {
  const clock = createFakeClock();
  const events: EngineEvent['kind'][] = [];
  const refuse: Connect = () => Promise.reject(new UpstreamFault('dial-refused', 'nobody listens'));
  const pool = poolOn(refuse, clock, (event) => events.push(event.kind));
  const probe = startBackendProbe([pool], clock);
  await clock.advance(2_999);
  assert.deepEqual(events, []);
  await clock.advance(1);
  assert.deepEqual(events, ['dial-failed']);
  await clock.advance(6_000);
  assert.deepEqual(events, ['dial-failed', 'dial-failed', 'dial-failed']);
  probe.end();
  await clock.advance(60_000);
  assert.equal(events.length, 3);
  assert.equal(clock.timers, 0);
});

test('while a dial is under way or a client waits there is no other', async () => {
  const clock = createFakeClock();
  let dials = 0;
  const silent: Connect = (_address, signal) => {
    dials += 1;
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  };
  const pool = poolOn(silent, clock, () => undefined);
  const probe = startBackendProbe([pool], clock);
  await clock.advance(12_000);
  assert.equal(dials, 1);
  probe.end();
  pool.drain();
  await clock.advance(0);
  assert.equal(clock.timers, 0);
});
