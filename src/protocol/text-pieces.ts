// Makes of a text what is sent of it: encoded, and in pieces that each leave whole. For whoever sends one to a Dovecot, the daemon and the
// client library alike. It knows no transport and no command line.
// The rule: behind every piece the server may give the text up and take what comes then for commands, so it must find none there.

import { wholeBytesMax } from '../ports/transport.js';
import { createDotEncoder, createDotPieces } from './dot.js';
import { WireFault } from './wire-fault.js';

/** Looks for lines of a text that a server would carry out, piece by piece. */
export interface CommandSpotter {
  /** Whether this piece, with what came before it, has one. */
  spots(piece: Buffer): boolean;
}

/**
 * One for each text. Both throw WireFault bad-command when nothing more of it may be sent, also nothing of what was pushed last:
 * nobody could say what a server would take it for.
 */
export interface TextPieces {
  /** The pieces that can be sent; less than a piece is held, mostly what there is of the last line. */
  push(text: Buffer): Buffer[];
  /** What is left, and the final dot. */
  end(): Buffer[];
}

/** `spotter` is for transports that do not keep pieces whole. */
export function createTextPieces(spotter: CommandSpotter | undefined): TextPieces {
  const encoder = createDotEncoder();
  const cutter = createDotPieces(wholeBytesMax);
  const judged = (pieces: Buffer[]): Buffer[] => {
    if (spotter !== undefined && pieces.some((piece) => spotter.spots(piece)))
      throw new WireFault('bad-command', 'a line of an input could be taken for a command if it were cut');
    return pieces;
  };
  return {
    push: (text) => judged(cutter.push(encoder.push(text))),
    end: () => judged(cutter.end(encoder.finish())),
  };
}

/** A command line in front of a text. It may be cut anywhere: no server does anything before it has all of it. */
export function slicesOfLine(line: Buffer): Buffer[] {
  const slices: Buffer[] = [];
  for (let at = 0; at < line.length; at += wholeBytesMax) slices.push(line.subarray(at, at + wholeBytesMax));
  return slices;
}
