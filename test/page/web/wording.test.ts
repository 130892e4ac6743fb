// Times as people read them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayWords, localTime, marked, showUtc, todayAt, utcTime } from '../../../src/page/web/wording.js';
import { formatCommand, shownCommand, splitWords } from '../../../src/page/web/words.js';

void test('a time has its day when it is not today, its year when it is another one, and its own text when it is none', () => {
  const at = (text: string): string => new Date(Date.parse(text)).toISOString();
  // Without a zone: of this machine.
  const now = at('2026-11-21T03:00:00');
  assert.equal(localTime(at('2026-11-21T02:14:09'), now), '02:14');
  assert.equal(localTime(at('2026-11-21T02:14:09'), now, true), '02:14:09');
  assert.equal(localTime(at('2026-11-20T23:59:00'), now), '20 Nov 23:59');
  assert.equal(localTime(at('2025-01-02T03:04:00'), now), '2 Jan 2025 03:04');
  assert.equal(localTime('soon', now), 'soon');
  assert.equal(utcTime('2026-11-21T03:14:00+01:00'), '2026-11-21 02:14:00 UTC');
  assert.equal(utcTime('soon'), 'soon');
  assert.equal(dayWords('2026-12-03T23:59:59Z'), '3 Dec 2026');
});

void test('the day is another object at midnight and in another zone, also where the daemon has said nothing since', () => {
  const noon = new Date('2026-11-21T12:00:00').toISOString();
  const today = todayAt(noon, undefined);
  assert.equal(todayAt(new Date('2026-11-21T23:59:59').toISOString(), today), today);
  assert.notEqual(todayAt(new Date('2026-11-22T00:00:00').toISOString(), today), today);
  const before = process.env['TZ'];
  try {
    process.env['TZ'] = 'Africa/Nairobi';
    const away = todayAt(noon, undefined);
    process.env['TZ'] = 'Europe/Berlin';
    assert.notEqual(todayAt(noon, away), away);
    showUtc(true);
    assert.notEqual(todayAt(noon, away), away);
  } finally {
    showUtc(false);
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
});

void test('times in a sentence are found, marked or not', () => {
  assert.deepEqual(marked('mail1 has been down since {2026-11-21T02:14:00Z}: refused.'), [
    { text: 'mail1 has been down since ' },
    { time: '2026-11-21T02:14:00Z' },
    { text: ': refused.' },
  ]);
  assert.deepEqual(marked('oncall, 2026-11-21T02:14:00.123+01:00'), [
    { text: 'oncall, ' },
    { time: '2026-11-21T02:14:00.123+01:00' },
  ]);
  assert.deepEqual(marked('{anna} {2026} x'), [{ text: '{anna} {2026} x' }]);
});

// A command line as it is typed: words as a shell would split them, and back; what a shell would expand stays as it is.
void test('words, quotes, backslashes', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['', []],
    ['   ', []],
    ['quota get', ['quota', 'get']],
    ['  mailbox\tstatus  "all of it" ', ['mailbox', 'status', 'all of it']],
    ["a'b c'd", ['ab cd']],
    ['"" \'\'', ['', '']],
    ['flags add \\\\Seen', ['flags', 'add', '\\Seen']],
    ["flags add '\\Seen'", ['flags', 'add', '\\Seen']],
    ['"a \\" b" "\\x"', ['a " b', '\\x']],
    ['$(id) `id` * $HOME; x', ['$(id)', '`id`', '*', '$HOME;', 'x']],
    ['"a\nb"', ['a\nb']],
  ];
  for (const [line, words] of cases) assert.deepEqual(splitWords(line), words, line);
  for (const line of ['"a', "a 'b", '"a\\"']) assert.equal(typeof splitWords(line), 'string', line);
});

void test('what is shown can be typed again', () => {
  const odd = ['fetch', "it's", 'a b', '', '\\Seen', '"', '$x', '\u202e'];
  assert.deepEqual(splitWords(formatCommand(odd)), odd);
  assert.deepEqual(splitWords(formatCommand(['quota get', '--', '-x'])), ['quota', 'get', '--', '-x']);
});

void test('a command is shown without the sign that ends its options, and only without the first one', () => {
  assert.equal(shownCommand(['mailbox list', '--']), 'mailbox list');
  assert.equal(shownCommand(['fetch', '-u', '--', 'uid guid', '--']), "fetch -u 'uid guid' --");
});
