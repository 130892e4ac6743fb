// What exchanges are given: the parts that all of them share, and the session that one belongs to. Types only.

import type { Pool } from '../backend/pool-options.js';
import type { Effect } from '../catalog/catalog.js';
import type { Journal, Observe } from '../engine/ports.js';
import type { UserNames } from '../identity/user-name.js';
import type { Policy } from '../policy/rule.js';
import type { Clock } from '../ports/clock.js';
import type { LogMode } from './converse.js';
import type { SessionNames } from './exchange-records.js';
import type { ReplyWriter } from './reply-writer.js';

/** Times and counts that hold for each exchange. */
export interface ExchangeLimits {
  readonly replyIdleMs: number;
  readonly clientStallMs: number;
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
  readonly userNames: UserNames;
  /** First matching route; undefined: none. */
  readonly route: (user: string) => Pool | undefined;
  /** Effects whose admission must be on disk before anything is sent. */
  readonly strict: ReadonlySet<Effect>;
  readonly limits: ExchangeLimits;
}

/** The session as an exchange sees it. */
export interface ExchangeSession {
  readonly names: SessionNames;
  readonly policy: Policy;
  readonly writer: ReplyWriter;
  /** What of channel L reaches the peer. */
  readonly logs: LogMode;
}
