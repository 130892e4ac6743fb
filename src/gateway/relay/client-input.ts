// What a client sends behind a command line, as those who carry the command out ask for it; types only. The session
// implements it: one for each command, because a text begins behind its line.

import type { CloseReason } from '../../ports/close-reason.js';

/** What came next of a text. */
export type TextPiece =
  /** Decoded; may be empty. `isLast`: the final dot stood behind it. */
  | { readonly kind: 'piece'; readonly parts: readonly Buffer[]; readonly isLast: boolean }
  /** The client ended its side before the final dot. */
  | { readonly kind: 'cut' };

/** The client's side of one command. One call at a time, but for a `skipText` beside a `nextText` that nobody waits for any more. */
export interface ClientInput {
  /** How long a text may take, in milliseconds. */
  readonly timeMs: number;
  /**
   * The next piece of the text. Rejects with a WireFault when it has more bytes than it may, with a TransportFault when the
   * client is gone. Not to be called after the last piece.
   */
  nextText(): Promise<TextPiece>;
  /** Reads what is left of the text and drops it, within the limits of a text; else why the session must end. Never rejects. */
  skipText(): Promise<'skipped' | CloseReason>;
  /** Bytes as they come; null: the client ended its side. Rejects with a TransportFault when the client is gone. */
  readRaw(): Promise<Buffer | null>;
}
