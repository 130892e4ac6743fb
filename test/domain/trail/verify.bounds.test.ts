// Goal: a forged journal does not fill the memory of the program that checks it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { Ledger } from '../../../src/domain/audit/ledger.js';
import { createCheckpointVerifier } from '../../../src/domain/trail/checkpoints.js';
import { seal, started, verify } from './paper-trail.js';

const journal = 'ab'.repeat(16);

test('admissions without completion are kept up to a limit', () => {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  for (let n = 0; n < bounds.openVerified + 1_000; n += 1)
    seal(lines, ledger, { time: started, event: 'admission', id: `E${n}` });
  const { openCount, faultCount } = verify(
    { segments: [{ name: '00000001.jsonl', lines }], kept: [] },
    { trustedKeys: [], isPart: true },
  );
  assert.deepEqual([openCount, faultCount], [bounds.openVerified, 0]);
});

test('keys that sign are listed up to a limit', () => {
  const verifier = createCheckpointVerifier([], [], () => undefined);
  for (let n = 0; n < bounds.signingKeys + 1_000; n += 1) {
    const text = `{"seq":${n + 1},"key":"key${n}","signature":"AAAA","prev":"","hash":"${'0'.repeat(64)}"}`;
    verifier.judge(text, { key: `key${n}` }, { file: 'f', line: n, seq: n });
  }
  const { keys } = verifier.finish({ file: 'f', line: 1, seq: 1 }, 1);
  assert.equal(keys.length, bounds.signingKeys);
});

// bounds.clockSteps
test('steps of the clock are kept up to a limit', () => {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  for (let n = 0; n < bounds.clockSteps + 10; n += 1)
    seal(lines, ledger, { time: started + n * 60_000, event: 'clock', step_ms: 60_000 });
  const { steps } = verify(
    { segments: [{ name: '00000001.jsonl', lines }], kept: [] },
    { trustedKeys: [], isPart: true },
  );
  assert.equal(steps.length, bounds.clockSteps);
});

// bounds.shownOpen
test('of warnings of one kind so many are listed, and all are counted', () => {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  for (let n = 0; n < bounds.shownOpen + 5; n += 1)
    seal(lines, ledger, { time: started, event: 'admission', id: `E${n}` });
  const { open, openCount } = verify(
    { segments: [{ name: '00000001.jsonl', lines }], kept: [] },
    { trustedKeys: [], isPart: true },
  );
  assert.deepEqual([open.length, openCount], [bounds.shownOpen, bounds.shownOpen + 5]);
});
