// Goal: a proof is what its lines say, checked with the keys that were given; what is no proof is named. Each byte and line of one is tried in
// proof.test.ts, beside a checker that knows nothing of ours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSignKey } from '../../../src/domain/audit/ledger.js';
import {
  createProofChecker,
  createProofWriter,
  createSeqSet,
  type ProofVerdict,
  proofKindOf,
} from '../../../src/domain/report/proof.js';
import { key, makeTrail } from '../trail/paper-trail.js';

const trail = makeTrail().segments.flatMap((segment) => segment.lines);

function prove(...seqs: number[]): string[] {
  const chosen = createSeqSet();
  for (const seq of seqs) chosen.add(seq);
  const writer = createProofWriter({ chosen, keys: [key.key], signedSeq: 30 });
  const body = trail.map((line) => writer.take(Buffer.from(line))).filter((line) => line !== undefined);
  return ['# for people', ...body, writer.finish() ?? 'none'];
}

function check(file: readonly string[], keys: readonly string[] = [key.key]): ProofVerdict {
  const checker = createProofChecker(keys);
  for (const line of file) checker.take(Buffer.from(line), true);
  return checker.finish();
}

void test('what is proved: numbers, range, journal and key', () => {
  const { journal, ...rest } = check(prove(3, 5, 25));
  assert.deepEqual(rest, {
    fault: undefined,
    records: 3,
    lines: 14,
    runs: 2,
    fromSeq: 3,
    toSeq: 30,
    keys: [key.key],
    isMoreKeys: false,
  });
  assert.ok(trail.some((line) => line.includes(`"journal":"${journal}"`)));
});

void test('another key, no key, and one of several keys', () => {
  const other = makeSignKey().key;
  assert.match(check(prove(14), [other]).fault?.text ?? '', /signed by another key/);
  assert.deepEqual(check(prove(14), [other, key.key]).keys, [key.key]);
  const unknown = check(prove(14), []);
  assert.deepEqual([unknown.fault, unknown.keys], [undefined, [key.key]]);
});

const proof = prove(14);
const at = (text: string): number => proof.findIndex((line) => line.startsWith(text));
const faults: readonly [string, readonly string[], number, RegExp][] = [
  ['changed', proof.with(2, (proof[2] ?? '').replace('alice', 'alicf')), 3, /does not fit its hash/],
  ['left out', proof.toSpliced(3, 1), 4, /does not continue the line before/],
  ['the end left out', proof.slice(0, -1), proof.length - 1, /the end of the file is missing/],
  [
    'another count',
    [...proof.slice(0, -1), '% 2 records, 7 lines, 1 runs'],
    proof.length,
    /the end of the file/,
  ],
  ['after the end', [...proof, '# more'], proof.length + 1, /after the end/],
  [
    'the signed line as another one',
    proof.with(at('= '), `- ${(proof[at('= ')] ?? '').slice(2)}`),
    9,
    /the end/,
  ],
  ['a record as a signed one', proof.with(2, `= ${(proof[2] ?? '').slice(2)}`), 3, /not signed/],
  ['all of it twice', [...proof.slice(0, -1), ...proof.slice(1)], 9, /a second time/],
  ['no record', ['% 0 records, 0 lines, 0 runs'], 1, /no record in it/],
  ['nothing', [], 0, /the end of the file/],
];
for (const [name, file, line, text] of faults)
  void test(`not proved: ${name}`, () => {
    const { fault } = check(file);
    assert.match(fault?.text ?? '', text);
    assert.equal(fault?.line, line);
  });

void test('a line without an end is none', () => {
  const checker = createProofChecker([]);
  checker.take(Buffer.from('# x'), false);
  assert.match(checker.finish().fault?.text ?? '', /has no end/);
});

void test('files by their first bytes', () => {
  assert.equal(proofKindOf('# dovegate audit proof 1'), 'proof');
  assert.equal(proofKindOf(proof[1] ?? ''), 'proof');
  assert.equal(proofKindOf('# dovegate audit extract 1: rows'), 'extract');
  assert.equal(proofKindOf(trail[0] ?? ''), 'journal');
  assert.equal(proofKindOf('<14>1 2026-11-20T08:00:00Z'), undefined);
});
