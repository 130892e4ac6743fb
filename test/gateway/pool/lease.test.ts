import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeaseRefusal } from '../../../src/gateway/pool/lease.js';

void test('a refusal says why, as a code and as an error that can be told from a fault', () => {
  for (const why of ['queue-full', 'queue-timeout', 'draining'] as const) {
    const refusal = new LeaseRefusal(why);
    assert.ok(refusal instanceof Error);
    assert.deepEqual([refusal.name, refusal.why, refusal.message], ['LeaseRefusal', why, why]);
  }
});
