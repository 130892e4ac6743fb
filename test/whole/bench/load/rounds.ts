// Rounds of a comparison. Each round measures every candidate once, one after the other, so that what else the machine does affects all
// of them alike; ratios and differences are taken within a round, and the median counts.
import type { Usage } from './usage.js';

export interface Measured {
  readonly figure: number;
  /** Of a command, by the name of the column. */
  readonly costs: Readonly<Record<string, number | Usage>>;
}

/** By the candidate's name. */
export type Round = Readonly<Record<string, Measured>>;

/** The median of the rounds, and their range. */
export interface Spread {
  readonly median: number;
  readonly from: number;
  readonly to: number;
}

/** `warmings` rounds that do not count, for compilers and pools, then `count` that do. */
export async function measureRounds(
  count: number,
  warmings: number,
  candidates: Readonly<Record<string, () => Promise<Measured>>>,
): Promise<readonly Round[]> {
  const rounds: Round[] = [];
  for (let n = 0; n < warmings + count; n += 1) {
    const round: Record<string, Measured> = {};
    for (const [name, measure] of Object.entries(candidates)) round[name] = await measure();
    if (n >= warmings) rounds.push(round);
  }
  return rounds;
}

/** Of an even number of figures the median is the lower of the two; what is not a number does not count. */
export function spreadOf(figures: readonly number[]): Spread {
  const sorted = figures.filter(Number.isFinite).toSorted((one, other) => one - other);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  return { median: at((sorted.length - 1) >> 1), from: at(0), to: at(sorted.length - 1) };
}

export function ratioOf(rounds: readonly Round[], one: string, other: string): Spread {
  return spreadOf(rounds.map((round) => figureOf(round, one) / figureOf(round, other)));
}

export function differenceOf(rounds: readonly Round[], one: string, other: string): Spread {
  return spreadOf(rounds.map((round) => figureOf(round, one) - figureOf(round, other)));
}

function figureOf(round: Round, name: string): number {
  const measured = round[name];
  if (measured === undefined) throw new Error(`"${name}" was not measured`);
  return measured.figure;
}
