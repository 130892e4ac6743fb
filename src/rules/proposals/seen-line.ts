// A command line that was seen in the records, and its meaning: suggested rules are made from these.

import type { RestoredLine } from '../answers/recorded-line.js';
import type { Attempt } from '../policy/attempt.js';
import type { Decision } from '../policy/decide.js';
import type { OutcomeKind } from '../policy/outcome.js';

export interface RecordedLine extends RestoredLine {
  readonly kind: 'line';
  readonly policy: string | undefined;
  /** Its decision: `deny` also if only the stated reason was missing. */
  readonly decision: 'allow' | 'deny';
  /** The line that decided, as `FILE:LINE`. */
  readonly rule: string | undefined;
  readonly text: string | undefined;
  /** It was allowed, but an obstacle stopped it before it was sent. */
  readonly isObstructed: boolean;
  /** The mail server answered with an error. */
  readonly isFailed: boolean;
  /** `dovegate doctor` sent it. */
  readonly isProbe: boolean;
  /** The origin whose counts it used; the stated reason; the number of mails that matched, if they were counted. */
  readonly origin: string;
  readonly reason: string | undefined;
  readonly matches: number | undefined;
  readonly done: OutcomeKind;
  /** Some words are digests: rules on them cannot be evaluated. */
  readonly isOpaque: boolean;
}

export interface SeenLine {
  readonly line: RecordedLine;
  count: number;
  firstMs: number;
  lastMs: number;
  readonly principals: Set<string>;
}

/** The meaning of a line in each series of its judgement, and the decision of the present policy. */
export interface Understood {
  readonly attempts: readonly Attempt[];
  /** The strictest of the decisions; under `mode: observe`, that of enforce. */
  readonly decision: Decision;
}
