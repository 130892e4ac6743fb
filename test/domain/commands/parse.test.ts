// Goal: a command line is read as the server reads it, or refused; however it is spelled, it comes out in one form that says openly what
// it does, under the command, parameters and users that a rule then judges.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allSeries, resolveCommand, type Series } from '../../../src/domain/commands/catalog.js';
import { inputOf, parseArguments, withoutParameters } from '../../../src/domain/commands/parse.js';
import { isSequenceSet } from '../../../src/domain/commands/search-query.js';
import { canonicalArguments } from '../../../src/domain/meaning/canonical.js';
import { effectOf, touchedUsers } from '../../../src/domain/meaning/reach.js';
import { accept, read } from './reading.js';

const table = readFileSync(new URL('../../../../test/domain/commands/lines.cases', import.meta.url), 'utf8');

/** The words that a row shows. */
function wordsOf(shown: string): string[] {
  const textOf = (word: string): string =>
    word
      .replace('…', 'x'.repeat(257))
      .replace(/\\(?:u(\w{4})|(.))/g, (_, code?: string, plain?: string) =>
        code === undefined ? (plain ?? '') : String.fromCharCode(Number.parseInt(code, 16)),
      );
  return shown === '' ? [] : shown.split('→').map(textOf);
}

function outcome(series: Series, line: readonly string[]): string[] {
  const parsed = read(series, line);
  if (parsed === undefined) return ['no command'];
  if (parsed.kind === 'unparsable') return [parsed.code];
  return [parsed.command.name, ...canonicalArguments(parsed)];
}

for (const row of table.split('\n').filter((each) => each !== '' && !each.startsWith('#'))) {
  const [which = '', line = '', becomes = ''] = row.split('|').map((cell) => cell.trim());
  for (const series of allSeries.filter((each) => which === 'both' || which === each)) {
    test(`${series}: ${row}`, () => assert.deepEqual(outcome(series, wordsOf(line)), wordsOf(becomes)));
  }
}

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

test('commands that ignore the user of the line do not hide behind it', () => {
  for (const line of [
    ['user', 'victim'],
    ['kick', 'victim'],
    ['who', 'victim'],
  ]) {
    for (const series of allSeries) {
      const who = touchedUsers(accept(series, line), 'bob');
      assert.deepEqual(
        who.users.map((one) => one.value),
        ['victim'],
      );
    }
  }
});

test('what a parameter does to the effect cannot be hidden in a cluster', () => {
  assert.equal(effectOf(accept('2.4', ['stats dump', '-rfall'])), 'destroy');
  assert.equal(effectOf(accept('2.3', ['stats dump', '--fields=x', '--reset'])), 'destroy');
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

test('parameters can be taken out, and the canonical form follows', () => {
  const parsed = accept('2.3', ['quota get', '-A', '-u', 'bob']);
  assert.deepEqual(canonicalArguments(withoutParameters(parsed, ['user', 'all-users'])), ['--']);
});

// Goal: what nobody needs so long, or so often, is refused before anything is done for each part of it: its cost would be its
// length times the number of patterns, rules and series.
function times(count: number, word: (at: number) => string): string[] {
  return Array.from({ length: count }, (_, at) => word(at));
}

const rowsOfSizes: readonly (readonly [
  what: string,
  fits: readonly string[],
  tooMuch: readonly string[],
  code: string,
])[] = [
  ['a mailbox', ['mailbox create', 'a'.repeat(1024)], ['mailbox create', 'a'.repeat(1025)], 'too-long'],
  [
    'a mailbox, counted in bytes',
    ['mailbox create', 'ä'.repeat(512)],
    ['mailbox create', 'ä'.repeat(513)],
    'too-long',
  ],
  [
    'a mask for mailboxes',
    ['mailbox list', '*'.repeat(1024)],
    ['mailbox list', '*'.repeat(62_000)],
    'too-long',
  ],
  [
    'a mailbox of a query',
    ['fetch', 'uid', 'mailbox', 'a'.repeat(1024)],
    ['fetch', 'uid', 'mailbox', 'a'.repeat(1025)],
    'too-long',
  ],
  ['a user', ['auth cache flush', 'a'.repeat(320)], ['auth cache flush', 'a'.repeat(321)], 'too-long'],
  ['a mask for users', ['who', '*'.repeat(320)], ['who', '*'.repeat(321)], 'too-long'],
  [
    'who an ACL is for',
    ['acl get', 'INBOX', '-b'].slice(0, 2),
    ['acl delete', 'INBOX', `user=${'a'.repeat(400)}`],
    'too-long',
  ],
  [
    'mailboxes',
    ['mailbox subscribe', ...times(256, (at) => `m${at}`)],
    ['mailbox subscribe', ...times(257, (at) => `m${at}`)],
    'too-many',
  ],
  [
    'mailboxes of a query',
    ['search', ...times(256, (at) => `m${at}`).flatMap((name) => ['mailbox', name])],
    ['search', ...times(257, (at) => `m${at}`).flatMap((name) => ['mailbox', name])],
    'too-many',
  ],
  [
    'keys of a query',
    ['search', ...times(1000, () => 'seen')],
    ['search', ...times(1001, () => 'seen')],
    'too-many',
  ],
  [
    'fields in one word',
    ['fetch', times(256, () => 'uid').join(' '), 'all'],
    ['fetch', times(257, () => 'uid').join(' '), 'all'],
    'too-many',
  ],
  [
    'values of any other parameter',
    ['who', ...times(1000, (at) => `u${at}`)],
    ['who', ...times(1001, (at) => `u${at}`)],
    'too-many',
  ],
  [
    'parentheses of a query',
    ['search', ...times(23, () => '('), 'seen', ...times(23, () => ')')],
    ['search', ...times(24, () => '('), 'seen', ...times(24, () => ')')],
    'query-invalid',
  ],
];

for (const [what, fits, tooMuch, code] of rowsOfSizes) {
  for (const series of allSeries) {
    // bounds.mailboxNameBytes, bounds.userArgumentBytes, bounds.listWords, bounds.mailboxesPerLine
    // bounds.queryKeys, bounds.queryDepth, bounds.parameterValues
    void test(`${what}: so much and no more (${series})`, () => {
      assert.equal(answer(fits), 'parsed');
      assert.equal(answer(tooMuch), code);
    });

    function answer(words: readonly string[]): string {
      const found = resolveCommand(series, words);
      assert.ok(found, words[0]);
      const parsed = parseArguments(series, found.command, found.args);
      return parsed.kind === 'parsed' ? parsed.kind : parsed.code;
    }
  }
}

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

void test('a refused line is told what is wrong with it', () => {
  const rows: readonly (readonly [line: readonly string[], message: string])[] = [
    [['quota get', '--all-users=x'], '--all-users takes no value; leave the "=" and what follows out'],
    [
      ['quota get', '--user-f=x'],
      'argument 1 of "quota get" shortens a long option; write it out: --user-file',
    ],
    [['kick', 'bob', 'eve'], '"kick" takes one user and one address at most, the address written in full'],
    [['mailbox update', '--min-next-uid=x', 'A'], 'min-next-uid must be a decimal number of at most 64 bits'],
  ];
  for (const [line, message] of rows) {
    const parsed = read('2.4', line);
    assert.equal(parsed?.kind === 'unparsable' ? parsed.message : parsed?.kind, message);
  }
});
