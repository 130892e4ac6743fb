// What people on the page are told of receivers: words of ours, never what a receiver said.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { receiversOf } from '../../../src/gate/daemon/now-source.js';
import type { RunningSink } from '../../../src/gate/now/running.js';
import { fault } from '../../kit/gate/running.js';

void test('a receiver that is away is told by its code', () => {
  const text = 'certificate, name, pin, or a file of ours';
  const away = fault('tls-failed', 'its certificate says bob@example.com', text);
  const sinks: RunningSink[] = [
    { name: 'siem', state: 'connected', fault: undefined, lagRecords: 2, lagMs: 0, safeSeq: 10 },
    { name: 'far', state: 'away', fault: away, lagRecords: 12, lagMs: 0, safeSeq: 0 },
  ];
  assert.deepEqual(receiversOf(sinks), [
    { name: 'siem', state: 'connected', text: undefined, lagRecords: 2, safeSeq: 10 },
    { name: 'far', state: 'away', text, lagRecords: 12, safeSeq: 0 },
  ]);
});
