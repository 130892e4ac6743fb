// How far to go back after a reconnect: syslog knows no acknowledgement, so what was sent last may be lost in the buffers of
// both sides. It knows neither files nor clocks. The rule: a record is safe when it was sent so long ago and so many bytes
// ago, whichever reaches further back; time counts only while a transport is there, so that a receiver that ends every
// transport soon cannot hold everything up for ever, and one that is away does not make anything safe.

import type { Position } from './follow.js';

/** What counts as safe. */
export interface OverlapLimits {
  readonly ms: number;
  readonly bytes: number;
}

/** What was sent, as far as it matters for sending again. */
export interface Overlap {
  /** Everything up to a position has left. What was sent a second time changes nothing. `connectedMs` never goes back. */
  note(position: Position, bytes: number, connectedMs: number): void;
  /** Behind the last record that is safe. */
  safe(connectedMs: number): Position;
  /** Forgets what was sent: the records are other ones than those. */
  reset(position: Position): void;
  /** Seq of the last record that has left. */
  readonly sentSeq: number;
}

/** One place a second is remembered, so that a minute of the fastest journal costs no memory to speak of. */
const markIntervalMs = 1000;

interface Mark {
  readonly position: Position;
  readonly sentMs: number;
  /** Sent up to here, in all. */
  readonly bytes: number;
}

/** Begins at a position that is safe. */
export function createOverlap(limits: OverlapLimits, from: Position): Overlap {
  let sentBytes = 0;
  let sentSeq = from.seq;
  let marks: Mark[] = [{ position: from, sentMs: -Infinity, bytes: 0 }];
  return {
    note(position, bytes, connectedMs) {
      if (position.seq <= sentSeq) return;
      sentSeq = position.seq;
      sentBytes += bytes;
      const last = marks.at(-1);
      if (last !== undefined && connectedMs - last.sentMs < markIntervalMs) return;
      marks.push({ position, sentMs: connectedMs, bytes: sentBytes });
    },
    safe(connectedMs) {
      const isSafe = ({ sentMs, bytes }: Mark): boolean =>
        connectedMs - sentMs >= limits.ms && sentBytes - bytes >= limits.bytes;
      const at = marks.findLastIndex(isSafe);
      if (at > 0) marks = marks.slice(at);
      return marks[0]?.position ?? from;
    },
    reset(position) {
      sentBytes = 0;
      sentSeq = position.seq;
      marks = [{ position, sentMs: -Infinity, bytes: 0 }];
    },
    get sentSeq() {
      return sentSeq;
    },
  };
}
