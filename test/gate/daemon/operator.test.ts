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
type Parts = Parameters<typeof createAct>[0];

/** Actions of a gate with one backend, whose journal takes records; `more`: what else is asked. */
function open(more: Partial<Parts> = {}) {
  const recorded: StoredRecord[] = [];
  const act = createAct({
    clock: { wallMs: () => 0 },
    access: { end: notAsked },
    log: { report: () => undefined },
    service: { find: () => undefined, kill: notAsked },
    pools: { byName: new Map([['mail1', {}]]), applyDrains: () => undefined },
    served: { now: { settings: { backends: [] }, persons: new Persons(new Map()) } },
    reloader: { reload: notAsked },
    users: { moved: [], confirm: notAsked },
    outages: { refused: () => ({ count: 7, requesters: 2 }), turned: () => undefined },
    acknowledged: new Acknowledged(),
    seenPolicies: { whyNot: () => undefined, take: () => false, changedBy: () => undefined },
    journal: { appendDurable: async (record) => void recorded.push({ ...record }) },
    drained: { find: () => undefined, put: notAsked },
    ...more,
  });
  const as = (by: string, action: Parameters<typeof act>[0], why?: () => string | undefined) =>
    act(action, { by, human: noHuman }, why);
  const drain = (by = 'root', backend = 'mail1', reason?: string) =>
    as(by, { kind: 'drain', backend, ...(reason !== undefined && { reason }) });
  return { act, as, drain, recorded };
}

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
  const { drain } = open({
    log: { report: ({ event }: { event: string }) => void logged.push(event) },
    journal: {
      async appendDurable({ action, backend, outcome, text }: AuditRecord): Promise<void> {
        if (!isRecorded) throw new JournalFault('write-failed', 'ENOSPC');
        recorded.push({ action, backend, outcome, text });
      },
    },
    drained: {
      find: () => undefined,
      put(): void {
        throw new Error('ENOSPC: drained.json');
      },
    },
  });
  const unrecorded = { kind: 'unrecorded', text: 'not done, because it cannot be recorded: ENOSPC' };
  assert.deepEqual(await drain(), unrecorded);
  isRecorded = true;
  const text = 'recorded, but not done: ENOSPC: drained.json';
  assert.deepEqual(await drain(), { kind: 'undone', text });
  assert.deepEqual(logged, ['admin-failed', 'admin-failed']);
  const begun = { action: 'drain', backend: 'mail1', outcome: undefined, text: undefined };
  assert.deepEqual(recorded, [begun, { ...begun, outcome: 'failed', text }]);
  assert.match((await drain('root', 'mial1')).text, /^there is no backend mial1; did you mean mail1\?$/);
  assert.match((await drain('root', 'elsewhere')).text, /^there is no backend elsewhere; there are: mail1$/);
});

void test('an operator who was locked while the record was written does nothing, and a second record says so', async () => {
  let why: string | undefined;
  const recorded: unknown[] = [];
  const { as } = open({
    journal: {
      async appendDurable({ action, outcome, text }: AuditRecord): Promise<void> {
        recorded.push([action, outcome, text]);
        why = 'anna is locked by root';
      },
    },
  });
  const text = 'recorded, but not done: anna is locked by root';
  assert.deepEqual(await as('anna', { kind: 'drain', backend: 'mail1' }, () => why), {
    kind: 'undone',
    text,
  });
  assert.deepEqual(recorded, [
    ['drain', undefined, undefined],
    ['drain', 'failed', text],
  ]);
});

void test('kill says where the end waits for a client that does not read', async () => {
  let clientMs = 0;
  let isKilled = false;
  const running = { command: 'expunge', principal: 'bob@support', backend: 'mail1', durationMs: 20_000.4 };
  const { as, recorded } = open({
    service: { find: () => ({ ...running, clientMs, isKilled }), kill: () => true },
  });
  const kill = async (): Promise<string> => (await as('root', { kind: 'kill', id: 'E1' })).text;
  assert.equal(await kill(), 'E1 is ended; it may have run');
  clientMs = 3_000;
  assert.equal(
    await kill(),
    'E1 is ended; it may have run. Its client does not read: status lists it until the client reads or leaves, or limits.client_stall is over',
  );
  const told = recorded.map(({ outcome, deed, duration_ms: ms, ...record }) => [
    outcome,
    deed === recorded[1]?.['deed'],
    ms,
    deedOf(record),
  ]);
  const deed = 'kill expunge bob@support mail1 E1';
  assert.deepEqual(
    told,
    [undefined, 'ok', undefined, 'ok'].map((outcome, at) => [outcome, at < 2, 20_000, deed]),
  );
  isKilled = true;
  assert.match(await kill(), /^E1 is ended already\. Its client does not read: /);
  assert.equal(recorded.length, 4, 'it changes nothing, so it needs no record');
});

void test('a backend is taken out of service once, and the first one who did it stays named', async (t) => {
  const folder = openFolder(t);
  const drained = new DrainedBackends(folder);
  const { as, drain, recorded } = open({ drained });
  assert.equal((await drain('anna')).kind, 'done');
  const again = { kind: 'already', text: 'mail1 is drained already, by anna since 1970-01-01T00:00:00.000Z' };
  for (let at = 0; at < 3; at += 1) assert.deepEqual(await drain('bob'), again);
  assert.deepEqual([recorded.splice(0).length, drained.find('mail1')?.by], [2, 'anna']);
  await as('bob', { kind: 'enable', backend: 'mail1' });
  assert.equal((await drain('bob', 'mail1', 'two\nlines')).kind, 'refused');
  assert.equal((await drain('bob', 'mail1', 'new disk')).kind, 'done');
  const kept = new DrainedBackends(folder).find('mail1')?.reason;
  assert.deepEqual([recorded.splice(0).at(-1)?.['reason'], kept], ['new disk', 'new disk']);
  await as('bob', { kind: 'enable', backend: 'mail1' });
  const last = recorded.at(-1);
  assert.deepEqual([last?.['action'], last?.['count']], ['enable', 7], 'how many commands it has cost');
  assert.equal((await drain('bob')).kind, 'done');
  assert.deepEqual([recorded.length, drained.find('mail1')?.by], [4, 'bob']);
});

void test('nobody confirms the uid of their own name: the uid of before would be somebody else', async () => {
  const confirmed: string[] = [];
  const carol = { users: ['carol', '1007'], accounts: [], keys: [], page: [], oidc: undefined };
  const persons = new Persons(new Map([['carol', carol]]), {
    uidsOf: (name) => (name === 'carol' ? [1001, 1002] : []),
    isUnknown: () => false,
    uidOf: () => undefined,
  });
  const { act, recorded } = open({
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
  const { as, recorded } = open({ acknowledged });
  const until = '1970-01-01T04:00:00.000Z';
  const mark = (text: string) => as('anna', { kind: 'acknowledge', text, hours: 4 });
  assert.equal((await mark('key-expires panel old')).kind, 'done');
  const last = recorded.at(-1) ?? assert.fail();
  const words = ['operator', 'acknowledge', 'key-expires panel old', until, 'anna'];
  assert.deepEqual(
    ['event', 'action', 'text', 'until', 'by'].map((key) => last[key]),
    words,
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
  const { as } = open({
    journal: { appendDurable: async (record) => void (lines += ledger.seal(encodeBody(record))) },
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
  await as('root', { kind: 'reload' });
  assert.deepEqual(shown(), [
    'reload the configuration is not replaced: f.yaml:3:1: no backend "x" | failed | failed',
  ]);
  problems = [];
  await as('root', { kind: 'reload' });
  assert.deepEqual(shown(), ['reload | ok | ok']);
  const until = '1970-01-02T00:00:00.000Z';
  await as('anna', { kind: 'acknowledge', text: 'key-expires panel old', hours: 24 });
  assert.deepEqual(shown(), [`acknowledge key-expires panel old until ${until} | ok | ok`]);
});
