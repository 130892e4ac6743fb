// One target's course: its seeds and its corpus first, then inputs that are made from them. An input that gets an answer of a new kind is
// kept, and others are made from it. Which code an input runs is looked at only at the end: looked at on the way, it took so much time that
// less code was reached (of the bodies of HTTP 71,000 characters of code in 20 s, instead of 81,000).

import { pick, type Random, randomInteger, seededRandom } from '../../../kit/plain/chunkings.js';
import { type Broken, type Checked, causeOf, check, type Input, smaller } from './check.js';
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
  /** Whether the inputs that are worth saving are looked for at the end. */
  readonly isSaved: boolean;
  /** Told before each input. */
  readonly begin: (input: Input) => void;
  readonly end: () => void;
  readonly found: (broken: Broken, input: Input) => void;
}

export interface Course {
  readonly seed: number;
  readonly inputs: number;
  readonly ms: number;
  /** By the first word of their answers. */
  readonly answers: Readonly<Record<string, number>>;
  /** Kept inputs, the smallest that are needed beside the seeds; none without `coverage`, or where nothing is saved. */
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
  // Of a fault that a decoder declares nobody reads the stack, and taking it is up to half of the work.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
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
  const done = { seed: options.seed, inputs, ms: performance.now() - started, answers: { ...answers } };
  await countSteps();
  const saved = await needed();
  Error.stackTraceLimit = stackTraceLimit;
  return { ...done, kept: saved };

  function make(): Buffer {
    const bytes = random() < 0.15 ? made() : mutated(known(random), random, sources, target.bytesMax);
    // Else nearly all would be read with the options of the seeds.
    if (target.hasOptions === true && random() < 0.3)
      return Buffer.concat([Buffer.of(randomInteger(random, 0, 255)), bytes.subarray(1, target.bytesMax)]);
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
    const startedMs = performance.now();
    const checked = await again(input);
    const ms = performance.now() - startedMs;
    if (slow.length < slowMax || ms > (slow.at(-1)?.ms ?? 0)) await noteSlow(input, ms);
    if ('answer' in checked) {
      const { answer } = checked;
      const word = answer.startsWith('fault ') ? answer.slice(0, 40) : 'answer';
      answers[word] = (answers[word] ?? 0) + 1;
      return answer;
    }
    answers['broken'] = (answers['broken'] ?? 0) + 1;
    if (causes.size >= causesMax) return undefined;
    Error.stackTraceLimit = stackTraceLimit;
    await tellBroken(input, checked);
    Error.stackTraceLimit = 0;
    return undefined;
  }

  async function tellBroken(input: Input, first: Broken): Promise<void> {
    const second = await check(target, input);
    const broken = 'answer' in second ? first : second;
    const cause = causeOf(broken);
    if (causes.has(cause)) return;
    causes.add(cause);
    const small = await smaller(target, input, cause);
    const repeated = await check(target, small);
    options.found('answer' in repeated ? broken : repeated, small);
  }

  /** A second time: on a busy machine any input takes long now and then. */
  async function noteSlow(input: Input, firstMs: number): Promise<void> {
    const startedMs = performance.now();
    await again(input);
    slow.push({ input, ms: Math.min(firstMs, performance.now() - startedMs) });
    slow = slow.toSorted((one, other) => other.ms - one.ms).slice(0, slowMax);
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
      // Each is read whole and cut.
      if (steps <= 2 * (stepsEach + stepsPerByte * input.bytes.length) || causes.has('steps')) continue;
      causes.add('steps');
      options.found({ kind: 'steps', text: `${steps} steps for ${input.bytes.length} bytes` }, input);
    }
    coverage.pause();
  }

  async function again(input: Input): Promise<Checked> {
    begin(input);
    const checked = await check(target, input);
    end();
    return checked;
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
    if (coverage === undefined || !options.isSaved) return [];
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
