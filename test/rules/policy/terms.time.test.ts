// Goal: a command with very many users is counted in time that grows with their number, not with its square.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LimitAsk, Limiter } from '../../../src/rules/policy/terms.js';

void test('a command with very many users is counted in no time', () => {
  const limiter = new Limiter(100_000);
  const rate = { count: 50_000, windowMs: 3_600_000 };
  const asks = Array.from(
    { length: 20_000 },
    (_, at): LimitAsk => ({ kind: 'distinct', name: 'it', key: 'k', rate, member: `user ${at}` }),
  );
  // Time of the processor: what else the machine does is not the limiter's cost.
  const before = process.cpuUsage();
  assert.equal(limiter.admit(asks, 0).kind, 'within');
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 1e6, `${user + system} µs`);
});
