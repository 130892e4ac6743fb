// The traffic of the last 24 hours, from samples of the daemon's counts: differences of two samples, in steps of 10 s for an hour and of a
// minute for a day. Pure; times are milliseconds of a clock that never goes back. A step without a sample stays empty, and so does one in
// which the counts began again: no rate is made of them. Memory does not grow with time or with the number of teams.

import type { DoorTraffic } from '../gate/door/door.js';
import { formatTime } from '../host/words/instants.js';
import { type History, type Series, type Span, spanSteps, type Whole } from './answers/history.js';

export const stepMs = 10_000;
const stepsKept = spanSteps['1h'].count;
const stepsPerMinute = 6;
/** A day, and the present minute. */
const minutesKept = spanSteps['24h'].count + 1;

/** The series for teams without one of their own. */
const otherName = 'other';

/** Indexes into the numbers of one step. `seconds`: how long it was measured; 0: no sample. Then come the counts, and the buckets. */
const at = {
  seconds: 0,
  ended: 1,
  denied: 2,
  failed: 3,
  buckets: 4,
};

/** One series: the numbers of each step, and of each minute. */
interface Kept {
  readonly steps: Float32Array;
  readonly minutes: Float32Array;
}

interface Sampled {
  readonly numbers: Float64Array;
  /** Number of commands in about the last day. */
  weight: number;
}

type Told = DoorTraffic['teams'][number];

export class TrafficHistory {
  readonly #bounds: readonly number[];
  readonly #width: number;
  readonly #seriesMax: number;
  readonly #kept = new Map<string, Kept>();
  #sampled = new Map<string, Sampled>();
  readonly #startMs: number;
  /** The newest step, and the newest one with a sample. Step n ends n * 10 s after the start. */
  #head = 0;
  #sampledStep = 0;
  #sampledMs: number;
  #run: string;

  /** Needs a first sample to compute differences from. */
  constructor(first: DoorTraffic, nowMs: number) {
    this.#bounds = first.bounds;
    this.#width = at.buckets + first.bounds.length + 1;
    const seriesBytes = 4 * this.#width * (stepsKept + minutesKept);
    this.#seriesMax = Math.floor((8 * 1024 ** 2) / seriesBytes);
    this.#startMs = nowMs;
    this.#sampledMs = nowMs;
    this.#run = first.run;
    this.#takeAll(first, undefined);
  }

  get startMs(): number {
    return this.#startMs;
  }

  get bytes(): number {
    let sum = 0;
    for (const { steps, minutes } of this.#kept.values()) sum += steps.byteLength + minutes.byteLength;
    return sum;
  }

  /** Whether the daemon's buckets are the same as those of earlier samples. */
  fits({ bounds: others }: DoorTraffic): boolean {
    return (
      others.length === this.#bounds.length && others.every((each, index) => each === this.#bounds[index])
    );
  }

  take(traffic: DoorTraffic, nowMs: number): void {
    const step = Math.round((nowMs - this.#startMs) / stepMs);
    // The sample of the step before came late and was counted for this step.
    if (step <= this.#sampledStep) return;
    const isNext = step === this.#sampledStep + 1 && traffic.run === this.#run;
    const seconds = (nowMs - this.#sampledMs) / 1000;
    this.#goTo(step);
    this.#sampledStep = step;
    this.#sampledMs = nowMs;
    this.#run = traffic.run;
    this.#takeAll(traffic, isNext ? seconds : undefined);
  }

  /** The last step of an answer; its sample may be missing if it is late. */
  lastStep(nowMs: number): number {
    return Math.max(this.#sampledStep, Math.floor((nowMs - this.#startMs) / stepMs) - 1);
  }

  history(span: Span, nowMs: number, wallMs: number): History {
    const { count: steps, seconds } = spanSteps[span];
    const lastStep = this.lastStep(nowMs);
    this.#goTo(lastStep);
    const stepsIn = (seconds * 1000) / stepMs;
    const isMinutes = stepsIn > 1;
    // Only whole minutes. The number of a minute is how many came before it.
    const last = Math.floor(lastStep / stepsIn);
    const count = Math.min(steps, last);
    const label = (ms: number): string => formatTime(Math.round(wallMs - (nowMs - ms)));
    const places = Array.from(
      { length: count },
      (_, index) =>
        ((last - count + 1 + index - (isMinutes ? 1 : 0)) % (isMinutes ? minutesKept : stepsKept)) *
        this.#width,
    );
    const shown = [...this.#kept].flatMap(([name, kept]) => {
      const numbers = isMinutes ? kept.minutes : kept.steps;
      const present = places.filter((place) => (numbers[place] ?? 0) > 0);
      if (present.length === 0) return [];
      const ended = present.reduce((sum, place) => sum + (numbers[place + at.ended] ?? 0), 0);
      return [{ ended, series: this.#seriesOf(name, numbers, places, present) }];
    });
    return {
      since: label(this.#startMs),
      until: label(this.#startMs + last * stepsIn * stepMs),
      step: seconds,
      series: shown.toSorted((one, other) => other.ended - one.ended).map(({ series }) => series),
    };
  }

  #seriesOf(
    name: string,
    numbers: Float32Array,
    places: readonly number[],
    present: readonly number[],
  ): Series {
    const each = (value: (place: number, seconds: number) => number | null): (number | null)[] =>
      places.map((place) => {
        const seconds = numbers[place] ?? 0;
        return seconds > 0 ? value(place, seconds) : null;
      });
    const rate = (field: number) =>
      each((place, seconds) => Math.round(((numbers[place + field] ?? 0) / seconds) * 1000) / 1000);
    const share = (part: number) =>
      each((place) =>
        percentile(numbers.subarray(place + at.buckets, place + this.#width), this.#bounds, part),
      );
    return {
      name,
      rate: rate(at.ended),
      denied: rate(at.denied),
      failed: rate(at.failed),
      p50: share(0.5),
      p99: share(0.99),
      all: this.#wholeOf(numbers, present),
    };
  }

  #wholeOf(numbers: Float32Array, present: readonly number[]): Whole {
    const sums = new Float64Array(this.#width);
    for (const place of present)
      for (const [field, value] of numbers.subarray(place, place + this.#width).entries())
        sums[field] = (sums[field] ?? 0) + value;
    const rate = (field: number): number =>
      Math.round(((sums[field] ?? 0) / (sums[at.seconds] ?? 1)) * 1000) / 1000;
    const share = (part: number): number | null => percentile(sums.subarray(at.buckets), this.#bounds, part);
    return {
      rate: rate(at.ended),
      denied: rate(at.denied),
      failed: rate(at.failed),
      p50: share(0.5),
      p99: share(0.99),
    };
  }

  /** `seconds`: since the previous sample; undefined: no differences can be computed. */
  #takeAll({ teams }: DoorTraffic, seconds: number | undefined): void {
    const [kept, sampled] = [this.#kept, this.#sampled];
    const now = new Map<string, Sampled>();
    const others = new Float64Array(this.#width);
    for (const told of teams) {
      const numbers = this.#numbersOf(told);
      const before = sampled.get(told.name);
      const passed =
        before && seconds !== undefined ? differences(before.numbers, numbers, seconds) : undefined;
      const weight = (before?.weight ?? 0) * (1 - (seconds ?? 0) / daySeconds) + (passed?.[at.ended] ?? 0);
      now.set(told.name, { numbers, weight });
      if (passed === undefined) continue;
      const own = told.name === otherName ? undefined : (kept.get(told.name) ?? this.#add(told.name));
      if (own === undefined) add(others, passed);
      else this.#write(own, passed);
    }
    this.#sampled = now;
    if ((others[at.seconds] ?? 0) === 0) return;
    this.#write(kept.get(otherName) ?? this.#make(otherName), others);
    this.#exchange();
  }

  /** Undefined: no place is left. One place is reserved for `other`. */
  #add(name: string): Kept | undefined {
    const own = this.#kept.size - (this.#kept.has(otherName) ? 1 : 0);
    return own < Math.max(1, this.#seriesMax - 1) ? this.#make(name) : undefined;
  }

  #make(name: string): Kept {
    const made = {
      steps: new Float32Array(stepsKept * this.#width),
      minutes: new Float32Array(minutesKept * this.#width),
    };
    this.#kept.set(name, made);
    return made;
  }

  /** Gives the place of the smallest series to the largest team without one; the past of the smallest is added to `other`. */
  #exchange(): void {
    const [kept, sampled] = [this.#kept, this.#sampled];
    const weightOf = (name: string): number => sampled.get(name)?.weight ?? 0;
    const largest = [...sampled.keys()]
      .filter((name) => !kept.has(name))
      .reduce((best, name) => (weightOf(name) > weightOf(best) ? name : best), '');
    const smallest = [...kept.keys()]
      .filter((name) => name !== otherName)
      .reduce((best, name) => (best === '' || weightOf(name) < weightOf(best) ? name : best), '');
    const others = kept.get(otherName);
    const past = kept.get(smallest);
    // Only if it is twice as large, so that two of similar size do not change places with each sample.
    if (others === undefined || past === undefined || weightOf(largest) <= 2 * weightOf(smallest)) return;
    merge(others.steps, past.steps, this.#width);
    merge(others.minutes, past.minutes, this.#width);
    kept.delete(smallest);
    past.steps.fill(0);
    past.minutes.fill(0);
    kept.set(largest, past);
  }

  #numbersOf({ ended, denied, failed, buckets }: Told): Float64Array {
    const numbers = new Float64Array(this.#width);
    numbers.set([0, ended, denied, failed]);
    numbers.set(buckets.slice(0, this.#bounds.length + 1), at.buckets);
    return numbers;
  }

  #write({ steps, minutes }: Kept, numbers: Float64Array): void {
    const step = this.#sampledStep;
    steps.set(numbers, (step % stepsKept) * this.#width);
    const place = (minuteOf(step) % minutesKept) * this.#width;
    for (const [field, value] of numbers.entries())
      minutes[place + field] = (minutes[place + field] ?? 0) + value;
  }

  /** Advances to a step, and empties the places in between. */
  #goTo(step: number): void {
    if (step <= this.#head) return;
    const minute = this.#head === 0 ? 0 : minuteOf(this.#head) + 1;
    for (const { steps, minutes } of this.#kept.values()) {
      clear(steps, this.#head + 1, step, stepsKept, this.#width);
      clear(minutes, minute, minuteOf(step), minutesKept, this.#width);
    }
    this.#head = step;
  }
}

const daySeconds = 86_400;

/** Steps begin with 1. */
function minuteOf(step: number): number {
  return Math.floor((step - 1) / stepsPerMinute);
}

function clear(numbers: Float32Array, from: number, to: number, kept: number, width: number): void {
  for (let step = Math.max(from, to - kept + 1); step <= to; step += 1)
    numbers.fill(0, (step % kept) * width, ((step % kept) + 1) * width);
}

/** Undefined: a count decreased, so counting began again in between. */
function differences(before: Float64Array, now: Float64Array, seconds: number): Float64Array | undefined {
  const passed = now.map((value, field) => value - (before[field] ?? 0));
  passed[at.seconds] = seconds;
  return passed.some((value) => value < 0) ? undefined : passed;
}

function add(sum: Float64Array, more: Float64Array): void {
  for (const [field, value] of more.entries())
    sum[field] = field === at.seconds ? value : (sum[field] ?? 0) + value;
}

function merge(into: Float32Array, from: Float32Array, width: number): void {
  for (const [index, value] of from.entries()) {
    const old = into[index] ?? 0;
    into[index] = index % width === at.seconds ? Math.max(old, value) : old + value;
  }
}

/**
 * In milliseconds, interpolated within the bucket as if its commands were spread evenly. The error is less than the bucket's width: up to
 * 10 s a bound is 2 to 2.5 times the previous one, above that 6 and 10 times. Values above the last bound count as that bound. Null: no
 * commands.
 */
export function percentile(
  buckets: Readonly<ArrayLike<number>>,
  bucketBounds: readonly number[],
  part: number,
): number | null {
  let all = 0;
  for (let index = 0; index < buckets.length; index += 1) all += buckets[index] ?? 0;
  if (all === 0) return null;
  let rank = all * part;
  for (const [index, upper] of bucketBounds.entries()) {
    const count = buckets[index] ?? 0;
    if (rank <= count && count > 0) {
      const lower = bucketBounds[index - 1] ?? 0;
      return inMs(lower + (upper - lower) * (rank / count));
    }
    rank -= count;
  }
  return inMs(bucketBounds.at(-1) ?? 0);
}

function inMs(seconds: number): number {
  return Number((seconds * 1000).toPrecision(3));
}
