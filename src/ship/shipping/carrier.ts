// The interface of a receiver's carrier to the script that ships records, for every kind of receiver.

import type { Clock } from '../../host/ports/machine.js';
import type { Connect } from '../../host/ports/transport.js';
import type { Batch, BatchLimits, Follower, Position } from './follow.js';
import type { Sender } from './syslog.js';

export interface CarrierParts {
  readonly journal: string;
  /** The public key that signs its checkpoints, in base64. */
  readonly journalKey: string | undefined;
  readonly untilSeq: () => number;
  readonly position: Position;
  readonly sender: Sender;
  readonly connect: Connect;
  readonly clock: Clock;
  /** Records are sent again: the receiver lost acknowledged ones, or got those of another journal before. */
  readonly restarted: (text: string) => void;
  /** The receiver refused so many records for good; `text` has its words. */
  readonly rejected: (count: number, text: string) => void;
  /** Other content is where records should be; sending goes on. */
  readonly conflict: (text: string) => void;
  /** The name of the receiver or `HOST:PORT`, and the expiry of its certificate. */
  readonly onCertificate: (name: string, validTo: string) => void;
}

export interface Carrier {
  readonly batches?: BatchLimits;
  /** Seq of the last record for the next batch: a batch without an answer is repeated unchanged. Absent: any. */
  readonly batchUntil?: number;
  readonly sentSeq: number;
  /** After the last record that the receiver certainly has. It goes back if the receiver loses some. */
  readonly safe: Position;
  /** Records that the receiver refused for good, since the start. Absent: there is no such answer. */
  readonly refused?: number;
  /** Seeks the follower to this receiver's position. Nothing stays open after `hurry`. Rejects with a ForkedFault, or for `shipFaultOf`. */
  open(follower: Follower, hurry: AbortSignal, tell: LineNews): Promise<Line>;
  /** The journal does not continue the sent records. */
  doubt(text: string): void;
}

export interface LineNews {
  readonly proven: () => void;
  /** Call when `fault` is set. */
  readonly over: () => void;
}

export interface Line {
  /** Defined: the connection has ended. Absent: there is none between two batches. */
  readonly fault?: Error | undefined;
  /** Resolves when the records have left, or when the follower was moved instead. Rejects as `open`. */
  send(batch: Batch): Promise<void>;
  /** When there is nothing to send. Milliseconds until the next call; undefined: after new records only. Rejects as `open`. */
  idle?(): Promise<number | undefined>;
  /** Called after the last record was sent: resolves when the receiver has everything, as far as it reports that. */
  finish?(): Promise<void>;
  /** `isOrderly`: written bytes may still leave. */
  close(isOrderly: boolean): void;
}

/** The receiver holds another journal under this one's id. Nothing is sent there any more. */
export class ForkedFault extends Error {
  override readonly name = 'ForkedFault';
}
