// Who had access to whose mail: from the records of a trail, whole or begun in the middle. What must not happen: a grant that is listed as
// unused although it was used, an approver that is left out, a forged journal that fills the memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AccessAsked,
  accessSentences,
  createAccessLedger,
  tellAccess,
  toldBy,
} from '../../../src/evidence/report/access.js';
import { approvedText, endText, usedText } from '../../../src/evidence/story/grant.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { AccessBook } from '../../../src/journal/records/access-book.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import {
  approved,
  approver,
  granted,
  grantRecords,
  over,
  owner,
  requested,
} from '../../kit/plain/access-records.js';
import { sealedBytes } from '../trail/paper-trail.js';

const start = Date.UTC(2026, 10, 26, 10);
const hour = 3_600_000;

function use(id: string, grant: string, time: number, sent = true): AuditRecord[] {
  const named = { id, grant, session: 'S1', principal: owner };
  return [
    { time, event: 'admission', ...named, command: 'fetch', decision: 'allow' },
    { time: time + 1, event: 'completion', id, outcome: 'ok', sent, grant },
  ];
}

function ledgerOf(records: readonly AuditRecord[], asked: AccessAsked = {}) {
  const ledger = createAccessLedger(asked);
  ledger.take(sealedBytes(records));
  return ledger;
}

const itemsOf = (...records: readonly AuditRecord[]) => ledgerOf(records).finish().items;

/** Ids of the requests that an answer has. */
const idsOf = (records: readonly AuditRecord[], asked: AccessAsked): string[] =>
  ledgerOf(records, asked)
    .finish()
    .items.map(({ id }) => id);

void test('what its owner is shown of a grant: the team of each approver, and until when it is kept back', () => {
  const ledger = ledgerOf([
    requested('A', start),
    approved('A', start + 1),
    granted('A', start + 2, { approvals: 1, quiet_ms: hour }),
    requested('B', start, { approvals: 0 }),
    granted('B', start + 1, { approvals: 0 }),
  ]);
  const given = toldBy([ledger]);
  assert.deepEqual(given('A').given, { approvedBy: ['leads'], quietUntilMs: start + 2 + hour });
  assert.deepEqual(given('B').given, { approvedBy: [], quietUntilMs: undefined });
  assert.equal(given('C').given, undefined);
});

void test('what was tried when a grant was over is said beside its uses, and makes no request of its own', () => {
  const tried = (id: string, request: string, time: number): AuditRecord[] => [
    { time, event: 'admission', id, principal: owner, command: 'fetch', decision: 'deny', request },
    { time, event: 'completion', id, outcome: 'denied', sent: false, request },
  ];
  const records = [
    ...grantRecords('A', start),
    ...use('1', 'A', start + 100),
    over('used-up', 'A', start + 200),
    ...tried('2', 'A', start + 300),
    ...tried('3', 'A', start + 400),
    ...tried('4', 'older', start + 500),
  ];
  const [told, ...others] = itemsOf(...records).map((item) => tellAccess(item));
  assert.deepEqual(others, []);
  assert.deepEqual(
    [told?.used, told?.tried, told?.said.used],
    [1, 2, '1 of 3: fetch; tried 2 times more when it was over, denied'],
  );
});

void test('those about which somebody decided, whatever the decision was, and nobody by taking back an own request', () => {
  const records = [
    ...grantRecords('A', start),
    requested('B', start),
    over('refused', 'B', start + 5, 'request', { principal: 'page:carol' }),
    requested('C', start),
    over('revoked', 'C', start + 5, 'request', { principal: owner }),
    requested('D', start, { approvals: 0 }),
    granted('D', start + 1),
    over('reviewed', 'D', start + 5, 'grant', { principal: 'dave@leads' }),
  ];
  const of = (by: string): string => idsOf(records, { by }).join('');
  assert.deepEqual(['carol', 'page:carol', 'dave@leads', owner].map(of), ['AB', 'B', 'D', '']);
});

void test('one request: who asked, who approved, how it was used, how it ended', () => {
  const items = itemsOf(
    ...grantRecords('A', start),
    ...use('1', 'A', start + 100),
    ...use('2', 'A', start + 200),
    ...use('3', 'A', start + 300, false),
    over('revoked', 'A', start + hour / 2),
  );
  const [item] = items;
  assert.equal(items.length, 1);
  assert.ok(item);
  assert.equal(item.to, owner);
  assert.deepEqual(item.requested.users, ['anna@example.com']);
  assert.equal(item.command, 'fetch hdr.subject mailbox INBOX all');
  assert.deepEqual([item.used, item.usesMax, [...item.commands]], [2, 3, [['fetch', 2]]]);
  assert.deepEqual([item.firstUse, item.lastUse], [formatTime(start + 100), formatTime(start + 300)]);
  assert.equal(approvedText(item), `approved by ${approver}`);
  assert.equal(endText(item), `revoked by ${approver}, without a reason`);
  assert.deepEqual(accessSentences(items, 0), ['1 request: 1 granted, 0 refused, 0 granted and never used']);
});

void test('a search by which dovegate counts mails for a command is no use', () => {
  const count = { for: '1', command: 'search', effect: 'read' };
  const [admission, completion] = use('2', 'A', start + 50);
  assert.ok(admission !== undefined && completion !== undefined);
  const { grant: _, ...answered } = completion;
  const searched = [admission, answered].map((record) => ({ ...record, ...count }));
  const [item] = itemsOf(...grantRecords('A', start), ...searched, ...use('1', 'A', start + 100));
  assert.ok(item);
  assert.deepEqual([item.used, [...item.commands]], [1, [['fetch', 1]]]);
  assert.equal(item.firstUse, formatTime(start + 100));
});

void test('waiting, refused, never used, and without an approval', () => {
  const items = itemsOf(
    requested('W', start),
    requested('R', start + 1),
    { ...over('refused', 'R', start + 2, 'request'), reason: 'ask anna' },
    ...grantRecords('N', start + 3),
    requested('B', start + 10, { approvals: 0 }),
    granted('B', start + 11),
    over('expired', 'B', start + hour),
  );
  assert.deepEqual(
    items.map((item) => [item.id, approvedText(item), endText(item)]),
    [
      ['W', 'approved by nobody', 'waits'],
      ['R', 'approved by nobody', `refused by ${approver}: ask anna`],
      ['N', `approved by ${approver}`, `until ${formatTime(start + 5 + hour)}`],
      ['B', 'without an approval (break-glass), not reviewed', 'expired: its time of 1 h is over'],
    ],
  );
  assert.deepEqual(accessSentences(items, 0), [
    '4 requests: 2 granted, 1 waiting, 1 refused, 2 granted and never used',
    '1 granted without an approval (break-glass), 1 of them not reviewed',
  ]);
});

void test('a request that is over without a decision neither waits nor was refused', () => {
  const items = itemsOf(
    requested('E', start),
    over('expired', 'E', start + hour, 'request'),
    requested('V', start + 1),
    over('revoked', 'V', start + 2, 'request'),
  );
  assert.deepEqual(accessSentences(items, 0), [
    '2 requests: 0 granted, 0 refused, 2 over without a decision, 0 granted and never used',
  ]);
});

void test('a trail that begins at a later segment: what lived is carried there, with its own times', () => {
  const book = new AccessBook();
  for (const record of [...grantRecords('A', start), ...use('1', 'A', start + 100)]) book.follow(record);
  const carried = book.carried(start + hour / 2);
  const second = use('2', 'A', start + hour / 2 + 5);
  const [item] = itemsOf(...carried, ...second);
  assert.ok(item);
  const approvals = item.entry?.approvals.map(({ time }) => time);
  assert.deepEqual([item.requested.time, approvals, item.used], [start, [start + 1], 2]);
  // Both segments: nothing is counted twice.
  const [again] = itemsOf(...grantRecords('A', start), ...use('1', 'A', start + 100), ...carried, ...second);
  assert.deepEqual([again?.used, again?.entry?.approvals.length], [2, 1]);
});

void test('a time and a user: what ended before, and others, are left out', () => {
  const records = [
    ...grantRecords('old', start),
    over('expired', 'old', start + hour),
    ...grantRecords('new', start + 2 * hour, { users: ['bob@example.com'], user: 'bob@example.com' }),
    requested('later', start + 10 * hour),
  ];
  const ids = (asked: AccessAsked): string[] => idsOf(records, asked);
  assert.deepEqual(ids({ sinceMs: start + 1.5 * hour }), ['new', 'later']);
  assert.deepEqual(ids({ sinceMs: start + hour / 2, untilMs: start + 9 * hour }), ['old', 'new']);
  assert.deepEqual(ids({ user: 'bob@example.com' }), ['new']);
  assert.deepEqual(ids({ user: '*@example.com' }), ['old', 'new', 'later']);
  assert.deepEqual(ids({ user: 'eve@example.com' }), []);
});

void test('requests beyond the limit are counted, and said', () => {
  const ledger = createAccessLedger({});
  const some = Array.from({ length: 1000 }, (_, at) => requested(`${at}`, start + at));
  for (let round = 0; round <= 20_000 / 1000; round += 1)
    ledger.take(
      sealedBytes(some.map((record) => ({ ...record, request: `${round}-${record.request ?? ''}` }))),
    );
  const { items, leftOut } = ledger.finish();
  assert.equal(items.length, 20_000);
  assert.equal(leftOut, 1000);
  assert.match(accessSentences(items, leftOut).at(-1) ?? '', /^1000 more requests are left out/);
});

void test('hostile records: unknown ids, wrong types, approvals twice', () => {
  const ledger = ledgerOf([
    approved('none', start),
    ...use('1', 'none', start),
    requested('A', start, { approvals: 2 }),
    approved('A', start + 1),
    { ...requested('B', start), users: [], user: 'x' },
    approved('B', start + 1),
  ]);
  assert.deepEqual(
    ledger.finish().items.map(({ id, entry, needed }) => [id, entry?.approvals.length, needed]),
    [
      ['none', undefined, undefined],
      ['A', 1, 2],
      // Whom it concerns is not known, so nobody had anything.
      ['B', undefined, undefined],
    ],
  );
  ledger.take(
    Buffer.from('{"seq":1,"time":"2026-11-26T10:00:00.000Z","event":"access","action":5}\nnot a line\n'),
  );
});

void test('a report names the approvers of a grant, or says why it cannot', () => {
  const ledger = ledgerOf([...grantRecords('A', start), ...use('1', 'B', start + 1)]);
  const told = (id: string, isLimited = false): readonly string[] => {
    const { approvedBy, reason } = toldBy([ledger], isLimited)(id);
    return [approvedBy, reason];
  };
  assert.deepEqual(told('A'), [`approved by ${approver}`, 'ticket 4711']);
  assert.deepEqual(told('A', true), told('A'));
  for (const id of ['B', 'C'])
    assert.deepEqual(
      [told(id), told(id, true)],
      [
        ['approvers are no longer in the kept records', ''],
        ['approvers are not shown in this view', ''],
      ],
    );
});

void test('a grant that began before the records is there, with what is known of it', () => {
  const uses = use('1', 'B', start + 1).map((record) => ({ ...record, users: ['anna@example.com'] }));
  const asked = { user: 'anna@example.com' };
  const { items } = ledgerOf([...uses, over('expired', 'B', start + 2)], asked).finish();
  assert.deepEqual(
    items.map((item) => [item.id, usedText(item), endText(item)]),
    [['B', '1: fetch', 'expired']],
  );
  assert.match(accessSentences(items, 0).at(-1) ?? '', /^1 of them begun before the kept records/);
  // Of somebody else, or an end that names nobody: not asked for.
  assert.deepEqual(idsOf(uses, { user: 'eve@example.com' }), []);
  assert.deepEqual(idsOf([over('expired', 'B', start, 'grant', { users: undefined })], asked), []);
});
