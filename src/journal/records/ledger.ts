// The chain: every line contains the hash of the previous line and its own. Makes a line from a body, parses a line, and keeps the state of
// a chain while it is written: seq, link, signature, and the data for a restart. `hash` is SHA-256 over the exact text of the line without
// `,"hash":"..."` and without its LF. Sealed lines must be written next, in this order, or the ledger must be set back (`resume`).
//
//     {"seq":17,"time":"...","event":"...", ... ,"prev":"<64 hex>","hash":"<64 hex>"}

import { hash, verify } from 'node:crypto';
import { bounds } from '../../host/bounds/bounds.js';
import { asText, parseLine } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import { parseSignKey, type Signer } from '../../rules/keys/sign-key.js';
import { encodeBody } from './encode.js';
import { isDistanceMs, type LineHead, type OwnRecord, readHead, readWord } from './record.js';

/** Format of the lines; a reader ignores keys that it does not know, a writer never continues a newer format. */
export const journalFormat = 1;

/** `prev` of a journal's very first record. */
export const genesisHash = '0'.repeat(64);

/** Puts seq, prev and hash around a body of `encodeBody`; `line` ends in LF. */
export function sealLine(
  seq: number,
  body: string,
  prev: string,
): { readonly line: string; readonly hash: string } {
  const open = `{"seq":${seq},${body},"prev":"${prev}"`;
  const digest = hash('sha256', `${open}}`, 'hex');
  return { line: `${open},"hash":"${digest}"}\n`, hash: digest };
}

/** The largest part of a line besides its body: seq, prev, hash and their framing. */
export const sealBytesMax = 192;

/**
 * The same for a body in bytes: writes the line into `into` at `at`, with room for the body and `sealBytesMax` more. Thousands of lines a
 * second are made this way, without strings.
 */
export function sealInto(
  into: Buffer,
  at: number,
  seq: number,
  body: Uint8Array,
  prev: string,
): { readonly end: number; readonly hash: string } {
  const bodyAt = at + into.write(`{"seq":${seq},`, at, 'latin1');
  into.set(body, bodyAt);
  const bodyEnd = bodyAt + body.length;
  const braceAt = bodyEnd + into.write(`,"prev":"${prev}"}`, bodyEnd, 'latin1') - 1;
  const digest = hash('sha256', into.subarray(at, braceAt + 1), 'hex');
  // The line continues at the place of the hashed brace.
  const end = braceAt + into.write(`,"hash":"${digest}"}\n`, braceAt, 'latin1');
  return { end, hash: digest };
}

export interface Link {
  readonly seq: number;
  readonly prev: string;
  readonly hash: string;
}

/** `{"seq":` as two numbers that overlap by one byte: compared for every line of a journal. */
const headBytes = 7;
const headFirst = 0x7b227365;
const headSecond = 0x6571223a;
const prevText = ',"prev":"';
const hashText = ',"hash":"';
const closeText = '"}';
const hashPartBytes = hashText.length + 64 + closeText.length;
const prevPartBytes = prevText.length + 64 + 1;
const seqDigitsMax = 16;

/**
 * The claimed place of a line (without LF), and whether its own hash is right. Undefined: it does not have the form of a line. One byte of
 * `line` is changed for a moment: the buffer must not be read by others meanwhile.
 */
export function readLink(line: Buffer): (Link & { readonly isIntact: boolean }) | undefined {
  const link = readClaim(line);
  if (link === undefined) return undefined;
  // The hashed text ends with a brace where the line continues with `,"hash"`: written there to avoid a copy of the line.
  const end = line.length - hashPartBytes;
  line[end] = 0x7d;
  const digest = hash('sha256', line.subarray(0, end + 1), 'hex');
  line[end] = 0x2c;
  return { seq: link.seq, prev: link.prev, hash: link.hash, isIntact: digest === link.hash };
}

/** The link of a line whose own hash is right and that follows the record with the hash `before`, if given; else undefined. */
export function readNext(line: Buffer, before?: string): Link | undefined {
  const link = readLink(line);
  return link?.isIntact === true && (before === undefined || link.prev === before) ? link : undefined;
}

/** As `readLink`, without checking the hash: for readers that need only the line's place. */
export function readClaim(line: Buffer): Link | undefined {
  const tailAt = line.length - hashPartBytes - prevPartBytes;
  if (tailAt < headBytes + 1 || line.readUInt32BE(0) !== headFirst || line.readUInt32BE(3) !== headSecond) {
    return undefined;
  }
  const seq = readDigits(line, headBytes);
  if (seq === undefined) return undefined;
  const tail = line.toString('latin1', tailAt);
  const prevAt = prevText.length;
  const hashAt = prevPartBytes + hashText.length;
  if (
    !tail.startsWith(prevText) ||
    !tail.startsWith(`"${hashText}`, prevAt + 64) ||
    !tail.endsWith(closeText)
  ) {
    return undefined;
  }
  return { seq, prev: tail.slice(prevAt, prevAt + 64), hash: tail.slice(hashAt, hashAt + 64) };
}

/** The body between seq and prev of a line: a view of it. */
export function readBody(line: Buffer, { seq }: Link): Buffer {
  const at = headBytes + String(seq).length + 1;
  return line.subarray(at, Math.max(at, line.length - hashPartBytes - prevPartBytes));
}

function readDigits(line: Buffer, at: number): number | undefined {
  let value = 0;
  let end = at;
  for (; end < at + seqDigitsMax; end += 1) {
    const digit = (line[end] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return end > at && line[end] === 0x2c ? value : undefined;
}

/** Exchanges with an admission and no completion, by id, in the order of their admissions. */
export type OpenExchanges = Map<string, OpenExchange>;

export interface OpenExchange {
  readonly seq: number;
  /** The line of its admission. */
  readonly line: string;
}

/** The keys of an open exchange for the completion that a start writes in place of the missing one. */
export function namesOfOpen({ line }: OpenExchange) {
  // Parsed as JSON: a name may contain escaped quotes, which `readWord` does not decode.
  const admission = parseLine(line) ?? {};
  const [session, principal, command, effect, backend] = (
    ['session', 'principal', 'command', 'effect', 'backend'] as const
  ).map((key) => asText(admission[key]));
  return { session, principal, command, effect, backend };
}

/** No daemon has as many exchanges at once; a forged journal must not fill the memory. */
const openMax = bounds.openRecovered;

/** Tracks open exchanges: takes a line, and returns its head. Completed ones are added to `ended`. */
export function noteExchange(
  open: OpenExchanges,
  seq: number,
  text: string,
  ended?: OpenExchanges,
): LineHead | undefined {
  const head = readHead(text);
  const event = head?.event;
  if (event !== 'admission' && event !== 'completion') return head;
  const id = readWord(text, 'id');
  if (id === undefined) return head;
  if (event === 'completion') {
    const known = open.get(id);
    if (known !== undefined) ended?.set(id, known);
    open.delete(id);
  } else if (open.size < openMax) open.set(id, { seq, line: text });
  return head;
}

/** Sorts after every time. */
const noTime = '~';

export interface LedgerState {
  readonly journal: string;
  readonly seq: number;
  readonly hash: string;
  readonly stepsMs: number;
  readonly open: OpenExchanges;
  /** The oldest record that retention left. */
  readonly oldestSeq: number;
  /** Time of the last record, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Hash of the configuration that the last start or reload took; undefined: no record that was read has it. */
  readonly version?: string | undefined;
  /** Hash of the list of policies of that record; likewise. */
  readonly policies?: string | undefined;
}

export class Ledger implements LedgerState {
  journal: string;
  seq = 0;
  hash = genesisHash;
  stepsMs = 0;
  open: OpenExchanges = new Map();
  oldestSeq = 1;
  version: string | undefined;
  policies: string | undefined;
  readonly signer: Signer | undefined;
  readonly #program: string;
  #resumedMs = 0;
  /** As text, because it changes far more often than it is needed. */
  #lastTime = '';
  /** The earliest time in the current segment; `noTime`: it is empty; empty text: another run wrote a part of it. */
  #earliest = noTime;
  /** Completed since the last `settle`: open again if the ledger is set back. */
  readonly #ended: OpenExchanges = new Map();

  /** Begins a journal with this id. `signKey`: PEM; throws a TypeError for anything but an Ed25519 key. */
  constructor(program: string, signKey: string | undefined, journal: string) {
    this.#program = program;
    this.signer = signKey === undefined ? undefined : parseSignKey(signKey);
    this.journal = journal;
  }

  get timeMs(): number {
    return parseTime(this.#lastTime) ?? this.#resumedMs;
  }

  /** Seq of the oldest admission without completion, else the next seq. */
  get openSeq(): number {
    return this.open.values().next().value?.seq ?? this.seq + 1;
  }

  /** Continues from a position in the chain: after a start, or after sealed lines did not reach the disk. */
  resume({ journal, seq, hash: head, stepsMs, open, oldestSeq, timeMs, ...kept }: LedgerState): void {
    this.journal = journal;
    this.seq = seq;
    this.hash = head;
    this.stepsMs = stepsMs;
    this.open = open;
    this.oldestSeq = oldestSeq;
    this.version = kept.version ?? this.version;
    this.policies = kept.policies ?? this.policies;
    this.#resumedMs = timeMs;
    this.#lastTime = '';
    this.#earliest = '';
    this.#ended.clear();
  }

  /** From now on the ledger will not be set back before this position. */
  settle(): void {
    this.#ended.clear();
  }

  /** The exchanges that were open at a record since the last `settle`, in the order of the admissions. */
  openAt(seq: number): OpenExchanges {
    const all = [...this.open, ...this.#ended].filter(([, exchange]) => exchange.seq <= seq);
    return new Map(all.toSorted(([, one], [, other]) => one.seq - other.seq));
  }

  seal(body: string): string {
    const { line, hash: head } = sealLine(this.seq + 1, body, this.hash);
    this.#note(line, head);
    return line;
  }

  /** The same for a body in bytes, into `into` at `at` (room: `sealBytesMax` more than the body); returns the end of the line. */
  sealInto(into: Buffer, at: number, body: Buffer): number {
    const { end, hash: head } = sealInto(into, at, this.seq + 1, body, this.hash);
    this.#note(into.toString('utf8', at, end), head);
    return end;
  }

  /** The line of a record of our own, signed when there is a key. */
  sealSigned(record: OwnRecord): string {
    const { signer } = this;
    if (signer === undefined) return this.seal(encodeBody(record));
    const named = { ...record, key: signer.key };
    const text = `{"seq":${this.seq + 1},${encodeBody(named)},"prev":"${this.hash}"}`;
    return this.seal(encodeBody({ ...named, signature: signer.sign(text) }));
  }

  /** The next checkpoint, without its optional parts. */
  checkpoint(wallMs: number): OwnRecord {
    const names = { journal: this.journal, format: journalFormat, program: this.#program };
    const { version, policies } = this;
    return {
      time: wallMs,
      event: 'checkpoint',
      ...names,
      version,
      policies,
      head: this.hash,
      oldest_seq: this.oldestSeq,
    };
  }

  /** Additional data in the first record of a segment. `before`: the segment that ends here. */
  beginSegment(before: string | undefined): Partial<OwnRecord> {
    const place = { segment: before, segment_hash: this.hash };
    const restart = { open_seq: this.openSeq, steps_ms: this.stepsMs, earliest: this.#earliest || undefined };
    this.#earliest = noTime;
    return { ...place, ...restart };
  }

  #note(line: string, head: string): void {
    this.seq += 1;
    this.hash = head;
    const { time, event } = noteExchange(this.open, this.seq, line, this.#ended) ?? {};
    this.#lastTime = time ?? '';
    if (this.#lastTime < this.#earliest) this.#earliest = this.#lastTime;
    if (event === 'start' || event === 'reload') {
      this.version = readWord(line, 'version');
      this.policies = readWord(line, 'policies');
    }
    if (event !== 'clock') return;
    const step = parseLine(line)?.['step_ms'];
    if (isDistanceMs(step)) this.stepsMs += step;
  }
}

/** Whether a signature is right for a text under a public key in base64; false also for an invalid key or signature. */
export function isSignedBy(key: string, text: string, signature: string): boolean {
  try {
    // A key in DER takes ten times as long to make.
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key, 'base64').toString('base64url') };
    const from = { key: jwk, format: 'jwk' } as const;
    return verify(null, Buffer.from(text), from, Buffer.from(signature, 'base64'));
  } catch {
    return false;
  }
}

/** Base64 of 64 bytes, in its only canonical spelling. */
const signatureText = ',"signature":"([A-Za-z0-9+/]{85}[AQgw]==)"';
/** The only place of a signature: in records directly after the key, in checkpoints of the fleet after all other members. */
const signatureAt = {
  record: new RegExp(`(?<=,"key":"[A-Za-z0-9+/]{43}=")${signatureText}`),
  fleet: new RegExp(`${signatureText}(?=,"prev":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"}$)`),
};

/**
 * The signed text of a line (without LF). Undefined: it has no signature in the canonical place and spelling. Otherwise somebody without
 * the key could change bytes of the line, and its signature would stay right.
 */
export function unsignedLine(
  line: string,
  of: keyof typeof signatureAt = 'record',
): { readonly text: string; readonly signature: string } | undefined {
  const found = signatureAt[of].exec(line);
  const end = /,"hash":"[0-9a-f]{64}"}$/.exec(line);
  if (found?.[1] === undefined || end === null) return undefined;
  const text = `${line.slice(0, found.index)}${line.slice(found.index + found[0].length, end.index)}}`;
  return { text, signature: found[1] };
}
