// What an audit record holds: one type for every event, with the key names of the file; the form of its times; and how single keys of its
// line are read without parsing it, since journals are read by the million lines. A record is made once and never changed. Secrets are
// redacted before they come in here. Types of it are also the browser's, so nothing of Node is used.
//
//   {"seq":17,"time":"2026-11-20T08:22:34.123Z","event":"admission", ... ,"prev":"<64 hex>","hash":"<64 hex>"}

import { isText } from '../../host/values/values.js';
import { msMax, parseTime, timeChars } from '../../host/words/instants.js';
import type { KeysBut } from './keys.js';

/** With {@link OwnRecord}'s, the closed list of the key `event`. A word is never renamed or reused: journals hold it. */
type AuditEvent =
  | 'reload'
  | 'operator'
  | 'session-open'
  | 'session-close'
  | 'admission'
  /** Arguments of the preceding admission, as many as fit; see `arguments.ts`. */
  | 'arguments'
  | 'completion'
  | 'log'
  | 'limit'
  /**
   * By `action`: `down`: with the fault as `error`; `reason`: not up since the start. `stuck`: with how long commands have hung there.
   * `up`: with how long it was down or stuck, and the `count` of commands of so many `requesters` that failed. `cost`: the commands that
   * failed so far, each time that they have doubled. `stop`: when dovegate stops or, if `reason` says so, when a reload took the backend
   * out of the configuration. About the outage or, with the `error` `backend-drained`, about the drain.
   */
  | 'backend'
  /**
   * The journal itself, by `error`: `audit-reserve`: its disk, or the room for it, was used up but for the reserve; `audit-failed`: nothing
   * reached the disk. `reason` is why; `action` as of a backend, without `stuck`.
   */
  | 'journal'
  /** A request for temporary access, or what became of one. */
  | 'access'
  /**
   * A lock, or its end. It stops `user` (`users` has all names of that mailbox), `backend` or `listener`; without these, the human with
   * these `identities`, whose name or key is `to`. By `action`: `held`: a hold of a mail user, which stops only what could change the mail,
   * and need not end. `unlock-asked`: the first of the two who lift a hold, with their `identities`. `words`: more `identities` and `users`
   * that had no room in the record before.
   */
  | 'lock';

/** `brief`: at most 2 KiB; `whole`: with all arguments and users, also of a read. */
export type RecordRoom = 'brief' | 'whole';

/**
 * One record, without `seq`, `prev` and `hash`, which the journal adds. Names are those of the file; durations in milliseconds;
 * inapplicable keys are absent. Long strings are cut and hashed when the record is encoded.
 */
export interface AuditRecord extends KeysBut<'own' | 'added'> {
  /** Milliseconds since 1970, by the wall clock, of the event. */
  readonly time: number;
  readonly event: AuditEvent;
}

export type AccessRecord = AuditRecord & { readonly event: 'access' };
export type LockRecord = AuditRecord & { readonly event: 'lock' };

export type JournalRecord = AuditRecord | OwnRecord;

/** A record that the journal makes itself, and the keys that no other has. */
export interface OwnRecord extends KeysBut<'added'> {
  readonly time: number;
  readonly event: 'start' | 'stop' | 'retire' | 'checkpoint' | 'clock';
}

const ownEvents: ReadonlySet<string> = new Set(['start', 'stop', 'retire', 'checkpoint', 'clock']);

export function isOwnRecord(record: JournalRecord): record is OwnRecord {
  return ownEvents.has(record.event);
}

export const timeOpening = ',"time":"';
export const eventOpening = '","event":"';
/** Latest position of the time's opening in a line: a seq has at most 16 digits. */
const timeAtMax = 24;

export interface LineHead {
  /** RFC 3339 text of 24 characters. */
  readonly time: string;
  readonly event: string;
}

/** Time and event of a line given as latin1 text; undefined: not a line of ours. */
export function readHead(line: string): LineHead | undefined {
  const at = line.indexOf(timeOpening);
  if (at < 0 || at > timeAtMax) return undefined;
  const timeAt = at + timeOpening.length;
  const eventAt = timeAt + timeChars + eventOpening.length;
  if (!line.startsWith(eventOpening, timeAt + timeChars)) return undefined;
  const end = line.indexOf('"', eventAt);
  if (end < 0) return undefined;
  return { time: line.slice(timeAt, timeAt + timeChars), event: line.slice(eventAt, end) };
}

/** The required position of the event in the line at `at` of a piece, unchecked; Infinity: it is not a line. */
export function eventPlace(piece: Uint8Array, at: number): number {
  let comma = at + '{"seq":0'.length;
  while (piece[comma] !== 0x2c) {
    comma += 1;
    if (comma > at + timeAtMax) return Infinity;
  }
  return comma + timeOpening.length + timeChars + eventOpening.length;
}

/** Whether the event at its place begins so: `ac`cess, `ad`mission, `ar`guments, `co`mpletion, `loc`k (and not `log`), and so on. */
export function isEventAt(piece: Uint8Array, eventAt: number, start: string): boolean {
  for (let at = 0; at < start.length; at += 1) if (piece[eventAt + at] !== start.charCodeAt(at)) return false;
  return true;
}

/** A `Buffer`, which the browser does not have. */
type Latin1 = { toString(encoding: 'latin1', start: number, end: number): string };

export function timeBefore(piece: Latin1, eventAt: number): string {
  const end = eventAt - eventOpening.length;
  return piece.toString('latin1', end - timeChars, end);
}

/**
 * The text of a key whose value is a string without escapes (ids, hashes, words of closed lists). No string of JSON holds an unescaped
 * quote, so `,"id":"` is found nowhere but before the value of a key of that name.
 */
export function readWord(line: string, key: string): string | undefined {
  const open = `,"${key}":"`;
  const at = line.indexOf(open);
  if (at < 0) return undefined;
  const end = line.indexOf('"', at + open.length);
  return end < 0 ? undefined : line.slice(at + open.length, end);
}

/** Whether a start writes such a record before its own. `head`: the first bytes of the line, which contain the outcome in such a record. */
export function isOpening(event: string, head: string): boolean {
  if (event === 'checkpoint' || event === 'clock' || event === 'start') return true;
  return event === 'completion' && readWord(head, 'outcome') === 'unknown';
}

/** A recorded time, in milliseconds since 1970. */
export function asTimeMs(value: unknown): number | undefined {
  return isText(value) ? parseTime(value) : undefined;
}

export function asDistanceMs(value: unknown): number | undefined {
  return isDistanceMs(value) ? value : undefined;
}

/** Whether a parsed value is a time between two instants, in milliseconds, forwards or back. */
export function isDistanceMs(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= msMax;
}
