// Who vouches: the cases that need no chain. What happens within a trail is in verdicts.txt.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrailFault } from '../../../src/evidence/trail/verify.js';
import { parseLine } from '../../../src/host/values/values.js';
import { createCheckpointVerifier } from '../../../src/journal/records/checkpoints.js';
import { forge, key, makeTrail } from '../../evidence/trail/paper-trail.js';

const trail = makeTrail();
const last = { file: 'f', line: 9, seq: 30 };

const checkpoints = trail.segments.map(({ lines }) => lines.at(-1) ?? '');

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
  assert.deepEqual(faultsOf('checkpoint.json', seq + 1, seq + 9), ['untrusted'], 'the last is never retired');
  assert.deepEqual(faultsOf('/elsewhere/log', seq + 1, seq + 9), ['untrusted'], 'one that a person named');
});

void test('a kept line counts as it was written: whole, and signed where it names a key', () => {
  const faultsOf = (text: string): readonly string[] => {
    const faults: TrailFault[] = [];
    createCheckpointVerifier([], [{ file: 'f', text }], (fault) => faults.push(fault));
    return faults.map(({ kind, line, text: told }) => `${kind} ${line} ${told}`);
  };
  const right = checkpoints.at(-1) ?? '';
  const unsigned = makeTrail(false).kept[0]?.text ?? '';
  const wrong = ['bad-signature 1 this is not a checkpoint as it was written'];
  assert.deepEqual(faultsOf(right), []);
  assert.deepEqual(faultsOf(`${right}\n`), []);
  assert.deepEqual(faultsOf(unsigned), [], 'of a journal without a key');
  assert.deepEqual(faultsOf(right.replace('"seq":30', '"seq":31')), wrong);
  const stripped = forge(right, (record) => {
    delete record['signature'];
  });
  assert.deepEqual(faultsOf(stripped), wrong, 'a key, and no signature');
});
