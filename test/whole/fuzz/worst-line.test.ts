// Goal: no command line, whatever it says and whoever sends it, costs more than a fixed number of steps for each of its bytes:
// reading, judging in both series, records, reply and log line together. So no line can hold up the event loop for long.
//
// The worst line is looked for by hill climbing from a line for every command of both series, under every shipped role.
// DOVEGATE_ROUNDS multiplies the lines, DOVEGATE_MINUTES=N goes on for so long, DOVEGATE_SEED repeats a run. A shape that is above
// the bound is printed as JSON; it belongs into `knownShapes` of test/kit/gate/worst-line.ts, in the commit that fixes its cost.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  allCommands,
  Course,
  climb,
  type Found,
  kinds,
  knownShapes,
  Shaper,
  showShape,
} from '../../kit/gate/worst-line.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { openStepCounter, type StepCounter } from '../../kit/plain/step-counter.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const minutes = Number(process.env['DOVEGATE_MINUTES'] ?? 0);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);

/**
 * Twelve for each byte of a line of 64 KiB: the worst that was found has 11.5 (255 mailboxes, 40 rules on them), quadratic costs have 24
 * and more (the ones that were found had 1,500,000 to 180,000,000 steps).
 */
const stepsMax = 12 * 64 * 1024;

let counter: StepCounter;
let course: Course;
before(async () => {
  counter = openStepCounter();
  course = new Course(counter);
  // What is compiled or made at the first use is counted once.
  for (const { shape } of knownShapes) await course.steps({ ...shape, parts: [] });
});
after(() => counter.close());

function check({ shape, steps }: Found): void {
  assert.ok(
    steps <= stepsMax,
    `${steps} steps, more than ${stepsMax} (seed ${seed}):\n${JSON.stringify(shape)}`,
  );
}

for (const { what, shape } of knownShapes) {
  void test(`known: ${what}`, async (t) => {
    const steps = await course.steps(shape);
    t.diagnostic(`${steps} steps: ${showShape(shape)}`);
    check({ shape, steps });
  });
}

void test('the worst line of each kind that a search finds', async (t) => {
  const shaper = new Shaper(seededRandom(seed));
  const untilMs = performance.now() + minutes * 60_000;
  const worst = new Map<string, Found>();
  const note = (found: Found): void => {
    const best = worst.get(found.shape.kind);
    if (best === undefined || found.steps > best.steps) worst.set(found.shape.kind, found);
  };
  for (let round = 0; round < rounds || performance.now() < untilMs; round += 1) {
    for (const [at, command] of allCommands.entries()) {
      const kind = kinds[(at + round) % kinds.length] ?? 'long';
      const shape = shaper.first(kind, command);
      note({ shape, steps: await course.steps(shape) });
    }
    for (const kind of kinds) {
      const from = worst.get(kind)?.shape ?? shaper.first(kind);
      note(await climb(course, shaper, round % 2 === 0 ? from : shaper.first(kind), minutes > 0 ? 60 : 12));
    }
    if (minutes > 0)
      console.log(
        `round ${round}: ${[...worst.values()].map(({ shape, steps }) => `${shape.kind} ${steps}`).join(', ')}`,
      );
    for (const found of worst.values()) check(found);
  }
  for (const { shape, steps } of worst.values()) t.diagnostic(`${steps} steps: ${showShape(shape)}`);
  t.diagnostic(`${course.evaluations} lines, seed ${seed}`);
});
