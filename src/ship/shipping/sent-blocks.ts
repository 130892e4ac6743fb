// Blocks that a stream acknowledged and may have lost all the same. A cluster that changes its leader can lose one in some of its replicas,
// each of which counts the later messages one lower: no replica shows a hole by its numbers, and a gate cannot ask a certain replica
// (measured: 2.9.10, leader killed and frozen). So what was not settled when something was odd, and what is sent soon after it, is sent
// once more when it is quiet; a reader ignores what it has. The newest goes first, because a reader takes only what the next record names.

import { bounds } from '../../host/bounds/bounds.js';

export interface SentBlock {
  readonly first: number;
  readonly last: number;
  /** How often it was sent again. */
  readonly times?: number;
}

/** After the last doubt: a frozen leader that wakes up still disturbs the others. */
const quietMsMin = 5_000;
const quietMsMax = 60_000;
/** Beyond it the oldest are forgotten: a verifier finds what is missing of them. */
const blocksMax = bounds.natsSuspects;
/** What was sent again may be lost too; a cluster that is never quiet must not fill its streams with one block. */
const timesMax = 2;

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
    const lost = this.#unsettled.filter(({ times = 0 }) => times < timesMax);
    if (lost.length > 0)
      this.#suspects = [...this.#suspects, ...lost]
        .toSorted((one, other) => one.first - other.first)
        .slice(-blocksMax);
    this.#unsettled = [];
    this.#quietAtMs = nowMs + this.#quietMs;
  }

  /** Records after it are sent again anyway. */
  lostAfter(seq: number): void {
    const before = (blocks: readonly SentBlock[]): SentBlock[] =>
      blocks
        .filter(({ first }) => first <= seq)
        .map((block) => ({ ...block, last: Math.min(block.last, seq) }));
    this.#unsettled = before(this.#unsettled);
    this.#suspects = before(this.#suspects);
  }

  /** When suspects are to be sent again; undefined: there are none. */
  get dueMs(): number | undefined {
    return this.#suspects.length === 0 ? undefined : this.#quietAtMs;
  }

  /** The newest block to send again; undefined: none, or it is not quiet yet. */
  next(nowMs: number): SentBlock | undefined {
    return nowMs < this.#quietAtMs ? undefined : this.#suspects.at(-1);
  }

  /** `next` is more than one block: its end goes first. */
  split(first: SentBlock): void {
    const whole = this.#suspects.pop();
    if (whole !== undefined) this.#suspects.push(first, { ...whole, first: first.last + 1 });
  }

  /** `next` was acknowledged, or the journal does not have it any more. */
  sentAgain(isThere: boolean): void {
    const block = this.#suspects.pop();
    if (block !== undefined && isThere) this.#unsettled.push({ ...block, times: (block.times ?? 0) + 1 });
  }
}
