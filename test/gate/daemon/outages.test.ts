// Goal: an outage is two records: when, why, how long, and how many commands it has cost; other failures and other backends are not in it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codes } from '../../../src/doveadm/codes/codes.js';
import { foldIncidents, type Turn } from '../../../src/evidence/story/incidents.js';
import { createOutages } from '../../../src/gate/daemon/outages.js';
import type { RunningExchange } from '../../../src/gate/now/running.js';
import type { ExchangeEnded } from '../../../src/gate/outcome/events.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { parseLine } from '../../../src/host/values/values.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { notUpBefore } from '../../../src/journal/records/turns.js';
import { ended } from '../../kit/gate/exchange-ended.js';
import { exchange } from '../../kit/gate/running.js';

void test('an outage and a drain, with what each has cost', () => {
  const records: AuditRecord[] = [];
  const journal = { space: 'normal', append: (record: AuditRecord) => void records.push(record) } as const;
  let wallMs = 1_000;
  const outages = createOutages({ now: () => wallMs, wallMs: () => wallMs });
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
  outages.recordIn(journal, { whyDown: () => 'connection refused', running: () => [] });
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
  assert.deepEqual(
    records.flatMap(({ action, backend, error, count }) =>
      action === 'cost' ? [[backend, error, count]] : [],
    ),
    [
      ['mail1', 'dial-refused', 1],
      ['mail1', 'dial-refused', 2],
      ['mail1', 'backend-drained', 1],
      ['mail2', 'backend-drained', 1],
    ],
    'each time that it has doubled',
  );
  assert.deepEqual(
    records.filter(({ action }) => action !== 'cost'),
    [
      {
        time: 1_000,
        event: 'backend',
        action: 'down',
        backend: 'mail1',
        error: 'dial-refused',
        text: 'connection refused',
        reason: notUpBefore,
      },
      {
        time: 41_000,
        event: 'backend',
        action: 'up',
        backend: 'mail1',
        duration_ms: 40_000,
        count: 3,
        requesters: 1,
        args: ['requester=bob@support 3'],
      },
    ],
  );
  const refusedAt = (): readonly number[] =>
    ['mail1', 'mail2', 'mail3'].map((name) => outages.refused(name).count);
  assert.deepEqual(refusedAt(), [1, 1, 0]);
  outages.turned('mail1');
  assert.deepEqual(refusedAt(), [0, 1, 0]);
});

// bounds.outageRequesters
void test('a stop says what was paid so far for what is not over, and by how many requesters, up to a bound', () => {
  const records: AuditRecord[] = [];
  const outages = createOutages({ now: () => 0, wallMs: () => 7 });
  outages.recordIn(
    { space: 'normal', append: (record) => void records.push(record) },
    { whyDown: () => undefined, running: () => [] },
  );
  const fail = (principal: string, more: Partial<ExchangeEnded>): void =>
    outages.observe({
      ...ended,
      outcome: 'failed',
      error: 'dial-refused',
      ...more,
      exchange: { ...ended.exchange, principal },
    });
  const down = { kind: 'backend-down', level: 'error', type: 'dial-timeout', text: 'secret words' } as const;
  for (const backend of ['mail1', 'mail2']) outages.observe({ ...down, backend });
  outages.observe({ kind: 'backend-up', backend: 'mail2', level: 'warn', duration_ms: 1 });
  for (let at = 0; at < 2 * bounds.outageRequesters; at += 1) fail(`uid:${at}`, {});
  for (const principal of ['anna', 'bob', 'anna'])
    fail(principal, { backend: 'mail3', error: 'backend-drained' });
  records.length = 0;
  outages.end();
  const args = Array.from({ length: 20 }, (_, uid) => `requester=uid:${uid} 1`);
  const [count, requesters] = [2 * bounds.outageRequesters, bounds.outageRequesters];
  const stop = { time: 7, event: 'backend', action: 'stop' };
  assert.deepEqual(records, [
    { ...stop, backend: 'mail1', error: 'dial-timeout', count, requesters, args },
    {
      ...stop,
      backend: 'mail3',
      error: 'backend-drained',
      count: 3,
      requesters: 2,
      args: ['requester=anna 2', 'requester=bob 1'],
    },
  ]);
});

void test('a backend that is stuck: since its commands hang, until the last one has ended, or it is down', () => {
  const records: AuditRecord[] = [];
  let ms = 100_000;
  const exchanges = new Map<string, RunningExchange>();
  const outages = createOutages({ now: () => ms, wallMs: () => ms });
  outages.recordIn(
    { space: 'normal', append: (record) => void records.push(record) },
    { whyDown: () => 'connection refused', running: () => [...exchanges.values()] },
  );
  const dialFails = { kind: 'dial-failed', backend: 'mail1', level: 'error', type: 'dial-timeout' } as const;
  const hang = (id: string, durationMs: number): void => void exchanges.set(id, exchange(id, { durationMs }));
  const end = (id: string, more: Partial<ExchangeEnded>): void => {
    // It is still listed when it ends.
    outages.observe({ ...ended, exchange: { ...ended.exchange, id }, ...more });
    exchanges.delete(id);
  };
  hang('A', 9_000);
  outages.observe(dialFails);
  assert.deepEqual(records, [], 'it may be a long command');
  hang('A', 12_000);
  hang('B', 11_000);
  outages.observe(dialFails);
  outages.observe(dialFails);
  const backend = { event: 'backend', backend: 'mail1' };
  const text = codes['dial-timeout'].means.replaceAll('`', '');
  const stuck = { ...backend, action: 'stuck', error: 'dial-timeout', text };
  assert.deepEqual(records.splice(0), [{ time: 100_000, ...stuck, duration_ms: 12_000 }]);
  ms += 20_000;
  end('C', {});
  end('A', { outcome: 'timeout', error: 'reply-timeout' });
  const paid = { count: 1, requesters: 1, args: ['requester=bob@support 1'] };
  const one = { action: 'cost', ...paid };
  assert.deepEqual(records.splice(0), [{ time: ms, ...backend, error: 'dial-timeout', ...one }]);
  end('B', {});
  assert.deepEqual(records.splice(0), [{ time: ms, ...backend, action: 'up', duration_ms: 32_000, ...paid }]);

  outages.observe({ kind: 'upstream-opened', backend: 'mail1', level: 'info' });
  hang('D', 30_000);
  outages.observe(dialFails);
  outages.observe({ ...dialFails, kind: 'backend-down', text: 'secret words', type: 'dial-refused' });
  end('D', { outcome: 'timeout', error: 'reply-timeout' });
  outages.observe({ kind: 'backend-up', backend: 'mail1', level: 'warn', duration_ms: 5 });
  assert.deepEqual(records, [
    { time: ms, ...stuck, duration_ms: 30_000 },
    { time: ms, ...backend, action: 'down', error: 'dial-refused', text: 'connection refused' },
    { time: ms, ...backend, error: 'dial-refused', ...one },
    { time: ms, ...backend, action: 'up', duration_ms: 5, ...paid },
  ]);
});

void test('after a crash the incident says at least half of what it has cost', () => {
  const turns: Turn[] = [];
  const take = (record: AuditRecord): undefined => {
    turns.push({ record: parseLine(`{${encodeBody(record)}}`) ?? {} });
  };
  const outages = createOutages({ now: () => 0, wallMs: () => 7 });
  outages.recordIn(
    { space: 'normal', append: take },
    { whyDown: () => 'connection refused', running: () => [] },
  );
  outages.observe({ kind: 'backend-down', backend: 'mail1', level: 'error', type: 'dial-refused', text: '' });
  for (let at = 0; at < 1_000; at += 1) {
    outages.observe({ ...ended, outcome: 'failed', error: 'dial-refused' });
    outages.observe({ ...ended, outcome: 'failed', error: 'backend-drained', backend: 'mail2' });
  }
  assert.ok(turns.length < 25, `${turns.length} records`);
  turns.push({ record: { time: formatTime(9), event: 'start', last_seq: 30 } });
  const down = foldIncidents(turns).find(({ kind }) => kind === 'down');
  assert.match(
    down?.text ?? '',
    /^mail1 was down: connection refused\. At least 512 commands of 1 requester failed; /,
  );
});
