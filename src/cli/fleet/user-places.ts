// The index of a stream: which messages hold commands of a user. It covers every command that a search of all messages finds (a
// command without a complete list of users is listed under everybody), and a signed file counts only for the messages between
// its first and its last one.
//
//   {"format":1,"stream":"DOVEGATE_AUDIT","from":1,"to":812,"last":[812,"dovegate.audit...","9a0f...",1763800000000],...}
//   [3,0,1,112,"9a0f...",1763799990000]        a message: its number, its subject, first and last record, digest of its bytes, when it was
//   stored
//   "*@example.com" 0 4                        a mask, and the messages with commands for it: places in the list above
//   "alice@example.com" 0 2 3                  a name, the same
//   {"key":"...","signature":"..."}

import { hash } from 'node:crypto';
import { bounds } from '../../bounds/bounds.js';
import { isSignedBy, readClaim } from '../../domain/audit/ledger.js';
import { argumentCount, eventPlace, isObject, parseLine } from '../../domain/audit/record.js';
import { headerNames, readHeadOf, readSubject } from '../../domain/fleet/block.js';
import type { FleetMessage } from '../../domain/fleet/shapes.js';
import { foldAscii } from '../../domain/identity/user-name.js';
import { isMask } from '../../domain/names/glob.js';
import { createCoverTest, idAfter } from '../../domain/trail/search.js';

const indexFormat = 1;
/** Limits of one file. A file is written again whenever the state is saved, until it is full. */
const entriesMax = bounds.fleetIndexEntries;
const messagesMax = bounds.fleetIndexMessages;
/** Commands whose end is awaited; the end of any other one is listed under everybody. */
const openMax = bounds.fleetIndexOpen;
/** The longest user name; a longer word is not indexed. */
const nameCharsMax = 256;
/** Limit for a record that does not name its users. */
const wordsMax = 64;

export interface IndexedMessage {
  readonly streamSeq: number;
  readonly host: string;
  readonly journal: string;
  /** The numbers of its records, according to them; 0: unknown. */
  readonly first: number;
  readonly last: number;
  /** Digest of the message's bytes; empty: the verifier found a fault in it. */
  readonly digest: string;
  /** Milliseconds since 1970, by the server's clock. */
  readonly storedMs: number;
}

/** The last message that a file covers: if the stream has another one there, the file is for another stream. */
export interface IndexedEnd {
  readonly streamSeq: number;
  readonly subject: string;
  readonly head: string;
  readonly storedMs: number;
}

/** The users that a command may concern; `undefined`: everybody. */
type Names = readonly string[] | undefined;

const everybody = '';

export class IndexBuilder {
  readonly stream: string;
  /** Every message from here to `to` was read. */
  readonly from: number;
  #last: IndexedEnd | undefined;
  readonly #subjects = new Map<string, number>();
  readonly #messages: string[] = [];
  readonly #places = new Map<string, number[]>();
  #entries = 0;
  readonly #open: Map<string, { readonly names: Names; readonly place: number }>;

  /** `open`: of the previous builder. */
  constructor(stream: string, from: number, before?: IndexBuilder) {
    this.stream = stream;
    this.from = from;
    const open = before === undefined ? [] : [...before.#open];
    this.#open = new Map(open.map(([id, { names }]) => [id, { names, place: -1 }]));
  }

  static resume(file: IndexFile): IndexBuilder {
    const builder = new IndexBuilder(file.stream, file.from);
    builder.#last = file.end;
    for (const message of file.messages()) builder.#addMessage(message);
    for (const [name, places] of file.entries()) {
      builder.#places.set(name, places);
      builder.#entries += places.length;
    }
    return builder;
  }

  /** The last message that was read; below `from`: none yet. */
  get to(): number {
    return this.#last?.streamSeq ?? this.from - 1;
  }

  get isFull(): boolean {
    return this.#entries >= entriesMax || this.#messages.length >= messagesMax;
  }

  /** The next message of the stream, of any kind. `isClean`: the verifier found no fault in it. */
  take(message: FleetMessage, isClean: boolean): void {
    const { streamSeq, subject, storedMs, bytes, header } = message;
    this.#last = { streamSeq, subject, head: header(headerNames.head), storedMs };
    const chain = readSubject(subject);
    if (chain === undefined || !holdsRecords(message)) return;
    const digest = isClean ? digestOf(bytes) : '';
    const place = this.#addMessage({ streamSeq, ...chain, ...rangeOf(bytes), digest, storedMs });
    for (let at = 0; at < bytes.length; ) {
      const lf = bytes.indexOf(0x0a, at);
      const end = lf < 0 ? bytes.length : lf;
      this.#takeLine(bytes, at, end, subject, place);
      at = end + 1;
    }
  }

  format(signer: { readonly key: string; sign(text: string): string }): string {
    const masks: string[] = [];
    const names: string[] = [];
    for (const [name, places] of this.#places)
      if (name !== everybody)
        (isMask(name) ? masks : names).push(`${JSON.stringify(name)} ${places.join(' ')}`);
    const { streamSeq, subject, head, storedMs } = this.#last ?? noEnd;
    const top = {
      format: indexFormat,
      stream: this.stream,
      from: this.from,
      to: this.to,
      last: [streamSeq, subject, head, storedMs],
      subjects: [...this.#subjects.keys()].map((key) => key.split(' ')),
      messages: this.#messages.length,
      masks: masks.length,
      everybody: this.#places.get(everybody) ?? [],
    };
    const body = `${[JSON.stringify(top), ...this.#messages, ...masks, ...names].join('\n')}\n`;
    const { key } = signer;
    return `${body}${JSON.stringify({ key, signature: signer.sign(signedText(Buffer.from(body))) })}\n`;
  }

  #addMessage({ streamSeq, host, journal, first, last, digest, storedMs }: IndexedMessage): number {
    const key = `${host} ${journal}`;
    const subject = this.#subjects.get(key) ?? this.#subjects.size;
    this.#subjects.set(key, subject);
    return this.#messages.push(JSON.stringify([streamSeq, subject, first, last, digest, storedMs])) - 1;
  }

  /** The same lines that a search takes for an admission, its arguments and its end. */
  #takeLine(bytes: Buffer, at: number, end: number, subject: string, place: number): void {
    const eventAt = eventPlace(bytes, at);
    const [first, second] = [bytes[eventAt], bytes[eventAt + 1]];
    const isAdmission = first === 0x61 && second === 0x64;
    const isCompletion = first === 0x63 && second === 0x6f;
    if (!isAdmission && !isCompletion && !(first === 0x61 && second === 0x72)) return;
    const id = `${subject} ${idAfter(bytes, eventAt, end) ?? ''}`;
    if (isAdmission) {
      const names = namesOf(bytes, at, eventAt, end);
      this.#put(names, place);
      this.#open.delete(id);
      const [oldest] = this.#open.size < openMax ? [] : this.#open.keys();
      if (oldest !== undefined) this.#open.delete(oldest);
      this.#open.set(id, { names, place });
      return;
    }
    const open = this.#open.get(id);
    if (open?.place !== place) this.#put(open?.names, place);
    if (isCompletion) this.#open.delete(id);
  }

  #put(names: Names, place: number): void {
    for (const name of names ?? [everybody]) {
      const places = this.#places.get(name);
      if (places?.at(-1) === place) continue;
      if (places === undefined) this.#places.set(name, [place]);
      else places.push(place);
      this.#entries += 1;
    }
  }
}

const noEnd: IndexedEnd = { streamSeq: 0, subject: '', head: '', storedMs: 0 };

export function holdsRecords({ bytes, header }: FleetMessage): boolean {
  return bytes.length > 0 && readHeadOf(header)?.kind !== 'mark';
}

/** Short digest, to check that a message is still the one that the verifier read. */
export function digestOf(bytes: Buffer): string {
  return hash('sha256', bytes, 'hex').slice(0, digestChars);
}

/** Half of a hash is enough: finding other bytes for it is infeasible. */
const digestChars = 32;

function rangeOf(bytes: Buffer): { readonly first: number; readonly last: number } {
  const lf = bytes.indexOf(0x0a);
  if (lf < 0) return { first: 0, last: 0 };
  const first = readClaim(bytes.subarray(0, lf));
  const last = readClaim(bytes.subarray(bytes.lastIndexOf(0x0a, -2) + 1, bytes.length - 1));
  return { first: first?.seq ?? 0, last: last?.seq ?? 0 };
}

const usersKey = ',"users":';
const userKey = ',"user":';
const peerKey = ',"peer":{';
const commandKey = ',"command":"';
/** Names without an escape, and nothing but names. */
const plainList = /^\[(?:"[ !#-[\]-~]*"(?:,"[ !#-[\]-~]*")*)?\]$/;
const plainName = /^[ !#-[\]-~]*$/;

/** The users of an admission, as a search for a user reads it. */
function namesOf(bytes: Buffer, at: number, eventAt: number, end: number): Names {
  const text = bytes.toString('latin1', eventAt, end);
  return namesOfPlain(text) ?? namesOfRecord(parseLine(bytes.toString('utf8', at, end)));
}

/** Without parsing: `user` right after the command or absent, and one whole list. Undefined: take the slow path. */
function namesOfPlain(text: string): string[] | undefined {
  const usersAt = text.indexOf(usersKey) + usersKey.length;
  const commandAt = text.indexOf(commandKey);
  if (usersAt < usersKey.length || commandAt < 0 || text.includes(usersKey, usersAt)) return undefined;
  if (text.includes(',"argument_records":')) return undefined;
  const list = text.slice(usersAt, text.indexOf(']', usersAt) + 1);
  if (list.length > 4 * nameCharsMax || !plainList.test(list)) return undefined;
  // The object `peer` has a key `user` as well; it is not the one that is looked for.
  const peerAt = text.indexOf(peerKey);
  const peerEnd = peerAt < 0 ? 0 : text.indexOf('}', peerAt);
  const first = text.indexOf(userKey);
  const userAt = first > peerAt && first < peerEnd ? text.indexOf(userKey, peerEnd) : first;
  const names: string[] = JSON.parse(list);
  if (userAt < 0) return names;
  const nameAt = userAt + userKey.length + 1;
  const nameEnd = text.indexOf('"', nameAt);
  const user = text.slice(nameAt, nameEnd);
  const isUsual =
    userAt === text.indexOf('"', commandAt + commandKey.length) + 1 &&
    text[nameAt - 1] === '"' &&
    user.length <= nameCharsMax &&
    plainName.test(user) &&
    !text.includes(userKey, nameEnd);
  if (!isUsual) return undefined;
  if (!names.includes(user)) names.push(user);
  return names;
}

function namesOfRecord(record: Readonly<Record<string, unknown>> | undefined): Names {
  if (record === undefined || argumentCount(record) > 0) return undefined;
  const { user, users, args } = record;
  const names = new Set<string>();
  let isEverybody = false;
  const add = (value: unknown): void => {
    if (typeof value === 'string') names.add(value);
    else if (isObject(value) && typeof value['cut'] === 'string' && !('more' in value))
      names.add(`${value['cut']}*`);
    else if (isObject(value) && 'more' in value) isEverybody = true;
  };
  // The beginning of a cut name is also searched as it is.
  if (isObject(user) && typeof user['cut'] === 'string') names.add(user['cut']);
  add(user);
  if (Array.isArray(users)) for (const one of users) add(one);
  else if (Array.isArray(args)) {
    if (args.length > wordsMax || args.includes('-A')) return undefined;
    for (const word of args) add(typeof word === 'string' ? word.replace(/^user=/, '') : word);
  }
  return isEverybody || [...names].some(({ length }) => length > nameCharsMax) ? undefined : [...names];
}

function signedText(body: Buffer): string {
  return `dovegate fleet index ${hash('sha256', body, 'hex')}`;
}

export interface IndexFile {
  readonly stream: string;
  readonly from: number;
  readonly to: number;
  readonly end: IndexedEnd;
  readonly chains: readonly { readonly host: string; readonly journal: string }[];
  messages(): readonly IndexedMessage[];
  /** Messages that may hold commands of a user, or their ends, in the order of the stream; `user`: a pattern. */
  find(user: string): readonly IndexedMessage[];
  entries(): Iterable<readonly [string, number[]]>;
}

/** Undefined: it is not an index file, was signed by another key, or was changed. */
export function readIndexFile(bytes: Buffer, key: string): IndexFile | undefined {
  const sealAt = bytes.lastIndexOf(0x0a, -2) + 1;
  const seal = parseLine(bytes.toString('utf8', sealAt));
  const body = bytes.subarray(0, sealAt);
  if (seal?.['key'] !== key || typeof seal['signature'] !== 'string') return undefined;
  if (!isSignedBy(key, signedText(body), seal['signature'])) return undefined;
  const topEnd = body.indexOf(0x0a);
  // The signature proves that it is ours, so its shape is not checked.
  const top: Top | undefined = JSON.parse(body.toString('utf8', 0, topEnd));
  if (top?.format !== indexFormat) return undefined;
  const masksAt = skipLines(body, topEnd + 1, top.messages);
  const namesAt = skipLines(body, masksAt, top.masks);
  const [streamSeq, subject, head, storedMs] = top.last;
  const chains = top.subjects.map(([host, journal]) => ({ host, journal }));
  let listed: readonly IndexedMessage[] | undefined;

  const messages = (): readonly IndexedMessage[] => {
    if (listed !== undefined) return listed;
    const text = body.toString('utf8', topEnd + 1, Math.max(topEnd + 1, masksAt - 1));
    const rows: [number, number, number, number, string, number][] = JSON.parse(
      `[${text.replaceAll('\n', ',')}]`,
    );
    listed = rows.map(([seq, chain, first, last, digest, stored]) => ({
      streamSeq: seq,
      host: chains[chain]?.host ?? '',
      journal: chains[chain]?.journal ?? '',
      first,
      last,
      digest,
      storedMs: stored,
    }));
    return listed;
  };
  return {
    stream: top.stream,
    from: top.from,
    to: top.to,
    end: { streamSeq, subject, head, storedMs },
    chains,
    messages,
    *entries() {
      if (top.everybody.length > 0) yield [everybody, top.everybody];
      for (const line of linesOf(body, masksAt, body.length)) yield readEntry(line);
    },
    find(user) {
      const places = new Set(top.everybody);
      const isCovered = createCoverTest(user);
      const add = (line: string): void => {
        const [name, at] = readEntry(line);
        if (isCovered(name)) for (const place of at) places.add(place);
      };
      for (const line of linesOf(body, masksAt, namesAt)) add(line);
      if (user.includes('*')) for (const line of linesOf(body, namesAt, body.length)) add(line);
      else {
        for (const name of new Set([user, foldAscii(user)])) {
          const line = lineOf(body, namesAt, `${JSON.stringify(name)} `);
          if (line !== undefined) add(line);
        }
      }
      const all = messages();
      return [...places]
        .toSorted((one, other) => one - other)
        .map((place) => all[place])
        .filter((message) => message !== undefined);
    },
  };
}

interface Top {
  readonly format: number;
  readonly stream: string;
  readonly from: number;
  readonly to: number;
  readonly last: readonly [number, string, string, number];
  readonly subjects: readonly (readonly [string, string])[];
  readonly messages: number;
  readonly masks: number;
  readonly everybody: number[];
}

function skipLines(body: Buffer, from: number, count: number): number {
  let at = from;
  for (let left = count; left > 0; left -= 1) at = body.indexOf(0x0a, at) + 1 || body.length;
  return at;
}

function* linesOf(body: Buffer, from: number, to: number): Generator<string> {
  for (let at = from; at < to; ) {
    const end = body.indexOf(0x0a, at);
    yield body.toString('utf8', at, end);
    at = end + 1;
  }
}

function lineOf(body: Buffer, from: number, text: string): string | undefined {
  const start = Buffer.from(`\n${text}`);
  const at = body.indexOf(start, from - 1);
  return at < 0 ? undefined : body.toString('utf8', at + 1, body.indexOf(0x0a, at + 1));
}

/** `"alice@example.com" 0 2 3` */
function readEntry(line: string): [string, number[]] {
  const end = line.lastIndexOf('" ') + 1;
  const places = line
    .slice(end + 1)
    .split(' ')
    .map(Number);
  return [JSON.parse(line.slice(0, end)), places];
}
