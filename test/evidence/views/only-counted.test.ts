// What a flood left without records: a count is told for the time and the people that were asked for, and is never said to fit what it
// does not tell.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exclusion } from '../../../src/evidence/story/leave-out.js';
import { createSketchTest } from '../../../src/evidence/trail/sketch-test.js';
import { createOnlyCounted, onlyCountedText } from '../../../src/evidence/views/only-counted.js';
import { createView } from '../../../src/evidence/views/view.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { makeSketch, readSketch } from '../../../src/journal/records/sketch.js';
import { sealedBytes } from '../trail/paper-trail.js';

const startMs = Date.UTC(2026, 10, 20, 8);
const limit = (action: string, count: number, more: Partial<JournalRecord> = {}): JournalRecord => ({
  time: startMs,
  event: 'limit',
  origin: 'uid:1001',
  principal: 'anna@desk',
  action,
  count,
  ...more,
});

const flood = sealedBytes([
  limit('refused', 15),
  limit('question', 1000),
  limit('session', 1000),
  limit('refused', 7, { principal: 'bob@jobs', time: startMs + 60_000 }),
  limit('unsent', 3),
  limit('page-refused', 2, { principal: 'page:anna', origin: 'page:anna' }),
]);

function told(filter: TrailFilter, lines = flood, not: readonly Exclusion[] = []): string {
  const counted = createOnlyCounted(filter, not);
  counted.take(lines);
  const { refused, unsent, unsure } = counted.finish() ?? { refused: 0, unsent: 0, unsure: 0 };
  return `${refused} ${unsent} ${unsure}`;
}

const cases: readonly (readonly [TrailFilter, string])[] = [
  // Questions to dovegate, sessions and what people ask of the page are no commands.
  [{}, '22 3 0'],
  [{ kind: 'command' }, '22 3 0'],
  [{ kind: 'all' }, '24 3 0'],
  [{ kind: 'session' }, '2 0 0'],
  [{ kind: 'operator' }, '0 0 0'],
  [{ principal: 'anna@*' }, '15 3 0'],
  [{ principal: 'anna@jobs' }, '0 0 0'],
  [{ by: 'anna' }, '17 3 0'],
  [{ by: 'anna@desk' }, '15 3 0'],
  [{ listener: 'jobs' }, '7 0 0'],
  [{ sinceMs: startMs + 1 }, '7 0 0'],
  [{ untilMs: startMs + 60_000 }, '15 3 0'],
  [{ outcome: 'denied' }, '22 0 0'],
  [{ outcome: 'ok' }, '0 0 0'],
  [{ outcome: 'limited' }, '0 0 22'],
  [{ outcome: 'failed' }, '0 0 3'],
  // No count has these.
  [{ user: 'alice@example.org', principal: 'bob@*' }, '0 0 7'],
  [{ command: 'fetch', outcome: 'denied' }, '0 0 22'],
  [{ text: 'ticket' }, '0 0 25'],
  // A counted command has neither.
  [{ id: 'X1' }, '0 0 0'],
  // A command that was refused met no backend, and one that ended with nothing sent is neither open nor done in part.
  [{ backend: 'mail1' }, '0 0 3'],
  [{ outcome: 'open' }, '0 0 0'],
  [{ outcome: 'partly' }, '0 0 0'],
  [{ outcome: 'refused', kind: 'all' }, '0 0 0'],
  [{ would: 'any' }, '0 0 25'],
  [{ grant: 'G1' }, '0 0 0'],
];
for (const [filter, expected] of cases)
  void test(`counts for ${JSON.stringify(filter)}`, () => {
    assert.equal(told(filter), expected);
  });

void test('a count that names its commands and users may match only a search that fits one of them', () => {
  const of = (commands: readonly string[], users: readonly string[] = []): Buffer =>
    sealedBytes([limit('refused', 15, { args: commands.map((name) => `command=${name}`), users })]);
  const one = of(['quota get'], ['alice@example.org']);
  const several = of(['quota get', 'fetch'], ['alice@example.org', '*@example.net']);
  for (const [filter, ...expected] of [
    [{ command: 'quota get' }, '15 0 0', '0 0 15'],
    [{ command: 'quota' }, '15 0 0', '0 0 15'],
    [{ command: 'expunge' }, '0 0 0', '0 0 0'],
    [{ user: 'alice@example.org' }, '0 0 15', '0 0 15'],
    [{ user: 'bob@example.net' }, '0 0 0', '0 0 15'],
    [{ user: 'bob@example.org' }, '0 0 0', '0 0 0'],
    [{ text: 'x' }, '0 0 15', '0 0 15'],
  ] as const)
    assert.deepEqual([told(filter, one), told(filter, several)], expected, JSON.stringify(filter));
  assert.equal(told({ user: 'alice@example.org' }, of(['who'])), '0 0 0');
});

void test('what is left out of the rows is left out of the counts, or nobody can say', () => {
  for (const [key, value, left] of [
    ['principal', 'anna', '7 0 0'],
    ['listener', 'jobs', '15 3 0'],
    ['outcome', 'denied', '0 3 0'],
    ['outcome', 'ok', '22 3 0'],
    ['outcome', 'limited', '0 3 22'],
    ['command', 'quota get', '0 0 25'],
  ] as const)
    assert.equal(told({}, flood, [{ key, value }]), left, `${key} ${value}`);
});

void test('what was counted for several names of one human may be of any of them', () => {
  const joint = sealedBytes([limit('refused', 5, { principal: undefined })]);
  assert.equal(told({}, joint), '5 0 0');
  assert.equal(told({ principal: 'anna@*' }, joint), '0 0 5');
  assert.equal(told({ listener: 'desk' }, joint), '0 0 5');
});

void test('a view of some users shows no counts', () => {
  assert.equal(told({}, createView(['*@example.com']).take(flood)), '0 0 0');
});

void test('in words', () => {
  const text = (refused: number, unsent: number, unsure: number, filter: TrailFilter = {}): string =>
    onlyCountedText({ refused, unsent, unsure, records: 1 }, filter);
  const ofAnna = '15 more refusals of anna were counted only: a flood limit';
  assert.equal(text(15, 0, 0, { principal: 'anna@*' }), ofAnna);
  const ofPage = '1 more refusal of page:anna was counted only: a flood limit';
  assert.equal(text(1, 0, 0, { by: 'page:anna' }), ofPage);
  assert.equal(
    text(2, 1, 1),
    '2 more refusals and 1 more command that was not sent were counted only: a flood limit; and ' +
      '1 more that was refused or not sent was counted only (a flood limit), and no count says whether it matches',
  );
  assert.match(text(0, 0, 2), /^2 more that were refused or not sent .* whether they match$/);
});

// A part that names nobody who is looked for may still count what was refused.
void test('a part of a journal with such counts is read', () => {
  const wantsOf = (action: string) => {
    const quiet = Array.from({ length: 300 }, () => limit('session', 1, { principal: 'x@y' }));
    const sketch = readSketch(makeSketch(sealedBytes([...quiet, limit(action, 1)]))) ?? assert.fail();
    return (isCounting: boolean) => createSketchTest({ user: 'zoe@example.net' }, isCounting)(sketch);
  };
  assert.deepEqual([wantsOf('refused')(true), wantsOf('unsent')(true)], [true, true]);
  assert.deepEqual([wantsOf('refused')(false), wantsOf('session')(true)], [false, false]);
});
