// Blocks that a stream acknowledged and may have lost all the same. A cluster that changes its leader can lose one in some of its replicas,
// each of which counts the later messages one lower: no replica shows a hole by its numbers, and a gate cannot ask a certain replica
// (measured: 2.9.10, leader killed and frozen). So what was not settled when something was odd, and what is sent soon after it, is sent
// once more when it is quiet; readers drop what they have.

import { bounds } from '../../bounds/bounds.js';

export interface SentBlock {
  readonly first: number;
  readonly last: number;
}

/** After the last doubt: a frozen leader that wakes up still disturbs the others. */
const quietMsMin = 5_000;
const quietMsMax = 60_000;
/** Beyond it the oldest are forgotten: a verifier finds what is missing of them. */
const blocksMax = bounds.natsSuspects;

export class SentBlocks {
  readonly #quietMs: number;
  #unsettled: SentBlock[] = [];
  #suspects: SentBlock[] = [];
  #quietAtMs = -Infinity;

  constructor(settleMs: number) {
    this.#quietMs = Math.min(Math.max(settleMs, quietMsMin), quietMsMax);
  }

  /** Acknowledged now. Blocks up to `settledSeq` are no longer in doubt. */
  sent(block: SentBlock, settledSeq: number, nowMs: number): void {
    this.#unsettled = this.#unsettled.filter(({ last }) => last > settledSeq);
    const into = nowMs < this.#quietAtMs ? this.#suspects : this.#unsettled;
    into.push(block);
    if (into.length > blocksMax) into.shift();
  }

  doubt(nowMs: number): void {
    if (this.#unsettled.length > 0)
      this.#suspects = [...this.#suspects, ...this.#unsettled].slice(-blocksMax);
    this.#unsettled = [];
    this.#quietAtMs = nowMs + this.#quietMs;
  }

  /** Records after it are sent again anyway. */
  lostAfter(seq: number): void {
    this.#unsettled = this.#unsettled.filter(({ last }) => last <= seq);
    this.#suspects = this.#suspects.filter(({ last }) => last <= seq);
  }

  /** When suspects are to be sent again; undefined: there are none. */
  get dueMs(): number | undefined {
    return this.#suspects.length === 0 ? undefined : this.#quietAtMs;
  }

  /** The oldest block to send again; undefined: none, or it is not quiet yet. */
  next(nowMs: number): SentBlock | undefined {
    return nowMs < this.#quietAtMs ? undefined : this.#suspects[0];
  }

  sentAgain(): void {
    this.#suspects.shift();
  }
}
