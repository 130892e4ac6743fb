// The text of a command in an HTTP request: a JSON string within the body.

import { WireFault } from '../../ports/faults.js';
import type { HeldBytes } from '../../ports/machine.js';
import { SpanReader } from '../../protocol/http-api/request.js';
import type { ClientInput, TextPiece } from '../relay/relay.js';

const pieceBytes = 64 * 1024;

/** Where a text lies in a body, in bytes. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Reads the text again from the complete body. `bytesMax`: `limits.input`. */
export function spanInput(
  body: HeldBytes,
  { from, to }: Span,
  bytesMax: number,
  timeMs: number,
): ClientInput {
  const reader = new SpanReader();
  let at = from;
  let length = 0;
  return {
    timeMs,
    isHere: true,
    async nextText(): Promise<TextPiece> {
      const parts: Buffer[] = [];
      if (at < to) {
        const bytes = await body.read(at, Math.min(pieceBytes, to - at));
        at += bytes.length;
        parts.push(reader.push(bytes));
      }
      if (at === to) reader.end();
      for (const part of parts) length += part.length;
      if (length > bytesMax) throw new WireFault('line-too-long', 'the text is longer than its limit');
      return { kind: 'piece', parts, isLast: at === to };
    },
    // It was read with the body, and nothing follows it.
    skipText: () => Promise.resolve('skipped'),
    readRaw: () => Promise.resolve(null),
  };
}
