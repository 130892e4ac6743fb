// Goal: values that servers do not know, or die of, are refused with their code.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, type Series } from '../../../src/domain/commands/catalog.js';
import type { UnparsableCode } from '../../../src/domain/commands/getopt.js';
import { read } from './reading.js';

const refused: { series?: Series; line: string[]; code: UnparsableCode }[] = [
  { line: ['fetch', 'uid bogus', 'all'], code: 'fields-invalid' },
  { line: ['fetch', 'hdr.subject.bogus', 'all'], code: 'fields-invalid' },
  { series: '2.3', line: ['fetch', 'mime.parts', 'all'], code: 'fields-invalid' },
  { line: ['mailbox status', 'MESSAGES', 'INBOX'], code: 'fields-invalid' },
  { line: ['mailbox status', '-t', 'guid', 'INBOX'], code: 'fields-invalid' },
  { line: ['flags add', '\\Bogus', 'all'], code: 'fields-invalid' },
  { series: '2.3', line: ['flags add', '\\Seen  work', 'all'], code: 'fields-invalid' },
  { series: '2.3', line: ['flags replace', 'work ', 'all'], code: 'fields-invalid' },
  { line: ['user', '-u', 'bob'], code: 'kills-server' },
  { line: ['auth cache flush'], code: 'kills-server' },
  // Each of these was a panic, an abort or a fatal end on 2.3.19.1 or 2.4.1.
  { line: ['stats dump', '--fields='], code: 'kills-server' },
  { line: ['stats dump', '--fields=,'], code: 'kills-server' },
  { line: ['stats dump', '--fields= , '], code: 'kills-server' },
  { line: ['stats dump', '-f', '  '], code: 'kills-server' },
  { series: '2.3', line: ['oldstats dump', 'all'], code: 'kills-server' },
  { series: '2.3', line: ['oldstats dump', '--', 'all', 'X'], code: 'kills-server' },
  { series: '2.3', line: ['oldstats dump', ''], code: 'kills-server' },
  { series: '2.3', line: ['oldstats dump', 'user', 'user=a\nRESET'], code: 'kills-server' },
  { series: '2.4', line: ['proxy kick', '--', 'a@b', '%{user}'], code: 'kills-server' },
  { series: '2.4', line: ['proxy kick', '--', 'a@b', '1.2.3.4/33'], code: 'kills-server' },
  { series: '2.4', line: ['kick', '--passdb-field=K', '--', 'default', '/'], code: 'kills-server' },
  { series: '2.4', line: ['kick', 'a@b', '::1/129'], code: 'kills-server' },
  { series: '2.4', line: ['kick', 'a@b', '10.1'], code: 'kills-server' },
  { line: ['backup', '-t', 'x', 'tcp:h'], code: 'kills-server' },
  { line: ['backup', '-e', '-1', 'tcp:h'], code: 'kills-server' },
  { line: ['sync', '-I', '-1', 'tcp:h'], code: 'kills-server' },
  { line: ['backup', '-I', '', 'tcp:h'], code: 'kills-server' },
  { line: ['sync', '-g', 'x', 'tcp:h'], code: 'kills-server' },
  { line: ['sync', '-O', '\\Seen \\Flagged', 'tcp:h'], code: 'kills-server' },
  { line: ['mailbox status', 'deleted', 'INBOX'], code: 'fields-invalid' },
  { line: ['mailbox status', 'messages deleted', 'INBOX'], code: 'fields-invalid' },
  { line: ['auth cache flush', '-a', '/run/x', '--'], code: 'kills-server' },
  { line: ['mailbox metadata get', 'x', 'private/y'], code: 'kills-server' },
  { line: ['mailbox metadata get', 'x', '/privatex'], code: 'kills-server' },
  { line: ['mailbox path', 'a', 'b'], code: 'kills-server' },
  { line: ['mailbox path', '-t', '', 'a'], code: 'kills-server' },
  { line: ['mailbox path', '-t', 'list-index', 'a'], code: 'kills-server' },
  { series: '2.3', line: ['mailbox path', '-t', 'index-cache', 'a'], code: 'kills-server' },
  { line: ['sieve activate', ''], code: 'kills-server' },
  { line: ['sieve put', '../main'], code: 'kills-server' },
  { line: ['sieve rename', 'main', 'a/b'], code: 'kills-server' },
  { line: ['sieve delete', 'main', 'a\rb'], code: 'kills-server' },
  { line: ['sieve get', 'x'.repeat(257)], code: 'kills-server' },
  { line: ['save', '-'], code: 'kills-server' },
  { line: ['sieve put', 'main', '--file=-'], code: 'kills-server' },
  { series: '2.4', line: ['save', '-r', 'x'], code: 'kills-server' },
  { line: ['mailbox create', '-g', 'x', 'New'], code: 'kills-server' },
  { line: ['mailbox update', '-g', '', 'New'], code: 'kills-server' },
  { line: ['mailbox update', '-R', '5', 'New'], code: 'kills-server' },
  { line: ['mailbox update', '-N', '4', '-R', '5', 'New'], code: 'kills-server' },
  { line: ['mailbox cache decision', 'INBOX'], code: 'kills-server' },
  { line: ['mailbox cache decision', '-d', 'no', 'INBOX'], code: 'kills-server' },
  { line: ['mailbox cache decision', '-a', '-d', 'NO', 'INBOX'], code: 'kills-server' },
  { line: ['user', '-x', '', 'bob'], code: 'kills-server' },
  { line: ['user', '-x', 'session=1', 'bob'], code: 'kills-server' },
  { line: ['user', '-x', 'rip=x', 'bob'], code: 'kills-server' },
  { line: ['user', '-x', 'lport=65536', 'bob'], code: 'kills-server' },
  { series: '2.3', line: ['user', '-x', 'protocol=imap', 'bob'], code: 'kills-server' },
  { series: '2.3', line: ['proxy kick', '-f', 'x'], code: 'kills-server' },
  { series: '2.4', line: ['kick', 'bob', 'eve'], code: 'kills-server' },
  { series: '2.4', line: ['proxy kick', '192.0.2.1', '192.0.2.2'], code: 'kills-server' },
  { series: '2.4', line: ['kick', '-h', 'localhost', 'bob'], code: 'kills-server' },
  { line: ['acl set', 'INBOX', 'user=eve', ':admin'], code: 'fields-invalid' },
  { line: ['acl set', 'INBOX', 'user=eve', '--', '-:admin'], code: 'fields-invalid' },
  { line: ['acl set', 'INBOX', 'user=eve', 'Admin'], code: 'fields-invalid' },
  { line: ['acl set', 'INBOX', 'eve', 'read'], code: 'fields-invalid' },
  { line: ['acl set', 'INBOX', 'User=eve', 'read'], code: 'fields-invalid' },
  { line: ['acl set', 'INBOX', 'user=eve\nowner', 'read'], code: 'fields-invalid' },
  { line: ['acl delete', 'INBOX', 'user=eve\r'], code: 'fields-invalid' },
];

for (const { series, line, code } of refused) {
  for (const one of series === undefined ? allSeries : [series]) {
    test(`${one} refuses ${JSON.stringify(line)}: ${code}`, () => {
      const parsed = read(one, line);
      assert.equal(parsed?.kind === 'unparsable' ? parsed.code : JSON.stringify(parsed), code);
    });
  }
}
