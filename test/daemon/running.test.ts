// What people on the page are told of receivers: words of ours, never what a receiver said.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { receiversOf } from '../../src/daemon/running.js';

void test('a receiver that is away is told by its code', () => {
  const sinks: Parameters<typeof receiversOf>[0]['sinks'] = [
    { name: 'siem', state: { at: 'connected' }, lagRecords: 2, lagMs: 0, safeSeq: 10 },
    {
      name: 'far',
      state: { at: 'away', code: 'tls-failed', text: 'its certificate says bob@example.com' },
      lagRecords: 12,
      lagMs: 0,
      safeSeq: 0,
    },
  ];
  const text = 'certificate, name, pin, or a file of ours';
  assert.deepEqual(receiversOf({ sinks }), [
    { name: 'siem', state: 'connected', lagRecords: 2, safeSeq: 10 },
    { name: 'far', state: 'away', text, lagRecords: 12, safeSeq: 0 },
  ]);
});
