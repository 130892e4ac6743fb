// Durations, numbers, sizes and times as people read them.

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** 250 ms, 4.7 s, 3 min 12 s, 2 h 5 min, 3 days 4 h. */
export function durationWords(ms: number): string {
  if (!Number.isFinite(ms)) return 'unknown';
  const whole = Math.max(0, ms);
  if (whole < second) return `${Math.round(whole)} ms`;
  // 59.96 s is not "60.0 s".
  if (whole < 10 * second - 50) return `${(whole / second).toFixed(1)} s`;
  if (whole < minute - 500) return `${Math.round(whole / second)} s`;
  if (whole < hour - 500) return two(whole, second, minute, 'min', 's');
  if (whole < day - 30 * second) return two(whole, minute, hour, 'h', 'min');
  const rounded = Math.round(whole / hour) * hour;
  const days = Math.floor(rounded / day);
  return join(`${days} ${days === 1 ? 'day' : 'days'}`, days < 7 ? (rounded % day) / hour : 0, 'h');
}

/** Of something that was: whole seconds, so that a column of them does not flicker. */
export function agoWords(ms: number): string {
  return ms >= 0 && ms < 10 * second ? `${Math.floor(ms / second)} s` : durationWords(ms);
}

/** In units of `large`, and what is left in units of `small`. */
function two(ms: number, small: number, large: number, name: string, rest: string): string {
  const rounded = Math.round(ms / small) * small;
  return join(`${Math.floor(rounded / large)} ${name}`, (rounded % large) / small, rest);
}

function join(whole: string, rest: number, unit: string): string {
  return rest === 0 ? whole : `${whole} ${rest} ${unit}`;
}

/** 12,345 */
export function countWords(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** "1 command waits", "3 commands wait". */
export function plural(count: number, one: string, many: string): string {
  return `${countWords(count)} ${count === 1 ? one : many}`;
}

/** 0.02, 0.4, 12, 1,234: as many digits as help. */
export function rateWords(perSecond: number): string {
  if (perSecond > 0 && perSecond < 0.095) return Math.max(0.01, perSecond).toFixed(2);
  return perSecond < 9.95 && perSecond > 0 ? perSecond.toFixed(1) : countWords(perSecond);
}

/** 512 bytes, 12 KiB, 3.4 GiB. */
export function bytesWords(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  if (bytes < 1024) return plural(bytes, 'byte', 'bytes');
  let value = bytes / 1024;
  let at = 0;
  while (value >= 1023.5 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${value < 9.95 ? value.toFixed(1) : countWords(value)} ${units[at]}`;
}

let isUtc = false;

export function showUtc(isWanted: boolean): void {
  isUtc = isWanted;
}

/** `local (UTC+1)`, `UTC`: the zone of all times, on the day of a time. */
export function zoneWords(time: string): string {
  return isUtc ? 'UTC' : `local (${offsetWords(zoneOffsetMs(Date.parse(time)))})`;
}

export function zoneOffsetMs(atMs: number): number {
  return isUtc ? 0 : -new Date(atMs).getTimezoneOffset() * minute;
}

function offsetWords(ms: number): string {
  const minutes = Math.abs(Math.round(ms / minute));
  const rest = minutes % 60 === 0 ? '' : `:${String(minutes % 60).padStart(2, '0')}`;
  return `UTC${ms < 0 ? '−' : '+'}${Math.floor(minutes / 60)}${rest}`;
}

/** Without the day if it is `now`'s, without the year if it is `now`'s. Both are RFC 3339. `isExact`: with seconds. */
export function localTime(time: string, now: string, isExact = false): string {
  const at = zoned(time);
  const today = zoned(now);
  if (Number.isNaN(at.getTime())) return time;
  const clock = at.toISOString().slice(11, isExact ? 19 : 16);
  const [date, month, year] = [at.getUTCDate(), at.getUTCMonth(), at.getUTCFullYear()];
  const isThisYear = year === today.getUTCFullYear();
  if (isThisYear && month === today.getUTCMonth() && date === today.getUTCDate()) return clock;
  return `${date} ${months[month]}${isThisYear ? '' : ` ${year}`} ${clock}`;
}

/** What `localTime` takes of `now`: while this is the same, so are the words of a time. */
export function dayOf(now: string): number {
  return Math.floor(zoned(now).getTime() / day);
}

/** A date whose UTC is what the clock of the reader shows. */
function zoned(time: string) {
  const ms = Date.parse(time);
  return new Date(ms + zoneOffsetMs(ms));
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** 21 Nov 2026: of a day, as of a certificate's last, in UTC. */
export function dayWords(time: string): string {
  const at = new Date(Date.parse(time));
  if (Number.isNaN(at.getTime())) return time;
  return `${at.getUTCDate()} ${months[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
}

/** As it is shown on hover: 2026-11-21 02:14:00 UTC. */
export function utcTime(time: string): string {
  const at = Date.parse(time);
  if (Number.isNaN(at)) return time;
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

export type Marked = { readonly text: string } | { readonly time: string };

/** A sentence of the daemon in pieces: times in it are marked, as {2026-11-21T02:14:00Z}; those without a mark are found as well. */
export function marked(text: string): Marked[] {
  return text
    .split(/\{?\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))\b\}?/)
    .map((part, at) => (at % 2 === 1 ? { time: part } : { text: part }))
    .filter((part) => 'time' in part || part.text !== '');
}
