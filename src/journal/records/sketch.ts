// What is known of a part of a journal without its text: which records it holds, when they were written, and a filter of the
// names in them. A name that the filter does not hold is in none of them. Nothing signs a sketch, and it proves nothing: only searches
// use it.

import { isMask } from '../../doveadm/names/glob.js';
import { asList, isCount, isText, parseLine } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import { asCut } from './stored.js';

export interface Sketch {
  readonly firstSeq: number;
  /** Records without a gap, each a whole line. */
  readonly lines: number;
  /** The earliest and the latest time. */
  readonly minMs: number;
  readonly maxMs: number;
  /** Whether a name may be in it; see the functions below. */
  readonly mayHold: (token: string) => boolean;
}

const headBytes = 32;
/** Bytes of the text for each byte of the filter; a short text gets a little more. */
const filterShare = 70;
const shortBytes = 128;
const bitsForToken = 14;
const probes = 7;
/** Stands for users that the records do not show: masks, and lists and names that were cut. */
export const anyUser = 'any';

/**
 * Makes the sketch of whole lines. It is empty, so that the part is always read, if records are missing or not in order, one is a
 * retirement, or their names are too many or not plain to see.
 */
export function makeSketch(text: Buffer): Buffer {
  const all = text.toString('latin1');
  let [firstSeq, lines, min, max] = [0, 0, '~', ''];
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf('\n', at);
    if (all[end - 1] !== '}') return nothing;
    headPattern.lastIndex = at;
    const [head, seq, time = '', event] = headPattern.exec(all) ?? [];
    if (lines === 0) firstSeq = Number(seq);
    if (head === undefined || event === 'retire' || Number(seq) !== firstSeq + lines) return nothing;
    lines += 1;
    if (time < min) min = time;
    if (time > max) max = time;
    at = end + 1;
  }
  const tokens = tokensIn(all);
  const bytes = Math.ceil(((tokens?.size ?? Infinity) * bitsForToken) / 8) + 1;
  const [minMs, maxMs] = [parseTime(min), parseTime(max)];
  if (tokens === undefined || minMs === undefined || maxMs === undefined) return nothing;
  if (bytes > Math.max(text.length / filterShare, shortBytes)) return nothing;
  const sketch = Buffer.alloc(headBytes + bytes);
  for (const [at, value] of [firstSeq, lines, minMs, maxMs].entries()) sketch.writeDoubleLE(value, at * 8);
  const filter = sketch.subarray(headBytes);
  for (const token of tokens) eachBit(token, filter, (at, bit) => (filter[at] = (filter[at] ?? 0) | bit));
  return sketch;
}

export function readSketch(bytes: Buffer): Sketch | undefined {
  if (bytes.length <= headBytes) return undefined;
  const [firstSeq = 0, lines = 0, minMs = 0, maxMs = 0] = [0, 8, 16, 24].map((at) => bytes.readDoubleLE(at));
  if (![firstSeq, lines, minMs, maxMs].every(isCount)) return undefined;
  const filter = bytes.subarray(headBytes);
  return {
    firstSeq,
    lines,
    minMs,
    maxMs,
    mayHold: (token) => eachBit(token, filter, (at, bit) => ((filter[at] ?? 0) & bit) !== 0),
  };
}

/** A mail user by the whole name, by the part up to an @, or by the part from the last @ on. */
export const named = (text: string): string => `u${text}`;
export const requester = (text: string): string => `p${text}`;
export const ofGrant = (id: string): string => `g${id}`;
/** Stands for counts of commands without records of their own, whose users are not known. */
export const counts = 'counts';
const countsText = /"event":"limit",[^\n]*"action":"(?:refused|unsent)"/;

/** The values of these keys anywhere in the text; each is decoded once. Undefined: one is not plain. */
function tokensIn(all: string): ReadonlySet<string> | undefined {
  const found = { u: new Set<string>(), p: new Set<string>(), g: new Set<string>() };
  const lists = new Set<string>();
  for (const [, key = '', only, text = only, list] of all.matchAll(valuePattern)) {
    if (text !== undefined) found[key[0] === 'u' ? 'u' : key === 'principal' ? 'p' : 'g'].add(text);
    else if (list === undefined) return undefined;
    else lists.add(list);
  }
  const tokens = new Set([...found.p].map(decoded).map(requester));
  if (countsText.test(all)) tokens.add(counts);
  for (const id of found.g) tokens.add(ofGrant(decoded(id)));
  const names: unknown[] = [...found.u].map(decoded);
  for (const list of lists) {
    const read = asList(parseLine(`{"list":${decoded(list)}}`)?.['list']);
    if (read === undefined) return undefined;
    names.push(...read);
  }
  for (const name of names) {
    if (!isText(name) || isMask(name)) tokens.add(anyUser);
    for (const token of tokensOfName(shown(name))) tokens.add(token);
  }
  return tokens;
}

/** Decodes UTF-8 in a text that was read as latin1. */
function decoded(text: string): string {
  return /[\x80-\xff]/.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text;
}

function tokensOfName(name: string): readonly string[] {
  const last = name.lastIndexOf('@');
  if (last < 0) return [named(name)];
  const parts = [name, name.slice(0, last + 1), name.slice(last), name.slice(0, name.indexOf('@') + 1)];
  return parts.map(named);
}

/** The bits of a token in a filter, until one returns false. */
function eachBit(token: string, filter: Buffer, take: (at: number, bit: number) => unknown): boolean {
  let [one, other] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < token.length; at += 1) {
    one = Math.imul(one ^ token.charCodeAt(at), 0x01000193);
    other = Math.imul(other ^ token.charCodeAt(at), 0x5bd1e995) ^ (other >>> 15);
  }
  [one, other] = [mixed(one), mixed(other) | 1];
  for (let probe = 0; probe < probes; probe += 1) {
    const bit = (one + Math.imul(probe, other)) >>> 0;
    const place = bit % (filter.length * 8);
    if (take(place >>> 3, 1 << (place & 7)) === false) return false;
  }
  return true;
}

/** Mixes the bits, so that names that differ in one character do not share bits of the filter. */
function mixed(bits: number): number {
  const first = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35);
  return second ^ (second >>> 16);
}

const nothing = Buffer.alloc(0);
const headPattern = /\{"seq":(\d{1,16}),"time":"(.{24})","event":"([a-z-]+)"/y;
/** A text, a list of one, another list; anything else matches none of them. */
const valuePattern = /,"(users?|principal|grant|request)":(?:\["([^"\\]*)"\]|"([^"\\]*)"|(\[[^\]]*\])|)/g;

export function shown(value: unknown): string {
  return isText(value) ? value : (asCut(value) ?? '');
}
