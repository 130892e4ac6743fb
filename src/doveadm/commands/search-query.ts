// Search queries: the keys, what their values mean, and a list of words read into a tree as doveadm-server does; what rules ask of it.
//
//   mailbox Trash savedbefore 30d          both               mailbox A OR mailbox B        either
//   NOT seen                               the next key       ( mailbox A OR seen ) all     parentheses are words of their own
//
// The server makes one OR of everything in a list where it meets one (`a b OR c` is a OR b OR c), and ends its process without a status for
// a key or value that it cannot read. What people would read differently is refused: a list is either all AND or all OR.

import { bounds } from '../../host/bounds/bounds.js';
import { foldAscii } from '../../host/words/text.js';
import type { Series } from './catalog.js';
import { type Unparsable, unparsable } from './getopt.js';

/** A point in time in a query: an age relative to now, or a span of Unix seconds that contains the time. */
export type SearchTime =
  | { readonly kind: 'age'; readonly seconds: number }
  | { readonly kind: 'time'; readonly earliest: number; readonly latest: number };

type ValueKind = 'text' | 'atom' | 'time' | 'interval' | 'size' | 'set' | 'modseq';

export interface SearchKey {
  /** Lower case; aliases are replaced by their names. */
  readonly name: string;
  /**
   * The subject of the key. `place`: a mailbox. `number`: position, id or size. `date`: age. `flag`: flags and keywords. `content`: the
   * mail's content; the result reveals something of the text.
   */
  readonly class: 'place' | 'number' | 'date' | 'flag' | 'content';
  readonly values: readonly ValueKind[];
}

const keys = new Map<string, SearchKey>();
const define = (searchClass: SearchKey['class'], values: readonly ValueKind[], names: string): void => {
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

for (const name of ['savedbefore', 'savedon', 'savedsince', 'guid']) {
  const key = keys.get(name);
  if (key !== undefined) keys.set(`x-${name}`, key);
}

/** Without the names that only older servers have. */
export function searchKeyNames(): readonly string[] {
  return [...keys.keys()].filter((name) => !name.startsWith('x-'));
}

/** Keys that a server accepts but that are refused here, with an alternative. */
const refusedKeys = new Map([
  ['x-mailbox', 'write "mailbox"'],
  ['inthread', 'servers end their process for some uses of it'],
  ['mimepart', 'it is not taken'],
  ['$', 'there is no earlier search to refer to'],
]);

const sequenceKey: SearchKey = { name: 'sequence', class: 'number', values: ['set'] };

/** The key of that name, in any case; undefined: not a key of both series. */
export function searchKeyNamed(word: string): SearchKey | undefined {
  return keys.get(foldAscii(word));
}

/** Whether a server of the series accepts the value, and both series read it alike. */
function isSearchValue(series: Series, kind: ValueKind, value: string): boolean {
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
    default:
      return kind satisfies never;
  }
}

const uint32Max = 2 ** 32 - 1;
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const units = { secs: 1, seconds: 1, mins: 60, minutes: 60, hours: 3600, days: 86_400, weeks: 604_800 };

/**
 * A sequence or UID set: `3`, `1:5,9`, `*:2`, `1,*`, also with a comma at its end. As a position `*` is the last mail. As a UID it is above
 * every mail: `uid *` selects nothing (measured on 2.3.19.1 and 2.4.1). Forms that releases read differently are refused: servers up to
 * 2.4.1 wrap numbers above 32 bits, servers after 2.4.4 accept `5*`.
 */
export function isSequenceSet(text: string): boolean {
  // Not split into ranges: a set can be as long as a line, with up to 32,000 of them.
  if (!setGrammar.test(text) || zeroInSet.test(text)) return false;
  return (text.match(/\d{10}/g) ?? []).every((number) => Number(number) <= uint32Max);
}

const setGrammar = /^(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?(?:,(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?)*,?$/;
const zeroInSet = /(?:^|[,:])0+(?:[,:]|$)/;
const setExample = 'write numbers above 0, ranges and "*", with commas between them: 1:5,9,*';

/**
 * Parses a value of the date keys: `30d` (any prefix of secs, mins, hours, days, weeks, with optional blanks before it), a Unix timestamp,
 * `2026-01-31`, `31-Jan-2026`. A day begins in the server's time zone in 2.3, and is compared with mails in theirs: the span is a day plus
 * the widest zones. Undefined: invalid.
 */
export function searchTime(series: Series, text: string): SearchTime | undefined {
  // `-1` is the C library's result for an unreadable date: the server's process ends (measured on 2.3.19.1 and 2.4.1).
  if (/^\d{1,12}$/.test(text)) return { kind: 'time', earliest: Number(text), latest: Number(text) };
  const age = /^(\d{1,10}) *([a-z]+)$/i.exec(text);
  if (age !== null) {
    const unit = (age[2] ?? '').toLowerCase();
    const seconds = Object.entries(units).find(([word]) => word.startsWith(unit))?.[1];
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
  // Zones are between 12 hours behind and 14 ahead of UTC.
  if (isUtc) return { kind: 'time', earliest: midnight, latest: midnight };
  return { kind: 'time', earliest: midnight - 14 * 3600, latest: midnight + 12 * 3600 };
}

/** `10`, `10k`, `10 MiB` in bytes; undefined: invalid. */
export function searchSize(text: string): number | undefined {
  const parts = /^(\d{1,15}) *(?:b|([kmgt])i?b?)?$/i.exec(text);
  if (parts === null) return undefined;
  const power = parts[2] === undefined ? 0 : 'kmgt'.indexOf(parts[2].toLowerCase()) + 1;
  const bytes = Number(parts[1]) * 1024 ** power;
  return bytes <= Number.MAX_SAFE_INTEGER ? bytes : undefined;
}

/** An atom of IMAP: printable ASCII without specials. 2.4 requires it for keywords. */
export function isAtom(text: string): boolean {
  return /^[!-~]+$/.test(text) && !/[(){%*"\\\]]/.test(text);
}

/** One key with its values; `at` is the position of its first word in the query. */
export interface SearchCondition {
  readonly kind: 'key';
  readonly key: SearchKey;
  readonly values: readonly string[];
  readonly at: number;
}

/** `fuzzy`: the comparisons of its node are approximate. */
export type SearchNode =
  | SearchCondition
  | { readonly kind: 'and' | 'or'; readonly nodes: readonly SearchNode[] }
  | { readonly kind: 'not' | 'fuzzy'; readonly node: SearchNode };

/** Deeper nesting is refused: the server recurses too, on a stack of unknown size. */
const depthMax = bounds.queryDepth;

/** Keys of one query: each is evaluated for every condition of each rule. */
const keysMax = bounds.queryKeys;
/** Mailboxes in one line, in its arguments or in its query: each is compared with every pattern of each rule. */
export const mailboxesMax = bounds.mailboxesPerLine;

interface Reader {
  readonly series: Series;
  readonly words: readonly string[];
  next: number;
  keys: number;
  mailboxes: number;
}

/** The tree of a query, or why it is refused. No message repeats a value. */
export function parseSearchQuery(series: Series, words: readonly string[]): SearchNode | Unparsable {
  return readList({ series, words, next: 0, keys: 0, mailboxes: 0 }, 0);
}

const knownConditions = new WeakMap<SearchNode, readonly SearchCondition[]>();

/** Every key in the tree, from left to right. Cached for each tree: every rule needs it. */
export function conditionsIn(root: SearchNode): readonly SearchCondition[] {
  let conditions = knownConditions.get(root);
  if (conditions === undefined) {
    conditions = everyCondition(root);
    knownConditions.set(root, conditions);
  }
  return conditions;
}

function everyCondition(node: SearchNode, found: SearchCondition[] = []): SearchCondition[] {
  switch (node.kind) {
    case 'key':
      found.push(node);
      return found;
    case 'and':
    case 'or':
      for (const each of node.nodes) everyCondition(each, found);
      return found;
    case 'not':
    case 'fuzzy':
      return everyCondition(node.node, found);
    default:
      return node satisfies never;
  }
}

/**
 * The keys that each matching mail meets: those of the list that are not under NOT, OR or FUZZY. A rule that demands `mailbox` and
 * `savedbefore` permits a query with both of them here; other parts of the query only narrow it.
 */
export function conditionsOfAll(node: SearchNode): SearchCondition[] {
  if (node.kind === 'key') return [node];
  return node.kind === 'and' ? node.nodes.flatMap(conditionsOfAll) : [];
}

export function namesMailbox(node: SearchNode): boolean {
  return everyBranchHas(node, ({ class: about }) => about === 'place', false);
}

/**
 * The condition of `expunge` and `move`, without which the server's process ends: every branch names a mailbox, and something besides.
 * Close to the server's own check, and never looser: a mailbox under NOT does not count here.
 */
export function mayExpunge(node: SearchNode): boolean {
  return namesMailbox(node) && everyBranchHas(node, ({ class: about }) => about !== 'place', true);
}

function everyBranchHas(
  node: SearchNode,
  isWanted: (key: SearchKey) => boolean,
  countsUnderNot: boolean,
): boolean {
  const hasOne = (one: SearchNode): boolean => everyBranchHas(one, isWanted, countsUnderNot);
  switch (node.kind) {
    case 'key':
      return isWanted(node.key);
    case 'and':
      return node.nodes.some(hasOne);
    case 'or':
      return node.nodes.every(hasOne);
    case 'not':
    case 'fuzzy':
      return countsUnderNot && hasOne(node.node);
    default:
      return node satisfies never;
  }
}

/** Keys up to the end or the closing parenthesis. */
function readList(reader: Reader, depth: number): SearchNode | Unparsable {
  const nodes: SearchNode[] = [];
  let isOr = false;
  for (;;) {
    const word = reader.words[reader.next];
    if (word === undefined) {
      if (depth > 0) return refuse('a "(" is not closed');
      break;
    }
    if (word === ')') {
      if (depth === 0) return refuse('a ")" closes nothing');
      reader.next += 1;
      break;
    }
    if (foldAscii(word) === 'or') {
      if (nodes.length === 0) return refuse('OR stands between two keys');
      if (nodes.length > 1 && !isOr)
        return refuse('OR and AND are mixed; put parentheses around one of them');
      isOr = true;
      reader.next += 1;
    } else if (isOr) {
      return refuse('OR and AND are mixed; put parentheses around one of them');
    }
    const node = readKey(reader, depth);
    if (node.kind === 'unparsable') return node;
    nodes.push(node);
  }
  const [only] = nodes;
  if (only === undefined) return refuse(depth === 0 ? 'it is empty' : 'a pair of parentheses is empty');
  return nodes.length === 1 ? only : { kind: isOr ? 'or' : 'and', nodes };
}

/** One key with its values, a parenthesized list, or a prefix and its operand. */
function readKey(reader: Reader, depth: number): SearchNode | Unparsable {
  const at = reader.next;
  const word = reader.words[at];
  if (word === undefined || word === ')') return refuse('a key is missing');
  if (depth >= depthMax) return refuse(`it is nested more than ${depthMax} deep`);
  reader.next += 1;
  const name = foldAscii(word);
  switch (name) {
    case '(':
      return readList(reader, depth + 1);
    case 'or':
      return refuse('OR stands between two keys');
    case 'not':
    case 'fuzzy': {
      const node = readKey(reader, depth + 1);
      return node.kind === 'unparsable' ? node : { kind: name, node };
    }
    default:
      return readCondition(reader, word, at);
  }
}

function readCondition(reader: Reader, word: string, at: number): SearchNode | Unparsable {
  reader.keys += 1;
  if (reader.keys > keysMax) {
    return unparsable('too-many', `the query has more than ${keysMax} keys; use several commands`);
  }
  if (/^[*0-9]/.test(word)) {
    if (!isSearchValue(reader.series, 'set', word))
      return refuse(`word ${at + 1} is not a message set; ${setExample}`);
    return { kind: 'key', key: sequenceKey, values: [word], at };
  }
  const key = searchKeyNamed(word);
  if (key === undefined) {
    const name = foldAscii(word);
    const instead = refusedKeys.get(name);
    if (instead !== undefined) return refuse(`the key ${name} is refused: ${instead}`);
    return refuse(`word ${at + 1} is no key; each word of a query is a field of its own`);
  }
  if (key.name === 'mailbox') reader.mailboxes += 1;
  if (reader.mailboxes > mailboxesMax) {
    return unparsable(
      'too-many',
      `the query names more than ${mailboxesMax} mailboxes; use several commands`,
    );
  }
  const values = reader.words.slice(reader.next, reader.next + key.values.length);
  if (values.length < key.values.length) return refuse(`a value of ${key.name} is missing`);
  reader.next += values.length;
  for (const [index, kind] of key.values.entries()) {
    const value = values[index] ?? '';
    if (!isSearchValue(reader.series, kind, value) || (key.class === 'place' && value === '')) {
      return refuse(`the value of ${key.name} cannot be read${kind === 'set' ? `; ${setExample}` : ''}`);
    }
  }
  return { kind: 'key', key, values, at };
}

function refuse(why: string): Unparsable {
  return unparsable('query-invalid', `the search query cannot be taken: ${why}`);
}

/** Letters and digits, in bytes of UTF-8, below which a text is in nearly every mail: one ideograph counts as three letters. */
const textBytesMin = 3;
/** No mail is larger. */
const sizeMax = 2 ** 40;
/** Mails have no dates in the first days of 1970, in any time zone. */
const firstMails = 2 * 86_400;

/**
 * Whether every mail, or nearly every one, meets the key with these values, so that the key narrows nothing: an empty text, a sign or two
 * letters (a text without letters matches every mail on 2.3.19.1 and 2.4.1 if it is empty or a line end), `larger 0`, `uid 1:*`, `since
 * 1970-01-01`, `savedbefore` a time in the future.
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
    default:
      return kind satisfies never;
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

/** Whether a set contains every number from 1 on, in any form: `1:*`, `*:1`, `4294967294:1`, `5:*,1:4`. */
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
  // Servers read 4294967295 as the number before it.
  return covered >= uint32Max - 1;
}
