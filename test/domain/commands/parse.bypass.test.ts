// Tricks that get past a gate which reads less carefully than the server. Each is either refused, or comes out in a canonical form
// that says openly what it does, under the command, parameters and users that a rule then judges.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, resolveCommand, type Series } from '../../../src/domain/commands/catalog.js';
import { inputOf, parseArguments } from '../../../src/domain/commands/parse.js';
import { canonicalArguments } from '../../../src/domain/meaning/canonical.js';
import { effectOf, touchedUsers } from '../../../src/domain/meaning/reach.js';
import { accept, read } from './reading.js';

interface Trick {
  trick: string;
  line: string[];
  /** The canonical line, or the code of the refusal, or `no command`. */
  becomes: string;
  series?: Series;
}

const tricks: Trick[] = [
  // Names. A rule for "mailbox delete" compared with one field of the line would not see these.
  { trick: 'name split over fields', line: ['mailbox', 'delete', 'Old'], becomes: 'mailbox delete|--|Old' },
  {
    trick: 'name split in the middle',
    line: ['mailbox cache', 'purge', 'x'],
    becomes: 'mailbox cache purge|--|x',
  },
  {
    trick: 'name split behind its first word',
    line: ['mailbox', 'cache purge', 'x'],
    becomes: 'mailbox cache purge|--|x',
  },
  { trick: 'camel case of the HTTP interface', line: ['mailboxDelete', 'Old'], becomes: 'no command' },
  { trick: 'dashed name of the HTTP interface', line: ['mailbox-delete', 'Old'], becomes: 'no command' },
  { trick: 'upper case', line: ['MAILBOX', 'DELETE', 'Old'], becomes: 'no command' },
  { trick: 'abbreviated name', line: ['mailbox', 'del', 'Old'], becomes: 'no command' },
  { trick: 'empty word in the name', line: ['mailbox', '', 'delete', 'Old'], becomes: 'no command' },
  { trick: 'two blanks', line: ['mailbox  delete', 'Old'], becomes: 'no command' },
  { trick: 'no-break space', line: ['mailbox\u00a0delete', 'Old'], becomes: 'no command' },
  { trick: 'NUL behind the name, where a C string ends', line: ['who\0', 'x'], becomes: 'no command' },
  { trick: 'carriage return behind the name', line: ['who\r'], becomes: 'no command' },
  { trick: 'a command of the program only', line: ['exec', 'sh'], becomes: 'no command' },
  {
    trick: 'the word for options of the connection',
    line: ['OPTION', 'log-passthrough'],
    becomes: 'no command',
  },

  // Options, in every shape of getopt_long.
  { trick: 'abbreviated -A', line: ['quota get', '--all'], becomes: 'abbreviated-option' },
  { trick: 'abbreviated -A by one letter', line: ['quota get', '--a'], becomes: 'abbreviated-option' },
  { trick: 'abbreviated -F', line: ['quota get', '--user-f', '/etc/passwd'], becomes: 'abbreviated-option' },
  { trick: 'abbreviated -S', line: ['quota get', '--socket=/x'], becomes: 'abbreviated-option' },
  {
    trick: '-F attached to -A',
    line: ['quota get', '-AF/etc/passwd'],
    becomes: 'quota get|-A|-F|/etc/passwd|--',
  },
  {
    trick: '-A hidden in a cluster',
    line: ['mailbox delete', '-rAs', 'Old'],
    becomes: 'mailbox delete|-A|-s|-r|--|Old',
  },
  { trick: 'value attached to a letter', line: ['quota get', '-ubob'], becomes: 'quota get|-u|bob|--' },
  {
    trick: 'cluster whose last letter takes the next word',
    line: ['mailbox delete', '-ru', '-Z', 'Old'],
    becomes: 'mailbox delete|-u|-Z|-r|--|Old',
  },
  {
    trick: 'option behind the positionals',
    line: ['mailbox delete', 'Old', '-r'],
    becomes: 'mailbox delete|-r|--|Old',
  },
  {
    trick: 'option between the positionals',
    line: ['mailbox rename', 'a', '-A', 'b'],
    becomes: 'mailbox rename|-A|--|a|b',
  },
  {
    trick: 'what looks like an option behind --',
    line: ['mailbox delete', '--', '-r'],
    becomes: 'mailbox delete|--|-r',
  },
  {
    trick: '-- as the value of an option',
    line: ['mailbox delete', '-u', '--', '-r', 'Old'],
    becomes: 'mailbox delete|-u|--|-r|--|Old',
  },
  {
    trick: 'option as the value of an option',
    line: ['mailbox delete', '--user', '--recursive', 'Old'],
    becomes: 'mailbox delete|-u|--recursive|--|Old',
  },
  {
    trick: 'option behind the first positional of sync',
    line: ['sync', 'tcp:host', '-R'],
    becomes: 'sync|--|tcp:host|-R',
  },
  { trick: 'second -- of sync', line: ['sync', 'sh', '--', '-c'], becomes: 'sync|--|sh|--|-c' },
  {
    trick: 'last of two values wins',
    line: ['quota get', '-u', 'bob', '-u', 'eve'],
    becomes: 'repeated-option',
  },
  {
    trick: 'last of two values wins, long and short',
    line: ['log errors', '-s', '1', '--since=2'],
    becomes: 'repeated-option',
  },
  {
    trick: 'last of two positionals wins',
    line: ['mailbox rename', '--mailbox=a', '--mailbox=b', 'c'],
    becomes: 'repeated-option',
  },
  { trick: 'bool with a value', line: ['quota get', '--all-users=false'], becomes: 'value-not-taken' },
  {
    trick: 'bool with a value behind',
    line: ['quota get', '--all-users', 'no'],
    becomes: 'surplus-argument',
  },
  { trick: '-W of POSIX', line: ['quota get', '-W', 'all-users'], becomes: 'unknown-option' },
  {
    trick: 'long option with one dash',
    line: ['mailbox delete', '-recursive', 'Old'],
    becomes: 'unknown-option',
  },
  { trick: 'value missing at the end', line: ['quota get', '-A', '-u'], becomes: 'value-missing' },
  { trick: 'en dash', line: ['mailbox list', '–A'], becomes: 'mailbox list|--|–A' },

  // Positionals are long options too.
  {
    trick: 'source user as an option',
    line: ['copy', '--source-user=victim', 'Dst', 'all'],
    becomes: 'copy|--|Dst|user|victim|all',
    series: '2.4',
  },
  {
    trick: 'source user as an option of 2.3, which reads the flat list',
    line: ['copy', '--source-user=victim', 'Dst', 'all'],
    becomes: 'query-invalid',
    series: '2.3',
  },
  {
    trick: 'source type and user as options',
    line: ['copy', '--source-type=User', '--source-user=victim', 'Dst', 'all'],
    becomes: 'copy|--|Dst|user|victim|all',
    series: '2.3',
  },
  {
    trick: 'upper-case key',
    line: ['copy', 'Dst', 'USER', 'victim', 'all'],
    becomes: 'copy|--|Dst|user|victim|all',
    series: '2.3',
  },
  {
    trick: 'upper-case key, which 2.4 does not know',
    line: ['copy', 'Dst', 'USER', 'victim', 'all'],
    becomes: 'query-invalid',
    series: '2.4',
  },
  {
    trick: 'key as clients of 2.4 write it',
    line: ['copy', 'Dst', 'source-user', 'victim', 'all'],
    becomes: 'copy|--|Dst|user|victim|all',
  },
  {
    trick: 'key inside the query',
    line: ['copy', '--query=user', '--query=victim', '--query=all', 'Dst'],
    becomes: 'query-invalid',
    series: '2.4',
  },
  {
    trick: 'key inside the query of 2.3',
    line: ['copy', '--query=user', '--query=victim', '--query=all', 'Dst'],
    becomes: 'copy|--|Dst|user|victim|all',
    series: '2.3',
  },
  {
    trick: 'key behind the query',
    line: ['copy', 'Dst', 'mailbox', 'INBOX', 'user', 'victim'],
    becomes: 'query-invalid',
  },
  {
    trick: 'two source users',
    line: ['copy', 'Dst', 'user', 'bob', 'user', 'victim', 'all'],
    becomes: 'query-invalid',
  },
  { trick: 'mailbox called as the key', line: ['copy', 'user', 'victim', 'all'], becomes: 'query-invalid' },
  { trick: 'file as an option', line: ['save', '--file=/etc/shadow'], becomes: 'save|--|/etc/shadow' },
  { trick: 'the standard input of the server as a file', line: ['save', '-'], becomes: 'kills-server' },
  {
    trick: 'query as options',
    line: ['fetch', 'uid', '--query=mailbox', '--query=INBOX'],
    becomes: 'fetch|--|uid|mailbox|INBOX',
  },
  {
    trick: 'query half as options',
    line: ['fetch', '--query=mailbox', 'uid', 'INBOX'],
    becomes: 'ambiguous-argument',
  },
  {
    trick: 'fields twice, of which 2.4 drops one',
    line: ['fetch', '--field=text', 'uid', 'all'],
    becomes: 'ambiguous-argument',
  },
  {
    trick: 'two fields in one word',
    line: ['fetch', '--field=uid text', '--query=all'],
    becomes: 'ambiguous-argument',
  },
  { trick: 'fields in upper case', line: ['fetch', 'TEXT', 'all'], becomes: 'fetch|--|text|all' },
  {
    trick: 'fields behind many blanks',
    line: ['fetch', ' uid   text', 'all'],
    becomes: 'fetch|--|uid text|all',
  },
  {
    trick: 'later positional without the one before',
    line: ['director status', '--tag=x'],
    becomes: 'ambiguous-argument',
    series: '2.3',
  },

  // Numbers.
  { trick: 'number that 2.3 drops', line: ['log errors', '-s', 'x'], becomes: 'number-invalid' },
  { trick: 'number with a plus', line: ['log errors', '-s', '+1'], becomes: 'number-invalid' },
  { trick: 'number in hexadecimal', line: ['log errors', '-s', '0x1'], becomes: 'number-invalid' },
  {
    trick: 'number of 65 bits',
    line: ['log errors', '-s', '18446744073709551617'],
    becomes: 'number-invalid',
  },
  {
    trick: 'UID that wraps round to 1 in 2.3',
    line: ['search', 'uid', '4294967297'],
    becomes: 'query-invalid',
  },

  // Spellings that the server folds. A rule on the text of a value would not see these.
  {
    trick: 'key of metadata in capitals',
    line: ['mailbox metadata get', 'x', '/PRIVATE/vendor/vendor.dovecot/pvt/crypt/k'],
    becomes: 'mailbox metadata get|--|x|/private/vendor/vendor.dovecot/pvt/crypt/k',
  },
  {
    trick: 'INBOX in small letters',
    line: ['mailbox delete', 'inBox'],
    becomes: 'mailbox delete|--|INBOX',
  },
  {
    trick: 'INBOX in small letters above another mailbox, which may be one of its own',
    line: ['mailbox delete', 'inBox.Work'],
    becomes: 'mailbox delete|--|inBox.Work',
  },
  {
    trick: 'INBOX in small letters in a query',
    line: ['expunge', 'mailbox', 'inbox', 'all'],
    becomes: 'expunge|--|mailbox|INBOX|all',
  },
  {
    trick: 'INBOX in small letters beside a mask, which selects nothing',
    line: ['expunge', 'mailbox', 'inbox', 'mailbox', '*', 'all'],
    becomes: 'expunge|--|mailbox|inbox|mailbox|*|all',
  },
  {
    trick: 'name that 2.4 composes',
    line: ['mailbox delete', 'Boo\u212As'],
    becomes: 'text-invalid',
    series: '2.4',
  },
  {
    trick: 'name that 2.4 composes, in a query',
    line: ['search', 'mailbox', 'Boo\u212As', 'all'],
    becomes: 'text-invalid',
    series: '2.4',
  },
  {
    trick: 'flag in capitals',
    line: ['flags add', '\\DELETED', 'all'],
    becomes: 'flags add|--|\\Deleted|all',
  },
  {
    trick: 'right with a colon, which names the same right',
    line: ['acl set', 'x', 'anyone', ':admin'],
    becomes: 'fields-invalid',
  },
  {
    trick: 'subject of an ACL in capitals',
    line: ['acl set', 'x', 'ANYONE', 'admin'],
    becomes: 'fields-invalid',
  },
  { trick: 'Kelvin sign in a key', line: ['search', '\u212Aeyword', 'x'], becomes: 'query-invalid' },

  // Queries.
  {
    trick: 'OR that swallows what stands before it',
    line: ['expunge', 'mailbox', 'Trash', 'savedbefore', '30d', 'OR', 'all'],
    becomes: 'query-invalid',
  },
  {
    trick: 'last mail, which is no mail to uid, so that all are selected',
    line: ['search', 'not', 'uid', '*'],
    becomes: 'search|--|not|uid|*',
  },
  { trick: 'threads of matches', line: ['search', 'inthread', 'refs', 'seen'], becomes: 'query-invalid' },
  { trick: 'expunge of everything', line: ['expunge', 'all'], becomes: 'query-invalid' },
  { trick: 'query in one field', line: ['expunge', 'mailbox Trash all'], becomes: 'query-invalid' },
  {
    trick: 'mailbox in modified UTF-7',
    line: ['search', 'x-mailbox', 's&AGg-ared/eve', 'all'],
    becomes: 'query-invalid',
  },
  {
    trick: 'age without a unit, which is a year long ago',
    line: ['search', 'savedbefore', '30'],
    becomes: 'search|--|savedbefore|30',
  },
  {
    trick: 'unknown key, of which the server dies',
    line: ['fetch', 'uid', 'bogus'],
    becomes: 'query-invalid',
  },
  {
    trick: 'unknown field, of which the server dies',
    line: ['fetch', 'bogus', 'all'],
    becomes: 'fields-invalid',
  },
  { trick: 'option of which the server dies', line: ['user', '-u', 'x'], becomes: 'kills-server' },

  // Bytes.
  {
    trick: 'NUL in a value, where a C string ends',
    line: ['mailbox delete', 'Old\0-copy'],
    becomes: 'text-invalid',
  },
  {
    trick: 'NUL in the user of -u',
    line: ['quota get', '-u', 'victim\0@allowed.example'],
    becomes: 'text-invalid',
  },
  { trick: 'NUL in an option', line: ['quota get', '--all-users\0'], becomes: 'text-invalid' },
  {
    trick: 'TAB in a value stays in it',
    line: ['mailbox delete', 'a\t-r'],
    becomes: 'mailbox delete|--|a\t-r',
  },
  {
    trick: 'line feed in a value stays in it',
    line: ['mailbox delete', 'a\n\tvictim\tfetch'],
    becomes: 'mailbox delete|--|a\n\tvictim\tfetch',
  },

  // Programs, files and sockets stay visible under their parameters.
  {
    trick: 'a shell as the destination of sync',
    line: ['sync', 'sh', '-c', 'id>/tmp/x'],
    becomes: 'sync|--|sh|-c|id>/tmp/x',
  },
  {
    trick: 'a file read through a dictionary',
    line: ['dict get', 'fs:posix:prefix=/etc/', 'shared/passwd'],
    becomes: 'dict get|--|fs:posix:prefix=/etc/|shared/passwd',
    series: '2.3',
  },
  { trick: 'any socket of the server', line: ['who', '-a', '/run/x'], becomes: 'who|-a|/run/x|--' },
];

function outcome(series: Series, line: string[]): string {
  const parsed = read(series, line);
  if (parsed === undefined) return 'no command';
  if (parsed.kind === 'unparsable') return parsed.code;
  return [parsed.command.name, ...canonicalArguments(parsed)].join('|');
}

for (const { trick, line, becomes, series } of tricks) {
  for (const one of series === undefined ? allSeries : [series]) {
    test(`${one}: ${trick}`, () => assert.equal(outcome(one, line), becomes));
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
