// An instant as it is written in records, answers and configurations.

/** The last millisecond of the year 9999: the form has four digits for the year. */
export const msMax = 253_402_300_799_999;
let formattedSecond = -1;
/** The formatted second up to its point, kept because thousands of records come in a second. */
let secondText = '';

/** RFC 3339 in UTC with milliseconds, always 24 characters; what lies outside 1970..9999 is moved to the nearest end. */
export function formatTime(ms: number): string {
  const whole = Number.isFinite(ms) ? Math.min(Math.max(Math.floor(ms), 0), msMax) : 0;
  const second = Math.floor(whole / 1000);
  if (second !== formattedSecond) {
    formattedSecond = second;
    secondText = new Date(whole).toISOString().slice(0, 20);
  }
  return `${secondText}${String(whole - second * 1000).padStart(3, '0')}Z`;
}

/** `2026-11-20T09:22:34.123Z`, as a clock in the zone of this process shows it, and the zone: `+01:00`. */
export function localTime(ms: number): { readonly time: string; readonly zone: string } {
  const aheadMin = -new Date(ms).getTimezoneOffset();
  const digits = (value: number): string => String(Math.trunc(Math.abs(value))).padStart(2, '0');
  const zone = `${aheadMin < 0 ? '-' : '+'}${digits(aheadMin / 60)}:${digits(aheadMin % 60)}`;
  return { time: formatTime(ms + aheadMin * 60_000), zone };
}

const dayMs = 86_400_000;

/** The end of a rule or a key in the form of a configuration: a day if it is the end of that day in UTC, else a time. */
export function formatEnd(ms: number): string {
  return ms % dayMs === 0 ? formatTime(ms - 1).slice(0, 10) : formatTime(ms).replace('.000Z', 'Z');
}

/** Milliseconds since 1970 of a text in exactly the form of `formatTime`; undefined for any other text, and before 1970. */
export function parseTime(text: string): number | undefined {
  const ms = text.length === timeChars ? Date.parse(text) : Number.NaN;
  // A 31st of February or an hour 24 is formatted differently.
  return ms >= 0 && new Date(ms).toISOString() === text ? ms : undefined;
}
export const timeChars = 24;

/** A day (`2027-01-31`: its end, in UTC) or a time of RFC 3339, in Unix milliseconds; undefined for anything else, as 31 February. */
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
