// Each target of `npm run lab -- fuzz`, briefly: its saved inputs, and some thousand others. Nothing is thrown but declared faults, no
// answer depends on the cuts, and no input takes long.
//
// DOVEGATE_ROUNDS multiplies the inputs; DOVEGATE_SEED repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCampaign } from './campaign/campaign.js';
import { corpusNames, corpusOf, readInput, showInput } from './campaign/corpus.js';
import type { Course } from './campaign/course.js';
import { targets } from './targets/targets.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const corpusBytesMax = 300_000;

void test('every target takes its saved inputs and thousands of others', async (t) => {
  const courses = new Map<string, Course>();
  const findings = await runCampaign({
    targets: new URL('./targets/targets.js', import.meta.url).href,
    orders: targets.map(({ name, isSlow }) => ({
      name,
      seed,
      msMax: Number.POSITIVE_INFINITY,
      corpus: corpusOf(name),
      inputsMax: Math.ceil((isSlow === true ? 100 : 3_500) * rounds),
    })),
    grows: false,
    onDone: (name, course) => courses.set(name, course),
  });
  let all = 0;
  for (const [name, { inputs, ms, answers }] of courses) {
    all += inputs;
    t.diagnostic(`${name}: ${inputs} inputs in ${Math.round(ms)} ms`);
    // Inputs that all end at the first check would prove nothing.
    assert.ok((answers['answer'] ?? 0) >= inputs / 50, `${name}: ${JSON.stringify(answers)}`);
  }
  assert.ok(all >= 100_000 * rounds, `${all} inputs`);
  assert.deepEqual(
    findings.map(({ name, broken, bytes }) => `${name}: ${showInput(bytes)}\n${broken.text}`),
    [],
  );
  assert.deepEqual(
    [...courses.keys()],
    targets.map(({ name }) => name),
  );
});

void test('saved inputs are few, are of targets that exist, and are read back as they were', () => {
  const names = new Set(targets.map(({ name }) => name));
  assert.equal(names.size, targets.length);
  assert.deepEqual(
    corpusNames().filter((name) => !names.has(name)),
    [],
  );
  const all = corpusNames().flatMap(corpusOf);
  assert.ok(all.reduce((sum, bytes) => sum + bytes.length, 0) <= corpusBytesMax);
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  for (const bytes of [...all, everyByte, Buffer.from('%41')])
    assert.deepEqual(readInput(showInput(bytes)), bytes);
});
