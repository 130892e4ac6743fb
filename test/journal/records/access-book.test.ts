// Goal: the book of live requests and grants follows the records, and what it carries makes an equal book, whatever came before. What must
// not happen: a step of the clock that extends a grant; records that make it grow without limit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { parseLine } from '../../../src/host/values/values.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { AccessBook, concernsAccess, isReadable } from '../../../src/journal/records/access-book.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { AuditRecord, JournalRecord } from '../../../src/journal/records/record.js';
import { approved, granted, grantRecords, over, requested } from '../../kit/plain/access-records.js';

const t = 1_800_000_000_000;
const hour = 3_600_000;

function bookOf(...records: readonly (JournalRecord | Readonly<Record<string, unknown>>)[]): AccessBook {
  const book = new AccessBook();
  for (const record of records) book.follow(record);
  return book;
}

/** As a reader of the journal sees a record. */
function read(record: JournalRecord): Readonly<Record<string, unknown>> {
  return parseLine(`{"seq":1,${encodeBody(record)}}`) ?? {};
}

function shown(book: AccessBook): readonly unknown[] {
  return [...book.entries].map((entry) => structuredClone(entry));
}

/** For many entries. */
function text(book: AccessBook): string {
  return JSON.stringify([...book.entries]);
}

function admission(grant: string, time = t): AuditRecord {
  return { time, event: 'admission', id: 'E1', decision: 'allow', grant };
}

const unsent = (grant: string): AuditRecord => ({
  time: t,
  event: 'completion',
  id: 'E1',
  sent: false,
  grant,
});
const step = (ms: number): JournalRecord => ({ time: t, event: 'clock', step_ms: ms });

void test('a request is undecided, then a grant, then gone', () => {
  const book = bookOf(requested('R1', t));
  assert.equal(book.find('R1')?.state, 'requested');
  assert.equal(book.find('R1')?.untilMs, t + 24 * hour);
  book.follow(approved('R1', t + 1));
  assert.equal(
    book
      .find('R1')
      ?.approvals.map(({ principal }) => principal)
      .join(),
    'carol@leads',
  );
  book.follow(granted('R1', t + 2));
  const { state, untilMs, usesLeft } = book.find('R1') ?? assert.fail();
  assert.deepEqual([state, untilMs, usesLeft], ['granted', t + 2 + hour, 3]);
  book.follow(over('used-up', 'R1', t + 3));
  assert.equal(book.size, 0);
});

void test('an approval names those that count with it, where others do not any more', () => {
  const approvers = (by: string | undefined): unknown => {
    const dave = approved('R1', t, { principal: 'dave@leads', by });
    const book = bookOf(requested('R1', t), approved('R1', t), dave, granted('R1', t));
    return bookOf(...book.carried(t + 1))
      .find('R1')
      ?.approvals.map(({ principal }) => principal);
  };
  assert.deepEqual(approvers(undefined), ['carol@leads', 'dave@leads']);
  assert.deepEqual(approvers('erin@leads, dave@leads'), ['dave@leads']);
});

void test('each end removes an undecided request and a grant', () => {
  for (const action of ['refused', 'revoked', 'expired', 'used-up', 'ended'] as const) {
    assert.equal(bookOf(requested('R1', t), over(action, 'R1', t, 'request')).size, 0, action);
    assert.equal(bookOf(...grantRecords('R1', t), over(action, 'R1', t)).size, 0, action);
  }
});

void test('admissions count, and commands that were never sent do not', () => {
  const book = bookOf(...grantRecords('R1', t), admission('R1'), admission('R1'), admission('other'));
  assert.deepEqual([book.find('R1')?.used, book.find('R1')?.usesLeft], [2, 1]);
  book.follow(unsent('R1'));
  assert.deepEqual([book.find('R1')?.used, book.find('R1')?.usesLeft], [1, 2]);
  book.follow({ ...unsent('R1'), sent: true });
  for (let count = 0; count < 5; count += 1) book.follow(unsent('R1'));
  assert.deepEqual([book.find('R1')?.used, book.find('R1')?.usesLeft], [0, 3]);
  const unlimited = bookOf(requested('R1', t), granted('R1', t, { uses: undefined }), admission('R1'));
  assert.deepEqual([unlimited.find('R1')?.used, unlimited.find('R1')?.usesLeft], [1, undefined]);
});

void test('a search that counts mails for a command under a grant is no use, and says to whom the grant belongs', () => {
  const count = (record: AuditRecord): AuditRecord => ({ ...record, id: 'E2', for: 'E1', command: 'search' });
  const given = [requested('R1', t, { bound: { rule: 'ab'.repeat(32) } }), granted('R1', t)];
  const search = read(count({ ...admission('R1'), bound: { login: '1001' } }));
  const { grant: _, ...answered } = unsent('R1');
  const book = bookOf(...given, search, count(answered));
  assert.deepEqual([book.find('R1')?.used, book.find('R1')?.usesLeft], [0, 3]);
  assert.equal(book.find('R1')?.requested.bound?.login, '1001');
  // More mails match than its rule allows: the command is never sent.
  for (const record of [admission('R1'), unsent('R1')]) book.follow(record);
  assert.equal(book.find('R1')?.used, 0);
  for (const record of [count(admission('R1')), admission('R1')]) book.follow(record);
  assert.equal(book.find('R1')?.used, 1);
});

void test('a grant that an approver gave belongs to the login or credential of its first use, also once it is carried', () => {
  const bound = { rule: 'ab'.repeat(32), line: 'cd'.repeat(32) };
  const given = [requested('R1', t, { bound, to: 'bob@support' }), approved('R1', t), granted('R1', t)];
  const use = (owner: AuditRecord['bound']): AuditRecord => ({ ...admission('R1'), bound: owner });
  const boundOf = (book: AccessBook): unknown => book.find('R1')?.requested.bound;
  for (const owner of [{ login: '1001' }, { login: 'none' }, { credential: 'ef'.repeat(32) }]) {
    const book = bookOf(...given, read(use(owner)), use({ login: '1002', credential: 'other' }));
    assert.deepEqual(boundOf(book), { ...bound, ...owner });
    assert.deepEqual(boundOf(bookOf(...book.carried(t + 1))), boundOf(book));
    assert.equal(book.find('R1')?.used, 2);
  }
  // A request says itself whose it is, and so does a book without a use.
  const asked = bookOf(...grantRecords('R1', t), use({ login: '1002' }));
  assert.equal(asked.find('R1')?.requested.bound?.login, '1001');
  assert.deepEqual(boundOf(bookOf(...given, admission('R1'))), bound);
});

void test('a step of the clock never extends', () => {
  const year = 365 * 24 * hour;
  for (const [steps, until] of [
    [[year], t + 2 + hour],
    [[-year], t + 2 + hour - year],
    [[year, -year], t + 2 + hour - year],
    [[-5000, 5000, -2000], t + 2 + hour - 7000],
  ] as const) {
    const book = bookOf(...grantRecords('R1', t), ...steps.map(step));
    assert.equal(book.find('R1')?.untilMs, until);
    assert.deepEqual(shown(bookOf(...book.carried(t + 3))).length, 1);
    assert.equal(bookOf(...book.carried(t + 3)).find('R1')?.untilMs, until);
  }
});

// bounds.accessUnreviewedMs
void test('a break-glass grant stays until it is reviewed, or for 30 days', () => {
  const glass = [requested('R1', t, { approvals: 0 }), granted('R1', t + 1)];
  const book = bookOf(...glass, over('expired', 'R1', t + hour));
  assert.equal(book.find('R1')?.state, 'unreviewed');
  const days = 30 * 24 * hour;
  assert.equal(book.find('R1')?.untilMs, t + hour + days);
  assert.deepEqual(shown(bookOf(...book.carried(t + 2 * hour))), shown(book));
  book.follow(over('revoked', 'R1', t + 2 * hour));
  assert.equal(book.find('R1')?.state, 'unreviewed', 'it has ended already');
  // Its review is kept as long as it counts against the three of its owner's day.
  const reviewed = bookOf(...book.carried(t), over('reviewed', 'R1', t));
  assert.equal(bookOf(...reviewed.carried(t + 23 * hour)).find('R1')?.reviewed?.action, 'reviewed');
  assert.deepEqual(reviewed.carried(t + 24 * hour), []);
  assert.deepEqual(book.carried(t + hour + days), []);
  assert.equal(book.size, 0);
  const before = bookOf(...glass, over('reviewed', 'R1', t + 2));
  assert.deepEqual([before.find('R1')?.state, before.find('R1')?.reviewed?.action], ['granted', 'reviewed']);
  assert.deepEqual(shown(bookOf(...before.carried(t + 3))), shown(before));
  before.follow(over('used-up', 'R1', t + 4));
  assert.deepEqual(shown(bookOf(...before.carried(t + 23 * hour))), shown(before));
  assert.deepEqual(before.carried(t + 24 * hour), []);
});

void test('what is no right record changes nothing', () => {
  const { until: _, ...endless } = requested('R1', t);
  const long = Array.from({ length: 300 }, (__, at) => `user${at}@example.com`);
  for (const record of [
    endless,
    requested('R1', t, { users: [] }),
    requested('R1', t, { request: undefined }),
    read(requested('R1', t, { users: long })),
    granted('R1', t),
  ])
    assert.equal(bookOf(record).size, 0, JSON.stringify(record));
  const again = bookOf(requested('R1', t), requested('R1', t + 1, { users: ['dora@example.com'] }));
  assert.deepEqual(again.find('R1')?.requested.users, ['anna@example.com']);
  const twice = bookOf(...grantRecords('R1', t), granted('R1', t + hour));
  assert.equal(twice.find('R1')?.untilMs, t + 2 + hour);
});

void test('long and redacted arguments: what cannot be read again is known', () => {
  assert.equal(isReadable(requested('R1', t)), true);
  for (const args of [[{ hmac: 'ab' }], ['x'.repeat(9000)], Array.from({ length: 2000 }, () => 'word')]) {
    const book = bookOf(read(requested('R1', t, { args, reason: 'y'.repeat(9000) })));
    const entry = book.find('R1');
    assert.ok(entry !== undefined && !isReadable(entry.requested));
    assert.deepEqual(shown(bookOf(...book.carried(t).map(read))), shown(book));
  }
});

// bounds.accessRequests, bounds.accessGrants, bounds.accessBytes, bounds.accessApprovals
void test('the book has limits, and a book at its limit is carried whole', () => {
  const book = new AccessBook();
  const id = (at: number): string => `R${String(at).padStart(5, '0')}`;
  for (let at = 0; at < bounds.accessGrants; at += 1)
    for (const record of grantRecords(id(at), t)) book.follow(record);
  assert.equal(book.taken().grants, bounds.accessGrants);
  for (let at = 0; at < bounds.accessRequests + 10; at += 1) book.follow(requested(`U${at}`, t));
  assert.equal(book.size, bounds.accessGrants + bounds.accessRequests);
  assert.equal(book.requests, bounds.accessRequests);
  book.follow(granted('U5', t));
  assert.equal(book.find('U5')?.state, 'requested');
  assert.equal(text(bookOf(...book.carried(t))), text(book));
  const large = new AccessBook();
  for (let at = 0; at < 10_000; at += 1) {
    large.follow(requested(id(at), t, { reason: 'y'.repeat(6000) }));
    large.follow(granted(id(at), t));
  }
  assert.ok(large.taken().bytes + bounds.recordBytes > bounds.accessBytes);
  assert.ok(large.size < 6000, `${large.size}`);
  assert.equal(text(bookOf(...large.carried(t))), text(large));
  const many = bookOf(requested('R1', t), ...Array.from({ length: 20 }, () => approved('R1', t)));
  assert.equal(many.find('R1')?.approvals.length, bounds.accessApprovals);
});

void test('encoded records that cannot change a book are recognized without parsing', () => {
  const body = (record: JournalRecord): Buffer => Buffer.from(encodeBody(record));
  for (const record of grantRecords('R1', t)) assert.equal(concernsAccess(body(record), 0), true);
  for (const record of [admission('R1'), unsent('R1'), step(-5)]) {
    assert.equal(concernsAccess(body(record), 1), true);
    assert.equal(concernsAccess(body(record), 0), false);
  }
  const plain: JournalRecord = { time: t, event: 'admission', id: 'E1', reason: 'my ,"grant":"R1" access"' };
  for (const record of [plain, { time: t, event: 'stop' }, { time: t, event: 'reload' }] as const)
    assert.equal(concernsAccess(body(record), 1), false);
  assert.equal(concernsAccess(Buffer.from('"time":"'), 1), false);
});

/** Random records of few ids, and points where a new segment begins. */
type Made = (id: string, number: number, time: number, book: AccessBook) => JournalRecord;
const ended =
  (action: Parameters<typeof over>[0]): Made =>
  (id, _, time, book) =>
    over(action, id, time, book.find(id)?.state === 'requested' ? 'request' : 'grant');
const recordOf: Readonly<Record<string, Made>> = {
  requested: (id, number, time) => requested(id, time, { approvals: Math.abs(number % 3) }),
  approved: (id, _, time) => approved(id, time),
  granted: (id, number, time) => {
    const uses = number > 0 ? number : undefined;
    return granted(id, time, { until: formatTime(time + 100_000 + number), uses });
  },
  use: (id, _, time) => admission(id, time),
  unsent: (id) => unsent(id),
  clock: (_, number, time) => ({ ...step(number), time }),
  ...Object.fromEntries(
    (['reviewed', 'refused', 'revoked', 'expired', 'used-up', 'ended'] as const).map((action) => [
      action,
      ended(action),
    ]),
  ),
};
const anyEvent = fc.tuple(
  fc.constantFrom('segment', ...Object.keys(recordOf)),
  fc.constantFrom('A', 'B', 'C', 'D'),
  fc.integer({ min: -9000, max: 9000 }),
);

void test('property: a book from any segment on equals the one that followed everything', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 60 }), (events) => {
      const all = new AccessBook();
      let reader = new AccessBook();
      let time = t;
      for (const [what, id, number] of events) {
        time += 7;
        if (what === 'segment') {
          reader = new AccessBook();
          for (const record of all.copy().carried(time)) {
            reader.follow(read(record));
            all.follow(read(record));
          }
        } else {
          const record = recordOf[what]?.(id, number, time, all) ?? assert.fail(what);
          // The same record, once as it was appended.
          all.follow(record);
          reader.follow(read(record));
        }
        assert.deepEqual(shown(reader), shown(all));
      }
    }),
    { numRuns: 300 },
  );
});
