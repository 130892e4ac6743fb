// Owns the spellings of quantities in a configuration: durations, sizes, rates.
// It does not know what they limit.
// The rule: a number without a unit is never guessed at.

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

const ratePeriods: Readonly<Record<string, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
};

/** The spelling of a duration. */
export const durationPattern = /^(\d{1,9})(ms|s|m|h|d|w)$/;
/** The spelling of a size. */
export const sizePattern = /^(\d{1,9})(B|KiB|MiB|GiB|TiB)$/;
/** The spelling of a rate. */
export const ratePattern = /^(\d{1,6})\/(second|minute|hour|day)$/;

/** `500ms`, `5s`, `10m`, `2h`, `7d`, `2w` in milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  return quantity(durationPattern.exec(text), durationUnits);
}

/** `512B`, `64KiB`, `1GiB` in bytes; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  return quantity(sizePattern.exec(text), sizeUnits);
}

/** So many in any span of `windowMs`. */
export interface Rate {
  readonly count: number;
  readonly windowMs: number;
}

/** `20/hour`; undefined for anything else, and for a count of 0. */
export function parseRate(text: string): Rate | undefined {
  const match = ratePattern.exec(text);
  const count = Number(match?.[1] ?? 0);
  const windowMs = ratePeriods[match?.[2] ?? ''];
  return windowMs === undefined || count === 0 ? undefined : { count, windowMs };
}

/** The shortest spelling of a number of milliseconds. */
export function formatDuration(ms: number): string {
  for (const unit of ['w', 'd', 'h', 'm', 's']) {
    const size = durationUnits[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

function quantity(
  match: RegExpExecArray | null,
  units: Readonly<Record<string, number>>,
): number | undefined {
  const unit = units[match?.[2] ?? ''];
  const value = Number(match?.[1]) * (unit ?? Number.NaN);
  return Number.isSafeInteger(value) ? value : undefined;
}
