// Numbers, durations and sizes as people read them: in sentences, in tables of commands, on the page.

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** 250 ms, 4.7 s, 3 min 12 s, 2 h 5 min, 3 days 4 h. */
export function durationWords(ms: number): string {
  if (!Number.isFinite(ms)) return 'unknown';
  const whole = Math.max(0, ms);
  if (whole < second) return `${Math.round(whole)} ms`;
  // 59.96 s is not "60 s".
  if (whole < 10 * second - 50) return `${withTenth(whole / second)} s`;
  if (whole < minute - 500) return `${Math.round(whole / second)} s`;
  if (whole < hour - 500) return two(whole, second, minute, 'min', 's');
  if (whole < day - 30 * second) return two(whole, minute, hour, 'h', 'min');
  const rounded = Math.round(whole / hour) * hour;
  const days = Math.floor(rounded / day);
  return join(plural(days, 'day'), days < 7 ? (rounded % day) / hour : 0, 'h');
}

/** The time since something, in whole seconds, so that a column of them does not flicker. */
export function agoWords(ms: number): string {
  return ms >= 0 && ms < 10 * second ? `${Math.floor(ms / second)} s` : durationWords(ms);
}

/** What is left until something ends: whole days. */
export function daysWords(ms: number): string {
  const days = Math.floor(ms / day);
  return days <= 0 ? 'less than a day' : plural(days, 'day');
}

/** In units of `large`, and what is left in units of `small`. */
function two(ms: number, small: number, large: number, name: string, rest: string): string {
  const rounded = Math.round(ms / small) * small;
  return join(`${Math.floor(rounded / large)} ${name}`, (rounded % large) / small, rest);
}

function join(whole: string, rest: number, unit: string): string {
  return rest === 0 ? whole : `${whole} ${rest} ${unit}`;
}

/** 3.4, and 3 instead of 3.0. */
function withTenth(value: number): number {
  return Number(value.toFixed(1));
}

/** 12,345 */
export function countWords(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 rule`, `2,000 rules`; with a verb: `1 command waits`, `3 commands wait`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${countWords(count)} ${count === 1 ? one : many}`;
}

/** `15 refusals`, `3 commands that were not sent`; of a flood limit, which left no record of each. '': none. */
export function refusedWords(refused: number, unsent: number, more = ''): string {
  return [
    ...(refused === 0 ? [] : [plural(refused, `${more}refusal`)]),
    ...(unsent === 0
      ? []
      : [plural(unsent, `${more}command that was not sent`, `${more}commands that were not sent`)]),
  ].join(' and ');
}

/** `15 refusals only counted`: what has no row of its own, beside the number of rows. '': nothing. */
export function onlyCountedWords({ refused, unsent, unsure }: Counts): string {
  const sure = refusedWords(refused, unsent);
  const texts = [sure, unsure === 0 ? '' : `${countWords(unsure)} that may match`].filter(Boolean);
  return texts.length === 0 ? '' : `${texts.join(' and ')} only counted`;
}

interface Counts {
  readonly refused: number;
  readonly unsent: number;
  readonly unsure: number;
}

export function timesWords(count: number): string {
  return count === 1 ? 'once' : plural(count, 'time');
}

/** 0.02, 0.4, 12, 1,234: as many digits as help. */
export function rateWords(perSecond: number): string {
  if (perSecond > 0 && perSecond < 0.095) return Math.max(0.01, perSecond).toFixed(2);
  return perSecond < 9.95 && perSecond > 0 ? perSecond.toFixed(1) : countWords(perSecond);
}

/** 512 bytes, 12.5 KiB, 3 GiB, 120 GiB. */
export function bytesWords(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  if (bytes < 1024) return plural(bytes, 'byte');
  let value = bytes / 1024;
  let at = 0;
  while (value >= 1023.5 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${value < 99.95 ? withTenth(value) : countWords(value)} ${units[at]}`;
}
