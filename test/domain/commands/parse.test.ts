import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, resolveCommand, type Series } from '../../../src/domain/commands/catalog.js';
import type { UnparsableCode } from '../../../src/domain/commands/getopt.js';
import { parseArguments, withoutParameters } from '../../../src/domain/commands/parse.js';
import { canonicalArguments } from '../../../src/domain/meaning/canonical.js';

function parse(series: Series, line: string[]) {
  const found = resolveCommand(series, line);
  assert.ok(found, line.join(' '));
  return parseArguments(series, found.command, found.args);
}

type Row = { series?: Series; line: string[]; canonical: string[] };

/** Queries in which the server compares "inbox" letter by letter (measured on 2.3.19.1 and 2.4.1): they select nothing, or another mailbox. */
const namesAsWritten = [
  'mailbox inbox mailbox * all',
  'mailbox Inbox not mailbox Trash all',
  '( mailbox inbox or mailbox Trash ) all',
  'mailbox inbox or seen',
  'mailbox inbox.Sub all',
  'mailbox inbox/Sub all',
  'mailbox inbox.* all',
].map((text) => text.split(' '));

const accepted: Row[] = [
  { line: ['quota get'], canonical: ['--'] },
  { line: ['quota get', '-u', 'bob', '--'], canonical: ['-u', 'bob', '--'] },
  { line: ['quota get', '-ubob'], canonical: ['-u', 'bob', '--'] },
  { line: ['quota get', '--user', 'bob'], canonical: ['-u', 'bob', '--'] },
  { line: ['quota get', '--user=bob'], canonical: ['-u', 'bob', '--'] },
  { line: ['quota get', '--user='], canonical: ['-u', '', '--'] },
  { line: ['quota get', '-u=bob'], canonical: ['-u', '=bob', '--'] },
  { line: ['mailbox delete', 'Old', '-rs'], canonical: ['-s', '-r', '--', 'Old'] },
  { line: ['mailbox delete', '-su', 'x', 'Old'], canonical: ['-u', 'x', '-s', '--', 'Old'] },
  { line: ['mailbox delete', '--', 'Old', '-r'], canonical: ['--', 'Old', '-r'] },
  { line: ['mailbox delete', 'Old', '--', '--', '-r'], canonical: ['--', 'Old', '--', '-r'] },
  { line: ['mailbox delete', '-'], canonical: ['--', '-'] },
  { line: ['mailbox delete', ''], canonical: ['--', ''] },
  { line: ['mailbox delete', '-u', '-r', 'Old'], canonical: ['-u', '-r', '--', 'Old'] },
  { line: ['mailbox delete', '-u', '--', 'Old'], canonical: ['-u', '--', '--', 'Old'] },
  { line: ['mailbox path', '-t', 'alt-dir', 'A'], canonical: ['-t', 'alt-dir', '--', 'A'] },
  {
    series: '2.4',
    line: ['mailbox path', '-tindex-cache', 'A'],
    canonical: ['-t', 'index-cache', '--', 'A'],
  },
  { line: ['mailbox update', '-N', '007', '-R', '7', 'A'], canonical: ['-N', '7', '-R', '7', '--', 'A'] },
  { line: ['sieve get', '..main'], canonical: ['--', '..main'] },
  {
    line: ['user', '-x', 'service=', '-x', 'rip=::1', 'bob'],
    canonical: ['-x', 'service=', '-x', 'rip=::1', '--', 'bob'],
  },
  { series: '2.4', line: ['kick', 'bob', '192.0.2.1'], canonical: ['--', 'bob', '192.0.2.1'] },
  { line: ['mailbox metadata get', 'INBOX', '/private'], canonical: ['--', 'INBOX', '/private'] },
  { line: ['mailbox status', 'messages', 'inbox'], canonical: ['--', 'messages', 'INBOX'] },
  { line: ['mailbox list', 'inb*', 'INBOX'], canonical: ['--', 'inb*', 'INBOX'] },
  { line: ['mailbox rename', '--new-name=B', 'A'], canonical: ['--', 'A', 'B'] },
  { line: ['mailbox rename', 'A', '--new-name', 'B'], canonical: ['--', 'A', 'B'] },
  { line: ['mailbox mutf7', '-8', '-7', 'x'], canonical: ['-7', '-8', '--', 'x'] },
  { line: ['mailbox list', '-8', '-s', 'a', 'b'], canonical: ['-8', '-s', '--', 'a', 'b'] },
  { line: ['mailbox list', '--mailbox-mask=a', '--mailbox-mask', 'b'], canonical: ['--', 'a', 'b'] },
  { line: ['save', '--file=/etc/passwd'], canonical: ['--', '/etc/passwd'] },
  { line: ['fetch', 'uid  flags ', 'all'], canonical: ['--', 'uid flags', 'all'] },
  { line: ['fetch', 'UID hdr.Subject', 'all'], canonical: ['--', 'uid hdr.subject', 'all'] },
  { line: ['fetch', '--fieldstr=uid', 'all'], canonical: ['--', 'uid', 'all'] },
  {
    line: ['fetch', '--field', 'uid', '--field=flags', '--query', 'all'],
    canonical: ['--', 'uid flags', 'all'],
  },
  {
    line: ['fetch', 'uid', '--query=mailbox', '--query=INBOX'],
    canonical: ['--', 'uid', 'mailbox', 'INBOX'],
  },
  { series: '2.4', line: ['flags add', '\\Seen  work', 'all'], canonical: ['--', '\\Seen work', 'all'] },
  { line: ['copy', 'Dst', 'user', 'bob', 'all'], canonical: ['--', 'Dst', 'user', 'bob', 'all'] },
  { line: ['copy', 'Dst', 'source-user', 'bob', 'all'], canonical: ['--', 'Dst', 'user', 'bob', 'all'] },
  { line: ['copy', 'Dst', 'mailbox', 'INBOX'], canonical: ['--', 'Dst', 'mailbox', 'INBOX'] },
  {
    line: ['move', '--destination-mailbox=D', 'user', 'bob', 'mailbox', 'INBOX', 'all'],
    canonical: ['--', 'D', 'user', 'bob', 'mailbox', 'INBOX', 'all'],
  },
  {
    series: '2.3',
    line: ['copy', 'Dst', 'USER', 'bob', 'all'],
    canonical: ['--', 'Dst', 'user', 'bob', 'all'],
  },
  {
    series: '2.3',
    line: ['copy', '--source-type=uSeR', '--source-user=bob', 'Dst', 'all'],
    canonical: ['--', 'Dst', 'user', 'bob', 'all'],
  },
  {
    series: '2.4',
    line: ['copy', '--source-user=bob', 'Dst', 'all'],
    canonical: ['--', 'Dst', 'user', 'bob', 'all'],
  },
  {
    series: '2.4',
    line: ['copy', 'Dst', '--source-user', 'bob', 'all'],
    canonical: ['--', 'Dst', 'user', 'bob', 'all'],
  },
  { series: '2.3', line: ['log errors', '-s', '-007'], canonical: ['-s', '-7', '--'] },
  { line: ['log errors', '-s0'], canonical: ['-s', '0', '--'] },
  { line: ['stats add', 'n', 'f', '--fields', 'x'], canonical: ['--fields=x', '--', 'n', 'f'] },
  { line: ['sync', '-f', '--', 'a', '-R', '--'], canonical: ['-f', '--', 'a', '-R', '--'] },
  { line: ['sync', '-f', 'a', '--', '-R'], canonical: ['-f', '--', 'a', '--', '-R'] },
  { line: ['sync', '-', '-R'], canonical: ['--', '-', '-R'] },
  { line: ['dsync-server', '-u', 'bob'], canonical: ['-u', 'bob', '--'] },
  {
    line: ['mailbox delete', 'inbox', 'InBox/x', 'inboxes'],
    // Below the INBOX the server folds it only before its own separator: mdbox has inbox.x beside INBOX.x (measured on 2.3.19.1).
    canonical: ['--', 'INBOX', 'InBox/x', 'inboxes'],
  },
  { line: ['mailbox list', 'inbox.%'], canonical: ['--', 'inbox.%'] },
  {
    line: ['mailbox status', 'messages', 'inbox/x', 'Work'],
    canonical: ['--', 'messages', 'inbox/x', 'Work'],
  },
  {
    line: ['search', 'mailbox', 'inbox', 'subject', 'inbox'],
    canonical: ['--', 'mailbox', 'INBOX', 'subject', 'inbox'],
  },
  ...namesAsWritten.map((query) => ({ line: ['search', ...query], canonical: ['--', ...query] })),
  {
    line: ['mailbox metadata get', 'x', '/Private/Vendor/vendor.dovecot/PVT/k'],
    canonical: ['--', 'x', '/private/vendor/vendor.dovecot/pvt/k'],
  },
  { line: ['flags remove', '\\sEEN Work', 'all'], canonical: ['--', '\\Seen Work', 'all'] },
  { series: '2.3', line: ['mailbox delete', 'Wor\u212A'], canonical: ['--', 'Wor\u212A'] },
  { line: ['mailbox delete', 'Ünïcode'], canonical: ['--', 'Ünïcode'] },
];

for (const { series, line, canonical } of accepted) {
  for (const one of series === undefined ? allSeries : [series]) {
    test(`${one} takes ${JSON.stringify(line)}`, () => {
      const parsed = parse(one, line);
      assert.equal(parsed.kind, 'parsed', parsed.kind === 'unparsable' ? parsed.message : '');
      if (parsed.kind === 'parsed') assert.deepEqual(canonicalArguments(parsed), canonical);
    });
  }
}

const refused: { series?: Series; line: string[]; code: UnparsableCode }[] = [
  { line: ['quota get', '-x'], code: 'unknown-option' },
  { line: ['quota get', '-Ax'], code: 'unknown-option' },
  { line: ['quota get', '-:'], code: 'unknown-option' },
  { line: ['quota get', '-W', 'foo'], code: 'unknown-option' },
  { line: ['quota get', '-W;foo'], code: 'unknown-option' },
  { line: ['quota get', '-A-'], code: 'unknown-option' },
  { line: ['quota get', '-ü'], code: 'unknown-option' },
  { line: ['quota get', '--bogus'], code: 'unknown-option' },
  { line: ['quota get', '--A'], code: 'unknown-option' },
  { line: ['quota get', '--USER=bob'], code: 'unknown-option' },
  { line: ['quota get', '--user =bob'], code: 'unknown-option' },
  { line: ['quota get', '---user'], code: 'unknown-option' },
  { line: ['quota get', '--u', 'bob'], code: 'abbreviated-option' },
  { line: ['quota get', '--all'], code: 'abbreviated-option' },
  { line: ['quota get', '--socket=/x'], code: 'abbreviated-option' },
  { line: ['quota get', '--=x'], code: 'abbreviated-option' },
  { line: ['quota get', '--all-users=1'], code: 'value-not-taken' },
  { line: ['quota get', '--all-users='], code: 'value-not-taken' },
  { line: ['quota get', '--all-users', 'false'], code: 'surplus-argument' },
  { line: ['quota get', '-u'], code: 'value-missing' },
  { line: ['quota get', '--user'], code: 'value-missing' },
  { line: ['quota get', '-u', 'a', '-u', 'a'], code: 'repeated-option' },
  { line: ['quota get', '-u', 'a', '--user=b'], code: 'repeated-option' },
  { line: ['quota get', '-AA'], code: 'repeated-option' },
  { line: ['save', '--file=a', '--file=b'], code: 'repeated-option' },
  { line: ['quota get', 'x'], code: 'surplus-argument' },
  { line: ['quota get', '--', '-u', 'x'], code: 'surplus-argument' },
  { line: ['mailbox rename', 'a', 'b', 'c'], code: 'surplus-argument' },
  { line: ['mailbox rename', 'a'], code: 'argument-missing' },
  { line: ['mailbox rename', '--new-name=b'], code: 'argument-missing' },
  { line: ['mailbox delete'], code: 'argument-missing' },
  { line: ['fetch', 'uid'], code: 'argument-missing' },
  { line: ['fetch', '', 'all'], code: 'argument-missing' },
  { line: ['fetch', '  ', 'all'], code: 'argument-missing' },
  { line: ['search'], code: 'argument-missing' },
  { line: ['copy', 'Dst'], code: 'argument-missing' },
  { series: '2.3', line: ['copy', 'Dst', 'user', 'bob'], code: 'argument-missing' },
  { series: '2.4', line: ['copy', 'Dst', 'user', 'bob'], code: 'argument-missing' },
  { line: ['fetch', '--field', 'uid', 'uid', 'all'], code: 'ambiguous-argument' },
  { line: ['fetch', '--field', 'uid', 'all'], code: 'ambiguous-argument' },
  { line: ['fetch', '--field', 'uid flags', '--query', 'all'], code: 'ambiguous-argument' },
  { line: ['search', '--query', 'mailbox', 'INBOX'], code: 'ambiguous-argument' },
  { series: '2.3', line: ['director status', '--tag=t'], code: 'ambiguous-argument' },
  { series: '2.4', line: ['copy', 'Dst', 'USER', 'bob', 'all'], code: 'query-invalid' },
  { series: '2.4', line: ['copy', '--query=user', '--query=x', 'Dst'], code: 'query-invalid' },
  { line: ['copy', 'Dst', 'user', 'a', 'user', 'b', 'all'], code: 'query-invalid' },
  { line: ['copy', 'Dst', 'Source-User', 'b', 'all'], code: 'query-invalid' },
  { line: ['log errors', '-s', '+5'], code: 'number-invalid' },
  { line: ['log errors', '-s', ' 5'], code: 'number-invalid' },
  { line: ['log errors', '-s', '0x10'], code: 'number-invalid' },
  { line: ['log errors', '-s', '5k'], code: 'number-invalid' },
  { line: ['log errors', '-s', ''], code: 'number-invalid' },
  { line: ['log errors', '-s', '-'], code: 'number-invalid' },
  { line: ['log errors', '-s', '٣'], code: 'number-invalid' },
  { line: ['log errors', '-s', '5\n'], code: 'number-invalid' },
  { line: ['log errors', '-s', '9223372036854775808'], code: 'number-invalid' },
  { series: '2.4', line: ['log errors', '-s', '-1'], code: 'number-invalid' },
  { line: ['mailbox list', 'IN\0BOX'], code: 'text-invalid' },
  { line: ['mailbox list', 'inbox', 'Archive'], code: 'ambiguous-argument' },
  { line: ['mailbox status', 'messages', 'Archive', 'Inbox'], code: 'ambiguous-argument' },
  { line: ['search', 'bogus'], code: 'query-invalid' },
  { line: ['search', 'mailbox INBOX'], code: 'query-invalid' },
  { line: ['fts lookup', 'mailbox'], code: 'query-invalid' },
  { line: ['expunge', 'all'], code: 'query-invalid' },
  { line: ['expunge', 'mailbox', 'INBOX'], code: 'query-invalid' },
  { line: ['expunge', 'mailbox', 'A', 'seen', 'OR', 'all'], code: 'query-invalid' },
  { line: ['move', 'Dst', 'user', 'bob', 'all'], code: 'query-invalid' },
  { series: '2.3', line: ['oldstats dump', 'global\tuser=a'], code: 'text-invalid' },
  // The director read a command of its own behind the line end, and removed the host (2.3.19.1).
  { series: '2.3', line: ['director status', '', 'x\nHOST-REMOVE\t192.0.2.1'], code: 'text-invalid' },
  { series: '2.3', line: ['director map', '192.0.2.1\tx'], code: 'text-invalid' },
  { series: '2.3', line: ['replicator status', '*\nREMOVE\ta@b'], code: 'text-invalid' },
  { line: ['process status', 'imap\nSTOP'], code: 'text-invalid' },
  { line: ['auth cache flush', 'a@b\rx'], code: 'text-invalid' },
  { line: ['who', 'a\u007f'], code: 'text-invalid' },
  { series: '2.4', line: ['mailbox delete', 'Wor\u212A'], code: 'text-invalid' },
  { series: '2.4', line: ['mailbox list', 'U\u0308*'], code: 'text-invalid' },
  { series: '2.4', line: ['search', 'mailbox', 'U\u0308', 'all'], code: 'text-invalid' },
  { line: ['mailbox update', '-N', 'x', 'New'], code: 'number-invalid' },
  { line: ['mailbox update', '-H', '-1', 'New'], code: 'number-invalid' },
  { line: ['mailbox update', '-V', '4294967296', 'New'], code: 'number-invalid' },
  { line: ['index', '-n', '-1', 'INBOX'], code: 'number-invalid' },
  { line: ['index', '-n', '', 'INBOX'], code: 'number-invalid' },
  { line: ['mailbox metadata set', 'INBOX', '/private/', 'x'], code: 'argument-missing' },
  { line: ['mailbox metadata unset', 'INBOX', '/shared'], code: 'argument-missing' },
  { line: ['quota get', '--trans-flags=-1'], code: 'number-invalid' },
  { line: ['sync', '-T', '4294967296', '--', 'x'], code: 'number-invalid' },
  { series: '2.4', line: ['save', '-U', '4294967296'], code: 'number-invalid' },
  { series: '2.3', line: ['mailbox cryptokey password', '-O', '-n', 'x'], code: 'ambiguous-argument' },
  { line: ['mailbox metadata get', '', '/private/x'], code: 'argument-missing' },
];

for (const { series, line, code } of refused) {
  for (const one of series === undefined ? allSeries : [series]) {
    test(`${one} refuses ${JSON.stringify(line)}: ${code}`, () => {
      const parsed = parse(one, line);
      assert.equal(parsed.kind === 'unparsable' ? parsed.code : canonicalArguments(parsed).join(' '), code);
    });
  }
}

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
      const parsed = parse(series, line);
      assert.equal(parsed.kind, 'unparsable', line.join(' '));
      if (parsed.kind === 'unparsable')
        assert.equal(parsed.message.includes('hunter2'), false, parsed.message);
    }
  }
});

test('values are found under the long name, a bool as "true"', () => {
  const parsed = parse('2.4', ['mailbox delete', '-r', 'A', 'B']);
  assert.equal(parsed.kind, 'parsed');
  if (parsed.kind !== 'parsed') return;
  assert.deepEqual(
    [...parsed.values],
    [
      ['recursive', ['true']],
      ['mailbox', ['A', 'B']],
    ],
  );
  assert.equal(parsed.values.has('recursive'), true);
  assert.equal(parsed.values.has('unsafe'), false);
});

test('parameters can be taken out, and the canonical form follows', () => {
  const parsed = parse('2.3', ['quota get', '-A', '-u', 'bob']);
  assert.equal(parsed.kind, 'parsed');
  if (parsed.kind === 'parsed')
    assert.deepEqual(canonicalArguments(withoutParameters(parsed, ['user', 'all-users'])), ['--']);
});
