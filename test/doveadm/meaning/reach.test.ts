import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf, type Series } from '../../../src/doveadm/commands/catalog.js';
import {
  mayBeSecretField,
  namesSeveral,
  reconcileUserOptions,
  sharedReach,
  touchedUsers,
  userdbContent,
} from '../../../src/doveadm/meaning/reach.js';
import { isAddress } from '../../../src/doveadm/names/glob.js';
import { maskCovers } from '../../../src/doveadm/names/mask.js';
import { accept } from '../commands/reading.js';
import { withoutArguments } from './parsed-command.js';

/** `kind: users / masks`, the line's user being bob. */
function touched(series: Series, line: string[]): string {
  const who = touchedUsers(accept(series, line), 'bob');
  const names = who.users.map((one) => one.value).join(' ');
  const masks = who.masks.map((one) => `${one.parameter}=${one.value}`).join(' ');
  return `${who.kind}: ${names}${masks === '' ? '' : ` / ${masks}`}`;
}

void test('what names several things, of which a failed command may have done some', () => {
  const several: readonly string[][] = [
    ['mailbox delete', 'A', 'B'],
    ['mailbox delete', '-r', 'A'],
    ['mailbox create', 'A', 'B'],
    ['auth cache flush', 'eve', 'mallory'],
    ['sieve delete', 'a', 'b'],
    ['service stop', 'imap', 'pop3'],
    ['expunge', 'mailbox', 'A*', 'all'],
    ['flags add', '\\Seen', 'all'],
    ['flags add', '\\Seen', '(', 'mailbox', 'A', 'OR', 'mailbox', 'B', ')'],
  ];
  const single: readonly string[][] = [
    ['mailbox delete', 'A'],
    ['mailbox rename', 'A', 'B'],
    ['kick', 'eve'],
    ['expunge', 'mailbox', 'A', 'uid', '1,2,3'],
    ['flags add', '\\Seen \\Deleted', 'mailbox', 'A', 'all'],
    ['acl set', 'INBOX', 'user=eve', 'read', 'lookup'],
    ['auth cache flush', 'eve'],
  ];
  for (const series of allSeries) {
    for (const line of several) assert.ok(namesSeveral(accept(series, line)), `${series} ${line.join(' ')}`);
    for (const line of single) assert.ok(!namesSeveral(accept(series, line)), `${series} ${line.join(' ')}`);
  }
});

const rows: [line: string[], shown: string, only?: Series][] = [
  [['mailbox list'], 'named: bob'],
  [['quota get', '-u', 'eve'], 'named: bob'],
  [['mailbox list', '-A'], 'all: bob'],
  [['mailbox list', '-F', '/etc/passwd'], 'unknown: bob'],
  [['mailbox list', '-A', '-F', '/x'], 'unknown: bob'],
  [['copy', 'Dst', 'user', 'eve', 'all'], 'named: bob eve'],
  [['copy', 'Dst', 'user', 'BOB', 'all'], 'named: bob BOB'],
  [['copy', 'Dst', 'user', '*', 'all'], 'all: bob / source-user=*'],
  [['copy', 'Dst', 'user', '', 'all'], 'named: bob / source-user='],
  [['import', '-U', 'eve', 'maildir:/x', '', 'all'], 'named: bob eve'],
  [['acl set', 'INBOX', 'user=eve', 'read'], 'named: bob eve'],
  [['acl set', 'INBOX', 'anyone', 'read'], 'named: bob / id=anyone'],
  [['acl add', 'INBOX', 'group=staff', 'read'], 'named: bob / id=group=staff'],
  [['acl set', 'INBOX', 'owner', 'read'], 'named: bob'],
  [['acl set', 'INBOX', 'user=bob', 'read'], 'named: bob bob'],
  [['who'], 'all: '],
  [['who', 'eve'], 'named: eve'],
  [['who', 'eve', 'mallory'], 'named: eve mallory'],
  [['who', '*'], 'all:  / mask=*'],
  [['who', '**?'], 'all:  / mask=**?'],
  [['who', 'e*'], 'named:  / mask=e*'],
  [['who', '192.0.2.0/24'], 'named:  / mask=192.0.2.0/24'],
  [['who', '--', '1'], 'named: 1'],
  [['who', '-f', 'account', 'eve'], 'named:  / mask=eve', '2.4'],
  [['kick', 'eve'], 'named: eve'],
  [['kick', '--mask=eve'], 'named: eve'],
  [['kick', 'eve', '::1'], 'named: eve / mask=::1'],
  [['kick', '-h', '192.0.2.1', 'eve'], 'named: eve', '2.4'],
  [['proxy list'], 'all: '],
  [['proxy kick', '-h', 'x'], 'all: ', '2.3'],
  [['proxy kick', 'eve'], 'named: eve'],
  [['user', 'eve'], 'named: eve'],
  [['user', 'eve', 'mallory'], 'named: eve mallory'],
  [['user', '*@example.org'], 'named:  / user-mask=*@example.org'],
  [['auth cache flush', '*'], 'all:  / user=*', '2.3'],
  [['auth cache flush', '*'], 'all:  / user-mask=*', '2.4'],
  [['auth cache flush', 'eve'], 'named: eve'],
  [['log errors'], 'all: '],
  [['replicator status'], 'all: ', '2.3'],
  [['replicator status', 'eve'], 'named: eve', '2.3'],
  [['replicator replicate', '*'], 'all:  / user-mask=*', '2.3'],
  [['replicator dsync-status'], 'all: ', '2.3'],
  [['director kick', 'eve'], 'named: eve', '2.3'],
  [['director status'], 'named: ', '2.3'],
  [['director flush', 'all'], 'all: ', '2.3'],
  [['indexer list'], 'all: ', '2.4'],
  [['oldstats dump', 'user'], 'all: ', '2.3'],
  [['oldstats dump', 'session', 'connected'], 'all: ', '2.3'],
  [['oldstats dump', 'user', 'user=eve'], 'all: ', '2.3'],
  [['oldstats dump', 'ip'], 'all: ', '2.3'],
  [['oldstats dump', 'global'], 'named: ', '2.3'],
  [['oldstats dump', 'global', 'x\tEXPORT\tuser'], 'all: ', '2.3'],
  [['indexer add', 'eve', 'INBOX'], 'named: eve', '2.4'],
  [['indexer remove', 'e*', 'INBOX'], 'named:  / user-mask=e*', '2.4'],
  [['mailbox mutf7', 'x'], 'named: '],
  [['stats dump'], 'named: '],
  [['reload'], 'named: '],
  [['dict get', '-u', 'eve', 'file:/x', 'priv/k'], 'unknown: eve'],
  [['batch', ':', 'fetch', 'uid', 'all'], 'unknown: bob', '2.3'],
  [['mail dict get', 'x', 'k'], 'named: bob', '2.4'],
];

for (const [line, shown, only] of rows) {
  for (const series of only === undefined ? allSeries : [only]) {
    test(`${series}: ${line.join(' ')} touches ${shown}`, () => assert.equal(touched(series, line), shown));
  }
}

test('no command of scope server touches the user of the line', () => {
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      if (command.scope === 'user') continue;
      const parsed = withoutArguments(command, series);
      assert.deepEqual(touchedUsers(parsed, 'bob').users, [], command.name);
    }
  }
});

test('what who and kick take for an address', () => {
  const addresses =
    '192.0.2.1 192.0.2.0/24 ::1 [::1] fe80::1%eth0 10.1 0x7f000001 0x7f.1 010.1 1/8 0X0A.1 eve/8 10.';
  for (const value of addresses.split(' ')) assert.equal(isAddress(value), true, value);
  for (const value of ['eve', '1234', 'eve@192.0.2.1', '0xeve', 'a.b', '1.2.3.4.5', 'x10.1'])
    assert.equal(isAddress(value), false, value);
});

test('masks cover texts, and take no longer than they must', () => {
  const pairs = (text: string) => text.split(' ').map((pair) => pair.split('|'));
  for (const [mask = '', text = ''] of pairs('*| *|bob b*b|bob b?b|bob *@x|a@x **b|bob bob*|bob *o*|bob'))
    assert.equal(maskCovers(mask, text), true, `${mask} ${text}`);
  for (const [mask = '', text = ''] of pairs('|bob ?| bo|bob b?|bob *@x|a@xy *z*|bob b*z|bob'))
    assert.equal(maskCovers(mask, text), false, `${mask} ${text}`);
  assert.equal(maskCovers(`${'*a'.repeat(2000)}b`, 'a'.repeat(20_000)), false);
});

const settled: [line: string[], minor: number, shown: string][] = [
  [['quota get'], 2, ''],
  [['quota get', '-u', 'bob'], 2, ''],
  [['quota get', '-u', 'BOB'], 3, ''],
  [['quota get', '-A'], 2, 'cell'],
  [['quota get', '-A'], 0, 'cell'],
  [['quota get', '-A'], 3, 'all -A'],
  [['quota get', '-A', '-u', 'bob'], 4, 'all -A'],
  [['quota get', '-u', '*'], 2, 'cell'],
  [['quota get', '-u', 'b*'], 1, 'cell'],
  [['quota get', '-A', '-u', '?ob'], 2, 'cell'],
  [['quota get', '-u', '*'], 3, ''],
  [['quota get', '-u', 'eve'], 2, 'user-invalid'],
  [['quota get', '-u', 'e*'], 2, 'user-invalid'],
  [['quota get', '-u', ''], 2, 'user-invalid'],
  [['quota get', '-A', '-u', 'eve'], 3, 'user-invalid'],
  [['dict get', '-u', 'eve', 'x', 'priv/k'], 2, '-u eve x priv/k'],
  [['who', 'eve'], 3, 'eve'],
];

for (const [line, minor, shown] of settled) {
  for (const series of allSeries) {
    test(`${series}: ${line.join(' ')} of a client of minor ${minor}: ${shown}`, () => {
      const settledUser = reconcileUserOptions(accept(series, line), 'bob', minor);
      if (settledUser.kind === 'unparsable') return assert.equal(settledUser.code, shown);
      const words = [...settledUser.parsed.values].flatMap(([name, values]) => {
        if (name === 'all-users') return '-A';
        return name === 'user' ? ['-u', ...values] : values;
      });
      const flags = [settledUser.wantsUsernameCell && 'cell', settledUser.isAllUsers && 'all'].filter(
        Boolean,
      );
      return assert.equal([...flags, ...words].join(' '), shown);
    });
  }
}

test('`-A` on a line without a user is for all users, whatever the minor; a mask there stays a column', () => {
  for (const minor of [0, 1, 2, 3, 4]) {
    const settledUser = reconcileUserOptions(accept('2.4', ['quota get', '-A']), '', minor);
    assert.ok(settledUser.kind === 'reconciled' && settledUser.isAllUsers, String(minor));
    assert.equal(settledUser.wantsUsernameCell, false);
    assert.ok(settledUser.parsed.values.has('all-users'));
  }
  const masked = reconcileUserOptions(accept('2.4', ['quota get', '-u', '*']), '', 2);
  assert.ok(masked.kind === 'reconciled' && !masked.isAllUsers);
});

test('names are completed before they are compared', () => {
  const parsed = accept('2.4', ['quota get', '-u', 'bob']);
  const complete = (user: string): string => (user.includes('@') ? user : `${user}@example.org`);
  assert.equal(reconcileUserOptions(parsed, 'bob@example.org', 3).kind, 'unparsable');
  assert.equal(reconcileUserOptions(parsed, 'bob@example.org', 3, complete).kind, 'reconciled');
});

const prefixes = ['shared/', 'Public/'];

/** The parameter that reaches, whether the prefixes are said or not. */
const rowsOfSharedMailboxes: [line: string[], reaches: string, only?: Series][] = [
  // Measured on 2.3.19.1 and 2.4.1: it lists what others have shared, as `*` does.
  [['mailbox list'], 'mailbox-mask'],
  [['mailbox list', '-s'], 'mailbox-mask'],
  [['mailbox list', 'Trash*'], ''],
  [['mailbox list', 'shared/eve/INBOX'], 'mailbox-mask'],
  [['mailbox list', 'SHARED/eve'], 'mailbox-mask'],
  [['mailbox list', '*'], 'mailbox-mask'],
  [['mailbox list', '%'], 'mailbox-mask'],
  [['mailbox list', 's%'], 'mailbox-mask'],
  [['mailbox list', 'sh*/x'], 'mailbox-mask'],
  [['mailbox list', 'INBOX', 'Pub*'], 'mailbox-mask'],
  [['mailbox list', 'Sent*'], ''],
  [['mailbox status', 'messages', 'INBOX'], ''],
  [['mailbox status', 'messages', '*'], 'mailbox-mask'],
  [['mailbox delete', 'shared'], 'mailbox'],
  [['mailbox delete', 'shared/eve'], 'mailbox'],
  [['mailbox delete', 'sharedx'], ''],
  [['mailbox delete', 'INBOX/shared/x'], ''],
  [['mailbox rename', 'Old', 'Public/x'], 'new-name'],
  [['mailbox create', '*'], ''],
  [['copy', 'shared/eve/INBOX', 'mailbox', 'INBOX'], 'destination-mailbox'],
  [['copy', 'Dst', 'mailbox', 'shared/eve'], 'query'],
  // Measured on 2.3.19.1 and 2.4.1: it finds the INBOX that another user shares, and `flags` changes mail there.
  [['search', 'all'], 'query'],
  [['search', 'mailbox', 'INBOX', 'seen'], ''],
  [['search', 'mailbox', 'INBOX', 'or', 'seen'], 'query'],
  [['search', 'not', 'mailbox', 'INBOX'], 'query'],
  [['search', 'mailbox', '*'], 'query'],
  [['search', 'mailbox', 'Trash*'], ''],
  [['search', 'mailbox', 'INBOX', 'mailbox-guid', 'x'], 'query'],
  [['search', 'mailbox', 'INBOX', 'not', 'mailbox', 'shared/eve'], 'query'],
  [['search', '(', 'mailbox', 'A', 'or', 'mailbox', 'Public/x', ')', 'all'], 'query'],
  [['fts rescan', 'shared/'], 'namespace'],
  [['fts rescan'], ''],
  [['sync', '-N', '--', 'x'], 'all-namespaces'],
  [['sync', '-g', '0123456789abcdef0123456789abcdef', '--', 'x'], 'mailbox-guid'],
  [['quota get'], ''],
  [['save', '-m', 'shared/x'], 'mailbox'],
  [['indexer add', 'bob', 'shared/x'], 'mailbox', '2.4'],
];

for (const [line, reaches, only] of rowsOfSharedMailboxes) {
  for (const series of only === undefined ? allSeries : [only]) {
    test(`${series}: ${line.join(' ')}: ${reaches === '' ? 'stays at home' : `reaches by ${reaches}`}`, () => {
      const parsed = accept(series, line);
      assert.equal(sharedReach(parsed, prefixes) ?? '', reaches);
      assert.equal(sharedReach(parsed, undefined) ?? '', reaches);
      assert.equal(sharedReach(parsed, []), undefined);
    });
  }
}

test('a prefix inside another mailbox is reached from above', () => {
  const parsed = accept('2.4', ['mailbox delete', '-r', 'INBOX']);
  assert.equal(sharedReach(parsed, ['INBOX/shared/']), 'mailbox');
  assert.equal(sharedReach(parsed, ['INBOXES/shared/']), undefined);
});

test('fields whose names say that they are secret, or lead to a secret', () => {
  const secret =
    'pass password imapc_password mail_crypt_private_password mail_crypt_private_key mail_crypt_global_private_key oauth2_token';
  const more =
    'submission_relay_password proxy_master_password API_KEY client_secret nonce sasl_auth totp_seed_otp pw mail_pwd pwd password_hash';
  for (const field of `${secret} ${more}`.split(' ')) assert.ok(mayBeSecretField(field), field);
  const plain =
    'uid gid home mail mail_path quota_rule quota_storage_size system_groups_user chroot acl_groups user';
  for (const field of plain.split(' ')) assert.ok(!mayBeSecretField(field), field);
});

const lines: [args: string[], content: string | undefined][] = [
  [['a@b'], 'every field'],
  [['a@b', 'c@d'], 'every field'],
  [['-x', 'service=imap', 'a@b'], 'every field'],
  [['-f', 'home', 'a@b'], undefined],
  [['--field=imapc_password', 'a@b'], 'a field that may be secret'],
  [['-e', '%{home}', 'a@b'], 'whatever the expansion asks for'],
  [['*'], undefined],
  [['-f', 'imapc_password', 'a?'], undefined],
  [['a@b', '*@b'], undefined],
];

for (const [args, content] of lines) {
  test(`user ${args.join(' ')}: ${content ?? 'nothing secret'}`, () => {
    for (const series of allSeries) assert.equal(userdbContent(accept(series, ['user', ...args])), content);
  });
}

test('other commands show nothing of a userdb', () => {
  for (const series of allSeries) assert.equal(userdbContent(accept(series, ['who', 'a@b'])), undefined);
});
