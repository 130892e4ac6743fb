// Goal: a sentence about an end is made of any number, since it may come from another process.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findEnds } from '../../../src/gate/now/ends.js';
import { findProblems } from '../../../src/gate/now/problems.js';
import { healthy, shipTold } from '../../kit/gate/running.js';

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
  const [found] = findProblems({ ...healthy, ship: { ...shipTold, notices } });
  assert.equal(
    found?.text,
    'The receiver of notices chat takes none since {1970-01-01T00:00:00.000Z}: it is away.',
  );
});

void test('a sentence of an end stays the same, whenever the clock was read', () => {
  const endMs = Date.UTC(2026, 10, 22);
  const sentences = new Set<string | undefined>();
  const key = {
    listener: 'http',
    name: 'old',
    policy: 'p',
    expiresMs: endMs,
    lastUsedMs: undefined,
    failures: 0,
  };
  for (let ms = 0; ms < 40; ms += 1) {
    // What is left was counted some milliseconds before or after now.
    const leftMs = endMs - (endMs + 1000 + ms) - (20 - ms);
    const keys = [{ ...key, leftMs }];
    sentences.add(findEnds({ atMs: endMs + 1000 + ms, certificates: [], keys }, true)[0]?.text);
  }
  assert.deepEqual(
    [...sentences],
    ['The key "old" of listener "http" has expired: its last day was 2026-11-21.'],
  );
});
