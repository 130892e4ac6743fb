// What exchanges are given: the parts that all of them share, and the session that one belongs to. Types only.

import type { Buffered } from '../../concurrency/byte-budget.js';
import type { Turns } from '../../concurrency/keyed-semaphore.js';
import type { TokenBuckets } from '../../concurrency/token-buckets.js';
import type { Redacted } from '../../domain/audit/record.js';
import type { InputMeter } from '../../domain/audit/signature.js';
import type { Effect, Series } from '../../domain/commands/catalog.js';
import type { Assessment } from '../../domain/policy/assess.js';
import type { DecisionCache } from '../../domain/policy/cache.js';
import type { Limiter } from '../../domain/policy/limits.js';
import type { Policy } from '../../domain/policy/rule.js';
import type { Clock } from '../../ports/clock.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { CommandLine } from '../../protocol/command.js';
import type { ExchangeNames } from '../outcome/events.js';
import type { FloodWatch } from '../outcome/flood-watch.js';
import type { Ending } from '../outcome/outcome.js';
import type { Journal, Observe } from '../outcome/ports.js';
import type { OutgoingCommand } from '../relay/converse.js';
import type { ReplyWriter } from '../relay/reply-writer.js';
import type { ClientInput } from '../relay/upload-buffer.js';
import type { RecordedJudgement, SessionNames } from './exchange-records.js';
import type { Destination, Router } from './router.js';
import type { UserLock } from './user-lock.js';

/** Times and counts that hold for each exchange. */
export interface ExchangeLimits {
  /** How long a command waits for its user, where that one is on another backend. */
  readonly queueTimeoutMs: number;
  readonly replyIdleMs: number;
  readonly clientStallMs: number;
  /** L lines of one exchange that are handed on; the rest is counted. */
  readonly logLinesMax: number;
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
  /** Outlives a reload. */
  readonly userLock: UserLock;
  /** Lines that were read, judged and routed before under these settings. */
  readonly knownLines: DecisionCache<KnownLine>;
  /** Counts what policies limit; outlives a reload. */
  readonly limiter: Limiter;
  readonly turns: Turns;
  /** Bounds what refusals write; outlives a reload. */
  readonly floods: FloodWatch;
  /** Bounds questions to dovegate itself, by principal; outlives a reload. */
  readonly questions: TokenBuckets;
  /** A value that may be compared and not read. */
  readonly redact: (value: string) => Redacted;
  /** The same for command input, which comes in pieces. */
  readonly meterInput: () => InputMeter;
  /** Input that is held; outlives a reload. */
  readonly buffered: Buffered;
  /** Effects whose admission must be on disk before anything is sent. */
  readonly strict: ReadonlySet<Effect>;
  readonly limits: ExchangeLimits;
}

/** The session as an exchange sees it. */
export interface ExchangeSession {
  readonly names: SessionNames;
  readonly policy: Policy;
  readonly writer: ReplyWriter;
  /** What the client announced, which tells its series. */
  readonly clientMinor: number;
  /** What the client said of the next command. */
  readonly reason: string | undefined;
  /** What would hold for a command that came now: the same, until a reload. */
  now(): Holding;
  /** Whether that is of the configuration that would hold for a command that came now. */
  isCurrent(context: ExchangeContext): boolean;
  /** What follows the command's line; called once, for a command that has input. */
  openInput(): ClientInput;
}

/** What holds for the commands of a session; all of it is of one configuration. */
export interface Holding {
  readonly context: ExchangeContext;
  /** Undefined: its peer is not served any more. */
  readonly policy: Policy | undefined;
}

/** An exchange that runs; the session may cancel it. */
export interface RunningExchange {
  /** How the session goes on: undefined: with the next command; else it is closed for that reason. */
  readonly done: Promise<CloseReason | undefined>;
  /** Whether it had an upstream. */
  readonly isServed: boolean;
  /**
   * The peer is gone: a command that waits or reads is given up, a change is left to finish.
   * We are stopping and cannot wait longer, or an operator ends it: everything is given up, and told so.
   */
  abort(reason: AbortReason): void;
  /** What it is, for people who look at what runs. */
  describe(): RunningNames;
}

/** A command that runs. */
export interface RunningNames extends ExchangeNames {
  /** Undefined: it has not got that far. */
  readonly backend: string | undefined;
  readonly durationMs: number;
}

/** Why an exchange is given up from outside. */
export type AbortReason = 'client-gone' | 'draining' | 'killed';

/** The assessment of a command line for which everything was looked up. `destinations` is empty for what goes nowhere. */
export interface AssessedCommand extends Omit<Assessment<Destination>, 'obstacle' | 'questions'> {
  readonly obstacle: Ending | undefined;
}

/** A line that was read, judged and routed before, and what is known of it. */
export interface KnownLine {
  readonly line: CommandLine;
  readonly assessed: AssessedCommand;
  /** Names of its backends. */
  readonly backends: readonly string[];
  readonly recorded: RecordedJudgement;
  /** That its backend had: an upgrade asks for another look. */
  readonly series: Series | undefined;
  readonly holdsUntilMs: number | undefined;
  /** As it was sent last, and to upstreams of which minor. */
  sent: { readonly serverMinor: number; readonly command: OutgoingCommand } | undefined;
}
