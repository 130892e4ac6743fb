// Goal: the networks of a listener as written, and what is told of those that are none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withJobs } from './jobs.js';
import { settingsOf, told } from './sound.js';

void test('what is written is kept, and what is no network is told', () => {
  const { listeners } = settingsOf(withJobs('from: [192.0.2.0/24, "2001:db8::/32", "::1"]'));
  assert.deepEqual(listeners[1]?.from, ['192.0.2.0/24', '2001:db8::/32', '::1']);
  const at = (text: string) => told(withJobs(`from: [${text}]`));
  for (const wrong of [
    '192.0.2',
    '192.0.2.0/33',
    '"2001:db8::/129"',
    'mail.example.com',
    '192.0.2.0/-1',
    '1.2.3.256',
    '"10"',
    '"cafe"',
    '192.0.02.1',
    '"10/32"',
  ]) {
    assert.deepEqual(at(wrong), [
      '5:12: listeners.jobs.from[0]: must be an address or a network, as 192.0.2.7, 192.0.2.0/24 or "2001:db8::/32"',
    ]);
  }
  assert.deepEqual(at('192.0.2.1/24'), [
    '5:12: listeners.jobs.from[0]: has bits set beyond its length; write the first address of the network',
  ]);
});
