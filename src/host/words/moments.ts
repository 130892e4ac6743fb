// A time as people type it, in a search on the page and on a command line: one parser, and the sentence of what it takes.

import { parseDuration } from './durations.js';

export const momentForms =
  'a time ago (90m, 2h, 7d), a time of day (01:30), today, yesterday, a day (28 Nov, 2026-11-28), a day with a time (28 Nov 01:30), or a time of RFC 3339 with its zone';

const dayMs = 86_400_000;
const months = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');

const momentPattern =
  /^(?:(today|yesterday)|(\d{4})-(\d\d)-(\d\d)|(\d{1,2})[ -]?([a-z]{3})(?:[ -](\d{4}))?)?(?:(?:^|[t ])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3})\d*)?)?)?(z|[+-]\d\d:\d\d)?$/i;

/**
 * Unix milliseconds; undefined: not a time. `edge`: which end of a day is meant. `offsetMs`: the offset, at a time, of the zone that is
 * meant if the text has none. A time of day, or a day without its year, is the last one in the past.
 */
export function parseMoment(
  text: string,
  edge: 'start' | 'end',
  nowMs: number,
  offsetMs: (atMs: number) => number = () => 0,
): number | undefined {
  const agoMs = parseDuration(text);
  if (agoMs !== undefined) return nowMs - agoMs;
  const match = momentPattern.exec(text);
  const [
    ,
    named,
    year,
    month,
    date,
    dayOfMonth,
    monthName,
    yearAfter,
    hour,
    minute,
    second = '0',
    part = '0',
    zone,
  ] = match ?? [];
  const clockMs = nowMs + offsetMs(nowMs);
  const today = clockMs - (clockMs % dayMs);
  const isClock = hour !== undefined;
  if (
    match === null ||
    text === '' ||
    Number(hour ?? 0) > 23 ||
    Number(minute ?? 0) > 59 ||
    Number(second) > 60
  )
    return undefined;
  const timeMs = isClock
    ? Number(hour) * 3_600_000 + Number(minute) * 60_000 + Number(second) * 1000 + Number(part.padEnd(3, '0'))
    : 0;
  /** When a clock of the zone has this time, as if it were in UTC. The offset may change on that day. */
  const instantOf = (ms: number): number => ms - offsetMs(ms - offsetMs(ms));
  const whole = (startMs: number): number =>
    instantOf(startMs + timeMs + (isClock || edge === 'start' ? 0 : dayMs));
  if (zone !== undefined) {
    const startMs = dayOf(Number(year), Number(month) - 1, Number(date));
    if (startMs === undefined || !isClock) return undefined;
    return startMs + timeMs - zoneMs(zone);
  }
  if (named !== undefined) return whole(named.toLowerCase() === 'today' ? today : today - dayMs);
  if (year !== undefined) {
    const startMs = dayOf(Number(year), Number(month) - 1, Number(date));
    return startMs === undefined ? undefined : whole(startMs);
  }
  if (monthName !== undefined) {
    const at = months.indexOf(monthName.toLowerCase());
    const thisYear = new Date(today).getUTCFullYear();
    const of = (ofYear: number): number | undefined => dayOf(ofYear, at, Number(dayOfMonth));
    const startMs =
      yearAfter === undefined
        ? [thisYear, thisYear - 1].map(of).find((ms) => ms !== undefined && ms <= today)
        : of(Number(yearAfter));
    return startMs === undefined ? undefined : whole(startMs);
  }
  return whole(timeMs <= clockMs - today ? today : today - dayMs);
}

/** Its start, as if in UTC; undefined: there is no such day. */
function dayOf(year: number, month: number, date: number): number | undefined {
  const at = new Date(Date.UTC(year, month, date));
  return at.getUTCMonth() === month && at.getUTCDate() === date ? at.getTime() : undefined;
}

function zoneMs(zone: string): number {
  if (/^z$/i.test(zone)) return 0;
  return (Number(zone.slice(0, 3)) * 60 + Number(zone.slice(0, 1) + zone.slice(4))) * 60_000;
}
