// What follows from the end of an exchange, whatever it was; types only. outcome.ts makes it, and nobody else.

import type { RecordedOutcome } from '../../domain/audit/record.js';
import type { ErrorCode } from './error-code.js';

/** How an exchange ended: the words of the record key `outcome`. */
export type Outcome = RecordedOutcome;

/** Levels of our own log. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What follows from an ending. */
export interface Verdict {
  /** Code of the status line for the client (`''` is `+`); undefined: the backend's own status line is passed on. */
  readonly code: string | undefined;
  readonly outcome: Outcome;
  /** Code for the record's `error` key. */
  readonly error: ErrorCode | undefined;
  /** One sentence: for the client's log channel (if it has one and `isTold`) and for our log. */
  readonly text: string | undefined;
  /** Whether the sentence is for the client too. */
  readonly isTold: boolean;
  readonly level: LogLevel;
}
