// One target's course: its seeds and its corpus first, then inputs that are made from them. An input that gets an answer of a new kind is
// kept, and others are made from it. Which code an input runs is looked at only at the end: looked at on the way, it took so much time that
// less code was reached (of the bodies of HTTP 71,000 characters of code in 20 s, instead of 81,000).

import { pick, type Random, randomInteger, seededRandom } from '../../kit/chunkings.js';
import { type Broken, causeOf, check, type Input, smaller } from './check.js';
import type { Coverage } from './coverage.js';
import { mutated } from './mutate.js';
import type { Target } from './target.js';

export interface CourseOptions {
  readonly target: Target;
  readonly seed: number;
  /** Inputs beside the seeds and the corpus; and for how long at most. */
  readonly inputsMax: number;
  readonly msMax: number;
  readonly corpus: readonly Buffer[];
  /** Undefined: nothing is kept, and no steps are counted. */
  readonly coverage: Coverage | undefined;
  /** Told before each input. */
  readonly begin: (input: Input) => void;
  readonly end: () => void;
  readonly found: (broken: Broken, input: Input) => void;
}

export interface Course {
  readonly inputs: number;
  readonly ms: number;
  /** By the first word of their answers. */
  readonly answers: Readonly<Record<string, number>>;
  /** Kept inputs, the smallest that are needed beside the seeds; none without `coverage`. */
  readonly kept: readonly Buffer[];
}

const entriesMax = 3_000;
const kindsMax = 3_000;
const causesMax = 20;
export const keptBytesMax = 64 * 1024;
const keptMax = 120;
/** So many of the inputs that took longest have their steps counted. */
const slowMax = 5;
/** Generous: what grows with the square of an input is above it, and nothing else. */
const stepsEach = 100_000;
const stepsPerByte = 200;

export async function follow(options: CourseOptions): Promise<Course> {
  const { target, coverage, begin, end } = options;
  const random = seededRandom(options.seed);
  const entries: Buffer[] = [];
  const kinds = new Set<string>();
  const causes = new Set<string>();
  const answers: Record<string, number> = {};
  let slow: { readonly input: Input; readonly ms: number }[] = [];
  let inputs = 0;
  let entriesOld = 0;

  const sources = { tokens: target.tokens, other: known };
  const seeds = target.seeds().map((seed) => seed.subarray(0, target.bytesMax));
  const started = performance.now();
  const mayGoOn = (): boolean => performance.now() - started < options.msMax;

  for (const bytes of [...seeds, ...options.corpus]) {
    const input = { bytes, cutSeed: cutSeed(random) };
    isNewKind(await run(input));
    entries.push(bytes);
  }
  entriesOld = entries.length;
  inputs = 0;
  while (inputs < options.inputsMax && mayGoOn()) {
    const input = { bytes: make(), cutSeed: cutSeed(random) };
    const answer = await run(input);
    if (coverage !== undefined && isNewKind(answer)) keep(input.bytes);
  }
  const done = { inputs, ms: performance.now() - started, answers: { ...answers } };
  await countSteps();
  return { ...done, kept: await needed() };

  function make(): Buffer {
    const bytes = random() < 0.15 ? made() : mutated(known(random), random, sources, target.bytesMax);
    return bytes.subarray(0, target.bytesMax);
  }

  function made(): Buffer {
    const own = target.make?.(random);
    if (own !== undefined && random() < 0.8) return own;
    const pieces = Array.from({ length: randomInteger(random, 0, 12) }, () =>
      random() < 0.85 && target.tokens.length > 0
        ? pick(random, target.tokens)
        : Buffer.from(
            Array.from({ length: randomInteger(random, 1, 12) }, () => randomInteger(random, 0, 255)),
          ),
    );
    const first = target.hasOptions === true ? [Buffer.of(randomInteger(random, 0, 255))] : [];
    return Buffer.concat([...first, ...pieces]);
  }

  async function run(input: Input): Promise<string | undefined> {
    inputs += 1;
    begin(input);
    const startedMs = performance.now();
    const checked = await check(target, input);
    const ms = performance.now() - startedMs;
    end();
    if (slow.length < slowMax || ms > (slow.at(-1)?.ms ?? 0)) {
      slow.push({ input, ms });
      slow = slow.toSorted((one, other) => other.ms - one.ms).slice(0, slowMax);
    }
    if ('answer' in checked) {
      const { answer } = checked;
      const word = answer.startsWith('fault ') ? answer.slice(0, 40) : 'answer';
      answers[word] = (answers[word] ?? 0) + 1;
      return answer;
    }
    answers['broken'] = (answers['broken'] ?? 0) + 1;
    const cause = causeOf(checked);
    if (causes.has(cause) || causes.size >= causesMax) return undefined;
    causes.add(cause);
    const small = await smaller(target, input, cause);
    const repeated = await check(target, small);
    options.found('answer' in repeated ? checked : repeated, small);
    return undefined;
  }

  function isNewKind(answer: string | undefined): boolean {
    if (answer === undefined || kinds.size >= kindsMax) return false;
    const kind = answer.startsWith('fault ') ? answer : (target.kind?.(answer) ?? 'answer');
    if (kinds.has(kind)) return false;
    kinds.add(kind);
    return true;
  }

  async function countSteps(): Promise<void> {
    if (coverage === undefined) return;
    coverage.resume();
    for (const { input } of slow) {
      coverage.take();
      await again(input);
      const { steps } = coverage.take();
      const { each, perByte } = target.steps ?? { each: stepsEach, perByte: stepsPerByte };
      // Each is read whole and cut.
      if (steps <= 2 * (each + perByte * input.bytes.length) || causes.has('steps')) continue;
      causes.add('steps');
      options.found({ kind: 'steps', text: `${steps} steps for ${input.bytes.length} bytes` }, input);
    }
    coverage.pause();
  }

  async function again(input: Input): Promise<void> {
    begin(input);
    await check(target, input);
    end();
  }

  function keep(bytes: Buffer): void {
    if (entries.length < entriesMax) entries.push(Buffer.from(bytes));
    else entries[randomInteger(random, entriesOld, entries.length - 1)] = Buffer.from(bytes);
  }

  /** Often one of the newest. */
  function known(from: Random): Buffer {
    if (entries.length === 0) return Buffer.alloc(0);
    const oldest = from() < 0.5 ? Math.floor(entries.length * 0.75) : 0;
    return entries[randomInteger(from, oldest, entries.length - 1)] ?? Buffer.alloc(0);
  }

  /** The smallest first: those that run code that neither the seeds nor smaller ones run. */
  async function needed(): Promise<Buffer[]> {
    if (coverage === undefined) return [];
    coverage.resume();
    coverage.forget();
    for (const bytes of seeds) await run({ bytes, cutSeed: 1 });
    coverage.take();
    const kept: Buffer[] = [];
    let bytesKept = 0;
    const found = entries.slice(seeds.length).toSorted((one, other) => one.length - other.length);
    for (const bytes of found) {
      if (kept.length >= keptMax) break;
      await run({ bytes, cutSeed: 1 });
      if (!coverage.take().isNew || bytesKept + bytes.length > keptBytesMax) continue;
      kept.push(bytes);
      bytesKept += bytes.length;
    }
    coverage.pause();
    return kept;
  }
}

const cutSeed = (random: Random): number => randomInteger(random, 0, 0xffff_ffff);
