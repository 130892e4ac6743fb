// Goal: what a record says of one mailbox, and never more: class, content, whether it names the mailbox, whether it got there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import {
  createDayBook,
  createTouchCounter,
  createTouchReader,
  others,
  type Touch,
  type TouchDay,
} from '../../../src/domain/report/touch.js';
import type { ExchangeRow } from '../../../src/domain/trail/search.js';
import { plainTouch as plain } from '../../kit/touch.js';
import { settingsOf, sound } from '../config/sound.js';
import { record } from '../review/recording.js';

const settingsOfTouch = settingsOf(sound.replace('[quota get]', '[quota get]\n    mode: observe'));
const bobOfTouch = 'bob@example.com';
const read = createTouchReader(bobOfTouch);

/** A command that was sent and answered, as the daemon records it. */
function row(line: string, more: Readonly<Record<string, unknown>> = {}, user = bobOfTouch): ExchangeRow {
  const words = line.split(' ');
  const made = record(settingsOfTouch, 'support', { user, words });
  return {
    ...made,
    fields: { ...made.fields, decision: 'allow', sent: true, cells: 3, outcome: 'ok', ...more },
  };
}

function short({ class: kind, by, reached, showed }: Touch): string {
  return `${kind} ${by} ${reached} ${showed}`;
}

const asDenied = { decision: 'deny', sent: false, outcome: 'denied' };
const asLimited = { ...asDenied, outcome: 'limited' };

const commands: readonly [string, ExchangeRow, string][] = [
  ['a number', row('quota get'), 'read named yes no'],
  ['plain fields', row('fetch uid mailbox INBOX all'), 'read named yes no'],
  ['text', row('fetch text mailbox INBOX all'), 'content named yes yes'],
  ['a header of the asker', row('fetch hdr.subject mailbox INBOX all'), 'content named yes yes'],
  ['text of no mail', row('fetch text mailbox INBOX all', { cells: 0 }), 'content named yes no'],
  ['a word of the text', row('search body secret', { cells: 0 }), 'searched named yes yes'],
  ['a place', row('search mailbox INBOX'), 'read named yes no'],
  ['destroyed by a word of the text', row('expunge body secret'), 'destroyed named yes no'],
  ['flags', row('flags add \\Seen all'), 'changed named yes no'],
  ['all mails, both ways', row('dsync-server', { cells: undefined }), 'destroyed named yes yes'],
  // Of a file of the site, or of another release: what its rows show is not known.
  ['a command of no catalog', row('quota get', { command: 'site scan' }), 'content named yes maybe'],
  [
    'one that changes',
    row('quota get', { command: 'site expire', effect: 'write' }),
    'changed named yes maybe',
  ],
  [
    'one without rows',
    row('quota get', { command: 'site scan', cells: 0, outcome: 'failed' }),
    'failed named yes no',
  ],
  ['a question to dovegate', row('quota get', { command: 'dovegate can' }), 'read named yes no'],
  ['refused', row('fetch text all', asDenied), 'denied named no no'],
  ['a deletion that was denied', row('expunge mailbox INBOX all', asDenied), 'denied named no no'],
  ['over a limit', row('expunge mailbox INBOX all', asLimited), 'denied named no no'],
  [
    'a rule allows it, and the reason is missing',
    row('expunge mailbox INBOX all', { sent: false, outcome: 'denied' }),
    'denied named no no',
  ],
  [
    'a rule allows it, and a limit refuses it',
    row('fetch text all', { sent: false, outcome: 'limited' }),
    'denied named no no',
  ],
  ['no backend', row('quota get', { sent: false, outcome: 'failed' }), 'failed named no no'],
  ['the server said no', row('mailbox create -- X', { cells: 0, outcome: 'failed' }), 'failed named yes no'],
  [
    'the server said no to a part of it',
    row('mailbox delete -- X Y', { cells: 0, outcome: 'partly' }),
    'destroyed named yes no',
  ],
  ['failed before rows', row('fetch text all', { cells: 0, outcome: 'failed' }), 'failed named yes no'],
  ['failed after rows', row('fetch text all', { outcome: 'failed' }), 'content named yes yes'],
  ['broken off after rows', row('fetch text all', { outcome: 'aborted' }), 'content named yes yes'],
  [
    'broken off before rows',
    row('fetch text all', { cells: 0, outcome: 'unknown' }),
    'content named yes maybe',
  ],
  ['everybody', row('fetch text all', { users: ['*'], user: undefined }), 'content all yes maybe'],
  ['a mask', row('quota get', { users: ['*@example.com'], user: undefined }), 'read mask yes no'],
  ['a list that was cut', row('quota get', { users: ['a@b', { more: 3 }], user: 'a@b' }), 'read mask yes no'],
  [
    'arguments that were cut',
    row('fetch text all', { args: [{ cut: 'te', bytes: 9000 }] }),
    'content named yes maybe',
  ],
  [
    'unread',
    row('fetch text all', {
      args: undefined,
      effect: undefined,
      decision: 'deny',
      sent: false,
      outcome: 'unparsable',
    }),
    'unread named no no',
  ],
  [
    'a completion that does not say whether it was sent',
    row('quota get', { sent: undefined }),
    'read named maybe no',
  ],
  [
    'copied from here into another mailbox',
    row(
      'copy Stolen user bob@example.com all',
      { users: ['eve@example.com', bobOfTouch], cells: 0 },
      'eve@example.com',
    ),
    'changed named yes yes',
  ],
  ['copied here from another mailbox', row('copy In user eve@example.com all'), 'changed named yes no'],
];

for (const [name, given, expected] of commands) {
  void test(`${name}: ${expected}`, () => assert.equal(short(read(given)), expected));
}

void test('what was denied still says what it asked for', () => {
  const kinds = ['expunge mailbox INBOX all', 'fetch text all', 'quota get', 'flags add \\Seen all'].map(
    (line) => read(row(line, asDenied)).kind,
  );
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
  assert.deepEqual(
    { time, day, requester, reason, command, args, user, id },
    {
      time: '2026-11-20T12:00:00.000Z',
      day: '2026-11-20',
      requester: 'carol@support',
      reason: 'ticket 5',
      command: 'quota get',
      args: '--',
      user: bobOfTouch,
      id: 'E',
    },
  );
});

// Goal: touches become groups by day, requester, class and reason, and counts; memory stays small whatever reasons a client states.
function dayAt(time: string, more: Partial<Touch> = {}): Touch {
  return { ...plain, time, day: time.slice(0, 10), ...more };
}

function days(touches: readonly Touch[]): TouchDay[] {
  const book = createDayBook();
  return [...touches.flatMap((touch) => book.take(touch)), ...book.finish()];
}

void test('what is alike is one group, what differs is not; the gravest class comes first', () => {
  const [day, ...rest] = days([
    dayAt('2026-11-20T08:00:00.000Z'),
    dayAt('2026-11-20T09:00:00.000Z', { command: 'mailbox list' }),
    dayAt('2026-11-20T07:00:00.000Z', { command: 'mailbox list' }),
    dayAt('2026-11-20T09:30:00.000Z', { class: 'content', showed: 'yes', command: 'fetch' }),
    dayAt('2026-11-20T09:31:00.000Z', { class: 'destroyed', command: 'expunge', reason: 'ticket 5' }),
    dayAt('2026-11-20T10:00:00.000Z', { requester: 'anna@support' }),
    dayAt('2026-11-20T10:00:00.000Z', { class: 'denied', reached: 'no' }),
    dayAt('2026-11-20T10:00:00.000Z', {
      class: 'denied',
      kind: 'destroyed',
      reached: 'no',
      command: 'expunge',
    }),
    dayAt('2026-11-20T10:00:00.000Z', { by: 'all' }),
    dayAt('2026-11-20T10:00:00.000Z', { outcome: 'timeout' }),
    dayAt('2026-11-20T10:00:00.000Z', { countedFor: 'F', command: 'search' }),
    dayAt('2026-11-20T10:00:01.000Z', { countedFor: 'F', countedForRequest: 'R', command: 'search' }),
  ]);
  assert.deepEqual(rest, []);
  assert.deepEqual(
    day?.groups.map((one) => [one.requester, one.class, one.reason, one.count, [...one.commands].join(' ')]),
    [
      ['anna@support', 'read', '', 1, 'quota get,1'],
      ['carol@support', 'destroyed', 'ticket 5', 1, 'expunge,1'],
      ['carol@support', 'content', '', 1, 'fetch,1'],
      ['carol@support', 'read', '', 3, 'quota get,1 mailbox list,2'],
      ['carol@support', 'read', '', 1, 'quota get,1'],
      ['carol@support', 'read', '', 1, 'quota get,1'],
      ['carol@support', 'read', '', 1, 'search,1'],
      ['carol@support', 'read', '', 1, 'search,1'],
      ['carol@support', 'denied', '', 1, 'quota get,1'],
      ['carol@support', 'denied', '', 1, 'expunge,1'],
    ],
  );
  const group = day?.groups[3];
  assert.deepEqual(
    [group?.firstTime, group?.lastTime],
    ['2026-11-20T07:00:00.000Z', '2026-11-20T09:00:00.000Z'],
  );
});

void test('days come in order, and a command that ended much later gives its day again, marked', () => {
  const told = days(
    ['18', '19', '18', '20', '21', '18', '22'].map((day) => dayAt(`2026-11-${day}T08:00:00.000Z`)),
  ).map(({ day, isMore, groups }) => `${day.slice(8)}${isMore ? ' more' : ''} ${groups[0]?.count}`);
  assert.deepEqual(told, ['18 2', '19 1', '18 more 1', '20 1', '21 1', '22 1']);
});

// bounds.reportGroups
void test('another reason, requester and command each time: one day keeps some thousand groups, and counts the rest', () => {
  const book = createDayBook();
  const count = 30_000;
  for (let each = 0; each < count; each += 1) {
    const texts = { reason: `r${each}`, requester: `p${each}@x`, command: `c${each}` };
    assert.deepEqual(book.take({ ...plain, ...texts }), []);
  }
  const [{ groups } = assert.fail('no day')] = book.finish();
  assert.ok(groups.length < 5000, `${groups.length} groups`);
  assert.equal(
    groups.reduce((sum, one) => sum + one.count, 0),
    count,
  );
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
  counter.take({
    ...plain,
    requester: 'eve@support',
    class: 'denied',
    reached: 'no',
    outcome: 'denied',
  });
  assert.deepEqual(counter.counts(), {
    commands: 4,
    requesters: 2,
    isMoreRequesters: false,
    showed: 1,
    searched: 0,
    maybeShowed: 1,
    unsigned: 0,
    notNamed: 1,
    open: 1,
    unknown: 1,
    stopped: 1,
    denied: 1,
    deleted: 0,
    deleteDenied: 0,
    deleteFailed: 0,
  });
});

void test('counts: a search in content is no content that was shown, and what is later than the last signature', () => {
  const counter = createTouchCounter(10);
  counter.take({
    ...plain,
    class: 'searched',
    kind: 'searched',
    showed: 'yes',
    seq: 9,
    completedSeq: 10,
  });
  counter.take({ ...plain, seq: 10, completedSeq: 11 });
  counter.take({ ...plain, seq: 12, completedSeq: undefined });
  const { showed, searched, unsigned } = counter.counts();
  assert.deepEqual([showed, searched, unsigned], [0, 1, 2]);
});

void test('counts: what may have deleted something, and what tried to', () => {
  const counter = createTouchCounter();
  const expunge = { ...plain, class: 'destroyed', kind: 'destroyed', command: 'expunge' } as const;
  counter.take(expunge);
  counter.take({ ...expunge, reached: 'maybe', outcome: 'open' });
  counter.take({ ...expunge, class: 'denied', reached: 'no', outcome: 'denied' });
  counter.take({ ...expunge, class: 'failed', outcome: 'failed' });
  counter.take({ ...expunge, class: 'failed', reached: 'no', outcome: 'failed' });
  // A line that could not be read may mean anything, where it was sent.
  counter.take({ ...plain, class: 'unread', kind: 'unread', reached: 'maybe' });
  counter.take({ ...plain, class: 'unread', kind: 'unread', reached: 'no', outcome: 'unparsable' });
  counter.take({ ...plain, class: 'denied', reached: 'no', outcome: 'denied' });
  const { deleted, deleteDenied, deleteFailed, denied, stopped } = counter.counts();
  assert.deepEqual([deleted, deleteDenied, deleteFailed, denied, stopped], [3, 1, 2, 2, 4]);
});

// Goal: a journal of many names does not fill the memory of the program that counts them.

// bounds.reportRequesters
test('people are told apart up to a limit, and then it says so', () => {
  const settings = settingsOf(sound.replace('[quota get]', '[quota get]\n    mode: observe'));
  const bob = 'bob@example.com';
  const made = record(settings, 'support', { user: bob, words: ['quota', 'get'] });
  const fields = { ...made.fields, decision: 'allow', sent: true, cells: 3, outcome: 'ok' };
  const touch = createTouchReader(bob)({ ...made, fields });
  const counter = createTouchCounter();
  const take = (at: number): void => counter.take({ ...touch, requester: `requester${at}@support` });
  for (let at = 0; at < bounds.reportRequesters; at += 1) take(at);
  assert.deepEqual(
    [counter.counts().requesters, counter.counts().isMoreRequesters],
    [bounds.reportRequesters, false],
  );
  take(0);
  assert.equal(counter.counts().isMoreRequesters, false);
  take(bounds.reportRequesters);
  assert.deepEqual(
    [counter.counts().requesters, counter.counts().isMoreRequesters],
    [bounds.reportRequesters, true],
  );
});
