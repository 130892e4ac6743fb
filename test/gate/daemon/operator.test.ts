// Goal: what operators took out of service is remembered whole or not at all, and a file that cannot be read is no empty one.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { classOfRow, deedOf, outcomeOf } from '../../../src/evidence/story/row.js';
import { createSearch } from '../../../src/evidence/trail/search.js';
import { Acknowledged, createAct, DrainedBackends } from '../../../src/gate/daemon/operator.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import type { StoredRecord } from '../../../src/host/values/values.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { humanOfOperator, noHuman } from '../../../src/rules/identity/human.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { openFolder } from '../../kit/plain/folder.js';

const notAsked = (): never => assert.fail('not asked');

/** What an action needs beside the journal and the drained backends. */
const unasked = {
  clock: { wallMs: () => 0 },
  access: { end: notAsked },
  log: { report: () => undefined },
  service: { find: () => undefined, kill: notAsked },
  pools: { byName: new Map(), applyDrains: notAsked },
  served: { now: { settings: { backends: [] }, persons: new Persons(new Map()) } },
  reloader: { reload: notAsked },
  users: { moved: [], confirm: notAsked },
  outages: { refused: () => ({ count: 7, requesters: 2 }), turned: () => undefined },
  acknowledged: new Acknowledged(),
};

void test('a file that is damaged stops the start: nobody would know what was taken out', (t) => {
  const folder = openFolder(t);
  const noName = '{"mail1":{"since":"2026-11-20T08:22:34.123Z"}}';
  const noTime = '{"mail1":{"by":"root","since":"today"}}';
  for (const text of ['', '{', 'null', noName, noTime, '7']) {
    writeFileSync(join(folder, 'drained.json'), text);
    assert.throws(() => new DrainedBackends(folder), Error, text);
  }
  assert.equal(readFileSync(join(folder, 'drained.json'), 'utf8'), '7');
});

void test('an action that fails says whether it was recorded; a name that is nearly right is answered with the right one', async () => {
  const logged: string[] = [];
  let isRecorded = false;
  const recorded: unknown[] = [];
  const act = createAct({
    ...unasked,
    log: {
      report: ({ event, text = '' }: { event: string; text?: string }) =>
        void logged.push(`${event}: ${text}`),
    },
    journal: {
      appendDurable: ({ action, backend, outcome, text }: AuditRecord): Promise<void> => {
        if (!isRecorded) return Promise.reject(new JournalFault('write-failed', 'ENOSPC'));
        recorded.push({ action, backend, outcome, text });
        return Promise.resolve();
      },
    },
    pools: { byName: new Map([['mail1', {}]]), applyDrains: notAsked },
    drained: {
      find: () => undefined,
      put(): void {
        throw new Error('ENOSPC: drained.json');
      },
    },
  });
  const drain = (backend: string) => act({ kind: 'drain', backend }, { by: 'root', human: noHuman });
  assert.deepEqual(await drain('mail1'), {
    kind: 'unrecorded',
    text: 'not done, because it cannot be recorded: ENOSPC',
  });
  isRecorded = true;
  assert.deepEqual(await drain('mail1'), {
    kind: 'undone',
    text: 'recorded, but not done: ENOSPC: drained.json',
  });
  assert.deepEqual(
    logged.map((line) => line.split(':')[0]),
    ['admin-failed', 'admin-failed'],
  );
  assert.deepEqual(recorded, [
    { action: 'drain', backend: 'mail1', outcome: undefined, text: undefined },
    {
      action: 'drain',
      backend: 'mail1',
      outcome: 'failed',
      text: 'recorded, but not done: ENOSPC: drained.json',
    },
  ]);
  assert.match((await drain('mial1')).text, /^there is no backend mial1; did you mean mail1\?$/);
  assert.match((await drain('elsewhere')).text, /^there is no backend elsewhere; there are: mail1$/);
});

void test('an operator who was locked while the record was written does nothing, and a second record says so', async () => {
  const recorded: unknown[] = [];
  let why: string | undefined;
  let isPut = false;
  const act = createAct({
    ...unasked,
    journal: {
      async appendDurable({ action, outcome, text }: AuditRecord): Promise<void> {
        recorded.push({ action, outcome, text });
        why = 'anna is locked by root';
      },
    },
    pools: { byName: new Map([['mail1', {}]]), applyDrains: () => undefined },
    drained: { find: () => undefined, put: () => void (isPut = true) },
  });
  const drain = act({ kind: 'drain', backend: 'mail1' }, { by: 'anna', human: noHuman }, () => why);
  const text = 'recorded, but not done: anna is locked by root';
  assert.deepEqual(await drain, { kind: 'undone', text });
  assert.equal(isPut, false);
  const first = { action: 'drain', outcome: undefined, text: undefined };
  assert.deepEqual(recorded, [first, { action: 'drain', outcome: 'failed', text }]);
});

void test('kill says where the end waits for a client that does not read', async () => {
  let clientMs = 0;
  let isKilled = false;
  const recorded: StoredRecord[] = [];
  const running = { command: 'expunge', principal: 'bob@support', backend: 'mail1', durationMs: 20_000.4 };
  const act = createAct({
    ...unasked,
    journal: { appendDurable: async (record) => void recorded.push({ ...record }) },
    service: { find: () => ({ ...running, clientMs, isKilled }), kill: () => true },
    drained: { find: () => undefined, put: () => undefined },
  });
  const kill = async (): Promise<string> =>
    (await act({ kind: 'kill', id: 'E1' }, { by: 'root', human: noHuman })).text;
  assert.equal(await kill(), 'E1 is ended; it may have run');
  clientMs = 3_000;
  assert.equal(
    await kill(),
    'E1 is ended; it may have run. Its client does not read: status lists it until the client reads or leaves, or limits.client_stall is over',
  );
  assert.deepEqual(
    recorded.map(({ outcome, deed, duration_ms, ...record }) => [
      outcome,
      deed === recorded[1]?.['deed'],
      duration_ms,
      deedOf(record),
    ]),
    [undefined, 'ok', undefined, 'ok'].map((outcome, at) => [
      outcome,
      at < 2,
      20_000,
      'kill expunge bob@support mail1 E1',
    ]),
  );
  isKilled = true;
  assert.match(await kill(), /^E1 is ended already\. Its client does not read: /);
  assert.equal(recorded.length, 4, 'it changes nothing, so it needs no record');
});

void test('a backend is taken out of service once, and the first one who did it stays named', async (t) => {
  const folder = openFolder(t);
  const drained = new DrainedBackends(folder);
  let recorded = 0;
  let last: AuditRecord | undefined;
  const act = createAct({
    ...unasked,
    journal: {
      appendDurable: async (record) => {
        recorded += 1;
        last = record;
      },
    },
    pools: { byName: new Map([['mail1', {}]]), applyDrains: () => undefined },
    drained,
  });
  const drain = (by: string) => act({ kind: 'drain', backend: 'mail1' }, { by, human: noHuman });
  assert.equal((await drain('anna')).kind, 'done');
  const again = {
    kind: 'already',
    text: 'mail1 is drained already, by anna since 1970-01-01T00:00:00.000Z',
  };
  for (let at = 0; at < 3; at += 1) assert.deepEqual(await drain('bob'), again);
  assert.deepEqual([recorded, drained.find('mail1')?.by], [2, 'anna']);
  const why = (reason: string) =>
    act({ kind: 'drain', backend: 'mail1', reason }, { by: 'bob', human: noHuman });
  await act({ kind: 'enable', backend: 'mail1' }, { by: 'bob', human: noHuman });
  assert.equal((await why('two\nlines')).kind, 'refused');
  assert.equal((await why('new disk')).kind, 'done');
  assert.deepEqual(
    [last?.reason, new DrainedBackends(folder).find('mail1')?.reason],
    ['new disk', 'new disk'],
  );
  recorded = 0;
  await act({ kind: 'enable', backend: 'mail1' }, { by: 'bob', human: noHuman });
  assert.deepEqual([last?.action, last?.count], ['enable', 7], 'how many commands it has cost');
  assert.equal((await drain('bob')).kind, 'done');
  assert.deepEqual([recorded, drained.find('mail1')?.by], [4, 'bob']);
});

void test('nobody confirms the uid of their own name: the uid of before would be somebody else', async () => {
  const recorded: StoredRecord[] = [];
  const confirmed: string[] = [];
  const carol = { users: ['carol', '1007'], accounts: [], keys: [], page: [], oidc: undefined };
  const persons = new Persons(new Map([['carol', carol]]), {
    uidsOf: (name) => (name === 'carol' ? [1001, 1002] : []),
    isUnknown: () => false,
    uidOf: () => undefined,
  });
  const act = createAct({
    ...unasked,
    journal: { appendDurable: async (record) => void recorded.push({ ...record }) },
    drained: { find: () => undefined, put: notAsked },
    served: { now: { settings: { backends: [] }, persons } },
    users: {
      moved: [{ user: 'carol', uids: [1001, 1002] }],
      confirm: (user) => {
        confirmed.push(user);
        return 1002;
      },
    },
  });
  const action = { kind: 'confirm', user: 'carol' } as const;
  for (const operator of [
    { by: 'carol', uid: 1001 },
    { by: 'carol', uid: 1002 },
    { by: 'carol2', uid: 1007 },
    { by: 'carol', uid: 1009, user: 'carol' },
    { by: 'root', uid: 0, loginUid: 1001 },
  ])
    assert.deepEqual(await act(action, { ...operator, human: humanOfOperator(operator, false) }), {
      kind: 'refused',
      text: 'carol may be you, and nobody confirms a uid of their own: ask another operator',
    });
  assert.deepEqual(await act(action, { by: 'token', address: '127.0.0.1', human: noHuman }), {
    kind: 'refused',
    text: 'a token does not say who asks: confirm over the admin socket',
  });
  assert.deepEqual([recorded, confirmed], [[], []]);
  const other = { by: 'dave', uid: 1003, loginUid: 1003, human: noHuman };
  assert.deepEqual(await act(action, other), { kind: 'done', text: 'only uid 1002 is carol now' });
  assert.deepEqual(confirmed, ['carol']);
  const begun = {
    time: 0,
    event: 'operator',
    peer: { uid: 1003, login_uid: 1003 },
    action: 'confirm',
    deed: recorded[0]?.['deed'],
    by: 'dave',
    user: 'carol',
  };
  assert.deepEqual(recorded, [begun, { ...begun, outcome: 'ok' }]);
});

void test('what is wrong is acknowledged until a time, with a record; the oldest mark goes where there are too many', async () => {
  const acknowledged = new Acknowledged();
  let last: AuditRecord | undefined;
  const act = createAct({
    ...unasked,
    acknowledged,
    drained: { find: notAsked, put: notAsked },
    journal: { appendDurable: async (record) => void (last = record) },
  });
  const until = '1970-01-01T04:00:00.000Z';
  const mark = (text: string) => act({ kind: 'acknowledge', text, until }, { by: 'anna', human: noHuman });
  assert.equal((await mark('key-expires panel old')).kind, 'done');
  assert.deepEqual(
    [last?.event, last?.action, last?.text, last?.until, last?.by],
    ['operator', 'acknowledge', 'key-expires panel old', until, 'anna'],
  );
  assert.deepEqual(acknowledged.find('key-expires panel old', 0), { by: 'anna', until });
  assert.equal(acknowledged.find('key-expires panel new', 0), undefined);
  assert.equal(acknowledged.find('key-expires panel old', 4 * 3_600_000), undefined);
  for (let at = 0; at < 100; at += 1) await mark(`${at}`);
  assert.equal(acknowledged.find('key-expires panel old', 0), undefined);
  assert.equal(acknowledged.find('99', 0)?.by, 'anna');
});

void test('what an operator did is one row of the trail, with how it ended and why', async () => {
  const ledger = new Ledger('p', undefined, 'ab');
  let lines = '';
  let problems: readonly string[] = ['f.yaml:3:1: no backend "x"\n    x: 1', 'f.yaml:2:1: warning: z'];
  const act = createAct({
    ...unasked,
    journal: { appendDurable: async (record) => void (lines += ledger.seal(encodeBody(record))) },
    drained: { find: () => undefined, put: notAsked },
    reloader: {
      reload: async () => ({ atMs: 0, isSuccess: problems.length === 0, hash: 'abc', problems, restart: [] }),
    },
  });
  const shown = (): string[] => {
    const search = createSearch({ kind: 'operator' });
    const rows = [...search.take(Buffer.from(lines)), ...search.finish()];
    lines = '';
    return rows.map((row) => [deedOf(row.fields), outcomeOf(row), classOfRow(row)].join(' | '));
  };
  await act({ kind: 'reload' }, { by: 'root', human: noHuman });
  assert.deepEqual(shown(), [
    'reload the configuration is not replaced: f.yaml:3:1: no backend "x" | failed | failed',
  ]);
  problems = [];
  await act({ kind: 'reload' }, { by: 'root', human: noHuman });
  assert.deepEqual(shown(), ['reload | ok | ok']);
  const until = '2026-11-22T00:00:00.000Z';
  await act({ kind: 'acknowledge', text: 'key-expires panel old', until }, { by: 'anna', human: noHuman });
  assert.deepEqual(shown(), [`acknowledge key-expires panel old until ${until} | ok | ok`]);
});
