// Goal: `check --verbose` tells who may log in where, and how that is proved; never what a password is compared with; and where a record is
// before its command is sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeSettings } from '../../src/cli/check.js';
import { hash, withJobs } from '../domain/config/jobs.js';
import { settingsOf, sound } from '../domain/config/sound.js';

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

void test('keys, with when and where they hold', () => {
  const [one, two] = ['1', '2'].map((digit) => `sha256$${digit.repeat(64)}`);
  const keys = `keys: { modoboa: { hash: "${one}", policy: support, expires: 2027-06-30, from: [192.0.2.0/24] },
      graph: { hash: [{ hash: "${two}" }, { hash: "sha256$${'3'.repeat(64)}" }], policy: support } }`;
  const text = describeSettings(
    settingsOf(withJobs(`tls: { certificate: c, key: k }\n    protocol: http\n    ${keys}`, ['accounts'])),
  );
  assert.deepEqual(
    text.split('\n').filter((line) => / key |jobs/.test(line)),
    [
      'listener jobs: tcp:0.0.0.0:24246 http',
      '  policy support for key modoboa, until 2027-06-30, from 192.0.2.0/24',
      '  policy support for key graph, 2 hashes',
    ],
  );
  assert.ok(!text.includes('sha256'));
});

void test('where records are before a command is sent', () => {
  const records = (audit: string): string | undefined =>
    describeSettings(settingsOf(`${sound}audit: { directory: /a, memory_size: 3MiB, ${audit} }\n`))
      .split('\n')
      .find((line) => line.startsWith('records'));
  const synced = 'records /a: on disk before a command is sent';
  assert.equal(records('memory: /run/ring'), `${synced}; of read in /run/ring (3072 KiB)`);
  assert.equal(records('memory: off'), synced);
  assert.equal(records('strict: [read, session, write, admin, destroy]'), synced);
});

void test('a socket of systemd: its unit says who may connect', () => {
  const told = (listener: string): readonly string[] =>
    describeSettings(settingsOf(sound.replace(/unix: [^,}]+/, listener)))
      .split('\n')
      .filter((line) => /^listener support|^  policy support/.test(line));
  assert.deepEqual(told('systemd: support'), [
    'listener support: handed over by systemd as support',
    '  policy support for everybody whom SocketMode= and SocketGroup= of dovegate@support.socket let connect',
  ]);
});
