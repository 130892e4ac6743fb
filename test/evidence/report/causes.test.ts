// Goal: alike denials are one row with their number, first and last time; what went well is in none; another backend or rule is another
// cause; memory has a bound, and what is beyond it is counted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCauses } from '../../../src/evidence/report/causes.js';
import type { StoryRow } from '../../../src/evidence/story/row.js';

type More = Readonly<Record<string, unknown>>;

function row(at: number, more: More = {}): StoryRow {
  const time = `2026-11-20T08:${String(Math.floor(at / 60)).padStart(2, '0')}:${String(at % 60).padStart(2, '0')}.000Z`;
  const fields = { time, principal: 'bert@support', command: 'mailbox delete', policy: 'support', ...more };
  return { fields, completedSeq: 1 };
}

const denied = { decision: 'deny', outcome: 'denied', sent: false, denial: 'no-rule' };

function causes(...rows: readonly StoryRow[]) {
  const book = createCauses();
  for (const one of rows) book.take(one);
  return book.finish();
}

void test('72 equal denials are one row', () => {
  const rows = Array.from({ length: 72 }, (_, at) => row(at, denied));
  const failed = { outcome: 'failed', sent: false, error: 'dial-refused' };
  const found = causes(
    row(90, { outcome: 'ok' }),
    ...rows.toReversed(),
    row(80, { ...failed, backend: 'mail1' }),
    row(81, { ...failed, backend: 'mail2', principal: 'eve@support' }),
    { fields: { event: 'access', action: 'refused', request: 'R', to: 'bert@support', reason: 'no' } },
  );
  const told = found.causes.map(({ count, outcome, command }) => `${count} ${outcome} ${command}`);
  const failures = Array(2).fill('1 failed mailbox delete');
  assert.deepEqual(told, ['72 denied mailbox delete', ...failures, '1 refused ']);
  const [first = assert.fail()] = found.causes;
  assert.deepEqual(first.requesters, ['bert@support']);
  assert.deepEqual([first.firstTime, first.lastTime], [row(0).fields['time'], row(71).fields['time']]);
  assert.match(first.why, /policy support .*no rule names the command/);
  assert.equal(found.further, 0);
});

void test('a journal with ever new causes does not fill the memory', () => {
  const rows = (count: number, of: (at: number) => More): StoryRow[] =>
    Array.from({ length: count }, (_, at) => row(0, { ...denied, principal: `p${at}`, ...of(at) }));
  const found = causes(...rows(200 + 5, (at) => ({ command: `x${at}` })));
  assert.deepEqual([found.causes.length, found.further], [200, 5]);
  const [only, ...others] = causes(...rows(20 + 1, () => ({}))).causes;
  assert.deepEqual([only?.requesters.length, only?.isMoreRequesters, others], [20, true, []]);
});
