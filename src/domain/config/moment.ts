// Moments as people type them behind `--since` and `--until`: a duration before now, a day, `today`, `yesterday`, or a time of RFC 3339.
// The rule: days are those of UTC, as the times of records are, so that a command means the same on every machine.

import { parseDuration } from '../policy/duration.js';

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
 * no month has. Computed here, since a date object would bring the clock of the machine along.
 */
export function parseTime(written: string): number | undefined {
  const match =
    /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,3})\d*)?([Zz]|[+-]\d\d:\d\d))?$/.exec(
      written,
    );
  if (match === null) return undefined;
  const [, year, month, day, hour, minuteText, secondText, fraction, zone] = match;
  const days = daysSince1970(Number(year), Number(month), Number(day));
  if (days === undefined) return undefined;
  if (zone === undefined) return (days + 1) * dayMs;
  const [hours, minutes, seconds] = [Number(hour), Number(minuteText), Number(secondText)];
  const zoneMinutes = /^z$/i.test(zone) ? 0 : Number(zone.slice(0, 3)) * 60 + Number(zone[0] + zone.slice(4));
  if (hours > 23 || minutes > 59 || seconds > 60 || Math.abs(zoneMinutes) > 24 * 60) return undefined;
  const ofDay = ((hours * 60 + minutes - zoneMinutes) * 60 + seconds) * 1000;
  return days * dayMs + ofDay + Number((fraction ?? '').padEnd(3, '0'));
}

/** Days of the Gregorian calendar, counted in years that begin in March, so that a leap day is the last of its year. */
function daysSince1970(year: number, month: number, day: number): number | undefined {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  if (day < 1 || day > (lengths[month - 1] ?? 0)) return undefined;
  const from = month > 2 ? year : year - 1;
  const before = 365 * from + Math.floor(from / 4) - Math.floor(from / 100) + Math.floor(from / 400);
  return before + Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 719_469;
}
