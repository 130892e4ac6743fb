// From a record to the text of its line: keys always in the one order, no line above 7 KiB, nothing in it that a terminal
// would obey. It knows neither seq nor hashes: chain.ts puts them around the body that is made here.
// The rule: the same record always gives the same bytes, and a hostile value costs at most the size of a line.
//
//   "time":"2026-11-20T08:22:34.123Z","event":"admission","session":"01J...","id":"01J...", ... ,"error":"..."
//
// A value that is too long becomes {"cut":"its first bytes","bytes":70000,"sha256":"..."}: length and hash are of its
// whole UTF-8 text. A list that is too long ends in {"more":12,"bytes":70000,"sha256":"..."}: how many values are not
// shown, and length and hash of these joined by NUL (redacted ones as their JSON text).

import { hash } from 'node:crypto';
import type { JournalRecord, RecordedArgument, RecordedPart } from './record.js';
import { formatTime } from './time.js';

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

type Budget = (typeof budgets)[number];

/** All keys between `seq` and `prev`, in the order of the file; `time` and `event` come first and are written apart. */
const keys = [
  ...(['journal', 'format', 'session', 'id', 'for', 'listener', 'peer', 'principal', 'policy'] as const),
  ...([
    'version',
    'rule',
    'series',
    'decision',
    'would',
    'mode',
    'reason',
    'command',
    'user',
    'args',
  ] as const),
  ...(['input', 'effect', 'backend', 'upstream', 'backends', 'matches', 'program', 'catalog'] as const),
  ...([
    'segment',
    'segment_hash',
    'head',
    'oldest_seq',
    'key',
    'signature',
    'action',
    'by',
    'count',
  ] as const),
  ...(['level', 'text', 'status', 'outcome', 'sent', 'rows', 'cells', 'bytes_in', 'bytes_out'] as const),
  ...(['wait_ms', 'first_byte_ms', 'duration_ms', 'logs', 'next_key', 'open_seq', 'step_ms'] as const),
  ...(['steps_ms', 'lost', 'torn', 'error'] as const),
];

const ranks: ReadonlyMap<string, number> = new Map(keys.map((key, rank) => [key, rank]));

const peerKeys = [
  ...(['uid', 'gid', 'pid', 'user', 'exe', 'unit', 'login_uid', 'address', 'certificate'] as const),
];
const partKeys = [
  ...(['backend', 'upstream', 'status', 'outcome', 'sent', 'cells', 'bytes_in', 'error'] as const),
];
const logLevels = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];

/** The text of a record between `{"seq":N,` and `,"prev":`; never empty, never above the limit. */
export function encodeBody(record: JournalRecord): string {
  for (const budget of budgets) {
    const body = attempt(record, budget);
    if (body.length * 3 <= bodyBytesMax || Buffer.byteLength(body) <= bodyBytesMax) return body;
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

function attempt(record: JournalRecord, budget: Budget): string {
  let body = `"time":"${formatTime(record.time)}","event":"${record.event}"`;
  let isOrdered = true;
  let last = -1;
  // A record has a quarter of all keys, and nearly always in their order: that is found out on the way.
  for (const name in record) {
    const rank = ranks.get(name);
    if (rank === undefined) continue;
    if (rank < last) isOrdered = false;
    last = rank;
    if (isOrdered) body += member(record, keys[rank], budget);
  }
  return isOrdered ? body : reordered(record, budget);
}

function reordered(record: JournalRecord, budget: Budget): string {
  let body = `"time":"${formatTime(record.time)}","event":"${record.event}"`;
  for (const key of keys) body += member(record, key, budget);
  return body;
}

function member(record: JournalRecord, key: (typeof keys)[number] | undefined, budget: Budget): string {
  const text = key === undefined ? undefined : encodeKey(record, key, budget);
  return text === undefined ? '' : `,"${key}":${text}`;
}

function encodeKey(record: JournalRecord, key: (typeof keys)[number], budget: Budget): string | undefined {
  if (key === 'args' || key === 'backends') {
    const list = record[key];
    return list && encodeList(list, budget);
  }
  if (key === 'peer') {
    const { peer } = record;
    return peer && encodeObject(peerKeys, (name) => encodeValue(peer[name], budget));
  }
  if (key === 'logs') {
    const { logs } = record;
    return logs && encodeObject(logLevels, (name) => encodeValue(logs[name], budget));
  }
  if (key === 'input') {
    const { input } = record;
    return input && encodeObject(['bytes', 'hmac'], (name) => encodeValue(input[name], budget));
  }
  if (key === 'torn') {
    const { torn } = record;
    return torn && encodeObject(['file', 'bytes', 'sha256'], (name) => encodeValue(torn[name], budget));
  }
  return encodeValue(record[key], budget);
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

function encodeValue(value: string | number | boolean | undefined, budget: Budget): string | undefined {
  if (typeof value === 'string') return encodeText(value, budget.value);
  if (typeof value === 'number') return encodeNumber(value);
  return value === undefined ? undefined : String(value);
}

/** Whole numbers stay, fractions (milliseconds by a fine clock) keep three digits; what is no number is left out. */
function encodeNumber(value: number): string | undefined {
  return Number.isFinite(value) ? String(Math.round(value * 1000) / 1000) : undefined;
}

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

function encodeList(values: readonly (RecordedArgument | RecordedPart)[], budget: Budget): string {
  const shown: string[] = [];
  let bytes = 0;
  for (const value of values) {
    const text = encodeItem(value, budget);
    bytes += Buffer.byteLength(text) + 1;
    if (bytes > budget.list) break;
    shown.push(text);
  }
  if (shown.length < values.length) {
    const rest = values.slice(shown.length);
    const joined = rest
      .map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
      .join('\0');
    shown.push(`{"more":${rest.length},${sizeAndHash(joined)}}`);
  }
  return `[${shown.join(',')}]`;
}
