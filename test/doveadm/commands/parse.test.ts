// Goal: a command line is read as the server reads it, or refused; however it is spelled, it comes out in one form that says openly what
// it does, under the command, parameters and users that a rule then judges.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, resolveCommand, type Series } from '../../../src/doveadm/commands/catalog.js';
import { inputOf, parseArguments, withoutParameters } from '../../../src/doveadm/commands/parse.js';
import { isSequenceSet } from '../../../src/doveadm/commands/search-query.js';
import { canonicalArguments } from '../../../src/doveadm/meaning/canonical.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { shownText, testAnswers, textOf } from './approved.js';
import { accept, read } from './reading.js';
import { serverSees } from './reference.js';

/** The words that a row shows. */
const wordsOf = (shown: string): string[] => (shown === '' ? [] : shown.split('→').map(textOf));

/** The refusal; or the form in which the line is sent, in which a second reader finds the values that ours found in the line. */
function answerTo(series: Series, line: readonly string[]): string {
  const parsed = read(series, line);
  if (parsed === undefined) return 'no command';
  if (parsed.kind === 'unparsable') return `${parsed.code}: ${parsed.message}`;
  const { command, values } = parsed;
  const canonical = canonicalArguments(parsed);
  const seen = serverSees(series, command, canonical);
  assert.deepEqual(Object.fromEntries(values), seen === 'usage' ? seen : Object.fromEntries(seen));
  return [command.name, ...canonical].map(shownText).join('→');
}

testAnswers('lines.cases', 2, (series, [, line = '']) => answerTo(series, wordsOf(line)));

test('however a parameter that reaches out is spelled, it is found by its name and needs a rule that names it', () => {
  const spellings: [line: string[], parameter: string, caution: string, series?: Series][] = [
    [['quota get', '-F/etc/passwd'], 'user-file', 'never'],
    [['quota get', '--user-file=/etc/passwd'], 'user-file', 'never'],
    [['quota get', '-S/run/x'], 'socket-path', 'never'],
    [['quota get', '--trans-flags=1'], 'trans-flags', 'never'],
    [['quota get', '--no-userdb-lookup'], 'no-userdb-lookup', 'never', '2.4'],
    [['quota get', '--all-users'], 'all-users', 'all-users'],
    [['save', '--file', '/etc/shadow'], 'file', 'named'],
    [['sieve put', 'main', '/etc/shadow'], 'file', 'named'],
    [['copy', 'Dst', 'user', 'victim', 'all'], 'source-user', 'named'],
    [['import', '-Uvictim', 'maildir:/x', '', 'all'], 'source-user', 'named'],
    [['dsync-server', '-r/etc/cron.d/x'], 'rawlog', 'named'],
    [['sync', '-d'], 'default-destination', 'named', '2.3'],
    [['backup', '-pmail_path=/x', 'x'], 'destination-option', 'named', '2.4'],
    [['user', '-e%{env:PATH}', 'bob'], 'expand-field', 'named'],
    [['kick', '-a/run/x', 'bob'], 'socket-path', 'named'],
    [['mailbox delete', '-Zr', 'Old'], 'unsafe', 'named'],
    [['expunge', '-d', 'mailbox', 'Trash', 'all'], 'delete-empty-mailbox', 'named'],
  ];
  for (const [line, name, caution, only] of spellings) {
    for (const series of only === undefined ? allSeries : [only]) {
      const parsed = accept(series, line);
      assert.ok(parsed.values.has(name), line.join(' '));
      const parameter = parsed.command.params.find((one) => one.name === name);
      assert.ok(parameter);
      assert.equal(parameter.caution, caution, line.join(' '));
    }
  }
});

test('whether input follows is known exactly, or known to be unclear', () => {
  const rows: [line: string[], input: string][] = [
    [['save'], 'dot'],
    [['save', '-m', 'INBOX'], 'dot'],
    [['save', '-m', 'INBOX', '--'], 'dot'],
    [['save', '/dev/null'], 'unclear'],
    [['save', '-'], 'unclear'],
    [['save', '--file='], 'unclear'],
    [['save', '--bogus'], 'unclear'],
    [['save', 'a', 'b'], 'unclear'],
    [['sieve put', 'main'], 'dot'],
    [['sieve put', '-a', 'main'], 'dot'],
    [['sieve put', 'main', '/x'], 'unclear'],
    [['sieve put'], 'unclear'],
    [['sieve put', '-x'], 'unclear'],
    [['dsync-server'], 'duplex'],
    [['quota get'], 'none'],
    [['quota get', '--bogus'], 'none'],
    [['mailbox delete', 'save'], 'none'],
  ];
  for (const series of allSeries) {
    for (const [line, input] of rows) {
      const found = resolveCommand(series, line);
      assert.ok(found);
      const parsed = parseArguments(series, found.command, found.args);
      assert.equal(inputOf(found.command, parsed), input, line.join(' '));
    }
  }
});

test('a refusal does not repeat what the client wrote', () => {
  const lines = [
    ['mailbox cryptokey password', '-n', 'hunter2', '-n', 'hunter2'],
    ['mailbox cryptokey password', '--new-passwordhunter2'],
    ['mailbox cryptokey password', '-xhunter2'],
    ['mailbox cryptokey password', '-C', 'hunter2'],
    ['mailbox cryptokey password', '--clear-password=hunter2'],
    ['log errors', '-shunter2'],
    ['search', '--query', 'hunter2', 'hunter2'],
  ];
  for (const series of allSeries) {
    for (const line of lines) {
      const parsed = read(series, line);
      assert.equal(parsed?.kind, 'unparsable', line.join(' '));
      if (parsed?.kind === 'unparsable')
        assert.equal(parsed.message.includes('hunter2'), false, parsed.message);
    }
  }
});

test('values are found under the long name, a bool as "true"', () => {
  const { values } = accept('2.4', ['mailbox delete', '-r', 'A', 'B']);
  assert.deepEqual(Object.fromEntries(values), { recursive: ['true'], mailbox: ['A', 'B'] });
});

test('parameters can be taken out, the query too, and nothing changes without them', () => {
  const parsed = accept('2.3', ['quota get', '-A', '-u', 'bob']);
  assert.deepEqual(canonicalArguments(withoutParameters(parsed, ['user', 'all-users'])), ['--']);
  assert.equal(withoutParameters(parsed, ['query', 'x']), parsed);
  const search = accept('2.4', ['search', '-u', 'bob', 'seen']);
  const { kind, command, series, query } = search;
  const values = new Map([['query', ['seen']]]);
  assert.deepEqual(withoutParameters(search, ['user', 'x']), { kind, command, series, values, query });
  const without = { kind, command, series, values: new Map([['user', ['bob']]]), query: undefined };
  assert.deepEqual(withoutParameters(search, ['query']), without);
});

// Goal: what nobody needs so often is refused before anything is done for each part of it: its cost would be its length times the number
// of patterns, rules and series. Names that are too long are in lines.cases: bounds.mailboxNameBytes, bounds.userArgumentBytes.
const times = (count: number, words: string): string[] =>
  Array.from({ length: count }, () => words.split(' ')).flat();

// bounds.mailboxesPerLine, bounds.queryKeys, bounds.queryDepth, bounds.listWords, bounds.parameterValues
const { mailboxesPerLine: mailboxes, queryKeys, queryDepth, listWords, parameterValues } = bounds;
const tooMany = (what: string, most: number, of: string): string =>
  `too-many: ${what} more than ${most} ${of}; use several commands`;
const tooDeep = `query-invalid: the search query cannot be taken: it is nested more than ${queryDepth} deep`;
type LineOf = (count: number) => readonly string[];
const rowsOfSizes: readonly (readonly [lineOf: LineOf, most: number, refused: string, of?: string])[] = [
  [
    (count) => ['mailbox subscribe', ...times(count, 'm')],
    mailboxes,
    '"mailbox subscribe" names',
    'mailboxes',
  ],
  [(count) => ['mailbox list', ...times(count, 'm')], mailboxes, '"mailbox list" names', 'mailboxes'],
  [(count) => ['search', ...times(count, 'mailbox m')], mailboxes, 'the query names', 'mailboxes'],
  [(count) => ['search', ...times(count, 'seen')], queryKeys, 'the query has', 'keys'],
  [(count) => ['search', ...times(count, '('), 'seen', ...times(count, ')')], queryDepth - 1, tooDeep],
  [(count) => ['search', ...times(count, 'not'), 'seen'], queryDepth - 1, tooDeep],
  [(count) => ['fetch', times(count, 'uid').join(' '), 'all'], listWords, '"fetch" is given', 'fields'],
  [
    (count) => ['flags add', ...times(count, '--flag=a'), '--query=all'],
    listWords,
    '"flags add" is given',
    'flags',
  ],
  [
    (count) => ['mailbox cache decision', '-f', times(count, 'a').join(','), 'A'],
    listWords,
    '"mailbox cache decision" is given',
    'fields',
  ],
  [(count) => ['who', ...times(count, 'u')], parameterValues, '"who" is given', 'of mask'],
];

test('so many of each, and no more', () => {
  for (const series of allSeries) {
    for (const [lineOf, most, refused, of] of rowsOfSizes) {
      assert.equal(read(series, lineOf(most))?.kind, 'parsed', refused);
      const refusal = of === undefined ? refused : tooMany(refused, most, of);
      assert.equal(answerTo(series, lineOf(most + 1)), refusal);
    }
  }
});

void test('a letter given twice ends the reading of a word of 64 KiB', () => {
  const found = resolveCommand('2.4', ['mailbox delete']);
  assert.ok(found);
  const parsed = parseArguments('2.4', found.command, [`-${'r'.repeat(65_000)}`]);
  assert.equal(parsed.kind === 'unparsable' && parsed.code, 'repeated-option');
});

/** As servers read it, range by range: a comma may stand at the end. */
function isSetByDefinition(text: string): boolean {
  const isEnd = (each: string): boolean =>
    each === '*' || (/^\d{1,10}$/.test(each) && Number(each) > 0 && Number(each) <= 2 ** 32 - 1);
  return text
    .replace(/(?<=.),$/, '')
    .split(',')
    .every((range) => {
      const [first = '', last = first, ...more] = range.split(':');
      return more.length === 0 && isEnd(first) && isEnd(last);
    });
}

void test('a sequence set is what the definition says', () => {
  const signs = ['0', '1', '12', '4294967295', '4294967296', '12345678901', ':', ',', '*', 'a', ''];
  let count = 0;
  for (const a of signs) {
    for (const b of signs) {
      for (const c of signs) {
        for (const d of signs) {
          const text = a + b + c + d;
          assert.equal(isSequenceSet(text), isSetByDefinition(text), text);
          count += 1;
        }
      }
    }
  }
  assert.equal(count, signs.length ** 4);
});
