// Looks for lines in a text that a server would carry out if it began to read commands in the middle of them: a TAB, something, a TAB, the
// name of a command. For transports that may cut a text anywhere. It does not know what is done about such a line.
// The rule: rather one too many than one too few. Flags may take more fields, so every field from the third on is looked at.

import type { CommandSpotter } from '../../protocol/text-pieces.js';
import { commandsOf } from './catalog.js';
import { allSeries } from './series.js';

const TAB = 0x09;
const LF = 0x0a;
const firstWords = new Set(
  allSeries.flatMap((series) => commandsOf(series).map(({ words }) => words[0] ?? '')),
);
/** So much of a field says whether it begins with one. */
const headBytesMax = 1 + Math.max(...[...firstWords].map((word) => word.length));

/** A spotter at the start of a text. */
export function createCommandSpotter(): CommandSpotter {
  /** Of the line that is not over yet, as far as they count. */
  let tabs = 0;
  /** Of the field that is not over yet. */
  let head = '';

  return {
    spots(piece) {
      let from = 0;
      while (from <= piece.length) {
        const tab = piece.indexOf(TAB, from);
        const stop = tab < 0 ? piece.length : tab;
        const rest = piece.subarray(from, stop);
        const line = rest.indexOf(LF);
        head += rest.toString('latin1', 0, Math.min(line < 0 ? rest.length : line, headBytesMax));
        const isOver = line >= 0 || tab >= 0;
        if (tabs >= 2 && isCommand(head, isOver)) return true;
        head = isOver ? '' : head.slice(0, headBytesMax);
        if (line >= 0) tabs = 0;
        if (tab >= 0) tabs += 1;
        from = stop + 1;
      }
      return false;
    },
  };
}

/** An escape may spell any word; behind its name a command has a blank, or its field ends. */
function isCommand(head: string, isOver: boolean): boolean {
  if (head.includes('\x01')) return true;
  const end = head.search(/[ \r\0]/);
  if (end < 0) return isOver && firstWords.has(head);
  return firstWords.has(head.slice(0, end));
}
