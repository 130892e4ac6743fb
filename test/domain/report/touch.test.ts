// Goal: what a record says of one mailbox, and never more: class, content, whether it names the mailbox, whether it got there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTouchReader, type Touch } from '../../../src/domain/report/touch.js';
import type { ExchangeRow } from '../../../src/domain/trail/search.js';
import { settingsOf, sound } from '../config/sound.js';
import { record } from '../review/recording.js';

const settings = settingsOf(sound.replace('[quota get]', '[quota get]\n    mode: observe'));
const bob = 'bob@example.com';
const read = createTouchReader(bob);

/** A command that was sent and answered, as the daemon records it. */
function row(line: string, more: Readonly<Record<string, unknown>> = {}, user = bob): ExchangeRow {
  const words = line.split(' ');
  const made = record(settings, 'support', { user, words });
  return {
    ...made,
    fields: { ...made.fields, decision: 'allow', sent: true, cells: 3, outcome: 'ok', ...more },
  };
}

function short({ class: kind, by, reached, showed }: Touch): string {
  return `${kind} ${by} ${reached} ${showed}`;
}

const commands: readonly [string, ExchangeRow, string][] = [
  ['a number', row('quota get'), 'read named yes no'],
  ['plain fields', row('fetch uid mailbox INBOX all'), 'read named yes no'],
  ['text', row('fetch text mailbox INBOX all'), 'content named yes yes'],
  ['a header of the asker', row('fetch hdr.subject mailbox INBOX all'), 'content named yes yes'],
  ['text of no mail', row('fetch text mailbox INBOX all', { cells: 0 }), 'content named yes no'],
  ['a word of the text', row('search body secret', { cells: 0 }), 'content named yes yes'],
  ['a place', row('search mailbox INBOX'), 'read named yes no'],
  ['destroyed by a word of the text', row('expunge body secret'), 'destroyed named yes no'],
  ['flags', row('flags add \\Seen all'), 'changed named yes no'],
  ['all mails, both ways', row('dsync-server', { cells: undefined }), 'destroyed named yes yes'],
  [
    'refused',
    row('fetch text all', { decision: 'deny', sent: false, outcome: 'denied' }),
    'denied named no no',
  ],
  [
    'a deletion that was denied',
    row('expunge mailbox INBOX all', { decision: 'deny', sent: false, outcome: 'denied' }),
    'denied named no no',
  ],
  [
    'over a limit',
    row('expunge mailbox INBOX all', { decision: 'deny', sent: false, outcome: 'limited' }),
    'denied named no no',
  ],
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
  ['a record of an older release', row('quota get', { sent: undefined }), 'read named maybe no'],
  [
    'copied from here into another mailbox',
    row(
      'copy Stolen user bob@example.com all',
      { users: ['eve@example.com', bob], cells: 0 },
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
  const denied = { decision: 'deny', sent: false, outcome: 'denied' };
  const kinds = ['expunge mailbox INBOX all', 'fetch text all', 'quota get', 'flags add \\Seen all'].map(
    (line) => read(row(line, denied)).kind,
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
      user: bob,
      id: 'E',
    },
  );
});
