// Goal: what holds between listeners: policies that exist, sockets that differ, also from where operators ask.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hash, withJobs } from './jobs.js';
import { settingsOf, told } from './sound.js';

void test('a policy that is not there', () => {
  const text = withJobs(
    `accounts: { a: { password_hash: "${hash}", policy: suport }, b: { certificate_name: b, policy: support } }`,
  );
  assert.deepEqual(told(text), [
    '5:127: listeners.jobs.accounts.a.policy: there is no policy "suport"; did you mean support?',
  ]);
});

void test('one address twice', () => {
  const text = withJobs('').replace(
    'backends:',
    `  more: { tcp: "0.0.0.0:24246", tls: { certificate: c, key: k }, accounts: { a: { password_hash: "${hash}", policy: support } } }\nbackends:`,
  );
  assert.deepEqual(told(text), ['8:11: listeners.more.tcp: is the socket of listener jobs already']);
});

void test('the address of the admin endpoints', () => {
  const text = `${withJobs('tcp: "127.0.0.1:9146"')}admin: { tcp: "127.0.0.1:9146" }\n`;
  assert.match(told(text).join(), /admin.tcp: is the socket of listener jobs already/);
});

void test('a policy that an account has is used', () => {
  const text = withJobs('').replace(
    'policies:',
    'policies:\n  other: { users: ["*@example.com"], allow: [quota get] }',
  );
  assert.match(told(text).join(), /policies.other: no listener uses this policy/);
  settingsOf(text.replace('b.example.com, policy: support', 'b.example.com, policy: other'));
});
