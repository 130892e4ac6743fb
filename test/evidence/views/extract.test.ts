// Extracts: what is signed names the question and the rows; any change is found, by us and by openssl's rules.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { createExtractDigest, formatExtract } from '../../../src/evidence/views/extract.js';
import { formatExtractHead } from '../../../src/gate/door/extract-head.js';
import { isSignedBy } from '../../../src/journal/records/ledger.js';
import { makeSignKey, parseSignKey } from '../../../src/rules/keys/sign-key.js';

const rows: readonly ExchangeRow[] = ['alice@example.com', 'a\u001b[2J\u202e@example.com'].map(
  (user, at) => ({
    fields: { time: '2026-11-20T00:00:00.000Z', id: `X${at}`, user },
    admittedSeq: at * 2 + 1,
    completedSeq: at * 2 + 2,
    completedTime: '2026-11-20T00:00:01.000Z',
  }),
);
const signer = parseSignKey(makeSignKey().secretPem);

function signed(of: readonly ExchangeRow[], key = signer.key): { head: string; signature: string } {
  const digest = createExtractDigest();
  for (const row of of) digest.take(row);
  const facts = { fromSeq: 1, toSeq: 9, isDamaged: false, sha256: digest.finish() };
  const filter = ['user=alice@example.com'];
  const users = ['*@example.com'];
  const head = formatExtractHead({ ...facts, timeMs: 0, by: 'alice', users, filter, rows: of.length, key });
  return { head, signature: signer.sign(head) };
}

void test('a stranger can check the file line by line', () => {
  const lines = formatExtract(signed(rows), rows) ?? [];
  const of = (mark: string): string[] =>
    lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(2));
  const [head = ''] = of('@');
  const text = [...of('*'), ''].join('\n');
  const { sha256, key, ...said } = JSON.parse(head);
  assert.equal(sha256, createHash('sha256').update(text).digest('hex'));
  assert.ok(isSignedBy(key, head, of('!')[0] ?? ''));
  const asked = { by: 'alice', view: ['*@example.com'], filter: ['user=alice@example.com'] };
  const covered = { from_seq: 1, to_seq: 9, damaged: false, rows: 2 };
  assert.deepEqual(said, { extract: 1, time: '1970-01-01T00:00:00.000Z', ...asked, ...covered });
  // oxlint-disable-next-line no-control-regex -- nothing in it commands a terminal
  assert.doesNotMatch(lines.join('\n'), /[\u0000-\u0009\u001b\u202e]/);
});
