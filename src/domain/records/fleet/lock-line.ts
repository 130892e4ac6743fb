// A line of locks for gates of a fleet: who is locked on some hosts, by the whole set of one key. It counts by its signature, whoever
// hands it over. The gate lists the key, and takes a line of a higher number than the last: so a line that is lost, withheld or repeated
// only delays what the next one says, and what is not in the next one is lifted.
//
//   {"event":"fleet-lock","number":1795000000000,"time":"2026-11-20T08:22:34.123Z","hosts":["mail-gate-1","mail-gate-2"],
//    "locks":[{"id":"mwk3l2s0","target":"carol","until":"2026-11-20T10:22:34.123Z","reason":"...","by":"anna","kill":true}],
//    "by":"anna","reason":"...","key":"<base64>","signature":"<base64>"}
//
// The signature is over the text before it and a brace. No other signed text of ours begins as this one does, so a signature that the
// same key gave to a checkpoint is none here.

import { hash } from 'node:crypto';
import * as z from 'zod';
import { bounds } from '../../../bounds/bounds.js';
import { isMask } from '../../language/names/glob.js';
import { count, fit, text as textOf, time } from '../../language/seams/shape.js';
import { isSignedBy, parseSignKey } from '../audit/ledger.js';
import { formatTime, parseLine, parseTime } from '../audit/record.js';
import { isHostWord } from './names.js';

const opening = '{"event":"fleet-lock",';
/** The key and the signature in the one spelling of their bytes. */
const closing = /,"key":"([A-Za-z0-9+/]{43}=)"(,"signature":"([A-Za-z0-9+/]{85}[AQgw]==)")}$/;

const word = textOf(bounds.fleetLockChars)
  .min(1)
  .refine((each) => !/\p{Cc}/u.test(each), { error: 'must be one line of text' });

const signedLock = z.strictObject({
  id: z.string().regex(/^[0-9a-z]{1,16}$/, { error: 'must be an id' }),
  /** As `dovegate lock` takes it; no hold. */
  target: word,
  until: time,
  reason: word,
  by: word,
  kill: z.literal(true).optional(),
});
/** One lock, as it was signed. */
export type SignedLock = Readonly<z.infer<typeof signedLock>>;

const signedLine = z.strictObject({
  event: z.literal('fleet-lock'),
  number: count,
  time,
  hosts: z
    .array(z.string().refine(isHostWord, { error: 'must be a host' }))
    .min(1)
    .max(bounds.fleetLockHosts),
  /** All that this key locks on these hosts. */
  locks: z
    .array(signedLock)
    .max(bounds.fleetLineLocks)
    .refine((locks) => new Set(locks.map(({ id }) => id)).size === locks.length, {
      error: 'must have one lock of an id',
    }),
  by: word,
  reason: word,
  key: z.string(),
  signature: z.string(),
});
/** A line whose signature is right under its own `key`: the caller looks whether that key counts. */
export type LockLine = Readonly<z.infer<typeof signedLine>>;

export const rootIsFree = 'root is not locked, nor a person who may be root';
export const manyUsers = (name: string): string => `${name} is no name of one mail user`;

/** Why no gate locks it, whatever its configuration; undefined: one may. */
export function whyNoTarget(target: string): string | undefined {
  const user = target.startsWith('user:') ? target.slice('user:'.length) : undefined;
  if (user !== undefined && (user === '' || isMask(user))) return manyUsers(user);
  return /^(?:root|0+)$/.test(target) ? rootIsFree : undefined;
}

/** Without LF. Throws a TypeError if the key is not an Ed25519 key in PEM, or the line would be none. */
export function signLockLine(
  {
    number,
    nowMs,
    hosts,
    locks,
    by,
    reason,
  }: Pick<LockLine, 'number' | 'hosts' | 'locks' | 'by' | 'reason'> & { readonly nowMs: number },
  secretPem: string,
): string {
  const signer = parseSignKey(secretPem);
  const { key } = signer;
  const body = { event: 'fleet-lock', number, time: formatTime(nowMs), hosts, locks, by, reason, key };
  const unsigned = JSON.stringify(body);
  const line = `${unsigned.slice(0, -1)},"signature":"${signer.sign(unsigned)}"}`;
  const why = readLockLine(line);
  if (typeof why === 'string') throw new TypeError(why);
  return line;
}

/** Whoever changes, cuts or invents a line has not the key. A text: why it is none. Nothing of it is parsed before its signature counts. */
export function readLockLine(line: string, isKey: (key: string) => boolean = () => true): LockLine | string {
  if (Buffer.byteLength(line) > bounds.fleetLockBytes) return 'it is too long';
  const found = line.startsWith(opening) ? closing.exec(line) : null;
  const [, key = '', member = '', signature = ''] = found ?? [];
  if (found === null) return 'it is no signed line of locks';
  if (!isKey(key)) return `key ${key} is not among fleet_keys`;
  if (!isSignedBy(key, `${line.slice(0, found.index + found[0].length - member.length - 1)}}`, signature))
    return 'its signature is wrong';
  const read = fit(signedLine, parseLine(line));
  return typeof read === 'string' ? `it is signed, and of another form: ${read}` : read;
}

/** What is known at the gate. */
export interface LockLineGate {
  /** The listed keys by their names: base64 of each. */
  readonly keys: ReadonlyMap<string, string>;
  /** Its own names in the fleet, by its own configuration. */
  readonly hosts: readonly string[];
  readonly nowMs: number;
  /** The number of the last line of the key; undefined: none was taken. */
  readonly lastOf: (mark: string) => number | undefined;
}

export type JudgedLockLine =
  | { readonly kind: 'counts'; readonly line: LockLine; readonly name: string; readonly mark: string }
  /** The last one that was taken, again. */
  | { readonly kind: 'known' }
  /** It may count later: one of the two clocks is wrong. */
  | { readonly kind: 'early'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string };

/** Whether a line counts at a gate now. What is over in it does not count; that is for the caller. */
export function judgeLockLine(text: string, { keys, hosts, nowMs, lastOf }: LockLineGate): JudgedLockLine {
  const nameOf = (key: string): string | undefined => [...keys].find(([, listed]) => listed === key)?.[0];
  const line = readLockLine(text, (key) => nameOf(key) !== undefined);
  if (typeof line === 'string') return { kind: 'refused', why: line };
  const name = nameOf(line.key) ?? '';
  const what = `line ${line.number} of fleet:${name}`;
  const mark = markOf(line.key);
  if (!line.hosts.some((host) => hosts.includes(host)))
    return {
      kind: 'refused',
      why: `${what} is for ${line.hosts.join(', ')}, and this is ${hosts.join(', ')}`,
    };
  const last = lastOf(mark) ?? -1;
  if (line.number === last) return { kind: 'known' };
  if (line.number < last)
    return { kind: 'refused', why: `${what} is older than ${last}, which was taken before` };
  const madeMs = parseTime(line.time) ?? 0;
  if (madeMs > nowMs + bounds.fleetLockAheadMs)
    return { kind: 'early', why: `${what} was made at ${line.time}, which is not yet; set the clocks right` };
  const late = line.locks.find(({ until }) => (parseTime(until) ?? 0) > madeMs + bounds.lockMs);
  if (late !== undefined)
    return { kind: 'refused', why: `${what} locks ${late.target} for longer than a lock lasts` };
  return { kind: 'counts', line, name, mark };
}

/** The beginning of the ids of its locks, wherever it is listed under whatever name. */
export function markOf(key: string): string {
  return hash('sha256', key, 'hex').slice(0, 16);
}

/** Of an entry of a line, at a gate: no lock of another key, or of the gate itself, has it. */
export function lockIdOf(mark: string, { id }: Pick<SignedLock, 'id'>): string {
  return `${mark}:${id}`;
}

/** The lines of a message: a line for each key, the last one of each. What is none counts nowhere. */
export function linesOfMessage(bytes: Uint8Array): readonly string[] {
  if (bytes.length > bounds.fleetLockKeys * (bounds.fleetLockBytes + 1)) return [];
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  return lines.filter((line) => line.startsWith(opening)).slice(0, bounds.fleetLockKeys);
}

/** The last message for a host, with another line of the same key in the place of its own. Lines that are over leave it. */
export function messageWith(before: Uint8Array | undefined, line: string, nowMs: number): Buffer {
  const own = readLockLine(line);
  const key = typeof own === 'string' ? '' : own.key;
  const others = (before === undefined ? [] : linesOfMessage(before)).filter((each) => {
    const read = readLockLine(each);
    // A lift must be there as long as what it lifts could count.
    return (
      typeof read === 'object' &&
      read.key !== key &&
      (parseTime(read.time) ?? 0) + bounds.lockMs + bounds.fleetLockAheadMs > nowMs
    );
  });
  return Buffer.from([line, ...others].slice(0, bounds.fleetLockKeys).join('\n') + '\n');
}
