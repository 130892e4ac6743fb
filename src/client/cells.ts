// From the body of a reply to cells, and from cells to rows. Cells may be as long as a mail, so they leave in pieces; only rows
// hold them whole. It knows neither sockets nor statuses.
// The rule: the bytes of a body may be cut anywhere, also behind the SOH of an escape.

import { unescapeLenient } from '../protocol/escape.js';
import { SessionFault } from './client-fault.js';

/** A part of a cell, unescaped. A cell is the bytes of its pieces up to the one that `endsCell`. */
export interface CellPiece {
  readonly bytes: Buffer;
  readonly endsCell: boolean;
}

/** One row: its cells as text (U+FFFD for what is no UTF-8; ask for cells to have bytes). */
export type Row = readonly string[];

/** Cuts bodies into pieces of cells. One for each reply. */
export interface CellDecoder {
  push(body: Buffer): CellPiece[];
  /** At the status: the cell that had no TAB behind it (the JSON of `user`), if there is one. */
  end(): CellPiece[];
}

/** Collects pieces into rows. One for each reply. */
export interface RowDecoder {
  /** Throws SessionFault `unexpected-reply` for a cell above the limit. */
  push(pieces: readonly CellPiece[]): Row[];
  /** Throws SessionFault `unexpected-reply` when a row lacks cells. */
  end(): void;
}

const TAB = 0x09;
const SOH = 0x01;
const nothing = Buffer.alloc(0);

/** A decoder that stands before the first cell. */
export function createCellDecoder(): CellDecoder {
  let isEscapeCut = false;
  let isMidCell = false;

  function piece(raw: Buffer, endsCell: boolean): CellPiece {
    let bytes = raw;
    if (isEscapeCut) bytes = Buffer.concat([Buffer.of(SOH), raw]);
    isEscapeCut = false;
    if (!endsCell && endsInEscape(bytes)) {
      isEscapeCut = true;
      bytes = bytes.subarray(0, -1);
    }
    isMidCell = !endsCell;
    return { bytes: unescapeLenient(bytes), endsCell };
  }

  return {
    push(body) {
      const pieces: CellPiece[] = [];
      let from = 0;
      while (from < body.length) {
        const tab = body.indexOf(TAB, from);
        const stop = tab < 0 ? body.length : tab;
        pieces.push(piece(body.subarray(from, stop), tab >= 0));
        from = stop + 1;
      }
      return pieces;
    },
    end() {
      if (!isMidCell) return [];
      isEscapeCut = false;
      isMidCell = false;
      return [{ bytes: nothing, endsCell: true }];
    },
  };
}

/** A SOH escapes what follows it, so only an odd one at the end has lost its partner. */
function endsInEscape(bytes: Buffer): boolean {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === SOH) at -= 1;
  return (bytes.length - at) % 2 === 1;
}

/** What a RowDecoder holds at most. */
export interface RowLimits {
  /** Cells of a row, at least 1. */
  readonly columns: number;
  /** Bytes of all cells of one row. */
  readonly rowBytesMax: number;
}

/** A decoder that stands before the first row. */
export function createRowDecoder({ columns, rowBytesMax }: RowLimits): RowDecoder {
  if (!Number.isInteger(columns) || columns < 1) throw new RangeError('a row has at least one column');
  let row: string[] = [];
  let held: Buffer[] = [];
  let rowBytes = 0;
  return {
    push(pieces) {
      const rows: Row[] = [];
      for (const { bytes, endsCell } of pieces) {
        rowBytes += bytes.length;
        if (rowBytes > rowBytesMax)
          throw new SessionFault('unexpected-reply', `a row has more than ${rowBytesMax} bytes`);
        if (!endsCell) {
          held.push(bytes);
          continue;
        }
        row.push(held.length === 0 ? bytes.toString() : Buffer.concat([...held, bytes]).toString());
        held = [];
        if (row.length < columns) continue;
        rows.push(row);
        row = [];
        rowBytes = 0;
      }
      return rows;
    },
    end() {
      if (row.length > 0)
        throw new SessionFault('unexpected-reply', `the last row has ${row.length} of ${columns} cells`);
    },
  };
}
