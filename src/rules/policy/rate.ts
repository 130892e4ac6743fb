// Limits on frequency: rates, and the requests that are open at once.

/** A number of events in any span of `windowMs`. */
export interface Rate {
  readonly count: number;
  readonly windowMs: number;
}

/** `20/hour`, as configurations spell a rate. */
export function formatRate({ count, windowMs }: Rate): string {
  const periods: Readonly<Record<number, string>> = { 1000: 'second', 60_000: 'minute', 3_600_000: 'hour' };
  return `${count}/${periods[windowMs] ?? 'day'}`;
}

export const usualRequests = { open: 5, waitMs: 86_400_000 };
