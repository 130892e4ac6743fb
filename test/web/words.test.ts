// A command line as it is typed: words as a shell would split them, and back; what a shell would expand stays as it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCommand, splitWords } from '../../src/web/words.js';

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
