// Prints the replies to one typed command, whoever of several users they are for. It knows what the rows look like, not who asks.
// The rule: no more is held than the first row, where only that tells how many columns there are.

import type { CellPiece } from '../../client/connect.js';
import { type ReplyShape, replyShape } from '../../domain/commands/columns.js';
import type { ParsedArguments } from '../../domain/commands/parse.js';
import type { RawOutput } from '../output/raw-output.js';
import { createRowPrinter, type Format, type RowPrinter } from '../output/row-printer.js';
import { notFound } from './doveadm-exit.js';
import { type Unsettled, unsettled } from './first-row.js';
import type { TypedCommand } from './typed-command.js';
import { printUserReply } from './user-reply.js';

/** How to print. */
export interface ReplyPrintOptions {
  readonly format: Format | undefined;
  readonly hidesTitles: boolean;
  readonly width: number | undefined;
  readonly hasUsers: boolean;
}

/** Takes what comes. */
export interface ReplyPrinter {
  /** Whose reply comes next, from which server, and what the command is to that. */
  begin(user: string, serverMinor: number | undefined, parsed: ParsedArguments): void;
  piece(piece: CellPiece): void;
  /** After the last reply, also where none came; `code`: what the program ends with. */
  end(code: number): void;
}

/** A printer that prints nothing before it knows the columns. */
export function createReplyPrinter(
  typed: TypedCommand,
  options: ReplyPrintOptions,
  output: RawOutput,
): ReplyPrinter {
  if (typed.command.name === 'user') return createUserPrinter(typed, options, output);
  let printer: RowPrinter | undefined;
  let user = '';
  let minor: number | undefined;
  let { parsed } = typed;
  let unknown: Unsettled | undefined;
  let held: CellPiece[] = [];
  /** What stands behind the rows. */
  let ending = '';
  const isKick = typed.command.name === 'kick';

  function open(shape: ReplyShape | undefined): RowPrinter {
    printer = createRowPrinter(shape, options, output.sink);
    printer.setUser(user);
    // Where nobody names a format, 2.3 says in words whom it kicked.
    if (isKick && options.format === undefined && shape?.columns[0]?.key === 'result' && held.length > 0) {
      output.sink('kicked connections from the following users:\n');
      ending = '\n';
    }
    for (const { bytes, endsCell } of held) printer.cell(bytes, endsCell);
    held = [];
    return printer;
  }

  function settledShape(): ReplyShape | undefined {
    return unknown === undefined ? replyShape(parsed, minor ?? 3) : unknown.shapeOf(cellsOf(held));
  }

  return {
    begin(name, serverMinor, read) {
      user = name;
      minor = serverMinor;
      parsed = read;
      printer?.setUser(name);
      if (printer !== undefined) return;
      unknown = unsettled(parsed, minor);
      if (unknown === undefined && !isKick) open(replyShape(parsed, minor));
    },
    piece(piece) {
      if (printer !== undefined) return printer.cell(piece.bytes, piece.endsCell);
      held.push(piece);
      if (held.filter(({ endsCell }) => endsCell).length >= (unknown?.cells ?? 1)) open(settledShape());
    },
    end(code) {
      // Only 2.3 says so of `kick`, and it says it in words too.
      const isNobody = isKick && printer === undefined && held.length === 0 && code === notFound;
      (printer ?? open(isNobody ? replyShape({ ...parsed, series: '2.3' }, 2) : settledShape())).end();
      output.sink(isNobody ? 'no users kicked\n' : ending);
    },
  };
}

function cellsOf(pieces: readonly CellPiece[]): string[] {
  const cells: string[] = [];
  let cell = '';
  for (const { bytes, endsCell } of pieces) {
    cell += bytes.toString();
    if (!endsCell) continue;
    cells.push(cell);
    cell = '';
  }
  return cells;
}

function createUserPrinter(
  typed: TypedCommand,
  options: ReplyPrintOptions,
  { sink }: RawOutput,
): ReplyPrinter {
  const held: Buffer[] = [];
  return {
    begin() {},
    piece({ bytes }) {
      held.push(bytes);
    },
    end() {
      const field = typed.parsed.values.get('field')?.[0];
      if (held.length > 0) printUserReply(Buffer.concat(held).toString(), { ...options, field }, sink);
    },
  };
}
