// Goal: an outage is two records: when, why, how long, and how many commands it has cost; other failures and other backends are not in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOutages } from '../../src/daemon/outages.js';
import type { AuditRecord } from '../../src/domain/records/audit/record.js';
import type { ExchangeEnded } from '../../src/gateway/outcome/events.js';
import { ended } from '../kit/exchange-ended.js';

void test('an outage and a drain, with what each has cost', () => {
  const records: AuditRecord[] = [];
  const journal = { append: (record: AuditRecord) => void records.push(record) };
  let wallMs = 1_000;
  const outages = createOutages({ now: () => wallMs, wallMs: () => wallMs }, () => 'connection refused');
  const fail = (more: Partial<ExchangeEnded>): void =>
    outages.observe({ ...ended, outcome: 'failed', error: 'dial-refused', ...more });
  const down = {
    kind: 'backend-down',
    backend: 'mail1',
    level: 'error',
    type: 'dial-refused',
    text: 'secret words',
  } as const;
  outages.observe(down);
  outages.recordIn(journal);
  fail({});
  outages.observe(down);
  for (const more of [
    {},
    { outcome: 'unknown' },
    { outcome: 'denied' },
    { outcome: 'ok' },
    { backend: 'mail2' },
  ] as const)
    fail(more);
  for (const backend of ['mail1', 'mail2']) fail({ backend, error: 'backend-drained' });
  wallMs = 41_000;
  outages.observe({ kind: 'backend-up', backend: 'mail1', level: 'warn', duration_ms: 40_000 });
  fail({});
  assert.deepEqual(records, [
    {
      time: 1_000,
      event: 'backend',
      action: 'down',
      backend: 'mail1',
      error: 'dial-refused',
      text: 'connection refused',
    },
    { time: 41_000, event: 'backend', action: 'up', backend: 'mail1', duration_ms: 40_000, count: 2 },
  ]);
  assert.deepEqual([outages.refused('mail1'), outages.refused('mail2'), outages.refused('mail3')], [1, 1, 0]);
  outages.turned('mail1');
  assert.deepEqual([outages.refused('mail1'), outages.refused('mail2')], [0, 1]);
});

void test('what a drain costs a second: of the last seconds, and nothing once nobody asks any more', () => {
  let ms = 3_600_000;
  const outages = createOutages({ now: () => ms, wallMs: () => ms }, () => undefined);
  assert.equal(outages.refusedPerSecond('mail1'), 0);
  for (let at = 0; at < 145; at += 1)
    outages.observe({ ...ended, outcome: 'failed', error: 'backend-drained' });
  assert.equal(outages.refusedPerSecond('mail1'), 29);
  ms += 5_000;
  assert.equal(outages.refusedPerSecond('mail1'), 29);
  ms += 5_000;
  assert.deepEqual([outages.refusedPerSecond('mail1'), outages.refused('mail1')], [0, 145]);
});
