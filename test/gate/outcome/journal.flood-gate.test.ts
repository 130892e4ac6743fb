import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FloodGate } from '../../../src/gate/outcome/journal.js';

void test('of many sources the largest numbers are named, and the others are one number', () => {
  const gate = new FloodGate<string>({ perSecondMax: 1, burstMax: 1, sourcesMax: 100, namedMax: 2 });
  for (let at = 1; at <= 50; at += 1)
    for (let count = 0; count <= at; count += 1) gate.admit(`s${at}`, `s${at}`, 0);
  const rest = Array.from({ length: 48 }, (_, at) => at + 1).reduce((sum, each) => sum + each, 0);
  assert.deepEqual(gate.takeSwallowed(1000), [
    { source: 's50', count: 50 },
    { source: 's49', count: 49 },
    { source: undefined, count: rest },
  ]);
});

void test('a full table forgets nobody and counts the others together', () => {
  const gate = new FloodGate<string>({ perSecondMax: 1, burstMax: 1, sourcesMax: 2, namedMax: 9 });
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'a'].map((source) => gate.admit(source, source, 0)),
    [true, true, false, false, false],
  );
  assert.equal(
    gate.admit('c', 'c', 1200),
    true,
    'room of a second that is over, with nothing left to tell, is used again',
  );
  assert.deepEqual(gate.takeSwallowed(1200), [
    { source: 'a', count: 1 },
    { source: undefined, count: 2 },
  ]);
});

void test('every refusal is recorded or counted, never both, never neither', () => {
  const step = fc.record({
    source: fc.integer({ min: 0, max: 6 }),
    ms: fc.integer({ min: 0, max: 700 }),
    take: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const gate = new FloodGate<number>({ perSecondMax: 2, burstMax: 5, sourcesMax: 4, namedMax: 9 });
      let nowMs = 0;
      let seen = 0;
      for (const { source, ms, take } of steps) {
        nowMs += ms;
        if (gate.admit(`s${source}`, source, nowMs)) seen += 1;
        if (take) for (const { count } of gate.takeSwallowed(nowMs)) seen += count;
      }
      for (const { count } of gate.takeSwallowed(nowMs + 1000)) seen += count;
      assert.equal(seen, steps.length);
    }),
  );
});
