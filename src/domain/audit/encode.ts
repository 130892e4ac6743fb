// From a record to the text of its line: keys always in the one order, no line above 7 KiB, nothing in it that a terminal
// would obey. The ledger puts seq and hashes around the body that is made here.
// The rule: the same record always gives the same bytes, and a hostile value costs at most the size of a line.
//
//   "time":"2026-11-20T08:22:34.123Z","event":"admission","session":"01J...","id":"01J...", ... ,"error":"..."
//
// A value that is too long becomes {"cut":"its first bytes","end":"its last","bytes":70000,"sha256":"..."}: length and hash are of its
// whole UTF-8 text. A list that is too long has {"more":12,"bytes":70000,"sha256":"..."} between its first values and its last: how many
// values are not shown, and length and hash of these joined by NUL (redacted ones as their JSON text).
// An allowed command that may change something keeps all its arguments: what does not fit follows in `arguments` records (`arguments.ts`).

import { hash } from 'node:crypto';
import { bounds } from '../../bounds/bounds.js';
import { argumentBodies } from './arguments.js';
import {
  type AuditRecord,
  eventOpening,
  formatTime,
  isOwnRecord,
  type JournalRecord,
  type RecordedArgument,
  type RecordedPart,
  type RecordedPeer,
  timeOpening,
  withoutKeys,
} from './record.js';

/** No line is longer, with its LF: what is shipped by syslog is the line itself, and 8 KiB is what receivers take. */
export const lineBytesMax = bounds.recordBytes;

/** Room for `{"seq":N,` and `,"prev":"...","hash":"..."}` around a body. */
const bodyBytesMax = lineBytesMax - 192;

/** No cut value is longer than this beyond the bytes of `cut`; a value that is not longer stays whole. */
const cutOverheadBytes = 128;

interface Budget {
  readonly value: number;
  readonly list: number;
}

/** How much of a value and of a list is kept; the first row that makes the body fit is taken. */
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

/** The same for what somebody asked for who did not get it, and for questions to dovegate itself. */
const briefBodyBytesMax = bounds.refusedRecordBytes;
const briefBudgets: readonly Budget[] = [
  // A value that was cut still fits into the list, with what belongs to it.
  { value: 768, list: 1024 },
  { value: 512, list: 1024 },
  ...budgets.slice(4),
];

/** Of an admission with argument records: what a reader that does not know these shows. */
const aheadBudgets = budgets.slice(3);

/** A path of a program can have 4 KiB, and the peer chooses it. */
const peerValueBytesMax = bounds.recordPeerBytes;

const peerKeys = [
  ...(['uid', 'gid', 'pid', 'user', 'exe', 'exe_unproven', 'unit', 'unit_unproven', 'login_uid'] as const),
  ...(['address', 'certificate'] as const),
];
/** Of a redacted argument, or of a part. */
const itemKeys = [
  ...(['hmac', 'backend', 'upstream', 'status', 'outcome', 'sent', 'cells', 'bytes_in', 'error'] as const),
];
const inputKeys = ['bytes', 'hmac'] as const;
const tornKeys = ['file', 'bytes', 'sha256'] as const;
const placeKeys = [
  ...(['program', 'catalog', 'segment', 'segment_hash', 'head', 'oldest_seq', 'key', 'signature'] as const),
];
const logLevels = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];

/**
 * The text of a record between `{"seq":N,` and `,"prev":`; never empty, never above the limit. `isBrief`: at most 1 KiB of a
 * value and of the arguments, and 2 KiB in all, so that refused commands cannot fill a disk.
 */
export function encodeBody(record: JournalRecord, isBrief = false): string {
  return encodeWithin(record, isBrief ? briefBudgets : budgets, isBrief ? briefBodyBytesMax : bodyBytesMax);
}

/**
 * The bodies of a record. Nearly always one; an allowed command that may change something, and whose arguments or users do not fit, has its
 * admission and then its argument records, which hold all of them.
 */
export function encodeRecord(record: AuditRecord, isBrief = false): string | readonly string[] {
  const body = encodeBody(record, isBrief);
  if (isBrief || !isLastCut) return body;
  const { event, decision, effect } = record;
  if (event !== 'admission' || decision !== 'allow' || effect === 'read') return body;
  const records = argumentBodies(record, bodyBytesMax, quote);
  const digest = hash('sha256', records.map((each) => `${each}\n`).join(''), 'hex');
  const members = `,"argument_records":${records.length},"argument_hash":"${digest}"`;
  return [encodeWithin(record, aheadBudgets, bodyBytesMax, members), ...records];
}

/**
 * The most that the records of one command take in the ring, with what stands around them, for a command line of so many bytes. A byte of a
 * line takes up to six in JSON (a control character), a word of one byte up to sixteen (a digest that comes again); names of users come twice.
 */
export function recordedBytesMax(lineBytes: number): number {
  return bounds.recordedEach * lineBytes + bounds.recordedBase;
}

function encodeWithin(
  record: JournalRecord,
  rows: readonly Budget[],
  bytesMax: number,
  members = '',
): string {
  for (const budget of rows) {
    const body = withoutKeys(attempt(record, budget, members));
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
  return plain.test(value) ? `"${value}"` : formatJson(value.replace(loneSurrogate, '\ufffd'));
}

const plain = /^[ !#-[\]-~]*$/;
const loneSurrogate = /\p{Surrogate}/gu;

/** A value as JSON on one line, in which nothing commands a terminal: the same value for a parser. */
export function formatJson(value: unknown): string {
  return harmlessJson(JSON.stringify(value));
}

/** A line of JSON in which nothing commands a terminal: the same value for a parser. */
export function harmlessJson(line: string): string {
  if (visible.test(line)) return line;
  return line.replace(
    notForTerminals,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Text with control, escape, zero-width and bidirectional characters made visible. Keeps to one line. */
export function printable(text: string): string {
  if (visible.test(text)) return text;
  return text.replace(notForTerminals, (character) => {
    const code = character.charCodeAt(0);
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    if (character === '\t') return '\\t';
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** Nearly every text, and ten times faster to see than that another one needs no care. */
const visible = /^[ -~]*$/;
const notForTerminals =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A list of users takes no more, so that a long one leaves the room to the arguments in which it was given. */
const usersBytesMax = bounds.recordUsersBytes;

/**
 * All keys between `seq` and `prev`, in the order of the file. By name and not in a loop over names: each is a load that the
 * compiler knows. Words that come again and again are looked up in place, so a known one costs no call.
 */
function attempt(r: JournalRecord, budget: Budget, added: string): string {
  const max = budget.value;
  const own = isOwnRecord(r) ? r : undefined;
  let body = `${timeOpening.slice(1)}${formatTime(r.time)}${eventOpening}${r.event}"`;
  if (own !== undefined) body += encodeMembers(['journal', 'format'], own, max);
  if (r.session !== undefined) body += `,"session":${encodeText(r.session, max)}`;
  if (r.id !== undefined) body += `,"id":${encodeText(r.id, max)}`;
  if (r.for !== undefined) body += `,"for":${encodeText(r.for, max)}`;
  if (r.protocol !== undefined) body += `,"protocol":${words.get(r.protocol) ?? encodeWord(r.protocol, max)}`;
  if (r.tag !== undefined) body += `,"tag":${encodeText(r.tag, max)}`;
  if (r.listener !== undefined) body += `,"listener":${words.get(r.listener) ?? encodeWord(r.listener, max)}`;
  if (r.peer !== undefined) body += `,"peer":${encodePeer(r.peer, max)}`;
  const command = commandTexts(r, budget);
  body += command.members;
  if (own !== undefined) body += encodeMembers(placeKeys, own, max);
  if (r.action !== undefined) body += `,"action":${encodeText(r.action, max)}`;
  if (r.by !== undefined) body += `,"by":${encodeText(r.by, max)}`;
  if (r.count !== undefined) body += encodeNumber(',"count":', r.count);
  if (r.level !== undefined) body += `,"level":${encodeText(r.level, max)}`;
  if (r.text !== undefined) body += `,"text":${encodeText(r.text, max)}`;
  if (r.status !== undefined) body += `,"status":${words.get(r.status) ?? encodeWord(r.status, max)}`;
  if (r.outcome !== undefined) body += `,"outcome":${words.get(r.outcome) ?? encodeWord(r.outcome, max)}`;
  if (r.sent !== undefined) body += `,"sent":${r.sent}`;
  if (r.rows !== undefined) body += encodeNumber(',"rows":', r.rows);
  if (r.cells !== undefined) body += encodeNumber(',"cells":', r.cells);
  if (r.bytes_in !== undefined) body += encodeNumber(',"bytes_in":', r.bytes_in);
  if (r.bytes_out !== undefined) body += encodeNumber(',"bytes_out":', r.bytes_out);
  if (r.wait_ms !== undefined) body += encodeNumber(',"wait_ms":', r.wait_ms);
  if (r.first_byte_ms !== undefined) body += encodeNumber(',"first_byte_ms":', r.first_byte_ms);
  if (r.duration_ms !== undefined) body += encodeNumber(',"duration_ms":', r.duration_ms);
  if (r.logs !== undefined) body += `,"logs":${encodeObject(logLevels, r.logs, max)}`;
  if (r.client !== undefined) body += encodeNumber(',"client":', r.client);
  body += command.users;
  if (own !== undefined) {
    body += encodeMembers(
      ['next_key', 'open_seq', 'step_ms', 'steps_ms', 'earliest', 'recovered', 'ring', 'lost'],
      own,
      max,
    );
    if (own.torn !== undefined) body += `,"torn":${encodeObject(tornKeys, own.torn, max)}`;
    body += encodeMembers(['last_seq', 'last_hash'], own, max);
    if (own.appended !== undefined) body += `,"appended":${encodeObject(tornKeys, own.appended, max)}`;
    if (own.until !== undefined) body += `,"until":${encodeText(own.until, max)}`;
  }
  body += added;
  if (r.error !== undefined) body += `,"error":${encodeText(r.error, max)}`;
  isLastCut = command.isCut;
  return body;
}

/** Whether the arguments or the users of the last record were cut. */
let isLastCut = false;

/** What a record says of its command: the keys from `principal` to `matches`, and `users`. */
interface CommandTexts {
  readonly record: JournalRecord;
  readonly members: string;
  readonly users: string;
  /** Arguments or users are not whole. */
  readonly isCut: boolean;
}

/** Of the last admission with these arguments, under the widest budget: a known line has the same list each time. */
const knownTexts = new WeakMap<readonly RecordedArgument[], CommandTexts>();

function commandTexts(r: JournalRecord, budget: Budget): CommandTexts {
  if (r.args === undefined || budget !== widestBudget) return encodeCommand(r, budget);
  const known = knownTexts.get(r.args);
  if (known !== undefined && isSameCommand(known.record, r)) return known;
  const made = encodeCommand(r, budget);
  knownTexts.set(r.args, made);
  return made;
}

/** All keys that `encodeCommand` reads, but for `args`; lists and objects never change, so the same one has the same text. */
function isSameCommand(one: JournalRecord, other: JournalRecord): boolean {
  return (
    one.principal === other.principal &&
    one.policy === other.policy &&
    one.version === other.version &&
    one.rule === other.rule &&
    one.series === other.series &&
    one.decision === other.decision &&
    one.would === other.would &&
    one.mode === other.mode &&
    one.reason === other.reason &&
    one.command === other.command &&
    one.user === other.user &&
    one.input === other.input &&
    one.effect === other.effect &&
    one.backend === other.backend &&
    one.upstream === other.upstream &&
    one.backends === other.backends &&
    one.matches === other.matches &&
    one.users === other.users
  );
}

function encodeCommand(r: JournalRecord, budget: Budget): CommandTexts {
  const max = budget.value;
  let members = '';
  if (r.principal !== undefined)
    members += `,"principal":${words.get(r.principal) ?? encodeWord(r.principal, max)}`;
  if (r.policy !== undefined) members += `,"policy":${words.get(r.policy) ?? encodeWord(r.policy, max)}`;
  if (r.version !== undefined) members += `,"version":${words.get(r.version) ?? encodeWord(r.version, max)}`;
  if (r.rule !== undefined) members += `,"rule":${words.get(r.rule) ?? encodeWord(r.rule, max)}`;
  if (r.series !== undefined) members += `,"series":${words.get(r.series) ?? encodeWord(r.series, max)}`;
  if (r.decision !== undefined)
    members += `,"decision":${words.get(r.decision) ?? encodeWord(r.decision, max)}`;
  if (r.would !== undefined) members += `,"would":${words.get(r.would) ?? encodeWord(r.would, max)}`;
  if (r.mode !== undefined) members += `,"mode":${words.get(r.mode) ?? encodeWord(r.mode, max)}`;
  if (r.reason !== undefined) members += `,"reason":${encodeText(r.reason, max)}`;
  if (r.command !== undefined) members += `,"command":${words.get(r.command) ?? encodeWord(r.command, max)}`;
  if (r.user !== undefined) members += `,"user":${words.get(r.user) ?? encodeWord(r.user, max)}`;
  isCut = false;
  if (r.args !== undefined) members += `,"args":${encodeList(r.args, budget, budget.list)}`;
  const isArgsCut = isCut;
  if (r.input !== undefined) members += `,"input":${encodeObject(inputKeys, r.input, max)}`;
  if (r.effect !== undefined) members += `,"effect":${words.get(r.effect) ?? encodeWord(r.effect, max)}`;
  if (r.backend !== undefined) members += `,"backend":${words.get(r.backend) ?? encodeWord(r.backend, max)}`;
  if (r.upstream !== undefined)
    members += `,"upstream":${words.get(r.upstream) ?? encodeWord(r.upstream, max)}`;
  if (r.backends !== undefined) members += `,"backends":${encodeList(r.backends, budget, budget.list)}`;
  if (r.matches !== undefined) members += encodeNumber(',"matches":', r.matches);
  isCut = isArgsCut;
  const users = r.users === undefined ? '' : `,"users":${encodeUsers(r.users, budget)}`;
  return { record: r, members, users, isCut };
}

/** Names, hashes, words of closed lists, each with a text that no budget cuts. */
const wordsMax = bounds.recordWords;
const words = new Map<string, string>();

function encodeWord(value: string, bytesMax: number): string {
  const text = encodeText(value, bytesMax);
  // What begins with a brace was cut, and may be whole in another record.
  if (value.length <= cutOverheadBytes && text[0] === '"' && Buffer.byteLength(text) <= cutOverheadBytes) {
    // With more names than that, each is encoded every time.
    if (words.size >= wordsMax) words.clear();
    words.set(value, text);
  }
  return text;
}

/** A session has one peer, and its text is asked for with each of its commands. */
const peerTexts = new WeakMap<RecordedPeer, string>();

function encodePeer(peer: RecordedPeer, bytesMax: number): string {
  if (bytesMax < peerValueBytesMax) return encodeObject(peerKeys, peer, bytesMax);
  let text = peerTexts.get(peer);
  if (text === undefined) {
    text = encodeObject(peerKeys, peer, peerValueBytesMax);
    peerTexts.set(peer, text);
  }
  return text;
}

/** The users that a command touches, in what room is left of the list; one alone is shown as long as any value. */
function encodeUsers(users: readonly string[], budget: Budget): string {
  return encodeList(users, budget, users.length === 1 ? Infinity : Math.min(budget.list, usersBytesMax));
}

function encodeObject<Name extends string>(
  names: readonly Name[],
  values: Members<Name>,
  bytesMax: number,
): string {
  return `{${encodeMembers(names, values, bytesMax).slice(1)}}`;
}

type Members<Name extends string> = { readonly [Key in Name]?: string | number | boolean | undefined };

/** Each with a comma before it. */
function encodeMembers<Name extends string>(
  names: readonly Name[],
  values: Members<Name>,
  bytesMax: number,
): string {
  let members = '';
  for (const name of names) {
    const value = values[name];
    if (typeof value === 'string') members += `,"${name}":${encodeText(value, bytesMax)}`;
    else if (typeof value === 'number') members += encodeNumber(`,"${name}":`, value);
    else if (value !== undefined) members += `,"${name}":${value}`;
  }
  return members;
}

/** Whole numbers stay, fractions (milliseconds by a fine clock) keep three digits; what is no number is left out. */
function encodeNumber(opening: string, value: number): string {
  if (Number.isInteger(value)) return opening + value;
  if (value > 0 && value < 1e9) {
    // To find the shortest text of a fraction costs four times as much as to take three digits of it from a table.
    const all = Math.round(value * 1000);
    const whole = Math.floor(all / 1000);
    return opening + whole + (thousandths[all - whole * 1000] ?? '');
  }
  return Number.isFinite(value) ? opening + Math.round(value * 1000) / 1000 : '';
}

/** `''`, `.001` to `.999`, without zeros at their end. */
const thousandths = Array.from({ length: 1000 }, (_, count) => String(count / 1000).slice(1));

function encodeText(value: string, bytesMax: number): string {
  // Nearly every value: so short that no budget cuts it, and one byte a character.
  if (value.length <= cutOverheadBytes - 2 && plain.test(value)) return `"${value}"`;
  // Every UTF-16 unit is a byte at least: what is far too long is not looked at as a whole.
  if (value.length <= Math.max(bytesMax, cutOverheadBytes)) {
    const text = quote(value);
    if (Buffer.byteLength(text) <= Math.max(bytesMax, cutOverheadBytes)) return text;
  }
  isCut = true;
  // A key that is cut in the middle could not be found any more.
  const text = withoutKeys(value);
  const endMax = Math.floor(bytesMax / 4);
  const end = endMax === 0 ? '' : `"end":"${quotedEnd(text, endMax)}",`;
  return `{"cut":"${quotedStart(text, bytesMax - endMax)}",${end}${sizeAndHash(value)}}`;
}

/** Set where a value or a list is cut. */
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
  // A record that is too long is encoded again under the next budget: then the same long value comes again.
  if (value !== hashedValue || hashedText === '') {
    const bytes = Buffer.from(value);
    hashedText = `"bytes":${bytes.length},"sha256":"${hash('sha256', bytes, 'hex')}"`;
    hashedValue = value;
  }
  return hashedText;
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
  bytesMax: number,
): string {
  let list = '';
  let bytes = 0;
  for (const value of values) {
    const text = encodeItem(value, budget);
    bytes += Buffer.byteLength(text) + 1;
    if (bytes > bytesMax) return encodeCutList(values, budget, bytesMax);
    list += `,${text}`;
  }
  return `[${list.slice(1)}]`;
}

function encodeItem(value: RecordedArgument | RecordedPart, budget: Budget): string {
  return typeof value === 'string'
    ? encodeText(value, budget.value)
    : encodeObject(itemKeys, value, budget.value);
}

/** The first values and the last: whoever pads a command to hide a word does not choose which words are left out. */
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

/** The texts of the first values that have at most so many bytes, each with its comma. */
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
