// Lengths of time as people write them, in configurations, options and the words of commands.

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Large enough for each that a program gives in milliseconds. */
export const durationPattern = /^(\d{1,13})(ms|s|m|h|d|w)$/;
export const durationForm = 'a whole number and ms, s, m, h, d or w';

/** `500ms`, `5s`, `10m`, `2h`, `7d`, `2w` in milliseconds; undefined for anything else. */
export function parseDuration(written: string): number | undefined {
  const match = durationPattern.exec(written);
  const value = Number(match?.[1]) * (durationUnits[match?.[2] ?? ''] ?? Number.NaN);
  return Number.isSafeInteger(value) ? value : undefined;
}

export function formatDuration(ms: number): string {
  for (const unit of ['w', 'd', 'h', 'm', 's']) {
    const size = durationUnits[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}
