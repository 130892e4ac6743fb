// Puts the user's name in front of each row of a reply: what a client of the 2.3 series expects after `-A` or a wildcard
// `-u`, and no server of ours is asked for. Rows have no mark; a row is so many cells, each ended by a TAB.

import { escapeField } from '../../protocol/escape.js';

const tab = 0x09;

/** Reshapes the pieces of one reply, in order. `cells`: of a row as the backend sends it, at least 1. */
export function createRowPrefixer(user: string, cells: number): (body: Buffer) => readonly Buffer[] {
  const name = Buffer.concat([escapeField(user), Buffer.of(tab)]);
  let left = 0;
  return (body) => {
    const parts: Buffer[] = [];
    let from = 0;
    let at = 0;
    while (at < body.length) {
      if (left === 0) {
        // A row begins with this byte.
        if (at > from) parts.push(body.subarray(from, at));
        parts.push(name);
        from = at;
        left = cells;
      }
      const end = body.indexOf(tab, at);
      if (end < 0) break;
      left -= 1;
      at = end + 1;
    }
    if (from < body.length) parts.push(body.subarray(from));
    return parts;
  };
}
