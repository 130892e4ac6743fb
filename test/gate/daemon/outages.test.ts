// Goal: an outage is two records: when, why, how long, and how many commands it has cost; other failures and other backends are not in it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldIncidents, type Turn } from '../../../src/evidence/story/incidents.js';
import type { RunningExchange } from '../../../src/gate/command/overdue.js';
import { createOutages } from '../../../src/gate/daemon/outages.js';
import type { ExchangeEnded } from '../../../src/gate/outcome/events.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { parseLine } from '../../../src/host/values/values.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { ended } from '../../kit/gate/exchange-ended.js';
import { exchange } from '../../kit/gate/running.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';

function linesOf(records: readonly AuditRecord[]): string {
  return records.map((record) => JSON.stringify(record)).join('\n');
}

function outageAndDrain(): Asked[] {
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
  const refused = (): string => ['mail1', 'mail2', 'mail3'].map((name) => outages.refused(name).count).join();
  const before = refused();
  outages.turned('mail1');
  assert.deepEqual([before, refused()], ['1,1,0', '0,1,0']);
  const costs = records.filter(({ action }) => action === 'cost');
  return [
    ['an outage and a drain: their cost, each time that it has doubled', () => linesOf(costs)],
    ['down and up, with what it has cost', () => linesOf(records.filter((each) => !costs.includes(each)))],
  ];
}

// bounds.outageRequesters
function stopWithin(): Asked[] {
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
  assert.deepEqual(
    [records[0]?.requesters, records[0]?.count],
    [bounds.outageRequesters, 2 * bounds.outageRequesters],
  );
  return [
    [
      'a stop says what was paid so far for what is not over, by requesters up to a bound',
      () => linesOf(records),
    ],
  ];
}

function stuck(): Asked[] {
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
  const begun = linesOf(records.splice(0));
  ms += 20_000;
  end('C', {});
  end('A', { outcome: 'timeout', error: 'reply-timeout' });
  const paid = linesOf(records.splice(0));
  end('B', {});
  const over = linesOf(records.splice(0));

  outages.observe({ kind: 'upstream-opened', backend: 'mail1', level: 'info' });
  hang('D', 30_000);
  outages.observe(dialFails);
  outages.observe({ ...dialFails, kind: 'backend-down', text: 'secret words', type: 'dial-refused' });
  end('D', { outcome: 'timeout', error: 'reply-timeout' });
  outages.observe({ kind: 'backend-up', backend: 'mail1', level: 'warn', duration_ms: 5 });
  return [
    ['a backend is stuck since its commands hang', () => begun],
    ['the first that fails for it', () => paid],
    ['it is over with the last one', () => over],
    ['stuck, and then down', () => linesOf(records)],
  ];
}

void test('what an outage has cost, in the records of outages.txt', () => {
  compareAnswers('test/gate/daemon/outages.txt', [...outageAndDrain(), ...stopWithin(), ...stuck()]);
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
