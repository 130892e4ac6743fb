// Moments as people type them behind `--since` and `--until`: a duration before now, a day, `today`, `yesterday`, or a time of RFC 3339.
// The rule: days are those of UTC, as the times of records are, so that a command means the same on every machine.

import { parseDuration } from '../policy/duration.js';
import { parseTime } from './schema-parts.js';

/** What a moment may be, for `--help`. */
export const momentHelp =
  '90m or 2d (before now), today, yesterday, 2026-11-20 (days in UTC), or a time of RFC 3339 with its zone';

const dayMs = 86_400_000;

/**
 * Unix milliseconds; undefined: it is no moment. `edge`: which end of a day is meant. `nowMs`: the wall clock.
 */
export function parseMoment(text: string, edge: 'start' | 'end', nowMs: number): number | undefined {
  const agoMs = parseDuration(text);
  if (agoMs !== undefined) return nowMs - agoMs;
  const startOfDay = text === 'today' ? 0 : text === 'yesterday' ? dayMs : undefined;
  if (startOfDay !== undefined) {
    const startMs = nowMs - (nowMs % dayMs) - startOfDay;
    return edge === 'start' ? startMs : startMs + dayMs;
  }
  const atMs = parseTime(text);
  // A day alone is read as its end.
  const isDay = !/[Tt ]/.test(text);
  return atMs !== undefined && isDay && edge === 'start' ? atMs - dayMs : atMs;
}
