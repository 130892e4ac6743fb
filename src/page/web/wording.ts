// Times as people read them.

const minute = 60_000;
const day = 24 * 60 * minute;

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

/** The reader's day. As long as it is the same object, the words of every time stay the same. */
export interface Today {
  /** A time of the day, RFC 3339. */
  readonly at: string;
  readonly dayAndZone: string;
}

/** The day of a time: `before` itself while day and zone are the same. Summer time begins within a day, and computers travel. */
export function todayAt(at: string, before: Today | undefined): Today {
  const dayAndZone = `${Math.floor(zoned(at).getTime() / day)} ${zoneOffsetMs(Date.parse(at))}`;
  return before?.dayAndZone === dayAndZone ? before : { at, dayAndZone };
}

/** A date whose UTC is what the clock of the reader shows. */
function zoned(time: string) {
  const ms = Date.parse(time);
  return new Date(ms + zoneOffsetMs(ms));
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `21 Nov 2026`: a day in UTC, such as the last day of a certificate. */
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
