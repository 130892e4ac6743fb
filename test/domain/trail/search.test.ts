import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import { Ledger } from '../../../src/domain/audit/ledger.js';
import type { JournalRecord } from '../../../src/domain/audit/record.js';
import { createSearch, type ExchangeRow, type TrailFilter } from '../../../src/domain/trail/search.js';

const started = Date.UTC(2026, 10, 20, 8);

/** Pairs of admission and completion, interleaved, with other records between them. */
function trail(): string[] {
  const ledger = new Ledger('p', undefined, 'ab');
  const lines: string[] = [];
  const add = (record: JournalRecord) => lines.push(ledger.seal(encodeBody(record)));
  add({ time: started, event: 'start', journal: 'ab', format: 1 });
  const one = { session: 'S1', id: 'E1', listener: 'support' };
  const two = { session: 'S2', id: 'E2', listener: 'jobs' };
  const three = { session: 'S1', id: 'E3', listener: 'support' };
  add({
    time: started + 1000,
    event: 'session-open',
    session: 'S1',
    listener: 'support',
    peer: { user: 'alice' },
  });
  add({
    time: started + 2000,
    event: 'admission',
    ...one,
    peer: { user: 'bob' },
    principal: 'bob@support',
    decision: 'allow',
    command: 'mailbox list',
    user: 'alice@example.com',
    args: ['--', 'INBOX'],
  });
  add({
    time: started + 3000,
    event: 'admission',
    ...two,
    principal: 'carol@jobs',
    decision: 'deny',
    command: 'expunge',
    user: 'bob@example.com',
    reason: 'the "big" cleanup',
  });
  add({
    time: started + 3100,
    event: 'completion',
    ...two,
    outcome: 'denied',
    status: '-NOPERM',
    sent: false,
  });
  add({ time: started + 3200, event: 'log', id: 'E1', text: 'alice@example.com' });
  add({
    time: started + 3500,
    event: 'completion',
    ...one,
    outcome: 'ok',
    status: '+',
    sent: true,
    backend: 'mail1',
  });
  add({
    time: started + 4000,
    event: 'admission',
    ...three,
    principal: 'bob@support',
    user: 'x'.repeat(9000),
  });
  return lines;
}

const lines = trail();

function search(filter: TrailFilter, pieces: readonly string[] = [lines.join('')]): ExchangeRow[] {
  const found = createSearch(filter);
  return [...pieces.flatMap((piece) => found.take(Buffer.from(piece))), ...found.finish()];
}

function ids(filter: TrailFilter): unknown[] {
  return search(filter).map(({ fields }) => fields['id']);
}

void test('a row has the keys of both records', () => {
  const [row] = search({ id: 'E1' });
  assert.deepEqual(row, {
    fields: {
      time: '2026-11-20T08:00:02.000Z',
      session: 'S1',
      id: 'E1',
      listener: 'support',
      peer: { user: 'bob' },
      principal: 'bob@support',
      decision: 'allow',
      command: 'mailbox list',
      user: 'alice@example.com',
      args: ['--', 'INBOX'],
      backend: 'mail1',
      status: '+',
      outcome: 'ok',
      sent: true,
    },
    admittedSeq: 3,
    completedSeq: 7,
    completedTime: '2026-11-20T08:00:03.500Z',
  });
});

const filters: readonly [TrailFilter, readonly string[]][] = [
  [{}, ['E2', 'E1', 'E3']],
  [{ user: 'alice@example.com' }, ['E1']],
  [{ user: 'alice' }, []],
  [{ user: '*@example.com' }, ['E2', 'E1']],
  [{ user: 'a*@*.com' }, ['E1']],
  [{ user: '*li*' }, ['E1']],
  [{ user: '*' }, ['E2', 'E1', 'E3']],
  [{ listener: '*' }, []],
  [{ principal: 'bob*', outcome: 'ok', command: 'mailbox', sinceMs: started, user: '*com' }, ['E1']],
  [{ outcome: 'ok', backend: 'mail2' }, []],
  [{ outcome: 'open', text: 'xxx' }, ['E3']],
  [{ user: 'xx*' }, ['E3']],
  [{ principal: 'bob@*' }, ['E1', 'E3']],
  [{ principal: 'carol@jobs' }, ['E2']],
  [{ command: 'mailbox' }, ['E1']],
  [{ command: 'mailbox list' }, ['E1']],
  [{ command: 'mail' }, []],
  [{ listener: 'jobs' }, ['E2']],
  [{ decision: 'deny' }, ['E2']],
  [{ outcome: 'ok' }, ['E1']],
  [{ outcome: 'denied' }, ['E2']],
  [{ outcome: 'open' }, ['E3']],
  [{ backend: 'mail1' }, ['E1']],
  [{ session: 'S1' }, ['E1', 'E3']],
  [{ sinceMs: started + 2500 }, ['E2', 'E3']],
  [{ untilMs: started + 2500 }, ['E1']],
  [{ text: 'the "big"' }, ['E2']],
  [{ text: '-NOPERM' }, ['E2']],
  [{ text: 'none' }, []],
  [{ user: 'alice@example.com', outcome: 'denied' }, []],
];

for (const [filter, expected] of filters) {
  void test(`search ${JSON.stringify(filter)}`, () => {
    assert.deepEqual(ids(filter), expected);
  });
}

void test('it does not matter how the lines are put into pieces', () => {
  for (const [filter] of filters) assert.deepEqual(search(filter, lines), search(filter));
});

void test('damage is stepped over', () => {
  const damaged = [
    ...lines.slice(0, 3),
    'garbage\n',
    '{"seq":9,"time":"\n',
    '\n',
    ...lines.slice(3),
    '{"half',
  ];
  assert.deepEqual(
    search({}, [damaged.join('')]).map(({ fields }) => fields['id']),
    ['E2', 'E1', 'E3'],
  );
  assert.deepEqual(search({ user: 'alice@example.com' }, [damaged.join('')]).length, 1);
});
