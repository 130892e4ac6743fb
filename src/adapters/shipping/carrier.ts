// How records get to a receiver, whatever its kind: what the script that ships them asks of it.

import type { Batch, BatchLimits, Follower, Position } from './follow.js';

export interface Carrier {
  /** Of what it is given at once; undefined: the usual. */
  readonly batches?: BatchLimits;
  /** Seq of the last record that the next batch may have: a batch without an answer is sent again as it was. Absent: any. */
  readonly batchUntil?: number;
  /** Seq of the last record that has left. */
  readonly sentSeq: number;
  /** Behind the last record that is certainly there. It goes back where the receiver has lost some. */
  readonly safe: Position;
  /**
   * Connects, and puts the follower where this receiver goes on. After the abort of `hurry` nothing stays open. Rejects with a ForkedFault,
   * or with what `shipFaultOf` reads.
   */
  open(follower: Follower, hurry: AbortSignal, tell: LineNews): Promise<Line>;
  /** What lies in the journal does not follow what was sent. */
  doubt(text: string): void;
}

export interface LineNews {
  /** Records can be sent. */
  readonly proven: () => void;
  /** `fault` is there. */
  readonly over: () => void;
}

/** A connection to a receiver. */
export interface Line {
  /** Defined: it has ended. */
  readonly fault: Error | undefined;
  /** Resolves when the records have left, or when the follower was put elsewhere instead. Rejects as `open`. */
  send(batch: Batch): Promise<void>;
  /** Nothing is to be sent. Milliseconds until it wants to be called again; undefined: not before there is more. Rejects as `open`. */
  idle(): Promise<number | undefined>;
  /** Everything was sent, and no more comes: resolves when the receiver has it, as far as it says so. */
  finish(): Promise<void>;
  /** `isOrderly`: what was written may still leave. */
  close(isOrderly: boolean): void;
}

/** The receiver holds another journal under this one's id. Nothing is sent there any more. */
export class ForkedFault extends Error {
  override readonly name = 'ForkedFault';
  /** False: other writers of it were not told yet. */
  readonly isMarked: boolean;
  constructor(message: string, isMarked: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.isMarked = isMarked;
  }
}
