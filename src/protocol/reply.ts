// Owns the cutting of the output channel into replies.
//
//     cell TAB cell TAB ... cell TAB LF status LF         {"alice@example.org":{"uid":"5000"}} LF + LF
//
// Does not know how many cells make a row, nor which channel the bytes came on: it is fed with channel 0 alone, across
// all frames, and lives as long as its transport. Cells are escaped, so the first raw LF ends the body, whatever stands
// before it, and the next one ends the status line.
// The rule: the body is searched for an LF, never walked, and never kept: its bytes leave as slices of the chunk.
import { splitRaw, unescapeLenient } from './escape.js';
import { createGather, type Gather } from './gather.js';
import { parseStatus, type Status } from './status.js';
import { WireFault } from './wire-fault.js';

/** What came next in the output channel. */
export type ReplyEvent =
  /** Bytes of cells, still escaped, never empty; a slice of the chunk. */
  | { kind: 'body'; bytes: Buffer }
  /**
   * The end of a reply; `restBytes` of what was pushed together with it stand behind it, and belong to the next reply.
   * More of that may wait in the next frame of the same read.
   */
  | { kind: 'status'; status: Status; restBytes: number };

/** Cuts the output channel into replies. One for each transport, as long as it lives. */
export interface ReplyDecoder {
  /** Throws WireFault line-too-long or bad-status; what came before it in the same chunk is lost with the transport. */
  push(chunk: Buffer): ReplyEvent[];
  /** The body of the reply at hand is not empty and does not end in TAB: to end it here would cut a cell. */
  readonly midCell: boolean;
  /** A byte of a reply came, and its status did not. */
  readonly isStarted: boolean;
  /** Bytes held: the beginning of a status line. */
  readonly pendingBytes: number;
  /** At the end of the input. Throws WireFault truncated inside a reply. */
  end(): void;
}

/** What a ReplyDecoder holds at most. */
export interface ReplyLimits {
  /** Bytes of a status line before its LF. The body has no limit: it is not held. */
  statusBytesMax: number;
}

/** What parseCells makes at most. Every cell costs memory, also an empty one. */
export interface CellLimits {
  cellsMax: number;
}

const TAB = 0x09;
const LF = 0x0a;
/** Cells are often short: looking a few bytes ahead is cheaper than a search that starts anew for each. */
const lookAhead = 24;

/** A decoder that stands before the first reply. */
export function createReplyDecoder({ statusBytesMax }: ReplyLimits): ReplyDecoder {
  return new ReplyCutter(statusBytesMax);
}

/** A class, so that those of all upstreams have one shape, and what every command asks of them is compiled for it. */
class ReplyCutter implements ReplyDecoder {
  readonly #statusBytesMax: number;
  /** What the next byte belongs to. */
  #at: 'start' | 'body' | 'status' = 'start';
  /** TAB also where there is no body, which cuts nothing. */
  #lastOfBody = TAB;
  readonly #partial: Gather;

  constructor(statusBytesMax: number) {
    this.#statusBytesMax = statusBytesMax;
    this.#partial = createGather(statusBytesMax);
  }

  get midCell(): boolean {
    return this.#lastOfBody !== TAB;
  }

  get isStarted(): boolean {
    return this.#at !== 'start';
  }

  get pendingBytes(): number {
    return this.#partial.length;
  }

  push(chunk: Buffer): ReplyEvent[] {
    const events: ReplyEvent[] = [];
    const partial = this.#partial;
    let from = 0;
    while (from < chunk.length) {
      const lf = chunk.indexOf(LF, from);
      const stop = lf < 0 ? chunk.length : lf;
      if (this.#at === 'status') {
        if (partial.length + stop - from > this.#statusBytesMax) {
          throw new WireFault('line-too-long', `a status line has more than ${this.#statusBytesMax} bytes`);
        }
        partial.append(chunk.subarray(from, stop));
        if (lf >= 0) {
          const status = parseStatus(partial.take());
          events.push({ kind: 'status', status, restBytes: chunk.length - lf - 1 });
          this.#at = 'start';
          this.#lastOfBody = TAB;
        }
      } else {
        if (stop > from) {
          const bytes = chunk.subarray(from, stop);
          this.#lastOfBody = bytes[bytes.length - 1] ?? TAB;
          events.push({ kind: 'body', bytes });
        }
        this.#at = lf < 0 ? 'body' : 'status';
      }
      from = stop + 1;
    }
    return events;
  }

  end(): void {
    if (this.#at !== 'start') throw new WireFault('truncated', 'the input ended inside a reply');
  }
}

/** Cells that end in these bytes of a body. */
export function countCells(body: Buffer): number {
  let cells = 0;
  let from = 0;
  while (from < body.length) {
    const near = Math.min(from + lookAhead, body.length);
    while (from < near && body[from] !== TAB) from += 1;
    if (from === near) from = body.indexOf(TAB, near);
    if (from < 0) break;
    cells += 1;
    from += 1;
  }
  return cells;
}

/**
 * The cells of a whole body, unescaped as Dovecot does it. Bytes behind the last TAB are a last cell: a reply that is no
 * table (the JSON of `user`) is one cell. Throws WireFault line-too-long for more than `cellsMax` cells.
 */
export function parseCells(body: Buffer, limits?: CellLimits): Buffer[] {
  if (limits !== undefined && countCells(body) > limits.cellsMax) {
    throw new WireFault('line-too-long', `a reply has more than ${limits.cellsMax} cells`);
  }
  const cells = splitRaw(body);
  if (cells.at(-1)?.length === 0) cells.pop();
  return cells.map(unescapeLenient);
}
