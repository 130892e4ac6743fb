// Durations as policies, configurations and commands spell them: `500ms`, `5s`, `10m`, `2h`, `7d`, `2w`; and moments as people type them
// after `--since` and `--until`. Days are those of UTC, as the times of records are: a command means the same on every machine.

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
  const atMs = parseTime(text);
  // A day alone is read as its end.
  const isDay = !/[Tt ]/.test(text);
  return atMs !== undefined && isDay && edge === 'start' ? atMs - dayMs : atMs;
}

/**
 * A day (`2027-01-31`: its end, in UTC) or a time of RFC 3339, in Unix milliseconds; undefined for anything else, and for days that
 * no month has.
 */
export function parseTime(written: string): number | undefined {
  const match =
    /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,3})\d*)?([Zz]|[+-]\d\d:\d\d))?$/.exec(written);
  if (match === null) return undefined;
  const [, day = '', hour, minuteText, secondText, fraction, zone] = match;
  const midnight = Date.parse(`${day}T00:00:00Z`);
  // A 31st of February becomes a day of March.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return undefined;
  if (zone === undefined) return midnight + dayMs;
  const [hours, minutes, seconds] = [Number(hour), Number(minuteText), Number(secondText)];
  const zoneMinutes = /^z$/i.test(zone) ? 0 : Number(zone.slice(0, 3)) * 60 + Number(zone[0] + zone.slice(4));
  if (hours > 23 || minutes > 59 || seconds > 60 || Math.abs(zoneMinutes) > 24 * 60) return undefined;
  const ofDay = ((hours * 60 + minutes - zoneMinutes) * 60 + seconds) * 1000;
  return midnight + ofDay + Number((fraction ?? '').padEnd(3, '0'));
}
