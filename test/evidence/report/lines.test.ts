// Goal: the note of a line says what the other columns do not: how sure it is, what it showed, how it ended.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSpan, linesOf } from '../../../src/evidence/report/lines.js';
import type { TouchGroup } from '../../../src/evidence/report/touch.js';

const plain: TouchGroup = {
  day: '2026-11-20',
  requester: 'carol@support',
  class: 'read',
  kind: 'read',
  reason: '',
  by: 'named',
  reached: 'yes',
  showed: 'no',
  outcome: 'ok',
  countFor: undefined,
  grant: '',
  approvedBy: '',
  count: 3,
  firstTime: '2026-11-20T08:00:00.000Z',
  lastTime: '2026-11-20T09:00:00.000Z',
  ids: [],
  commands: new Map([
    ['quota get', 2],
    ['mailbox\u202e list', 1],
  ]),
};

const notes: readonly [Partial<TouchGroup>, string][] = [
  [{}, ''],
  [{ class: 'content', showed: 'yes' }, ''],
  [{ class: 'content' }, 'no content came'],
  [{ class: 'denied', reached: 'no', outcome: 'denied' }, ''],
  [{ class: 'denied', kind: 'destroyed', reached: 'no', outcome: 'denied' }, 'asked to delete'],
  [{ class: 'denied', kind: 'changed', reached: 'no', outcome: 'denied' }, 'asked to change something'],
  [
    { class: 'denied', kind: 'content', reached: 'no', outcome: 'limited' },
    'asked for content; did not reach a mail server (limited)',
  ],
  [
    { class: 'failed', kind: 'destroyed', reached: 'no', outcome: 'failed' },
    'asked to delete; did not reach a mail server',
  ],
  [{ class: 'failed', outcome: 'failed' }, 'the mail server said no'],
  [{ class: 'unread', reached: 'no', outcome: 'unparsable' }, 'did not reach a mail server (unparsable)'],
  [{ class: 'changed', showed: 'yes' }, 'showed content'],
  [{ outcome: 'failed' }, 'failed'],
  [{ outcome: 'partly' }, 'partly: some of it may have been done'],
  [{ outcome: 'timeout' }, 'broken off (timeout): may have run'],
  [{ outcome: 'unknown', showed: 'maybe' }, 'broken off (unknown): may have run; may have shown content'],
  [{ outcome: 'open', reached: 'maybe' }, 'no end is recorded'],
  [{ class: 'deleted', kind: 'destroyed', matches: 12 }, '12 mails matched'],
  [{ class: 'deleted', kind: 'destroyed', matches: undefined }, ''],
  [{ by: 'all' }, 'may have touched it: all users, or nobody can tell whose'],
  [{ by: 'mask' }, 'may have touched it: by a mask, or a list that was cut'],
  [
    { by: 'mask', class: 'denied', reached: 'no', outcome: 'denied' },
    'may be about it: by a mask, or a list that was cut',
  ],
  [{ countFor: 'command' }, 'a count that dovegate made for a command'],
  [{ countFor: 'request' }, 'a count that dovegate made for a request for access'],
];

for (const [more, note] of notes) {
  void test(`${JSON.stringify(more)}: ${note}`, () => {
    const [line] = linesOf({ day: plain.day, isMore: false, groups: [{ ...plain, ...more }] });
    assert.equal(line?.note.split('; ').toSorted().join('; '), note.split('; ').toSorted().join('; '));
  });
}

void test('names of commands with their number, harmless, and both ends of the time', () => {
  const [line = assert.fail('no line')] = linesOf({ day: plain.day, isMore: true, groups: [plain] });
  assert.equal(line.commands, 'quota get (2), mailbox\\u{202e} list');
  assert.equal(line.day, '2026-11-20 (more)');
  assert.equal(formatSpan(line), '08:00:00 to 09:00:00');
});
