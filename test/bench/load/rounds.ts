// Rounds of a comparison, and how their figures are told. Each round measures every candidate once, one after the other, so that what
// else the machine does strikes all of them alike; ratios are taken within a round, and the middle one counts.
import { cpus, loadavg } from 'node:os';

/** The middle of the rounds, and their range. */
export interface Told {
  readonly middle: number;
  readonly range: readonly [number, number];
}

/** `warmings` rounds that do not count, for compilers and pools, then `count` that do. */
export async function runRounds<Figures>(
  count: number,
  warmings: number,
  round: () => Promise<Figures>,
): Promise<readonly Figures[]> {
  for (let n = 0; n < warmings; n += 1) await round();
  const rounds: Figures[] = [];
  for (let n = 0; n < count; n += 1) rounds.push(await round());
  return rounds;
}

/** The middle of what `figure` makes of each round; of an even number of rounds the lower of the two. */
export function tellOver<One>(rounds: readonly One[], figure: (round: One) => number): Told {
  const figures = rounds.map(figure).toSorted((a, b) => a - b);
  const at = (index: number): number => figures[index] ?? Number.NaN;
  return { middle: at((figures.length - 1) >> 1), range: [at(0), at(figures.length - 1)] };
}

/** A ratio or a difference beside its floor: `short-lived: ... 8.1 x (7.2 to 9.0), floor 5 x: held`. */
export function tellFloor(
  what: string,
  { middle: figure, range }: Told,
  { floor, unit, most = false }: { readonly floor: number; readonly unit: string; readonly most?: boolean },
): void {
  const isHeld = most ? figure <= floor : figure >= floor;
  const show = (value: number): string => value.toFixed(unit === 'x' ? 2 : 0);
  const bound = `${most ? 'at most' : 'at least'} ${floor} ${unit}`;
  const [from, to] = range;
  console.log(
    `${isHeld ? 'held  ' : 'MISSED'}  ${what.padEnd(62)} ${show(figure).padStart(7)} ${unit}  (${show(from)} to ${show(to)}; ${bound})`,
  );
}

/** The machine, and how much it has to do now. */
export function tellMachine(when: string): void {
  const [one = 0, five = 0] = loadavg();
  const processor = cpus()[0]?.model.trim() ?? 'unknown';
  console.log(
    `${when}: load ${one.toFixed(1)} over 1 min, ${five.toFixed(1)} over 5; ${cpus().length} x ${processor}, Node ${process.version}`,
  );
}
