// What exchanges share, and the session as an exchange sees it.

import type { ByteBudget, KeyedSemaphore, TokenBuckets, UserLock } from '../../concurrency/limits.js';
import type { InputMeter, RecordedPeer, Redacted } from '../../domain/audit/record.js';
import type { Effect } from '../../domain/commands/catalog.js';
import type { Peer } from '../../domain/identity/peer.js';
import type { AnswerCache, Subject } from '../../domain/policy/assess.js';
import type { Policy } from '../../domain/policy/policy.js';
import type { Limiter } from '../../domain/policy/terms.js';
import type { Clock } from '../../ports/machine.js';
import type { Observe } from '../outcome/events.js';
import type { FloodWatch, Journal } from '../outcome/journal.js';
import type { ClientInput, RelayLimits } from '../relay/relay.js';

import type { ReplyTarget } from '../relay/reply-writer.js';
import type { KnownLine, Router } from './assessment.js';
import type { SessionNames } from './exchange-records.js';

/** Times and counts that hold for each exchange. */
export interface ExchangeLimits extends Omit<RelayLimits, 'deadlineMs'> {
  /** How long a command waits for its user, where that one is on another backend. */
  readonly queueTimeoutMs: number;
  readonly deadlineMs: Readonly<Record<Effect, number>>;
  /** L lines of one exchange that get a record of their own; the rest is counted. */
  readonly logRecordsMax: number;
}

/** What all exchanges share; replaced as a whole by a reload. */
export interface ExchangeContext {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly observe: Observe;
  readonly newId: () => string;
  readonly router: Router;
  /** Outlives a reload, as do `limiter`, `turns`, `floods`, `questions` and `buffered`. */
  readonly userLock: UserLock;
  /** Lines that were read, judged and routed before under these settings. */
  readonly knownLines: AnswerCache<KnownLine>;
  /** Counts what policies limit. */
  readonly limiter: Limiter;
  readonly turns: KeyedSemaphore;
  /** Bounds what refusals write. */
  readonly floods: FloodWatch;
  /** Bounds questions to dovegate itself, by principal. */
  readonly questions: TokenBuckets;
  /** A value that may be compared and not read. */
  readonly redact: (value: string) => Redacted;
  /** The same for command input, which comes in pieces. */
  readonly meterInput: () => InputMeter;
  /** Input that is held. */
  readonly buffered: ByteBudget;
  /** Effects whose admission must be on disk before anything is sent. */
  readonly strict: ReadonlySet<Effect>;
  readonly limits: ExchangeLimits;
}

/** What the kernel and TLS told of a peer, under the key names of the records. */
export function recordedPeer(peer: Peer): RecordedPeer {
  const { uid, gid, pid, user, exe, exeUnproven, unit, unitUnproven, loginUid, address, certificate } = peer;
  return {
    uid,
    gid,
    pid,
    user,
    exe,
    exe_unproven: exeUnproven,
    unit,
    unit_unproven: unitUnproven,
    login_uid: loginUid,
    address,
    certificate,
  };
}

/** The session as an exchange sees it; it changes between two exchanges, never while one runs. */
export interface ExchangeSession {
  readonly names: SessionNames;
  /** The same object until a reload changes the policy. */
  readonly subject: Subject;
  readonly writer: ReplyTarget;
  /** What the client said of the next command. */
  readonly reason: string | undefined;
  readonly tag?: string | undefined;
  /** What would hold for a command that came now. */
  now(): { readonly context: ExchangeContext; readonly policy: Policy | undefined };
  /** Whether that context would hold for a command that came now. */
  isCurrent(context: ExchangeContext): boolean;
  /** What follows the command's line; called once, for a command that has input. */
  openInput(): ClientInput;
}
