// Goal: a report is whole only with its end, the address bar holds the question, and sums count what reached a mail server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTouchCounter, touchClasses } from '../../../src/evidence/report/touch.js';
import type { MailboxDay, MailboxHead, MailboxLine } from '../../../src/evidence/views/trail.js';
import {
  askOf,
  classesOf,
  commandOf,
  fileNameOf,
  foldDays,
  linesMax,
  noReport,
  queryOf,
  questionOf,
  shownAnswer,
  spanWords,
  sumByRequester,
  verdictOf,
  withEvent,
} from '../../../src/page/web/mailbox.js';

const line: MailboxLine = {
  day: '2026-11-20',
  requester: 'carol@support',
  class: 'read',
  what: 'read',
  count: 2,
  firstTime: '2026-11-20T08:00:00.000Z',
  lastTime: '2026-11-20T09:00:00.000Z',
  reason: '',
  commands: 'quota get (2)',
  note: '',
  ids: ['A', 'B'],
};

function dayOf(lines: readonly MailboxLine[]): MailboxDay {
  return { day: '2026-11-20', lines };
}

void test('the address bar is the question', () => {
  const query = new URLSearchParams('from=2026-11-01&to=2026-11-30&content=1');
  const question = questionOf('alice@example.com', query);
  assert.equal(queryOf(question), '?from=2026-11-01&to=2026-11-30&content=1');
  assert.deepEqual(askOf(question, 'page'), {
    mailbox: 'alice@example.com',
    form: 'page',
    fromMs: Date.UTC(2026, 10, 1),
    toMs: Date.UTC(2026, 11, 1),
    content: true,
  });
  assert.equal(
    commandOf(question),
    'dovegate audit report --mailbox alice@example.com --from 2026-11-01 --to 2026-11-30 --content',
  );
  const odd = questionOf("a'; rm", new URLSearchParams('from=2026-13-99&to=x&content=2'));
  assert.deepEqual([queryOf(odd), askOf(odd, 'csv')], ['', { mailbox: "a'; rm", form: 'csv' }]);
  assert.equal(commandOf(odd), "dovegate audit report --mailbox 'a'\\''; rm'");
  // Nothing in it commands a terminal, or turns around what stands beside it on the screen.
  const bidi = questionOf('a\u202e\u001b[2J', new URLSearchParams());
  assert.equal(commandOf(bidi), "dovegate audit report --mailbox $'a\\U0000202e\\x1b[2J'");
});

void test('a report comes in events, and is whole with its end only', () => {
  const events = [
    { name: 'progress', data: '{"bytes":1,"ofBytes":2,"seq":3}' },
    { name: 'head', data: '{"mailbox":"alice"}' },
    { name: 'day', data: JSON.stringify(dayOf([line])) },
    { name: 'of a later release', data: '{' },
  ];
  const report = events.reduce(withEvent, noReport);
  const told = [report.progress?.bytes, report.head?.mailbox, report.days, report.lines, report.isWhole];
  assert.deepEqual(told, [1, 'alice', [dayOf([line])], 1, false]);
  assert.equal(withEvent(report, { name: 'end', data: '{"commands":2}' }).isWhole, true);
});

void test('more lines than a page holds are counted, not kept', () => {
  const dayEvent = (count: number) => ({
    name: 'day',
    data: JSON.stringify(dayOf(Array.from({ length: count }, () => line))),
  });
  const day = dayEvent(2000);
  const report = [day, day, day].reduce(withEvent, noReport);
  assert.deepEqual([report.days.length, report.lines, report.left], [1, 2000, 4000]);
  const gapless = withEvent(report, dayEvent(1));
  assert.deepEqual([gapless.days.length, gapless.left], [1, 4001], 'nothing stands behind what was left out');
  assert.equal(withEvent(noReport, dayEvent(linesMax + 5)).lines, linesMax + 5);
});

void test('the name of a file holds nothing that a file system or a shell takes for more', () => {
  const question = questionOf('../../etc/<script>\u202e a@b', new URLSearchParams());
  const name = fileNameOf(question, '2026-11-21T08:00:00.000Z', 'csv');
  assert.equal(name, 'mailbox-.._.._etc_script_a@b-2026-11-21.csv');
});

void test('people, the gravest first; what was denied is counted apart', () => {
  const bobs = { ...line, requester: 'bob@support' };
  const days = [
    dayOf([
      line,
      { ...line, requester: 'anna@support', class: 'content', count: 5 },
      { ...bobs, class: 'destroyed', count: 1, lastTime: '2026-11-21T00:00:00.000Z' },
      { ...line, requester: 'carol@support', class: 'denied', count: 9 },
      { ...bobs, class: 'session', count: 3, firstTime: '2026-11-19T00:00:00.000Z' },
    ]),
    dayOf([{ ...line, count: 1 }]),
  ];
  const sums = sumByRequester(days, touchClasses);
  const counted = sums.map(({ requester, counts }) => [requester, counts]);
  assert.deepEqual(counted, [
    ['bob@support', { destroyed: 1, session: 3 }],
    ['anna@support', { content: 5 }],
    ['carol@support', { read: 3, denied: 9 }],
  ]);
  const classes = classesOf(sums, touchClasses).map(({ what }) => what);
  const words = 'may have deleted; showed content; read, no content; session; tried, denied';
  assert.equal(classes.join('; '), words);
  const [{ firstTime, lastTime } = assert.fail()] = sums;
  assert.deepEqual([firstTime, lastTime], ['2026-11-19T00:00:00.000Z', '2026-11-21T00:00:00.000Z']);
});

void test('the headline of a report says when commands are later than the last signature', () => {
  const counts = { ...createTouchCounter().counts(), commands: 4 };
  const head: MailboxHead = {
    mailbox: 'alice@example.com',
    period: '',
    from: '',
    to: '2026-11-20T14:03:00.000Z',
    isComplete: true,
    answer: '',
    sentences: ['NOT proved complete'],
    doubts: [],
    signedTo: '2026-11-20T14:02:10.123Z',
    isContentOnly: false,
    madeAt: '2026-11-20T14:03:00.000Z',
    host: '',
    counts,
    classes: [],
  };
  const unsigned = { ...head, counts: { ...counts, unsigned: 3 } };
  assert.deepEqual(verdictOf(head), {
    tone: 'good',
    text: 'Complete; nothing is missing, and all commands for this mailbox are signed, up to 14:02:10 UTC.',
  });
  // A fleet has no one signature.
  assert.match(verdictOf({ ...head, signedTo: undefined }).text, /this mailbox are signed\.$/);
  assert.deepEqual(verdictOf(unsigned), {
    tone: 'good',
    text: 'Complete; signed up to 14:02:10 UTC, 3 later commands not signed yet.',
  });
  const later = verdictOf({ ...unsigned, madeAt: '2026-11-21T00:00:10.000Z' }).text;
  assert.match(later, /signed up to 2026-11-20 14:02:10 UTC,/);
  assert.deepEqual(verdictOf({ ...head, isComplete: false }), { tone: 'bad', text: 'NOT proved complete' });
});

void test('one time, or two', () => {
  assert.equal(spanWords(line), '08:00:00 to 09:00:00');
  assert.equal(spanWords({ ...line, lastTime: line.firstTime }), '08:00:00');
});

void test('whether content was shown is a sentence, and "may have" is no "no"', () => {
  const none = 'No recorded command showed content of mails';
  for (const [showed, searched, maybeShowed, said] of [
    [0, 0, 0, `${none}.`],
    [1, 0, 0, '1 command showed content of mails.'],
    [0, 0, 2, '2 commands may have shown content of mails.'],
    [3, 0, 1, '3 commands showed content of mails; 1 command may have shown some.'],
    [0, 1, 0, `${none}; 1 command searched in content, which shows which mails have a word.`],
  ] as const)
    assert.equal(shownAnswer({ showed, searched, maybeShowed }), said);
});

void test('days that say the same are one; a day on which mail was destroyed, changed or shown stands alone', () => {
  const on = (day: string, more: Partial<MailboxLine> = {}): MailboxDay => {
    const time = `${day.slice(0, 10)}T08:00:00.000Z`;
    return { day, lines: [{ ...line, day, firstTime: time, lastTime: time, ids: [day], ...more }] };
  };
  const days = [
    on('2026-11-01'),
    on('2026-11-02', { commands: 'quota get (1,234)', count: 1_234 }),
    on('2026-11-05'),
    on('2026-11-06', { class: 'deleted', what: 'destroyed' }),
    on('2026-11-07', { class: 'deleted', what: 'destroyed' }),
    on('2026-11-08', { reason: 'ticket 1' }),
    on('2026-11-09'),
    on('2026-11-10 (more)'),
    on('2026-11-10 (more)'),
  ];
  const folded = foldDays(days);
  const [first, ...others] = folded;
  assert.deepEqual(others, days.slice(3));
  assert.deepEqual(first, {
    day: '2026-11-01 to 2026-11-05',
    lines: [
      {
        ...line,
        day: '2026-11-01 to 2026-11-05',
        count: 1_238,
        commands: 'quota get',
        firstTime: '2026-11-01T08:00:00.000Z',
        lastTime: '2026-11-05T08:00:00.000Z',
        ids: ['2026-11-01', '2026-11-02', '2026-11-05'],
      },
    ],
  });
  assert.equal(spanWords(first?.lines[0] ?? line), '11-01 08:00 to 11-05 08:00');
  assert.deepEqual(foldDays([]), []);
});
