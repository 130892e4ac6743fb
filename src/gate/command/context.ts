// The context that exchanges share, and an exchange's view of its session.

import type { Effect } from '../../doveadm/commands/catalog.js';
import type { ByteBudget, KeyedSemaphore, TokenBuckets, UserLock } from '../../host/concurrency/limits.js';
import type { Clock } from '../../host/ports/machine.js';
import type { Peer } from '../../host/ports/peer.js';
import type { Journal } from '../../journal/records/appending.js';
import type { RecordedPeer, Redacted } from '../../journal/records/keys.js';
import type { InputMeter } from '../../journal/records/redact.js';
import type { Human, Proof } from '../../rules/identity/human.js';
import type { AnswerCache, Subject } from '../../rules/policy/judge.js';
import type { Policy } from '../../rules/policy/policy.js';
import type { Limiter } from '../../rules/policy/terms.js';
import type { AccessDesk } from '../access/desk.js';
import type { Observe } from '../outcome/events.js';
import type { FloodWatch } from '../outcome/journal.js';
import type { ClientInput, RelayLimits } from '../relay/relay.js';

import type { ReplyTarget } from '../relay/reply-writer.js';
import type { KnownLine, Router } from './assessment.js';
import type { SessionNames } from './exchange-records.js';
import type { OverdueCommands } from './overdue.js';
import type { Stated } from './stated.js';

export interface ExchangeLimits extends Omit<RelayLimits, 'deadlineMs'> {
  /** How long a command waits for its user while another backend runs a command of that user. */
  readonly queueTimeoutMs: number;
  readonly deadlineMs: Readonly<Record<Effect, number>>;
  readonly logRecordsMax: number;
}

/** Shared by all exchanges; a reload replaces it as a whole. */
export interface ExchangeContext {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly observe: Observe;
  readonly newId: () => string;
  readonly router: Router;
  /** Outlives a reload, as do `limiter`, `candidateLimiter`, `turns`, `overdue`, `floods`, `questions`, `steps` and `buffered`. */
  readonly userLock: UserLock;
  readonly knownLines: AnswerCache<KnownLine>;
  readonly limiter: Limiter;
  /** Counts for candidate policies, apart from those in force. */
  readonly candidateLimiter: Limiter;
  readonly turns: KeyedSemaphore;
  readonly overdue: OverdueCommands;
  readonly floods: FloodWatch;
  /** Access on request; outlives a reload. */
  readonly access: AccessDesk;
  readonly questions: TokenBuckets;
  readonly steps: TokenBuckets;
  /** Makes a digest: equal values can be recognized, but not read. */
  readonly redact: (value: string) => Redacted;
  readonly meterInput: () => InputMeter;
  readonly buffered: ByteBudget;
  /** Effects whose admission must be on disk before anything is sent. */
  readonly strict: ReadonlySet<Effect>;
  readonly limits: ExchangeLimits;
}

/** The facts about a peer from the kernel and TLS, under the key names of the records. */
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

/** An exchange's view of its session; it changes between two exchanges, never during one. */
export interface ExchangeSession {
  readonly names: SessionNames;
  readonly proof: Proof;
  /** The human as known at the connect or login. */
  readonly human: Human;
  /** The same object until a reload changes the policy. */
  readonly subject: Subject;
  readonly writer: ReplyTarget;
  /** What the client states about the next command. */
  readonly stated: Stated;
  now(): { readonly context: ExchangeContext; readonly policy: Policy | undefined };
  isCurrent(context: ExchangeContext): boolean;
  /** Opens the input after the command's line; called once, for a command that has input. */
  openInput(): ClientInput;
}
