// One command on its way: what came for it and was not taken yet, whether it was sent, how it ended. It knows no transport.
// The rule: it ends once, by its status or by a failure, and everybody who waits for it is woken then.

import type { LogLine } from '../protocol/log-line.js';
import type { Status } from '../protocol/status.js';
import { type CellPiece, createCellDecoder } from './cells.js';
import { CommandFailed } from './client-fault.js';

/** Its ending: the server's word, or why there is none. */
export type Ending =
  | { readonly kind: 'status'; readonly status: Status }
  | { readonly kind: 'failed'; readonly reason: unknown };

/** The life of one command in a session. */
export interface Exchange {
  readonly ending: Ending | undefined;
  /** A byte of it may have left. */
  readonly isSent: boolean;
  /** It is being written. */
  readonly isSending: boolean;
  /** From waiting to sending; false when it ended before its turn came. */
  startSending(): boolean;
  sent(): void;
  addBody(body: Buffer): void;
  addLog(line: LogLine): void;
  end(status: Status): void;
  fail(reason: unknown): void;
  /** What came since the last call, oldest first. */
  takePieces(): readonly CellPiece[];
  /** Resolves at the next change. */
  changed(): Promise<void>;
  /** Lets who waits for a change look again. */
  wake(): void;
  /** What to throw for an ending that is none of the good ones. */
  failure(): { readonly reason: unknown } | undefined;
  /** Resolves at the ending. */
  readonly whenEnded: Promise<void>;
}

const logsMax = 64;

/** A command that waits for its turn. */
export function createExchange(): Exchange {
  const decoder = createCellDecoder();
  const logs: LogLine[] = [];
  let at: 'waiting' | 'sending' | 'sent' = 'waiting';
  let ending: Ending | undefined;
  let pieces: CellPiece[] = [];
  let sleepers: (() => void)[] = [];
  let tellEnded: () => void = () => undefined;
  const whenEnded = new Promise<void>((resolve) => {
    tellEnded = resolve;
  });

  function wake(): void {
    const woken = sleepers;
    sleepers = [];
    for (const resolve of woken) resolve();
  }

  function become(next: Ending): void {
    if (ending !== undefined) return;
    ending = next;
    wake();
    tellEnded();
  }

  return {
    get ending() {
      return ending;
    },
    get isSent() {
      return at !== 'waiting';
    },
    get isSending() {
      return at === 'sending';
    },
    startSending() {
      if (ending !== undefined) return false;
      at = 'sending';
      wake();
      return true;
    },
    sent() {
      at = 'sent';
    },
    addBody(body) {
      for (const piece of decoder.push(body)) pieces.push(piece);
    },
    addLog(line) {
      if (logs.length < logsMax) logs.push(line);
    },
    end(status) {
      pieces.push(...decoder.end());
      become({ kind: 'status', status });
    },
    fail(reason) {
      pieces = [];
      become({ kind: 'failed', reason });
    },
    takePieces() {
      const taken = pieces;
      pieces = [];
      return taken;
    },
    changed: () =>
      new Promise((resolve) => {
        sleepers.push(resolve);
      }),
    wake,
    failure() {
      if (ending === undefined) return undefined;
      if (ending.kind === 'failed') return { reason: ending.reason };
      const { status } = ending;
      return status.kind === 'ok'
        ? undefined
        : { reason: new CommandFailed(status.code, status.referral, logs) };
    },
    whenEnded,
  };
}
