// How far the tests of the models go: small figures by themselves, larger ones by `npm run lab -- model` (scripts/model.mjs).

import type { TestContext } from 'node:test';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { type Choose, chooseBy, type Explored, eachRun, explore, type Model } from './explore.js';

const { DOVEGATE_DEPTH: depth, DOVEGATE_LENGTH: length } = process.env;
const seed = Number(process.env['DOVEGATE_SEED'] ?? 1);
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const minutes = Number(process.env['DOVEGATE_MINUTES'] ?? 0);

/** Follows all traces of a model up to `small` steps, or to the depth that was asked for; throws at a broken invariant. */
export function exploreAll<S>(t: TestContext, name: string, model: Model<S>, small: number): Explored {
  const explored = explore(model, Number(depth ?? small));
  const { states, steps, depth: reached, broken } = explored;
  if (broken !== undefined) throw new Error(`${broken.invariant}: ${broken.trace.join('; ')}`);
  t.diagnostic(`${name}: depth ${reached}, ${states} states, ${steps} steps`);
  return explored;
}

/** Each planted error must break its invariant, and each invariant must be broken by one. */
export function findFlaws<S, F extends string>(
  t: TestContext,
  flaws: readonly (readonly [flaw: F, invariant: string])[],
  modelOf: (flaw: F) => Model<S>,
): void {
  const planted = new Set(flaws.map(([, invariant]) => invariant));
  for (const [flaw, invariant] of flaws) {
    const model = modelOf(flaw);
    const without = Object.keys(model.invariants).filter((name) => !planted.has(name));
    if (without.length > 0) throw new Error(`no error is planted for ${without.join(', ')}`);
    t.diagnostic(`${flaw}: ${findFlaw(model, invariant).join('; ')}`);
  }
}

/** A shortest trace to an invariant that breaks, which must be this one. */
function findFlaw<S>(model: Model<S>, invariant: string): readonly string[] {
  const { broken, depth: reached, states } = explore(model, 10);
  if (broken?.invariant !== invariant)
    throw new Error(
      `"${invariant}" is not broken, but ${broken?.invariant ?? `nothing in ${states} states, depth ${reached}`}`,
    );
  return broken.trace;
}

/** A run of real code. `random`: for further decisions, where they are made by chance. `count`: runs before it. */
export type Run = (choose: Choose, random?: () => number, count?: number) => Promise<void>;

/** All sequences of `small` decisions, or of the length that was asked for. */
export async function playAll(t: TestContext, small: number, run: Run): Promise<void> {
  const most = Number(length ?? small);
  const runs = await eachRun(most, (choose) => run(choose));
  t.diagnostic(`${runs} runs, all sequences of ${most} decisions`);
}

/** Sequences of `decisions` by chance: `small` of them times DOVEGATE_ROUNDS, or for DOVEGATE_MINUTES. */
export async function playRandom(t: TestContext, small: number, decisions: number, run: Run): Promise<void> {
  const untilMs = performance.now() + minutes * 60_000;
  let count = 0;
  for (; count < small * rounds || performance.now() < untilMs; count += 1) {
    const own = seed * 1_000_003 + count;
    const random = seededRandom(own);
    await run(chooseBy(random, decisions), random, count).catch((cause: unknown) => {
      throw new Error(`sequence ${own}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
    });
  }
  t.diagnostic(`${count} runs of ${decisions} decisions, seed ${seed}`);
}
