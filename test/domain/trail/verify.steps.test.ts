// Steps of the wall clock: those of a minute and more are told, and apart from them those that a start found, which may be a long stop.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../../src/domain/audit/ledger.js';
import { seal, started, verify } from './paper-trail.js';

const minute = 60_000;
const journal = 'ab'.repeat(16);

test('what a step was, and whether a start found it', () => {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  const start = { event: 'start', journal, format: 1, program: 'dovegate test' } as const;
  const step = (time: number, stepMs: number): void =>
    seal(lines, ledger, { time: started + time, event: 'clock', step_ms: stepMs });
  seal(lines, ledger, { time: started, event: 'admission', id: 'E' });
  step(0, -minute);
  seal(lines, ledger, { time: started, event: 'completion', id: 'E', outcome: 'unknown' });
  seal(lines, ledger, { time: started, ...start });
  step(1_000, 1_000);
  step(5 * minute, 4 * minute);
  seal(lines, ledger, { time: started + 5 * minute, event: 'stop' });
  seal(lines, ledger, { time: started + 5 * minute, ...start });
  const { steps } = verify(
    { segments: [{ name: '00000001.jsonl', lines }], kept: [] },
    { trustedKeys: [], isPart: true },
  );
  assert.deepEqual(steps, [
    { from: '2026-11-20T08:01:00.000Z', to: '2026-11-20T08:00:00.000Z', seq: 2, isAtStart: true },
    { from: '2026-11-20T08:01:00.000Z', to: '2026-11-20T08:05:00.000Z', seq: 6, isAtStart: false },
  ]);
});
