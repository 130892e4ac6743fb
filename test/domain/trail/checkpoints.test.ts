// Who vouches: the cases that need no chain. What happens within a trail is in verify.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLine } from '../../../src/domain/audit/record.js';
import { createCheckpointVerifier } from '../../../src/domain/trail/checkpoints.js';
import type { TrailFault } from '../../../src/domain/trail/verify.js';
import { key, makeTrail } from './paper-trail.js';

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
  assert.deepEqual(
    faultsOf('checkpoint.json', seq + 1, seq + 9),
    ['untrusted'],
    'the last one is never retired',
  );
  assert.deepEqual(faultsOf('/elsewhere/log', seq + 1, seq + 9), ['untrusted'], 'one that a person named');
});
