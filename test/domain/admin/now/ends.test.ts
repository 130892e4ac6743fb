// Goal: a sentence about an end is made of any number, since it may come from another process.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findEnds } from '../../../../src/domain/admin/now/ends.js';
import { findProblems } from '../../../../src/domain/admin/now/problems.js';
import { healthy, pageTold } from '../../../kit/running.js';

void test('ends that no date has', () => {
  const sentence = (leftMs: number): string | undefined => {
    const certificates = [{ role: 'listener', name: '(page)', leftMs }] as const;
    return findEnds({ atMs: 1_000, certificates, keys: [] }, true)[0]?.text;
  };
  assert.equal(sentence(-1_000), 'The certificate of page has expired at {1970-01-01T00:00:00.000Z}.');
  for (const leftMs of [-1e300, -8.64e15 - 1, -Infinity])
    assert.equal(sentence(leftMs), sentence(-1_000), String(leftMs));
  const fault = { code: 'timeout', forMs: 1e300, why: ['it is away'] } as const;
  const notices = [{ name: 'chat', delivered: 0, failed: 0, dropped: 0, lagMs: 0, fault }];
  const [found] = findProblems({ ...healthy, page: { told: { ...pageTold, notices }, untold: [] } });
  assert.equal(
    found?.text,
    'The receiver of notices chat takes none since {1970-01-01T00:00:00.000Z}: it is away.',
  );
});
