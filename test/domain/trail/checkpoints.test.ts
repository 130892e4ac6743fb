// Who vouches: the cases that need no chain. What happens within a trail is in verify.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSignKey } from '../../../src/domain/audit/ledger.js';
import { parseLine } from '../../../src/domain/audit/record.js';
import { createCheckpointVerifier } from '../../../src/domain/trail/checkpoints.js';
import type { TrailFault } from '../../../src/domain/trail/verify.js';
import { key, makeTrail } from './paper-trail.js';

const trail = makeTrail();
const kept = trail.kept;
const last = { file: 'f', line: 9, seq: 30 };

function judged(
  trusted: readonly string[],
  lines: readonly string[],
): { faults: TrailFault[]; signed: unknown } {
  const faults: TrailFault[] = [];
  const voucher = createCheckpointVerifier(trusted, [], (fault) => faults.push(fault));
  for (const [at, line] of lines.entries())
    voucher.judge(line, parseLine(line) ?? {}, { file: 'f', line: at, seq: at });
  return { faults, signed: voucher.finish(last, 1).signedSeq };
}

const checkpoints = trail.segments.map(({ lines }) => lines.at(-1) ?? '');
const unsigned = makeTrail(false).segments.map(({ lines }) => lines.at(-1) ?? '');

void test('the last checkpoint decides', () => {
  assert.deepEqual(judged([key.key], checkpoints), { faults: [], signed: 2 });
  assert.deepEqual(
    judged([key.key], [...unsigned, ...checkpoints]).faults,
    [],
    'what came before is under it',
  );
  const behind = judged([key.key], [...checkpoints, ...unsigned]).faults;
  assert.deepEqual(
    behind.map(({ kind, line }) => [kind, line]),
    [['untrusted', 3]],
    'the first that is not',
  );
});

void test('without a trusted key nobody is a stranger', () => {
  assert.deepEqual(judged([], unsigned), { faults: [], signed: undefined });
  assert.deepEqual(judged([], checkpoints), { faults: [], signed: 2 });
});

void test('where there is a trusted key there must be a checkpoint', () => {
  assert.deepEqual(
    judged([key.key], []).faults.map(({ kind, text }) => [kind, text]),
    [['untrusted', 'there is no checkpoint']],
  );
});

void test('a kept checkpoint is compared with its record, once, and missed if it never comes', () => {
  const faults: TrailFault[] = [];
  const voucher = createCheckpointVerifier([], kept, (fault) => faults.push(fault));
  const { seq, hash } = JSON.parse(kept[0]?.text ?? '');
  voucher.compare(seq - 1, 'other', 'f', 8);
  voucher.compare(seq, hash, 'f', 9);
  voucher.finish(last, 1);
  assert.equal(faults.length, 0);
  const strict = createCheckpointVerifier([], kept, (fault) => faults.push(fault));
  strict.compare(seq, 'other', 'f', 9);
  strict.finish(last, 1);
  const late = createCheckpointVerifier([], kept, (fault) => faults.push(fault));
  late.finish({ ...last, seq: 29 }, 1);
  assert.deepEqual(
    faults.map(({ kind, line, seq: at }) => [kind, line, at]),
    [
      ['rewritten', 9, 30],
      ['cut', 9, 30],
    ],
  );
});

void test('a kept checkpoint of a stranger vouches for nothing', () => {
  const faults: TrailFault[] = [];
  createCheckpointVerifier([makeSignKey().key], kept, (fault) => faults.push(fault)).finish(last, 1);
  assert.equal(faults[0]?.kind, 'untrusted');
});

void test('an old checkpoint without a trusted signature is passed over once its records are retired, and no cut is', () => {
  const text = makeTrail(false).kept[0]?.text ?? '';
  const seq = Number(JSON.parse(text).seq);
  const faultsOf = (file: string, firstSeq: number, lastSeq: number): string[] => {
    const faults: TrailFault[] = [];
    const voucher = createCheckpointVerifier([key.key], [{ file, text }], (fault) => faults.push(fault));
    for (const line of checkpoints) voucher.judge(line, parseLine(line) ?? {}, last);
    voucher.finish({ ...last, seq: lastSeq }, firstSeq);
    return faults.map(({ kind }) => kind);
  };
  assert.deepEqual(faultsOf('checkpoint-30.json', seq + 1, seq + 9), [], 'retired');
  assert.deepEqual(faultsOf('checkpoint-30.json', 1, seq - 1), ['untrusted'], 'cut off');
  assert.deepEqual(faultsOf('checkpoint-30.json', seq, seq + 9), ['untrusted'], 'damaged where it stands');
  assert.deepEqual(
    faultsOf('checkpoint.json', seq + 1, seq + 9),
    ['untrusted'],
    'the last one is never retired',
  );
  assert.deepEqual(faultsOf('/elsewhere/log', seq + 1, seq + 9), ['untrusted'], 'one that a person named');
});
