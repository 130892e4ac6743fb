// Goal: what holds between listeners: policies that exist, sockets that differ, also from where operators ask.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withJobs } from './jobs.js';
import { settingsOf, told } from './sound.js';

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
