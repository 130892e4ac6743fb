// What a chart draws, as numbers and paths: ticks of an axis, moments of a span, lines with gaps where there is no sample.

export type Values = readonly (number | null)[];

/** Ticks from zero to a round number of at least `max`, in two to five steps. */
export function ticksOf(max: number): number[] {
  if (!(max > 0)) return [0, 1];
  const rough = max / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999) ?? rough;
  const count = Math.ceil(max / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(12)));
}

const minuteMs = 60_000;
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440].map((minutes) => minutes * minuteMs);

/** Round moments within a span, at most `count`, by the clock of the zone: `offsetMs` is that of local time to UTC. */
export function momentsOf(fromMs: number, toMs: number, count: number, offsetMs: number): number[] {
  const day = 1440 * minuteMs;
  const rough = (toMs - fromMs) / Math.max(1, count);
  const step = steps.find((each) => each >= rough) ?? Math.ceil(rough / day) * day;
  const found: number[] = [];
  for (let at = Math.ceil((fromMs + offsetMs) / step) * step - offsetMs; at <= toMs; at += step)
    found.push(at);
  return found;
}

/** The sum up to each series, for areas on top of each other. A moment without any sample stays one. */
export function stacked(all: readonly Values[]): Values[] {
  const sums: (number | null)[] = [];
  return all.map((values) =>
    values.map((value, at) => {
      const below = sums[at] ?? null;
      const sum = value === null ? below : (below ?? 0) + value;
      sums[at] = sum;
      return sum;
    }),
  );
}

/** Ranges of consecutive values: first and last index. */
export function runsOf(values: Values): (readonly [number, number])[] {
  const runs: [number, number][] = [];
  for (const [at, value] of values.entries()) {
    if (value === null) continue;
    const last = runs.at(-1);
    if (last !== undefined && last[1] === at - 1) last[1] = at;
    else runs.push([at, at]);
  }
  return runs;
}

type Scale = (value: number) => number;

/** A line that is interrupted where there is no sample; a sample alone is a short stroke. */
export function linePath(values: Values, x: Scale, y: Scale): string {
  return runsOf(values)
    .map(([from, to]) => {
      if (from === to) return `M${put(x(from) - 1.5)} ${put(y(values[from] ?? 0))}h3`;
      const points: string[] = [];
      for (let at = from; at <= to; at += 1) points.push(`${put(x(at))} ${put(y(values[at] ?? 0))}`);
      return `M${points.join('L')}`;
    })
    .join('');
}

/** The area between two lines; `low` undefined: down to zero. */
export function areaPath(high: Values, low: Values | undefined, x: Scale, y: Scale): string {
  return runsOf(high)
    .map(([from, to]) => {
      const top = (at: number): number => put(y(high[at] ?? 0));
      const foot = (at: number): number => put(y(low?.[at] ?? 0));
      if (from === to) return `M${put(x(from) - 1.5)} ${top(from)}h3V${foot(from)}h-3Z`;
      const points: string[] = [];
      for (let at = from; at <= to; at += 1) points.push(`${put(x(at))} ${top(at)}`);
      for (let at = to; at >= from; at -= 1) points.push(`${put(x(at))} ${foot(at)}`);
      return `M${points.join('L')}Z`;
    })
    .join('');
}

function put(value: number): number {
  return Math.round(value * 10) / 10;
}

export function meanOf(values: Values): number | undefined {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
}

export function maxOf(values: Values): number {
  return values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
}
