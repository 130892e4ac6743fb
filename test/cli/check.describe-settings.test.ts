// Goal: `check --verbose` tells who may log in where, and how that is proved; never what a password is compared with.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeSettings } from '../../src/cli/check.js';
import { hash, withJobs } from '../domain/config/jobs.js';
import { settingsOf } from '../domain/config/sound.js';

void test('accounts and their proofs', () => {
  const pin = `sha256:${'ab'.repeat(32)}`;
  const text = describeSettings(
    settingsOf(
      withJobs(`accounts: {
      migrator: { password_hash: "${hash}", policy: support },
      backup: { certificate_name: B.example.com, policy: support },
      robot: { key_pins: ["${pin}"], password_hash: "${hash}", policy: support } }`),
    ),
  );
  const told = text.split('\n').filter((line) => line.includes('account'));
  assert.deepEqual(told, [
    '  policy support for account migrator, by a password',
    '  policy support for account backup, by a certificate of b.example.com',
    `  policy support for account robot, by a password, or by a certificate with key ${pin}`,
  ]);
  assert.ok(!text.includes('scrypt'));
});
