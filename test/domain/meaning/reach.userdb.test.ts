import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries } from '../../../src/domain/commands/catalog.js';
import { mayBeSecretField, userdbContent } from '../../../src/domain/meaning/reach.js';
import { accept } from '../commands/reading.js';

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
