// The keys of doveadm's search queries: what values each takes, what it tells about mails, and what its values mean. The same for
// both series but where said. Knows nothing of AND, OR and parentheses.
//
// A key or value that doveadm-server cannot read ends its process without a status, so each is checked here first.

import { foldAscii } from '../identity/user-name.js';
import type { Series } from './catalog.js';

/**
 * What a key asks about. `place`: which mailbox. `number`: position, id or size. `date`: age. `flag`: flags and keywords.
 * `content`: what the mail says; its answer tells something of the text.
 */
export type SearchClass = 'place' | 'number' | 'date' | 'flag' | 'content';

/** A point in time that a query names: an age counted from now, or a span of Unix seconds that the time lies in. */
export type SearchTime =
  | { readonly kind: 'age'; readonly seconds: number }
  | { readonly kind: 'time'; readonly earliest: number; readonly latest: number };

type ValueKind = 'text' | 'atom' | 'time' | 'interval' | 'size' | 'set' | 'modseq';

/**
 * A key of the search language as the server knows it: what it looks at, and the operands that it takes, in order.
 */
export interface SearchKey {
  /** Lower case; aliases have become the name that they stand for. */
  readonly name: string;
  readonly class: SearchClass;
  readonly values: readonly ValueKind[];
}

const keys = new Map<string, SearchKey>();
const define = (searchClass: SearchClass, values: readonly ValueKind[], names: string): void => {
  for (const name of names.split(' ')) keys.set(name, { name, class: searchClass, values });
};
define('place', ['text'], 'mailbox mailbox-guid');
define('number', [], 'all oldestonly');
define('number', ['set'], 'uid x-real-uid');
define('number', ['size'], 'larger smaller');
define('number', ['text'], 'guid');
define('number', ['modseq'], 'modseq');
define('date', ['time'], 'before on since sentbefore senton sentsince savedbefore savedon savedsince');
define('date', ['interval'], 'older younger');
define('date', [], 'savedatesupported');
define('flag', [], 'answered unanswered deleted undeleted draft undraft flagged unflagged seen unseen recent old new');
define('flag', ['atom'], 'keyword unkeyword');
define('content', ['text'], 'bcc cc from to subject body text');
define('content', ['text', 'text'], 'header');

/** `savedatesupported`. */
const longestKey = 17;

const aliases: Readonly<Record<string, string>> = {
  'x-savedbefore': 'savedbefore',
  'x-savedon': 'savedon',
  'x-savedsince': 'savedsince',
  'x-guid': 'guid',
};

/** Keys that a server knows but that are refused, and what to write instead. */
const refusedKeys: Readonly<Record<string, string>> = {
  'x-mailbox': 'write "mailbox"',
  inthread: 'servers end their process for some uses of it',
  mimepart: 'it is not taken',
  $: 'there is no earlier search to refer to',
};

/** The sequence numbers of mails as a key of their own. */
export const sequenceKey: SearchKey = { name: 'sequence', class: 'number', values: ['set'] };

/** The key of that name, in any case; undefined for what is no key of both series. */
export function searchKeyNamed(word: string): SearchKey | undefined {
  if (word.length > longestKey) return undefined;
  const name = foldAscii(word);
  return keys.get(Object.hasOwn(aliases, name) ? (aliases[name] ?? '') : name);
}

/** Why a key that servers know is not taken, as the end of a sentence. */
export function whyRefused(word: string): string | undefined {
  const name = foldAscii(word);
  return Object.hasOwn(refusedKeys, name) ? refusedKeys[name] : undefined;
}

/** Whether a server of the series reads the value, and both series read it as the same. */
export function isSearchValue(series: Series, kind: ValueKind, value: string): boolean {
  switch (kind) {
    case 'text':
      return true;
    case 'atom':
      return isAtom(value);
    case 'time':
      return searchTime(series, value) !== undefined;
    case 'interval':
      return /^\d{1,10}$/.test(value) && Number(value) > 0 && Number(value) <= uint32Max;
    case 'size':
      return searchSize(value) !== undefined;
    case 'set':
      return isSequenceSet(value);
    case 'modseq':
      return /^\d{1,19}$/.test(value);
    default: {
      const never: never = kind;
      return never;
    }
  }
}

const uint32Max = 2 ** 32 - 1;
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const unitSeconds: readonly (readonly [words: readonly string[], seconds: number])[] = [
  [['secs', 'seconds'], 1],
  [['mins', 'minutes'], 60],
  [['hours'], 3600],
  [['days'], 86_400],
  [['weeks'], 604_800],
];

/**
 * A sequence or UID set: `3`, `1:5,9`, `2:*`. Stricter than servers: 2.4 takes `1,` and `5*`, 2.3 wraps above 32 bits, and `*`
 * where no range ends in it is the last mail to IMAP but no mail at all to `uid`.
 */
export function isSequenceSet(text: string): boolean {
  // Not cut into its ranges: a set can be as long as a line, and has up to 32,000 of them.
  if (!setGrammar.test(text) || zeroInSet.test(text)) return false;
  return (text.match(/\d{10}/g) ?? []).every((number) => Number(number) <= uint32Max);
}

const setGrammar = /^\d{1,10}(?::(?:\d{1,10}|\*))?(?:,\d{1,10}(?::(?:\d{1,10}|\*))?)*$/;
const zeroInSet = /(?:^|[,:])0+(?:[,:]|$)/;

/**
 * Reads what the date keys take: `30d` (any beginning of secs, mins, hours, days, weeks, blanks before it allowed), a Unix
 * timestamp, `2026-01-31`, `31-Jan-2026`. A day begins in the server's time zone in 2.3, and compared with mails in theirs: the
 * span is a day and the widest zones long. Undefined: not taken.
 */
export function searchTime(series: Series, text: string): SearchTime | undefined {
  // `-1` is how the C library says that it cannot read a date: the server's process ends (measured on 2.3.19.1 and 2.4.1).
  if (/^\d{1,12}$/.test(text)) return { kind: 'time', earliest: Number(text), latest: Number(text) };
  const age = /^(\d{1,10}) *([a-z]+)$/i.exec(text);
  if (age !== null) {
    const unit = (age[2] ?? '').toLowerCase();
    const seconds = unitSeconds.find(([words]) => words.some((word) => word.startsWith(unit)))?.[1];
    if (seconds === undefined || Number(age[1]) * seconds > uint32Max) return undefined;
    return { kind: 'age', seconds: Number(age[1]) * seconds };
  }
  const iso = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  if (iso !== null) return daySpan(Number(iso[1]), Number(iso[2]), Number(iso[3]), series === '2.4');
  const imap = /^(\d{1,2})-([a-z]{3})-(\d{4})$/i.exec(text);
  if (imap === null) return undefined;
  return daySpan(Number(imap[3]), months.indexOf((imap[2] ?? '').toLowerCase()) + 1, Number(imap[1]), false);
}

function daySpan(year: number, month: number, day: number, isUtc: boolean): SearchTime | undefined {
  const date = new Date(Date.UTC(year, month - 1, day));
  // A 31st of February becomes a day of March.
  if (year < 1970 || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const midnight = date.getTime() / 1000;
  // Zones lie between 12 hours behind and 14 before UTC.
  if (isUtc) return { kind: 'time', earliest: midnight, latest: midnight };
  return { kind: 'time', earliest: midnight - 14 * 3600, latest: midnight + 12 * 3600 };
}

/** `10`, `10k`, `10 MiB` in bytes; undefined: not taken. */
export function searchSize(text: string): number | undefined {
  const parts = /^(\d{1,15}) *(?:b|([kmgt])i?b?)?$/i.exec(text);
  if (parts === null) return undefined;
  const power = parts[2] === undefined ? 0 : 'kmgt'.indexOf(parts[2].toLowerCase()) + 1;
  const bytes = Number(parts[1]) * 1024 ** power;
  return bytes <= Number.MAX_SAFE_INTEGER ? bytes : undefined;
}

/** Letters and digits, in bytes of UTF-8, below which a text is in nearly every mail: one ideograph counts as three letters. */
const textBytesMin = 3;
/** No mail is larger. */
const sizeMax = 2 ** 40;
/** Mails have no dates in the first days of 1970, wherever they were written. */
const firstMails = 2 * 86_400;

/**
 * Whether every mail meets the key with these values, or nearly every one, so that the key narrows nothing: an empty text, a sign or
 * two letters (a text without letters matches every mail on 2.3.19.1 and 2.4.1 if it is empty or a line end), `larger 0`, `uid 1:*`, `since
 * 1970-01-01`, `savedbefore` a time that is still to come.
 */
export function selectsEverything(
  series: Series,
  key: SearchKey,
  values: readonly string[],
  nowMs: number,
): boolean {
  const value = values.at(-1) ?? '';
  if (key.class === 'content')
    return lettersIn(value) < textBytesMin || values.some((each) => each.trim() === '');
  const [kind] = key.values;
  switch (kind) {
    case undefined:
    case 'atom':
      return false;
    case 'text':
      return value === '';
    case 'size': {
      const bytes = searchSize(value) ?? 0;
      return key.name === 'larger' ? bytes === 0 : bytes >= sizeMax;
    }
    case 'set':
      return coversEverything(value);
    case 'modseq':
      return BigInt(value) <= 1n;
    case 'interval':
      return key.name === 'younger' && Number(value) >= nowMs / 1000 - firstMails;
    case 'time':
      return boundsNothing(key.name, searchTime(series, value), nowMs / 1000);
    default: {
      const never: never = kind;
      return never;
    }
  }
}

function lettersIn(text: string): number {
  return Buffer.byteLength(text.replaceAll(/[^\p{L}\p{N}]/gu, ''));
}

function boundsNothing(name: string, time: SearchTime | undefined, now: number): boolean {
  if (time === undefined) return true;
  const isAge = time.kind === 'age';
  if (name.endsWith('before')) return isAge ? time.seconds === 0 : time.earliest >= now;
  if (name.endsWith('since')) return (isAge ? now - time.seconds : time.latest) <= firstMails;
  return false;
}

/** Whether a set holds every number from 1 on, however it is cut: `1:*`, `4294967295:1`, `5:*,1:4`. */
function coversEverything(set: string): boolean {
  const ranges = set.split(',').map((range) => {
    const [first = '', last = first] = range.split(':');
    const ends = [first, last].map((end) => (end === '*' ? uint32Max : Number(end)));
    return [Math.min(...ends), Math.max(...ends)] as const;
  });
  let covered = 0;
  for (const [low, high] of ranges.toSorted(([one], [other]) => one - other)) {
    if (low <= covered + 1) covered = Math.max(covered, high);
  }
  return covered >= uint32Max;
}

/** What IMAP calls an atom: printable ASCII without specials. 2.4 demands it of keywords. */
export function isAtom(text: string): boolean {
  return /^[!-~]+$/.test(text) && !/[(){%*"\\\]]/.test(text);
}
