// What an audit record holds: one type for every event, with the key names of the file; the form of its times; and how single keys of its
// line are read without parsing it, since journals are read by the million lines. A record is made once and never changed. Secrets are
// redacted before they come in here. Types of it are also the browser's, so nothing of Node is used.
//
//   {"seq":17,"time":"2026-11-20T08:22:34.123Z","event":"admission", ... ,"prev":"<64 hex>","hash":"<64 hex>"}

import { isText } from '../../host/values/values.js';
import { msMax, parseTime, timeChars } from '../../host/words/instants.js';

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

export type RecordedOutcome =
  | 'ok'
  | 'failed'
  /** It failed and changes several named things: a part may have been done. */
  | 'partly'
  | 'denied'
  | 'unparsable'
  | 'limited'
  | 'unknown'
  | 'aborted'
  | 'timeout';

/** The client, as far as the kernel or TLS identified it; unknown keys are absent. */
export interface RecordedPeer {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly pid?: number | undefined;
  /** The system's name of the uid; nothing from the client. */
  readonly user?: string | undefined;
  readonly exe?: string | undefined;
  /** Used in place of `exe` and `unit` if the peer may have chosen them. */
  readonly exe_unproven?: string | undefined;
  readonly unit?: string | undefined;
  readonly unit_unproven?: string | undefined;
  readonly login_uid?: number | undefined;
  readonly address?: string | undefined;
  readonly certificate?: string | undefined;
}

/** A value that can be compared but not read: lower-case hex HMAC-SHA256. */
export interface Redacted {
  readonly hmac: string;
}

export type RecordedArgument = string | Redacted;

export interface RecordedInput {
  readonly bytes: number;
  readonly hmac?: string | undefined;
}

export interface RecordedBounds {
  /** Hash of the `on_request` rule with its terms, hex: a changed rule ends its grants. */
  readonly rule?: string | undefined;
  /** Scope `command`: HMAC of the whole canonical line, hex. */
  readonly line?: string | undefined;
  /** Hash of the owner's key, password or certificate. */
  readonly credential?: string | undefined;
  /** Text of the owner's login uid, or `none`; absent: it is not known. */
  readonly login?: string | undefined;
  /** The owner's uid: another user of the same name is somebody else. Absent: the kernel did not say who asked. */
  readonly uid?: number | undefined;
}

export interface RecordedPart {
  readonly backend: string;
  readonly upstream?: string | undefined;
  readonly status?: string | undefined;
  readonly outcome: RecordedOutcome;
  readonly sent: boolean;
  readonly cells?: number | undefined;
  readonly bytes_in?: number | undefined;
  readonly error?: string | undefined;
}

/** Bytes after the last whole record that a crash left, kept in a file of their own. */
export interface TornTail {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * One record, without `seq`, `prev` and `hash`, which the journal adds. Names are those of the file; durations in milliseconds;
 * inapplicable keys are absent. Long strings are cut and hashed when the record is encoded.
 */
export interface AuditRecord {
  /** Milliseconds since 1970, by the wall clock, of the event. */
  readonly time: number;
  readonly event: AuditEvent;
  readonly session?: string | undefined;
  readonly id?: string | undefined;
  /** In a search that counts mails: the exchange that it counts for. */
  readonly for?: string | undefined;
  /** The client's protocol; absent: the doveadm protocol. */
  readonly protocol?: 'http' | undefined;
  /** The client's name for the command: the tag of HTTP, `dovegate-tag` over a socket. */
  readonly tag?: string | undefined;
  readonly listener?: string | undefined;
  readonly peer?: RecordedPeer | undefined;
  readonly principal?: string | undefined;
  /** The origin that limits and shares count: see rules/identity/origin. Written only where the peer does not show it. */
  readonly origin?: string | undefined;
  readonly policy?: string | undefined;
  /** Hash of the policy; in start, reload and checkpoint, of the configuration. */
  readonly version?: string | undefined;
  readonly rule?: string | undefined;
  readonly series?: string | undefined;
  readonly decision?: 'allow' | 'deny' | undefined;
  /** The decision of an observing policy's rules: a word of doveadm/codes/outcomes. Absent: the same as what was done. */
  readonly would?: string | undefined;
  readonly would_why?: string | undefined;
  /** The decision of the candidate beside the policy, likewise. */
  readonly shadow?: string | undefined;
  readonly shadow_why?: string | undefined;
  readonly reason?: string | undefined;
  readonly command?: string | undefined;
  readonly user?: string | undefined;
  /** The user as the client wrote it, where that is another text. */
  readonly written?: string | undefined;
  readonly args?: readonly RecordedArgument[] | undefined;
  readonly input?: RecordedInput | undefined;
  readonly effect?: string | undefined;
  readonly backend?: string | undefined;
  readonly upstream?: string | undefined;
  readonly backends?: readonly (string | RecordedPart)[] | undefined;
  readonly matches?: number | undefined;
  readonly action?: string | undefined;
  /** A random id of what an operator did: the same in the record before it and in the one that says how it ended. */
  readonly deed?: string | undefined;
  readonly by?: string | undefined;
  readonly count?: number | undefined;
  readonly requesters?: number | undefined;
  readonly level?: string | undefined;
  readonly text?: string | undefined;
  readonly status?: string | undefined;
  readonly outcome?: RecordedOutcome | undefined;
  /** Why policy refused it: a code of doveadm/codes/decisions. Absent: it was not policy. */
  readonly denial?: string | undefined;
  readonly sent?: boolean | undefined;
  readonly rows?: number | undefined;
  readonly cells?: number | undefined;
  readonly bytes_in?: number | undefined;
  readonly bytes_out?: number | undefined;
  readonly wait_ms?: number | undefined;
  readonly first_byte_ms?: number | undefined;
  readonly duration_ms?: number | undefined;
  /** Lines of channel L by level. */
  readonly logs?: Readonly<Record<string, number>> | undefined;
  readonly client?: number | undefined;
  /**
   * Every mailbox user of an admission's command, in normal form without duplicates, masks as given; `["*"]`: all users, or unknown ones.
   */
  readonly users?: readonly string[] | undefined;
  /** Beside `users`: the server keeps the case of names, so those that differ in case only are two users. Absent: they are one. */
  readonly case?: 'keep' | undefined;
  /**
   * RFC 3339. In retire: all records before it are gone. In access: when an undecided request expires, or a grant ends. In lock: when it
   * ends. In a completion: from when on the same command is within its limit.
   */
  readonly until?: string | undefined;
  /** NAME@LISTENER of the owner of a request or grant, or of a command, in records of what others do with it. */
  readonly to?: string | undefined;
  /**
   * The id of an undecided request; a grant keeps it. In a command: with `for` mails were counted for it, else it came after that grant was
   * over, and was denied.
   */
  readonly request?: string | undefined;
  /** The id of a grant: in `granted` and all later access records, and in admissions and completions under it. */
  readonly grant?: string | undefined;
  readonly scope?: 'command' | 'user' | undefined;
  /** The id of a lock: in its own records, and in the completions of commands that it stopped. */
  readonly lock?: string | undefined;
  /** The number of records `words` of that lock that follow. */
  readonly parts?: number | undefined;
  /** The number of approvals that a request needs; 0: break-glass. */
  readonly approvals?: number | undefined;
  /** The number of commands that a grant permits; absent: no limit. */
  readonly uses?: number | undefined;
  readonly used?: number | undefined;
  /** In `requested` and `granted`: how long after the grant it is kept from the owner of the mailbox; absent: it is not. */
  readonly quiet_ms?: number | undefined;
  /** Who acts, as words `user:anna`, `uid:1001`, `account:x`, `key:x`, `page:x`, `oidc:x`. */
  readonly identities?: readonly string[] | undefined;
  readonly bound?: RecordedBounds | undefined;
  /** A copy at the head of a segment, or after a start: not another event. */
  readonly carried?: true | undefined;
  /** In a carried record: the time (RFC 3339) of the event. */
  readonly at?: string | undefined;
  readonly error?: string | undefined;
  /** In start and reload: the hash of the command tables, and of each file that adds commands. */
  readonly catalog?: string | undefined;
  /** In start, reload and checkpoint: the hash of the list of all policies and of who has which (rules/config/policy-list). */
  readonly policies?: string | undefined;
  /** In start and reload: `policies` of the start or reload before. Absent: there was none. */
  readonly was?: string | undefined;
}

export type AccessRecord = AuditRecord & { readonly event: 'access' };
export type LockRecord = AuditRecord & { readonly event: 'lock' };

export type JournalRecord = AuditRecord | OwnRecord;

/** A record that the journal makes itself, and the keys that no other has. */
export interface OwnRecord extends Omit<AuditRecord, 'event'> {
  readonly event: 'start' | 'stop' | 'retire' | 'checkpoint' | 'clock';
  /** The random id of the journal; with `format` and `program` in start, checkpoint and a segment's first record. */
  readonly journal?: string | undefined;
  readonly format?: number | undefined;
  readonly program?: string | undefined;
  /** In a segment's first record: the file before it and its last hash. In retire: the file that was removed. */
  readonly segment?: string | undefined;
  readonly segment_hash?: string | undefined;
  /** Hash of the record before a checkpoint, which the signature covers. */
  readonly head?: string | undefined;
  readonly oldest_seq?: number | undefined;
  /** Public key of the signature: base64 of its 32 bytes. */
  readonly key?: string | undefined;
  readonly signature?: string | undefined;
  /** Public key that signs from the next record on; signed by the one before. */
  readonly next_key?: string | undefined;
  /** The oldest admission without completion when a segment began; a restart must read from there. */
  readonly open_seq?: number | undefined;
  readonly step_ms?: number | undefined;
  /** Sum of all steps so far, in a segment's first record: ages are counted without them. */
  readonly steps_ms?: number | undefined;
  /**
   * The earliest time (RFC 3339) in the segment before, in a segment's first record; absent if one run did not write all of that segment.
   */
  readonly earliest?: string | undefined;
  /** Records from the memory of the previous run that were missing in the segments, in a start record. */
  readonly recovered?: number | undefined;
  /** The fault of that memory: `missing`, `damaged`, `foreign`. */
  readonly ring?: string | undefined;
  /** Records that never reached the disk since the start; in a start record, stretches of damaged memory. */
  readonly lost?: number | 'unknown' | undefined;
  readonly torn?: TornTail | undefined;
  /** In a start record: the last record of the previous run, as this start found it. */
  readonly last_seq?: number | undefined;
  readonly last_hash?: string | undefined;
  /** In a start record: lines that were appended after the end of the previous run, and the file that they were moved to. */
  readonly appended?: TornTail | undefined;
  /** In a checkpoint: so many carried records follow, then a checkpoint: what ended last, live access, locks, open outages and drains. */
  readonly carries?: number | undefined;
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
