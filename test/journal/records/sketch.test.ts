// What is read of a long journal for one name: sketches of names that differ in a few characters are as good as any.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSketchTest } from '../../../src/evidence/trail/sketch-test.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import { makeSketch, readSketch } from '../../../src/journal/records/sketch.js';

const startMs = Date.UTC(2026, 10, 20, 8);

/** Of 100 records with the names `user${from}` and its followers. */
function sketchFrom(from: number) {
  const ledger = new Ledger('dovegate test', undefined, 'ab'.repeat(16));
  const lines = Array.from({ length: 100 }, (_, at) => {
    const user = `user${from + at}@example.org`;
    const record = {
      time: startMs + at,
      event: 'admission',
      principal: 'anna@desk',
      user,
      users: [user],
    } as const;
    return ledger.seal(encodeBody(record));
  });
  return readSketch(makeSketch(Buffer.from(lines.join('')))) ?? assert.fail('no sketch');
}

void test('few parts are read that do not have the name, also where they have names that are like it', () => {
  const sketches = Array.from({ length: 200 }, (_, at) => sketchFrom(1000 + at * 100));
  for (const name of ['user8', 'user77', 'user99999', 'nobody']) {
    const mayHold = createSketchTest({ user: `${name}@example.org` }, true);
    const held = sketches.filter((sketch) => mayHold(sketch)).length;
    assert.ok(held <= 2, `${name}: ${held} of 200`);
  }
  for (const [at, sketch] of sketches.entries())
    assert.ok(createSketchTest({ user: `user${1000 + at * 100 + 42}@example.org` }, true)(sketch));
});
