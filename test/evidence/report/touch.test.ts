// Goal: what a record says of one mailbox, and never more: class, content, whether it names the mailbox, whether it got there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createDayBook,
  createTouchCounter,
  createTouchReader,
  others,
  type Touch,
  type TouchDay,
} from '../../../src/evidence/report/touch.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { plainTouch as plain } from '../../kit/gate/touch.js';
import { bob, row } from './sent.js';

const read = createTouchReader(bob);

void test('what deletes is named with its folder, and its mails are added up where all were counted', () => {
  const groupOf = (...rows: readonly ExchangeRow[]) => {
    const book = createDayBook();
    return [...rows.flatMap((one) => book.take(read(one))), ...book.finish()].flatMap(({ groups }) => groups);
  };
  const trash = 'expunge mailbox Trash all';
  const [counted] = groupOf(row(trash, { matches: 7 }), row(trash, { matches: 5 }));
  assert.deepEqual([...(counted?.commands ?? [])], [[trash, 2]]);
  assert.equal(counted?.matches, 12);
  const [unknown] = groupOf(row(trash, { matches: 7 }), row('expunge mailbox X all'));
  assert.equal(unknown?.matches, undefined);
});

void test('a count for a request has its reason, and no approver', () => {
  const ofGrant = (id: string) => ({ approvedBy: 'approved by carol', reason: `reason of ${id}` });
  const readWith = createTouchReader(bob, false, ofGrant);
  const { reason, approvedBy } = readWith(row('search all', { for: 'E', request: 'R' }));
  assert.deepEqual([reason, approvedBy], ['reason of R', '']);
});

function short({ class: kind, by, reached, showed }: Touch): string {
  return `${kind} ${by} ${reached} ${showed}`;
}

const asDenied = { decision: 'deny', sent: false, outcome: 'denied' };
const asLimited = { ...asDenied, outcome: 'limited' };
const unread = { args: undefined, effect: undefined, outcome: 'unparsable' };
const unsent = (outcome: string) => ({ sent: false, outcome });
const empty = (outcome: string) => ({ cells: 0, outcome });
const forAll = { users: ['*'], user: undefined };
const inRow = { ...empty('unknown'), bytes_in: 4_103_850, bytes_out: 4_103_858, first_byte_ms: 7 };
const eve = 'eve@example.com';

type Facts = Readonly<Record<string, unknown>>;
const commands: readonly (readonly [
  name: string,
  line: string,
  expected: string,
  more?: Facts,
  user?: string,
])[] = [
  ['a number', 'quota get', 'read named yes no'],
  ['plain fields', 'fetch uid mailbox INBOX all', 'read named yes no'],
  ['text', 'fetch text mailbox INBOX all', 'content named yes yes'],
  ['a header of the asker', 'fetch hdr.subject mailbox INBOX all', 'content named yes yes'],
  ['text of no mail', 'fetch text mailbox INBOX all', 'content named yes no', { cells: 0 }],
  ['a word of the text', 'search body secret', 'searched named yes yes', { cells: 0 }],
  ['a place', 'search mailbox INBOX', 'read named yes no'],
  ['destroyed by a word of the text', 'expunge body secret', 'deleted named yes no'],
  ['deleted for everybody', 'expunge mailbox X all', 'destroyed all yes no', forAll],
  ['deleted, and no mail matched before', 'expunge mailbox X all', 'destroyed named yes no', { matches: 0 }],
  ['deleted, end unknown', 'expunge mailbox X all', 'destroyed named yes no', { outcome: 'unknown' }],
  ['flags', 'flags add \\Seen all', 'changed named yes no'],
  ['all mails, both ways', 'dsync-server', 'destroyed named yes yes', { cells: undefined }],
  // Of a file of the site, or of another release: what its rows show is not known.
  ['a command of no catalog', 'quota get', 'content named yes maybe', { command: 'site scan' }],
  ['one that changes', 'quota get', 'changed named yes maybe', { command: 'site expire', effect: 'write' }],
  ['one without rows', 'quota get', 'failed named yes no', { command: 'site scan', ...empty('failed') }],
  ['a question to dovegate', 'quota get', 'read named yes no', { command: 'dovegate can' }],
  ['refused', 'fetch text all', 'denied named no no', asDenied],
  ['a deletion that was denied', 'expunge mailbox INBOX all', 'denied named no no', asDenied],
  ['over a limit', 'expunge mailbox INBOX all', 'denied named no no', asLimited],
  ['allowed, and no reason', 'expunge mailbox INBOX all', 'denied named no no', unsent('denied')],
  ['a rule allows it, and a limit refuses it', 'fetch text all', 'denied named no no', unsent('limited')],
  ['no backend', 'quota get', 'failed named no no', unsent('failed')],
  ['the server said no', 'mailbox create -- X', 'failed named yes no', empty('failed')],
  ['the server said no to a part of it', 'mailbox delete -- X Y', 'destroyed named yes no', empty('partly')],
  ['failed before rows', 'fetch text all', 'failed named yes no', empty('failed')],
  ['failed after rows', 'fetch text all', 'content named yes yes', { outcome: 'failed' }],
  ['broken off after rows', 'fetch text all', 'content named yes yes', { outcome: 'aborted' }],
  ['broken off before rows', 'fetch text all', 'content named yes maybe', empty('unknown')],
  ['broken off within a row', 'fetch text all', 'content named yes yes', inRow],
  ['everybody', 'fetch text all', 'content all yes maybe', forAll],
  ['a mask', 'quota get', 'read mask yes no', { users: ['*@example.com'], user: undefined }],
  ['a list that was cut', 'quota get', 'read mask yes no', { users: ['a@b', { more: 3 }], user: 'a@b' }],
  ['cut arguments', 'fetch text all', 'content named yes maybe', { args: [{ cut: 'te', bytes: 9000 }] }],
  ['unread', 'fetch text all', 'unread named no no', { ...asDenied, ...unread }],
  ['the end does not say whether it was sent', 'quota get', 'read named maybe no', { sent: undefined }],
  [
    'copied from here',
    `copy X user ${bob} all`,
    'changed named yes yes',
    { users: [eve, bob], cells: 0 },
    eve,
  ],
  ['copied here from another mailbox', 'copy In user eve@example.com all', 'changed named yes no'],
];

for (const [name, line, expected, more, user] of commands) {
  void test(`${name}: ${expected}`, () => assert.equal(short(read(row(line, more, user))), expected));
}

void test('a search by which dovegate counted mails is no command of a person', () => {
  const search = 'search mailbox INBOX text x';
  assert.equal(read(row(search))?.class, 'searched');
  for (const of of [{ for: 'E' }, { for: 'E', request: 'R' }])
    assert.equal(read(row(search, of))?.class, 'counted');
});

void test('what was denied still says what it asked for', () => {
  const lines = ['expunge mailbox INBOX all', 'fetch text all', 'quota get', 'flags add \\Seen all'];
  const kinds = lines.map((line) => read(row(line, asDenied)).kind);
  assert.deepEqual(kinds, ['destroyed', 'content', 'read', 'changed']);
});

void test('a command without an end may have got there, and may have shown content', () => {
  const open = { ...row('fetch text all'), completedSeq: undefined };
  const { sent: _, outcome: _o, cells: _c, ...fields } = open.fields;
  const touch = read({ ...open, fields });
  assert.equal(short(touch), 'content named maybe maybe');
  assert.equal(touch.outcome, 'open');
});

void test('words are taken as they were recorded', () => {
  const { time, day, requester, reason, command, args, user, id } = read(
    row('quota get', { reason: 'ticket 5' }),
  );
  assert.deepEqual([time, day, id], ['2026-11-20T12:00:00.000Z', '2026-11-20', 'E']);
  const said = ['carol@support', 'ticket 5', 'quota get', '--', bob];
  assert.deepEqual([requester, reason, command, args, user], said);
});

// Goal: touches become groups by day, requester, class and reason, and counts; memory stays small whatever reasons a client states.
function dayAt(time: string, more: Partial<Touch> = {}): Touch {
  return { ...plain, time, day: time.slice(0, 10), ...more };
}

function days(touches: readonly Touch[]): TouchDay[] {
  const book = createDayBook();
  return [...touches.flatMap((touch) => book.take(touch)), ...book.finish()];
}

void test('what is alike is one group, what differs is not; in the order of time, and of what began at once the gravest first', () => {
  const at = (time: string, more?: Partial<Touch>): Touch => dayAt(`2026-11-20T${time}.000Z`, more);
  const stopped = { class: 'denied', reached: 'no' } as const;
  const [day, ...rest] = days([
    at('08:00:00'),
    at('09:00:00', { command: 'mailbox list' }),
    at('07:00:00', { command: 'mailbox list' }),
    at('09:30:00', { class: 'content', showed: 'yes', command: 'fetch' }),
    at('09:31:00', { class: 'destroyed', command: 'expunge', reason: 'ticket 5' }),
    at('10:00:00', { requester: 'anna@support' }),
    at('10:00:00', stopped),
    at('10:00:00', { ...stopped, kind: 'destroyed', command: 'expunge' }),
    at('10:00:00', { by: 'all' }),
    at('10:00:00', { outcome: 'timeout' }),
    at('10:00:00', { countedFor: 'F', command: 'search' }),
    at('10:00:01', { countedFor: 'F', countedForRequest: 'R', command: 'search' }),
  ]);
  assert.deepEqual(rest, []);
  const told = day?.groups.map((one) =>
    [one.requester, one.class, one.reason, one.count, ...one.commands].join(' | '),
  );
  assert.deepEqual(told, [
    'carol@support | read |  | 3 | quota get,1 | mailbox list,2',
    'carol@support | content |  | 1 | fetch,1',
    'carol@support | destroyed | ticket 5 | 1 | expunge,1',
    'anna@support | read |  | 1 | quota get,1',
    'carol@support | read |  | 1 | quota get,1',
    'carol@support | read |  | 1 | quota get,1',
    'carol@support | read |  | 1 | search,1',
    'carol@support | denied |  | 1 | quota get,1',
    'carol@support | denied |  | 1 | expunge,1',
    'carol@support | read |  | 1 | search,1',
  ]);
  const [group] = day?.groups ?? [];
  assert.deepEqual([group?.firstTime, group?.lastTime], [at('07:00:00').time, at('09:00:00').time]);
});

void test('days come in order, and a command that ended much later gives its day again, marked', () => {
  const touches = [18, 19, 18, 20, 21, 18, 22].map((day) => dayAt(`2026-11-${day}T08:00:00.000Z`));
  const told = days(touches).map(
    ({ day, isMore, groups }) => `${day.slice(8)}${isMore ? ' more' : ''} ${groups[0]?.count}`,
  );
  assert.deepEqual(told, ['18 2', '19 1', '18 more 1', '20 1', '21 1', '22 1']);
});

void test('another reason, requester and command each time: one day keeps some thousand groups, and counts the rest', () => {
  const book = createDayBook();
  const count = 30_000;
  for (let each = 0; each < count; each += 1) {
    const texts = { reason: `r${each}`, requester: `p${each}@x`, command: `c${each}` };
    assert.deepEqual(book.take({ ...plain, ...texts }), []);
  }
  const [{ groups } = assert.fail('no day')] = book.finish();
  assert.ok(groups.length < 5000, `${groups.length} groups`);
  const counted = groups.reduce((sum, one) => sum + one.count, 0);
  assert.equal(counted, count);
  const rest = groups.find(({ requester }) => requester === others);
  assert.equal(rest?.reason, others);
  assert.ok((rest?.commands.size ?? 0) <= 51);
});

void test('counts: what did not reach a mail server is apart', () => {
  const counter = createTouchCounter();
  counter.take(plain);
  counter.take({ ...plain, requester: 'anna@support', showed: 'yes' });
  counter.take({ ...plain, showed: 'maybe', by: 'all', outcome: 'unknown' });
  counter.take({ ...plain, reached: 'maybe', outcome: 'open' });
  counter.take({ ...plain, requester: 'eve@support', class: 'denied', reached: 'no', outcome: 'denied' });
  // Not sent by anybody: no command, and no further requester.
  counter.take({ ...plain, requester: 'carol@leads', countedForRequest: 'R', showed: 'yes' });
  counter.take({ ...plain, requester: 'carol@leads', countedFor: 'E' });
  const { isMoreRequesters, ...counts } = counter.counts();
  assert.equal(isMoreRequesters, false);
  const told = Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [] : [`${name} ${count}`]));
  const ones = ['showed', 'maybeShowed', 'notNamed', 'open', 'unknown', 'stopped', 'denied'];
  const expected = ['counted 2', 'commands 4', 'requesters 2', ...ones.map((name) => `${name} 1`)];
  assert.deepEqual(told.toSorted(), expected.toSorted());
});

void test('counts: a search in content is no content that was shown, and what is later than the last signature', () => {
  const counter = createTouchCounter(10);
  counter.take({ ...plain, class: 'searched', kind: 'searched', showed: 'yes', seq: 9, completedSeq: 10 });
  counter.take({ ...plain, seq: 10, completedSeq: 11 });
  counter.take({ ...plain, seq: 12, completedSeq: undefined });
  const { showed, searched, unsigned } = counter.counts();
  assert.deepEqual([showed, searched, unsigned], [0, 1, 2]);
});

void test('counts: what may have deleted something, and what tried to', () => {
  const counter = createTouchCounter();
  const expunge = { ...plain, class: 'destroyed', kind: 'destroyed', command: 'expunge' } as const;
  counter.take({ ...expunge, class: 'deleted' });
  counter.take(expunge);
  counter.take({ ...expunge, reached: 'maybe', outcome: 'open' });
  counter.take({ ...expunge, class: 'denied', reached: 'no', outcome: 'denied' });
  counter.take({ ...expunge, class: 'failed', outcome: 'failed' });
  counter.take({ ...expunge, class: 'failed', reached: 'no', outcome: 'failed' });
  // A line that could not be read may mean anything, where it was sent.
  counter.take({ ...plain, class: 'unread', kind: 'unread', reached: 'maybe' });
  counter.take({ ...plain, class: 'unread', kind: 'unread', reached: 'no', outcome: 'unparsable' });
  counter.take({ ...plain, class: 'denied', reached: 'no', outcome: 'denied' });
  const { deleted, maybeDeleted, deleteDenied, deleteFailed, denied, stopped } = counter.counts();
  assert.deepEqual([deleted, maybeDeleted, deleteDenied, deleteFailed, denied, stopped], [1, 3, 1, 2, 2, 4]);
});

// Goal: a journal of many names does not fill the memory of the program that counts them.

test('people are told apart up to a limit, and then it says so', () => {
  const counter = createTouchCounter();
  const take = (at: number): void => counter.take({ ...plain, requester: `requester${at}@support` });
  const told = (): readonly unknown[] => {
    const { requesters, isMoreRequesters } = counter.counts();
    return [requesters, isMoreRequesters];
  };
  for (let at = 0; at < 10_000; at += 1) take(at);
  take(0);
  assert.deepEqual(told(), [10_000, false]);
  take(10_000);
  assert.deepEqual(told(), [10_000, true]);
});
