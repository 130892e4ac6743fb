// From a record to the text of its line: keys always in the one order, no line above 7 KiB, nothing in it that a terminal
// would obey. The ledger puts seq and hashes around the body that is made here.
// The rule: the same record always gives the same bytes, and a hostile value costs at most the size of a line.
//
//   "time":"2026-11-20T08:22:34.123Z","event":"admission","session":"01J...","id":"01J...", ... ,"error":"..."
//
// A value that is too long becomes {"cut":"its first bytes","bytes":70000,"sha256":"..."}: length and hash are of its
// whole UTF-8 text. A list that is too long ends in {"more":12,"bytes":70000,"sha256":"..."}: how many values are not
// shown, and length and hash of these joined by NUL (redacted ones as their JSON text).

import { hash } from 'node:crypto';
import {
  eventOpening,
  formatTime,
  type JournalRecord,
  type RecordedArgument,
  type RecordedPart,
  type RecordedPeer,
  timeOpening,
} from './record.js';

/** No line is longer, with its LF: what is shipped by syslog is the line itself, and 8 KiB is what receivers take. */
export const lineBytesMax = 7168;

/** Room for `{"seq":N,` and `,"prev":"...","hash":"..."}` around a body. */
const bodyBytesMax = lineBytesMax - 192;

/** No cut value is longer than this beyond the bytes of `cut`; a value that is not longer stays whole. */
const cutOverheadBytes = 128;

/** How much of a value and of a list is kept; the first row that makes the body fit is taken. */
const budgets = [
  { value: 4096, list: 6144 },
  { value: 2048, list: 4096 },
  { value: 1024, list: 3072 },
  { value: 512, list: 2048 },
  { value: 256, list: 1024 },
  { value: 128, list: 512 },
  { value: 64, list: 256 },
  { value: 0, list: 128 },
] as const;

/** The same for what somebody asked for who did not get it, and for questions to dovegate itself. */
const briefBodyBytesMax = 2048;
const briefBudgets = [
  // A value that was cut still fits into the list, with what belongs to it.
  { value: 768, list: 1024 },
  { value: 512, list: 1024 },
  { value: 256, list: 1024 },
  { value: 128, list: 512 },
  { value: 64, list: 256 },
  { value: 0, list: 128 },
] as const;

interface Budget {
  readonly value: number;
  readonly list: number;
}

/** A path of a program can have 4 KiB, and the peer chooses it. */
const peerValueBytesMax = 256;

const peerKeys = [
  ...(['uid', 'gid', 'pid', 'user', 'exe', 'unit', 'login_uid', 'address', 'certificate'] as const),
];
const partKeys = [
  ...(['backend', 'upstream', 'status', 'outcome', 'sent', 'cells', 'bytes_in', 'error'] as const),
];
const inputKeys = ['bytes', 'hmac'] as const;
const tornKeys = ['file', 'bytes', 'sha256'] as const;
const logLevels = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];

/**
 * The text of a record between `{"seq":N,` and `,"prev":`; never empty, never above the limit. `isBrief`: at most 1 KiB of a
 * value and of the arguments, and 2 KiB in all, so that refused commands cannot fill a disk.
 */
export function encodeBody(record: JournalRecord, isBrief = false): string {
  const bytesMax = isBrief ? briefBodyBytesMax : bodyBytesMax;
  for (const budget of isBrief ? briefBudgets : budgets) {
    const body = attempt(record, budget);
    if (body.length * 3 <= bytesMax || Buffer.byteLength(body) <= bytesMax) return body;
  }
  // The last budget bounds every value and every list; only keys that do not exist could lead here.
  throw new RangeError('a record that cannot be made short enough');
}

/**
 * The JSON text of a string: lone surrogates become U+FFFD (many parsers refuse their escapes), and control,
 * bidirectional and line separator characters are written as escapes, so that `cat` of a journal is harmless.
 */
export function quote(value: string): string {
  if (plain.test(value)) return `"${value}"`;
  const whole = hasSurrogate.test(value) ? value.replace(loneSurrogate, '\ufffd') : value;
  return JSON.stringify(whole).replace(
    unprintable,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const plain = /^[ !#-[\]-~]*$/;
const hasSurrogate = /[\ud800-\udfff]/;
const loneSurrogate = /\p{Surrogate}/gu;
// DEL and C1 controls, soft hyphen, Arabic letter mark, zero-width and bidirectional characters, line and paragraph
// separators, byte order mark. Below U+0020 JSON escapes by itself.
const unprintable =
  /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** The comma stands before the body. */
const bodyOpening = timeOpening.slice(1);

/**
 * All keys between `seq` and `prev`, in the order of the file. One after the other by name, and not in a loop over names: so
 * each is a load that the compiler knows, and an admission costs a third.
 */
function attempt(record: JournalRecord, budget: Budget): string {
  const r = record;
  const max = budget.value;
  return (
    bodyOpening +
    formatTime(r.time) +
    eventOpening +
    `${r.event}"` +
    textOf(',"journal":', r.journal, max) +
    numberOf(',"format":', r.format) +
    textOf(',"session":', r.session, max) +
    textOf(',"id":', r.id, max) +
    textOf(',"for":', r.for, max) +
    wordOf(',"listener":', r.listener, max) +
    (r.peer === undefined ? '' : `,"peer":${encodePeer(r.peer, budget)}`) +
    wordOf(',"principal":', r.principal, max) +
    wordOf(',"policy":', r.policy, max) +
    wordOf(',"version":', r.version, max) +
    wordOf(',"rule":', r.rule, max) +
    wordOf(',"series":', r.series, max) +
    wordOf(',"decision":', r.decision, max) +
    wordOf(',"would":', r.would, max) +
    wordOf(',"mode":', r.mode, max) +
    textOf(',"reason":', r.reason, max) +
    wordOf(',"command":', r.command, max) +
    wordOf(',"user":', r.user, max) +
    (r.args === undefined ? '' : `,"args":${encodeList(r.args, budget)}`) +
    objectOf(',"input":', inputKeys, r.input, budget) +
    wordOf(',"effect":', r.effect, max) +
    wordOf(',"backend":', r.backend, max) +
    wordOf(',"upstream":', r.upstream, max) +
    (r.backends === undefined ? '' : `,"backends":${encodeList(r.backends, budget)}`) +
    numberOf(',"matches":', r.matches) +
    ownMembers(r, max) +
    textOf(',"action":', r.action, max) +
    textOf(',"by":', r.by, max) +
    numberOf(',"count":', r.count) +
    textOf(',"level":', r.level, max) +
    textOf(',"text":', r.text, max) +
    wordOf(',"status":', r.status, max) +
    wordOf(',"outcome":', r.outcome, max) +
    (r.sent === undefined ? '' : r.sent ? ',"sent":true' : ',"sent":false') +
    numberOf(',"rows":', r.rows) +
    numberOf(',"cells":', r.cells) +
    numberOf(',"bytes_in":', r.bytes_in) +
    numberOf(',"bytes_out":', r.bytes_out) +
    numberOf(',"wait_ms":', r.wait_ms) +
    numberOf(',"first_byte_ms":', r.first_byte_ms) +
    numberOf(',"duration_ms":', r.duration_ms) +
    objectOf(',"logs":', logLevels, r.logs, budget) +
    numberOf(',"client":', r.client) +
    (r.users === undefined ? '' : encodeUsers(r.users, budget)) +
    textOf(',"next_key":', r.next_key, max) +
    numberOf(',"open_seq":', r.open_seq) +
    numberOf(',"step_ms":', r.step_ms) +
    numberOf(',"steps_ms":', r.steps_ms) +
    numberOf(',"lost":', r.lost) +
    objectOf(',"torn":', tornKeys, r.torn, budget) +
    textOf(',"until":', r.until, max) +
    textOf(',"error":', r.error, max)
  );
}

/** What stands there in records of the journal's own. */
function ownMembers(r: JournalRecord, max: number): string {
  return (
    textOf(',"program":', r.program, max) +
    textOf(',"catalog":', r.catalog, max) +
    textOf(',"segment":', r.segment, max) +
    textOf(',"segment_hash":', r.segment_hash, max) +
    textOf(',"head":', r.head, max) +
    numberOf(',"oldest_seq":', r.oldest_seq) +
    textOf(',"key":', r.key, max) +
    textOf(',"signature":', r.signature, max)
  );
}

/** Names, hashes, words of closed lists, each with a text that no budget cuts. */
const wordsMax = 1024;
const words = new Map<string, string>();

/** A value that comes again and again. */
function wordOf(opening: string, value: string | undefined, bytesMax: number): string {
  if (value === undefined) return '';
  const known = words.get(value);
  if (known !== undefined) return opening + known;
  const made = encodeText(value, bytesMax);
  // What begins with a brace was cut, and may be whole in another record.
  if (value.length <= cutOverheadBytes && made[0] === '"' && Buffer.byteLength(made) <= cutOverheadBytes) {
    // Whoever has more names than that pays for each.
    if (words.size >= wordsMax) words.clear();
    words.set(value, made);
  }
  return opening + made;
}

function textOf(opening: string, value: string | undefined, bytesMax: number): string {
  return value === undefined ? '' : opening + encodeText(value, bytesMax);
}

function numberOf(opening: string, value: number | undefined): string {
  const digits = value === undefined ? undefined : encodeNumber(value);
  return digits === undefined ? '' : opening + digits;
}

function objectOf<Name extends string>(
  opening: string,
  names: readonly Name[],
  value: { readonly [Key in Name]?: string | number | undefined } | undefined,
  budget: Budget,
): string {
  if (value === undefined) return '';
  return opening + encodeObject(names, (name) => encodeValue(value[name], budget));
}

const peerTexts = new WeakMap<RecordedPeer, string>();

/** A session has one peer, and its text is asked for with each of its commands. */
function encodePeer(peer: RecordedPeer, { value: bytesMax }: Budget): string {
  const known = bytesMax >= peerValueBytesMax ? peerTexts.get(peer) : undefined;
  if (known !== undefined) return known;
  const budget = { value: Math.min(bytesMax, peerValueBytesMax), list: 0 };
  const made = encodeObject(peerKeys, (name) => encodeValue(peer[name], budget));
  if (bytesMax >= peerValueBytesMax) peerTexts.set(peer, made);
  return made;
}

function encodeObject<Name extends string>(
  names: readonly Name[],
  encode: (name: Name) => string | undefined,
): string {
  const members: string[] = [];
  for (const name of names) {
    const text = encode(name);
    if (text !== undefined) members.push(`"${name}":${text}`);
  }
  return `{${members.join(',')}}`;
}

/** A list of users takes no more, so that a long one leaves the room to the arguments in which it was given. */
const usersBytesMax = 2048;

/** Nearly every command touches one user, and the same ones come again and again. */
function encodeUsers(users: readonly string[], budget: Budget): string {
  const [only] = users;
  if (only !== undefined && users.length === 1) return `${wordOf(',"users":[', only, budget.value)}]`;
  return `,"users":${encodeList(users, budget, Math.min(budget.list, usersBytesMax))}`;
}

function encodeValue(value: string | number | boolean | undefined, budget: Budget): string | undefined {
  if (typeof value === 'string') return encodeText(value, budget.value);
  if (typeof value === 'number') return encodeNumber(value);
  return value === undefined ? undefined : String(value);
}

/** Whole numbers stay, fractions (milliseconds by a fine clock) keep three digits; what is no number is left out. */
function encodeNumber(value: number): string | undefined {
  if (Number.isInteger(value)) return String(value);
  if (value > 0 && value < 1e9) {
    // To find the shortest text of a fraction costs four times as much as to take three digits of it from a table.
    const all = Math.round(value * 1000);
    const whole = Math.floor(all / 1000);
    return String(whole) + (thousandths[all - whole * 1000] ?? '');
  }
  return Number.isFinite(value) ? String(Math.round(value * 1000) / 1000) : undefined;
}

/** `''`, `.001` to `.999`, without zeros at their end. */
const thousandths = Array.from({ length: 1000 }, (_, count) => String(count / 1000).slice(1));

function encodeText(value: string, bytesMax: number): string {
  // Every UTF-16 unit is a byte at least: what is far too long is not looked at as a whole.
  if (value.length <= Math.max(bytesMax, cutOverheadBytes)) {
    const text = quote(value);
    if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= Math.max(bytesMax, cutOverheadBytes))
      return text;
  }
  return `{"cut":"${quotedStart(value, bytesMax)}",${sizeAndHash(value)}}`;
}

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

let hashedValue = '';
let hashedText = '';

function sizeAndHash(value: string): string {
  // A record that is too long is encoded again under the next budget: then the same long value comes again.
  if (value !== hashedValue || hashedText === '') {
    const bytes = Buffer.from(value);
    hashedText = `"bytes":${bytes.length},"sha256":"${hash('sha256', bytes, 'hex')}"`;
    hashedValue = value;
  }
  return hashedText;
}

function encodeItem(value: RecordedArgument | RecordedPart, budget: Budget): string {
  if (typeof value === 'string') return encodeText(value, budget.value);
  if ('hmac' in value) return `{"hmac":${encodeText(value.hmac, budget.value)}}`;
  return encodeObject(partKeys, (name) => encodeValue(value[name], budget));
}

/** As its hash takes it. Many of a list can be the same object, so its text is made once in a row. */
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
  bytesMax: number = budget.list,
): string {
  const shown: string[] = [];
  let bytes = 0;
  for (const value of values) {
    const text = encodeItem(value, budget);
    bytes += Buffer.byteLength(text) + 1;
    if (bytes > bytesMax) break;
    shown.push(text);
  }
  if (shown.length < values.length) {
    const rest = values.slice(shown.length);
    const joined = rest.map(hashedItem).join('\0');
    shown.push(`{"more":${rest.length},${sizeAndHash(joined)}}`);
  }
  return `[${shown.join(',')}]`;
}
