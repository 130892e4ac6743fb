// Durations, numbers and times as people read them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventDecoder, createLineDecoder } from '../../src/web/lines.js';
import {
  agoWords,
  bytesWords,
  countWords,
  dayWords,
  durationWords,
  localTime,
  marked,
  plural,
  rateWords,
  utcTime,
} from '../../src/web/wording.js';
import { formatCommand, shownCommand, splitWords } from '../../src/web/words.js';

void test('a duration has at most two units, and is never rounded to sixty of one', () => {
  const s = 1000;
  const min = 60 * s;
  const h = 60 * min;
  const cases: [number, string][] = [
    [0, '0 ms'],
    [-5, '0 ms'],
    [250.4, '250 ms'],
    [999, '999 ms'],
    [1000, '1.0 s'],
    [4700, '4.7 s'],
    [9960, '10 s'],
    [59_400, '59 s'],
    [59_960, '1 min'],
    [192 * s, '3 min 12 s'],
    [h - 100, '1 h'],
    [h - 1000, '59 min 59 s'],
    [2 * h + 5 * min, '2 h 5 min'],
    [24 * h - 10 * s, '1 day'],
    [28 * h, '1 day 4 h'],
    [3 * 24 * h, '3 days'],
    [40 * 24 * h + 5 * h, '40 days'],
    [Number.NaN, 'unknown'],
  ];
  for (const [ms, words] of cases) assert.equal(durationWords(ms), words, String(ms));
});

void test('how long ago, in whole seconds', () => {
  assert.deepEqual([-3, 0, 1999, 9999, 70_000].map(agoWords), ['0 ms', '0 s', '1 s', '9 s', '1 min 10 s']);
});

void test('numbers and sizes', () => {
  assert.deepEqual([0, 999, 1000, 8_412_233].map(countWords), ['0', '999', '1,000', '8,412,233']);
  assert.deepEqual([0.001, 0.042, 0.0951].map(rateWords), ['0.01', '0.04', '0.1']);
  assert.deepEqual([0, 0.42, 9.94, 9.96, 1234.4].map(rateWords), ['0', '0.4', '9.9', '10', '1,234']);
  assert.deepEqual([0, 1, 1023, 1024, 48 * 2 ** 30, 1024 ** 2 - 1, 2 ** 60].map(bytesWords), [
    '0 bytes',
    '1 byte',
    '1,023 bytes',
    '1.0 KiB',
    '48 GiB',
    '1.0 MiB',
    '1,024 PiB',
  ]);
  assert.equal(plural(1, 'command waits', 'commands wait'), '1 command waits');
  assert.equal(plural(12_004, 'record', 'records'), '12,004 records');
});

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

void test('times in a sentence are found, marked or not', () => {
  assert.deepEqual(marked('mail1 is down since {2026-11-21T02:14:00Z}: refused.'), [
    { text: 'mail1 is down since ' },
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
  for (const words of [
    ['quota get', '--', '-x'],
    ['fetch', "it's", 'a b', '', '\\Seen', '"', '$x', '\u202e'],
  ]) {
    const [name = '', ...args] = words;
    assert.deepEqual(splitWords(formatCommand(words)), [...name.split(' '), ...args]);
  }
});

// Lines and events that come in pieces: the same at every cut.
void test('lines are whole wherever the text was cut', () => {
  const text = '{"a":1}\r\n\n{"b":"ü"}\nrest';
  for (let at = 0; at <= text.length; at += 1) {
    const decoder = createLineDecoder();
    const lines = [...decoder.push(text.slice(0, at)), ...decoder.push(text.slice(at))];
    assert.deepEqual(lines, ['{"a":1}', '', '{"b":"ü"}']);
    assert.equal(decoder.rest(), 'rest');
  }
});

void test('events are whole wherever the text was cut; one that is not ended is none', () => {
  const text = ': hello\n\nevent: snapshot\ndata: {"a":\ndata: 1}\n\ndata:x\n\nevent: change\ndata: cut';
  for (let at = 0; at <= text.length; at += 1) {
    const decoder = createEventDecoder();
    assert.deepEqual(
      [...decoder.push(text.slice(0, at)), ...decoder.push(text.slice(at))],
      [
        { name: 'snapshot', data: '{"a":\n1}' },
        { name: 'message', data: 'x' },
      ],
    );
  }
});

void test('a command is shown without the sign that ends its options, and only without the first one', () => {
  assert.equal(shownCommand(['mailbox list', '--']), 'mailbox list');
  assert.equal(shownCommand(['fetch', '-u', '--', 'uid guid', '--']), "fetch -u 'uid guid' --");
});
