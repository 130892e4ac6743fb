// Goal: a dry run shows differences and sums up, whatever a server answers. What must not happen: memory that grows with the answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDryRun } from '../../../src/client/bulk/dry-run.js';
import type { UserResult } from '../../../src/client/bulk/send-user.js';

function allowed(...rows: readonly (readonly string[])[]): UserResult {
  return { kind: 'ok', rows: [['decision', 'allow'], ...rows], isCut: false };
}

const failed = (code: string): UserResult => ({ kind: 'failed', code, message: 'm', id: undefined });

void test('the first answer is the usual one; of others what is new; what each user has of its own is no difference', () => {
  const run = createDryRun();
  const usual = [['sent', 'expunge'] as const];
  assert.equal(
    run.take(allowed(...usual, ['concerns', 'a'], ['backend', 'mail1'], ['mails', '5'])),
    undefined,
  );
  assert.equal(
    run.take(allowed(...usual, ['concerns', 'b'], ['backend', 'mail2'], ['mails', '7'])),
    undefined,
  );
  const other = run.take(allowed(...usual, ['backend', 'mail1'], ['mails', '1'], ['term', 'a reason']));
  assert.deepEqual(other?.kind === 'ok' && other.rows, [['term', 'a reason']]);
  // Less is a difference too.
  assert.deepEqual(run.take(allowed()), { kind: 'ok', rows: [], isCut: false });
  assert.equal(run.take(failed('NOPERM'))?.kind, 'failed');
  assert.equal(run.take(failed('NOUSER'))?.kind, 'failed');
  assert.equal(
    run.summary(1002),
    'dry run, nothing was changed: it would run for 4 of 1,008 users (13 mails; 2 on mail1, 1 on mail2), 1 denied, 1 failed, 1,002 with a result already',
  );
});

void test('nothing came, and answers without an end of names', () => {
  assert.equal(createDryRun().summary(0), 'dry run, nothing was changed: it would run for 0 of 0 users');
  const run = createDryRun();
  for (let at = 0; at < 1000; at += 1) run.take(allowed(['backend', `b${at}`], ['mails', '9'.repeat(400)]));
  assert.equal(run.summary(0).split(' on ').length, 21);
  assert.doesNotMatch(run.summary(0), /mails/);
});
