// Durations as policies, configurations and commands spell them: `500ms`, `5s`, `10m`, `2h`, `7d`, `2w`.

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** The spelling of a duration. */
export const durationPattern = /^(\d{1,9})(ms|s|m|h|d|w)$/;

/** `500ms`, `5s`, `10m`, `2h`, `7d`, `2w` in milliseconds; undefined for anything else. */
export function parseDuration(written: string): number | undefined {
  const match = durationPattern.exec(written);
  const value = Number(match?.[1]) * (durationUnits[match?.[2] ?? ''] ?? Number.NaN);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** The shortest spelling of a number of milliseconds. */
export function formatDuration(ms: number): string {
  for (const unit of ['w', 'd', 'h', 'm', 's']) {
    const size = durationUnits[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}
