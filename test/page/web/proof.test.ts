// Goal: the screen "proof" says what was proved and what was not, for every state of a journal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Proof, Verified } from '../../../src/evidence/views/proof.js';
import { judgeProof, progressWords } from '../../../src/page/web/proof.js';

const proof: Proof = {
  at: '2026-11-21T09:00:00.000Z',
  journal: 'ab',
  seq: 1200,
  key: 'KEY',
  started: '2026-11-20T00:00:00.000Z',
  oldestSeq: 1,
  segments: 2,
  bytes: 10_000,
  receivers: [],
};
const last: Verified = {
  at: '2026-11-21T08:00:00.000Z',
  by: 'anna',
  isWhole: true,
  fromSeq: 1,
  toSeq: 1000,
  fromTime: '2026-11-01T00:00:00.000Z',
  toTime: '2026-11-21T07:59:00.000Z',
  signedSeq: 990,
  signedTime: '2026-11-21T07:58:00.000Z',
  signedBy: 'KEY',
  records: 1000,
  faultCount: 0,
  findings: [],
};

void test('nobody asked yet: nothing is claimed', () => {
  const { tone, title, sentences } = judgeProof(proof);
  assert.deepEqual([tone, title], ['quiet', 'The whole journal is not checked yet']);
  assert.match(sentences[0] ?? '', /since dovegate was started at \{2026-11-20T00:00:00\.000Z\}/);
});

void test('whole: what was checked, what is signed, what came since', () => {
  assert.deepEqual(judgeProof({ ...proof, last }), {
    tone: 'good',
    title: 'Nothing is changed or missing',
    sentences: [
      'anna had it checked at {2026-11-21T08:00:00.000Z}: 1,000 records, 1 to 1,000, of {2026-11-01T00:00:00.000Z} to {2026-11-21T07:59:00.000Z}.',
      'All records up to 990 are under a signature of the key KEY, of {2026-11-21T07:58:00.000Z}.',
      '200 records were written since then, which this check has not seen.',
    ],
    steps: [],
  });
  const retired = ['Since then records before 400 were retired.'];
  assert.deepEqual(judgeProof({ ...proof, oldestSeq: 400, seq: 1000, last }).sentences.slice(2), retired);
});

void test('not whole: how many faults, and what to do', () => {
  const broken = { ...last, isWhole: false };
  const found = judgeProof({ ...proof, last: { ...broken, faultCount: 3, signedSeq: undefined } });
  const { tone, title, steps, sentences } = found;
  assert.deepEqual([tone, title], ['bad', 'The journal is not whole: 3 faults']);
  assert.match(steps[0] ?? '', /^Copy the directory of the journal/);
  assert.doesNotMatch(sentences.join(' '), /signature/);
  const empty = { ...broken, faultCount: 1, toSeq: undefined, records: 0 };
  assert.match(judgeProof({ ...proof, last: empty }).title, /1 fault$/);
});

void test('how far it is', () => {
  const words = progressWords({ bytes: 2 * 1024 ** 3, ofBytes: 4 * 1024 ** 3, seq: 1234 });
  assert.equal(words, '50 %, 2 GiB of 4 GiB, at record 1,234');
  assert.equal(progressWords({ bytes: 0, ofBytes: 0, seq: 0 }), '0 %, 0 bytes of 0 bytes');
  assert.equal(progressWords({ bytes: 9, ofBytes: 5, seq: 0 }), '100 %, 5 bytes of 5 bytes');
});
