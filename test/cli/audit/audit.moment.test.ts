// What people type for a moment, as a table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMoment } from '../../../src/cli/audit/audit.js';

const now = Date.UTC(2026, 10, 20, 12, 30);
const day = (date: number, hour = 0) => Date.UTC(2026, 10, date, hour);

const cases: readonly (readonly [text: string, start: number | undefined, end: number | undefined])[] = [
  ['2d', now - 2 * 86_400_000, now - 2 * 86_400_000],
  ['90m', now - 90 * 60_000, now - 90 * 60_000],
  ['today', day(20), day(21)],
  ['yesterday', day(19), day(20)],
  ['2026-11-19', day(19), day(20)],
  ['2026-11-19T10:00:00Z', day(19, 10), day(19, 10)],
  ['2026-11-19T10:00:00.250+01:00', day(19, 9) + 250, day(19, 9) + 250],
  ['', undefined, undefined],
  ['tomorrow', undefined, undefined],
  ['Today', undefined, undefined],
  ['2026-02-30', undefined, undefined],
  ['2026-11-19T10:00:00', undefined, undefined],
  ['-1d', undefined, undefined],
  ['10:00', undefined, undefined],
];

test('a moment, as the start or the end of a day', () => {
  for (const [text, start, end] of cases) {
    assert.equal(parseMoment(text, 'start', now), start, text);
    assert.equal(parseMoment(text, 'end', now), end, text);
  }
});
