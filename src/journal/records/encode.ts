// From a record to the text of its line: keys always in the one order, no line above 7 KiB, nothing in it that a terminal would obey. The
// ledger puts seq and hashes around the body that is made here. The same record always gives the same bytes, and a hostile value costs at
// most the size of a line.
//
//   "time":"2026-11-20T08:22:34.123Z","event":"admission","session":"01J...","id":"01J...", ... ,"error":"..."
//
// A value that is too long becomes {"cut":"its first bytes","end":"its last","bytes":70000,"sha256":"..."}: length and hash are of its
// whole UTF-8 text. A list that is too long has {"more":12,"bytes":70000,"sha256":"..."} between its first values and its last: how many
// values are not shown, and length and hash of these joined by NUL (redacted ones as their JSON text). An allowed command that may change
// something or reads content keeps all its arguments: what does not fit follows in `arguments` records (`arguments.ts`).

import { hash } from 'node:crypto';
import { bounds } from '../../host/bounds/bounds.js';
import { isObject } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import { formatWords, plain, quote, withoutKeys } from '../../host/words/text.js';
import { argumentBodies } from './arguments.js';
import {
  itemKeys,
  namesOf,
  type RecordedArgument,
  type RecordedPart,
  type RecordKey,
  recordKeys,
  rowOf,
} from './keys.js';
import {
  type AuditRecord,
  eventOpening,
  isOwnRecord,
  type JournalRecord,
  type RecordRoom,
  timeOpening,
} from './record.js';

/** The longest line, with its LF: syslog messages contain the line itself, and receivers take 8 KiB. */
export const lineBytesMax = bounds.recordBytes;

/** Room for `{"seq":N,` and `,"prev":"...","hash":"..."}` around a body. */
const bodyBytesMax = lineBytesMax - 192;

/** A cut value exceeds the bytes of `cut` by at most this; shorter values stay whole. */
const cutOverheadBytes = 128;

interface Budget {
  readonly value: number;
  readonly list: number;
}

/** The kept bytes of a value and of a list; the first row that makes the body fit is used. */
const budgets: readonly Budget[] = [
  { value: 4096, list: 6144 },
  { value: 2048, list: 4096 },
  { value: 1024, list: 3072 },
  { value: 512, list: 2048 },
  { value: 256, list: 1024 },
  { value: 128, list: 512 },
  { value: 64, list: 256 },
  { value: 0, list: 128 },
];
const [widestBudget] = budgets;

const briefBudgets: readonly Budget[] = [
  // A cut value still fits into the list, with its additions.
  { value: 768, list: 1024 },
  { value: 512, list: 1024 },
  ...budgets.slice(4),
];

/** For an admission with argument records: the part for readers that do not support these. */
const aheadBudgets = budgets.slice(3);

/** For a value in an object: a program's path can have 4 KiB, and the peer chooses it. */
const memberBytesMax = bounds.recordPeerBytes;

/**
 * The text of a record between `{"seq":N,` and `,"prev":`; never empty, never above the limit. `isBrief`: at most 1 KiB of a value and of
 * the arguments, and 2 KiB in all, so that refused commands cannot fill a disk. `rows`, `members`: of an admission with argument records.
 */
export function encodeBody(
  record: JournalRecord,
  isBrief = false,
  rows = isBrief ? briefBudgets : budgets,
  members = '',
): string {
  const bytesMax = isBrief ? bounds.refusedRecordBytes : bodyBytesMax;
  for (const budget of rows) {
    const body = withoutKeys(attempt(record, budget, members));
    if (body.length * 3 <= bytesMax || Buffer.byteLength(body) <= bytesMax) return body;
  }
  // The last budget bounds every value and every list; only unknown keys could lead here.
  throw new RangeError('a record that cannot be made short enough');
}

/**
 * The bodies of a record, taken together or not at all. Usually one; an allowed command that may change something or is to be `whole`, and
 * whose arguments or users do not fit, has its admission and then its argument records, which contain all of them.
 */
export function encodeRecord(record: AuditRecord, room?: RecordRoom): readonly string[] {
  if (record.event === 'lock') return lockBodies(record);
  const isBrief = room === 'brief';
  const body = encodeBody(record, isBrief);
  if (isBrief || !isLastCut) return [body];
  const { event, decision, effect } = record;
  const isWhole = effect !== 'read' || room === 'whole';
  if (event !== 'admission' || decision !== 'allow' || !isWhole) return [body];
  const records = argumentBodies(record, bodyBytesMax, quote);
  const digest = hash('sha256', records.map((each) => `${each}\n`).join(''), 'hex');
  const members = `,"argument_records":${records.length},"argument_hash":"${digest}"`;
  return [encodeBody(record, false, aheadBudgets, members), ...records];
}

/** What a lock stops is read back, and never cut: what has no room in its record follows in records of its `words`. */
function lockBodies({ identities, users, ...record }: AuditRecord): readonly string[] {
  const { time, event, lock, carried, at } = record;
  const [ofHuman, names] = [identities, users].map(listsOf);
  const [first, ...more] = Array.from(
    { length: Math.max(ofHuman?.length ?? 0, names?.length ?? 0, 1) },
    (_, index) => ({ identities: ofHuman?.[index], users: names?.[index] }),
  );
  const parts = more.length === 0 ? {} : { parts: more.length };
  const about = { time, event, action: 'words', lock, carried, at };
  return [{ ...record, ...first, ...parts }, ...more.map((lists) => ({ ...about, ...lists }))].map((each) =>
    encodeBody(each),
  );
}

/** Maximum bytes of a list, so that under every budget it fits beside the texts of a lock. */
const lockListBytes = 1536;

function listsOf(values: readonly string[] | undefined): readonly (readonly string[])[] {
  const lists: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const value of values ?? []) {
    const more = Buffer.byteLength(quote(value)) + 1;
    if (bytes + more > lockListBytes) {
      lists.push([]);
      bytes = 0;
    }
    lists.at(-1)?.push(value);
    bytes += more;
  }
  return lists;
}

/** Limit of a list of users, so that a long one leaves room for the arguments that contain it. */
const usersBytesMax = bounds.recordUsersBytes;

/** A key with the text before its value. All have the same shape: the loop over them runs for each record. */
interface Place {
  readonly name: RecordKey;
  readonly opening: string;
  readonly isWord: boolean;
  readonly members: readonly string[] | undefined;
}

function placesFrom(
  from: RecordKey,
  to: RecordKey | undefined,
  of: 'command' | 'own' | 'others',
): readonly Place[] {
  const end = to === undefined ? recordKeys.length : recordKeys.indexOf(to);
  return recordKeys.slice(recordKeys.indexOf(from), end).flatMap((name) => {
    const { of: whose, isWord = false, members } = rowOf(name);
    const isTaken = whose === of || (of !== 'command' && whose === undefined);
    return isTaken ? [{ name, opening: `,"${name}":`, isWord, members: members && namesOf(members) }] : [];
  });
}

const layoutOf = (of: 'own' | 'others') => ({
  front: placesFrom('journal', 'principal', of),
  back: placesFrom('program', 'users', of),
  late: placesFrom('case', 'argument_records', of),
});
const ofOwn = layoutOf('own');
const ofOthers = layoutOf('others');
const beforeArguments = placesFrom('principal', 'args', 'command');
const afterArguments = placesFrom('input', 'program', 'command');
const commandKeys = ['users', ...[...beforeArguments, ...afterArguments].map(({ name }) => name)] as const;

/** All keys between `seq` and `prev`, in the order of the file. `added`: the journal's additions to an admission. */
function attempt(r: JournalRecord, budget: Budget, added: string): string {
  const { front, back, late } = isOwnRecord(r) ? ofOwn : ofOthers;
  const command = commandTexts(r, budget);
  let body = `${timeOpening.slice(1)}${formatTime(r.time)}${eventOpening}${r.event}"`;
  body += encodePlaces(front, r, budget) + originText(r, budget) + command.members;
  body += encodePlaces(back, r, budget) + command.users;
  body += encodePlaces(late, r, budget) + added;
  if (r.error !== undefined) body += `,"error":${encodeText(r.error, budget.value)}`;
  isLastCut = command.isCut;
  return body;
}

/** Written in records with a peer and in `limit` records, and only where neither the peer nor, in `limit`, the principal shows it. */
function originText({ event, origin, principal, peer }: JournalRecord, budget: Budget): string {
  if (origin === undefined || (peer === undefined && event !== 'limit')) return '';
  const isShown =
    peer === undefined ? principal !== undefined && origin.startsWith('uid:') : origin === `uid:${peer.uid}`;
  return isShown ? '' : `,"origin":${encodeWord(origin, budget.value)}`;
}

let isLastCut = false;

/** A record's data about its command: the keys from `principal` to `matches`, and `users`. */
type CommandTexts = ReturnType<typeof encodeCommand>;

/** The texts of the last admission with these arguments, under the widest budget: a known line has the same list each time. */
const knownTexts = new WeakMap<readonly RecordedArgument[], CommandTexts>();

function commandTexts(r: JournalRecord, budget: Budget): CommandTexts {
  if (r.args === undefined || budget !== widestBudget) return encodeCommand(r, budget);
  const known = knownTexts.get(r.args);
  if (known !== undefined && isSameCommand(known.record, r)) return known;
  const made = encodeCommand(r, budget);
  knownTexts.set(r.args, made);
  return made;
}

/** Compares all but `args`; lists and objects are immutable, so the same object has the same text. */
function isSameCommand(one: Stored, other: Stored): boolean {
  for (const key of commandKeys) if (one[key] !== other[key]) return false;
  return true;
}

function encodeCommand(r: JournalRecord, budget: Budget) {
  isCut = false;
  const args = r.args === undefined ? '' : `,"args":${encodeList(r.args, budget, budget.list)}`;
  const users = r.users === undefined ? '' : `,"users":${encodeUsers(r.users, budget)}`;
  const isListCut = isCut;
  const members = encodePlaces(beforeArguments, r, budget) + args + encodePlaces(afterArguments, r, budget);
  return { record: r, members, users, isCut: isListCut };
}

type Stored = Readonly<Partial<Record<RecordKey, unknown>>>;

/** Any value other than a text, number, flag, list or object of known keys is left out. */
function encodePlaces(places: readonly Place[], record: Stored, budget: Budget): string {
  const max = budget.value;
  let text = '';
  for (const { name, opening, isWord, members } of places) {
    const value = record[name];
    if (value === undefined) continue;
    if (typeof value === 'string')
      text +=
        opening + ((isWord ? words.get(value) : undefined) ?? (isWord ? encodeWord : encodeText)(value, max));
    else if (typeof value === 'number')
      text += Number.isInteger(value) ? opening + value : encodeNumber(opening, value);
    else if (typeof value === 'boolean') text += opening + value;
    else if (Array.isArray(value)) text += opening + encodeList(value, budget, budget.list);
    else if (members !== undefined && isObject(value)) text += opening + encodeKnown(members, value, max);
  }
  return text;
}

/** Names, hashes, words of closed lists, each with a text that no budget cuts. */
const wordsMax = 1024;
const words = new Map<string, string>();

function encodeWord(value: string, bytesMax: number): string {
  const text = encodeText(value, bytesMax);
  // A text that begins with a brace was cut, and may be whole in another record.
  if (value.length <= cutOverheadBytes && text[0] === '"' && Buffer.byteLength(text) <= cutOverheadBytes) {
    if (words.size >= wordsMax) words.clear();
    words.set(value, text);
  }
  return text;
}

/** A session has one peer, whose text is needed for each of its commands. */
const knownObjects = new WeakMap<object, string>();

function encodeKnown(names: readonly string[], value: Members, bytesMax: number): string {
  if (bytesMax < memberBytesMax) return encodeObject(names, value, bytesMax);
  let text = knownObjects.get(value);
  if (text === undefined) {
    text = encodeObject(names, value, memberBytesMax);
    knownObjects.set(value, text);
  }
  return text;
}

/** The users of a command, within the remaining room of the list; a single one is shown like any value. */
function encodeUsers(users: readonly string[], budget: Budget): string {
  return encodeList(users, budget, users.length === 1 ? Infinity : Math.min(budget.list, usersBytesMax));
}

type Members = Readonly<Record<string, unknown>>;

function encodeObject(names: readonly string[], values: Members, bytesMax: number): string {
  let members = '';
  for (const name of names) {
    const value = values[name];
    if (typeof value === 'string') members += `,"${name}":${encodeText(value, bytesMax)}`;
    else if (typeof value === 'number') members += encodeNumber(`,"${name}":`, value);
    else if (typeof value === 'boolean') members += `,"${name}":${value}`;
  }
  return `{${members.slice(1)}}`;
}

/** Whole numbers stay, fractions (milliseconds of a fine clock) get three digits; other values are left out. */
function encodeNumber(opening: string, value: number): string {
  if (Number.isInteger(value)) return opening + value;
  if (value > 0 && value < 1e9) {
    // Finding the shortest text of a fraction costs four times as much as taking three digits from a table.
    const all = Math.round(value * 1000);
    const whole = Math.floor(all / 1000);
    return opening + whole + (thousandths[all - whole * 1000] ?? '');
  }
  return Number.isFinite(value) ? opening + Math.round(value * 1000) / 1000 : '';
}

/** `''`, `.001` to `.999`, without zeros at their end. */
const thousandths = Array.from({ length: 1000 }, (_, count) => String(count / 1000).slice(1));

function encodeText(value: string, bytesMax: number): string {
  // The usual case: no budget cuts it, and each character is one byte.
  if (value.length <= cutOverheadBytes - 2 && plain.test(value)) return `"${value}"`;
  // Every UTF-16 unit is at least a byte: much longer values are not examined whole.
  if (value.length <= Math.max(bytesMax, cutOverheadBytes)) {
    const text = quote(value);
    if (Buffer.byteLength(text) <= Math.max(bytesMax, cutOverheadBytes)) return text;
  }
  isCut = true;
  // Before the cut: half of a key would not be recognized as one.
  const text = withoutKeys(value);
  const endMax = Math.floor(bytesMax / 4);
  const end = endMax === 0 ? '' : `"end":"${quotedEnd(text, endMax)}",`;
  return `{"cut":"${quotedStart(text, bytesMax - endMax)}",${end}${sizeAndHash(value)}}`;
}

let isCut = false;

/** The longest start of a value, whole characters, whose JSON text has at most so many bytes. */
function quotedStart(value: string, bytesMax: number): string {
  const first = value.slice(0, bytesMax);
  const whole = quote(/[\ud800-\udbff]$/.test(first) ? first.slice(0, -1) : first).slice(1, -1);
  if (Buffer.byteLength(whole) <= bytesMax) return whole;
  let start = '';
  let bytes = 0;
  for (const character of first) {
    const text = quote(character).slice(1, -1);
    bytes += Buffer.byteLength(text);
    if (bytes > bytesMax) break;
    start += text;
  }
  return start;
}

/** The longest end of a value, whole characters, whose JSON text has at most so many bytes. */
function quotedEnd(value: string, bytesMax: number): string {
  let end = '';
  let bytes = 0;
  const last = Array.from(value.slice(-bytesMax).replace(/^[\udc00-\udfff]/, ''));
  for (const character of last.toReversed()) {
    const text = quote(character).slice(1, -1);
    bytes += Buffer.byteLength(text);
    if (bytes > bytesMax) break;
    end = text + end;
  }
  return end;
}

let hashedValue = '';
let hashedText = '';

function sizeAndHash(value: string): string {
  // A record that is too long is encoded again under the next budget, with the same long value.
  if (value !== hashedValue || hashedText === '') {
    const bytes = Buffer.from(value);
    hashedText = `"bytes":${bytes.length},"sha256":"${hash('sha256', bytes, 'hex')}"`;
    hashedValue = value;
  }
  return hashedText;
}

/** The text for the hash. Many members of a list can be the same object, so its text is made once in a row. */
let hashedObject: object | undefined;
let hashedObjectText = '';

function hashedItem(value: RecordedArgument | RecordedPart): string {
  if (typeof value === 'string') return value;
  if (value !== hashedObject) {
    hashedObject = value;
    hashedObjectText = JSON.stringify(value);
  }
  return hashedObjectText;
}

function encodeList(
  values: readonly (RecordedArgument | RecordedPart)[],
  budget: Budget,
  bytesMax: number,
): string {
  const texts = within(values, budget, bytesMax);
  return texts.length < values.length ? encodeCutList(values, budget, bytesMax) : `[${texts.join(',')}]`;
}

function encodeItem(value: RecordedArgument | RecordedPart, budget: Budget): string {
  if (typeof value === 'string') return encodeText(value, budget.value);
  return isObject(value) ? encodeObject(itemKeys, value, budget.value) : '';
}

/** The first values and the last: a client that pads a command to hide a word cannot choose the omitted words. */
function encodeCutList(
  values: readonly (RecordedArgument | RecordedPart)[],
  budget: Budget,
  bytesMax: number,
): string {
  isCut = true;
  const endMax = Math.floor(bytesMax / 4);
  const first = within(values, budget, bytesMax - endMax);
  const last = within(values.slice(first.length).toReversed(), budget, endMax).toReversed();
  const rest = values.slice(first.length, values.length - last.length);
  const more = `{"more":${rest.length},${sizeAndHash(rest.map(hashedItem).join('\0'))}}`;
  return `[${[...first, more, ...last].join(',')}]`;
}

/** The texts of the first values within so many bytes, each with its comma. */
function within(
  values: readonly (RecordedArgument | RecordedPart)[],
  budget: Budget,
  bytesMax: number,
): string[] {
  const texts: string[] = [];
  let bytes = 0;
  for (const value of values) {
    const text = encodeItem(value, budget);
    bytes += Buffer.byteLength(text) + 1;
    if (bytes > bytesMax) break;
    texts.push(text);
  }
  return texts;
}

/** The canonical command for a shell: hidden words as `[secret]`, and the `--` left out where it says nothing. */
export function formatCommand(typed: readonly RecordedArgument[]): string {
  const [name = '', ...args] = typed.map((word) => (typeof word === 'string' ? word : secretWord));
  const isPlain = args[0] === '--' && !args.slice(1).some((word) => word.startsWith('-'));
  const shown = formatWords(isPlain ? args.slice(1) : args).replaceAll(`'${secretWord}'`, secretWord);
  return `${name} ${shown}`.trimEnd();
}

const secretWord = '[secret]';
