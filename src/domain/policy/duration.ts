// Durations as policies, configurations and commands spell them: `500ms`, `5s`, `10m`, `2h`, `7d`, `2w`; and moments as people type them
// after `--since` and `--until`. Days are those of UTC, as the times of records are: a command means the same on every machine.

import { parseTime } from '../audit/record.js';

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
  const atMs = parseInstant(text);
  // A day alone is read as its end.
  const isDay = !/[Tt ]/.test(text);
  return atMs !== undefined && isDay && edge === 'start' ? atMs - dayMs : atMs;
}

/**
 * A day (`2027-01-31`: its end, in UTC) or a time of RFC 3339, in Unix milliseconds; undefined for anything else, and for days that
 * no month has.
 */
export function parseInstant(written: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d{1,3})\d*)?([Zz]|[+-]\d\d:\d\d))?$/.exec(
    written,
  );
  const [, day, minute = '00:00', second, fraction = '', zone] = match ?? [];
  const minuteMs = parseTime(`${day}T${minute}:00.000Z`);
  if (minuteMs === undefined) return undefined;
  if (zone === undefined) return minuteMs + dayMs;
  const zoneMinutes = /^z$/i.test(zone) ? 0 : Number(zone.slice(0, 3)) * 60 + Number(zone[0] + zone.slice(4));
  if (Number(second) > 60 || Math.abs(zoneMinutes) > 24 * 60) return undefined;
  return minuteMs - zoneMinutes * 60_000 + Number(second) * 1000 + Number(fraction.padEnd(3, '0'));
}
