// Prints the replies to one typed command, whoever of several users they are for. It knows what the rows look like, not who asks.
// The rule: no more is held than the first row, where only that tells how many columns there are.

import { type ReplyShape, replyShape } from '../catalog/columns.js';
import type { ParsedArguments } from '../catalog/parse.js';
import type { CellPiece } from '../client/connect.js';
import type { RawOutput } from '../terminal/raw-output.js';
import { createRowPrinter, type Format, type RowPrinter } from '../terminal/row-printer.js';
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
  /** After the last reply, also where none came. */
  end(): void;
}

/** The cell of `mailbox status all` that is a GUID where a server has no field `deleted`; which it is of tells the release. */
const guidCell = 8;
const guid = /^[0-9a-f]{32}$/;

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
  let held: CellPiece[] = [];

  function open(shape: ReplyShape | undefined): RowPrinter {
    printer = createRowPrinter(shape, options, output.sink);
    printer.setUser(user);
    for (const { bytes, endsCell } of held) printer.cell(bytes, endsCell);
    held = [];
    return printer;
  }

  return {
    begin(name, serverMinor, read) {
      user = name;
      minor = serverMinor;
      parsed = read;
      printer?.setUser(name);
      if (printer === undefined && !isUnsettled(parsed, minor)) open(replyShape(parsed, minor));
    },
    piece(piece) {
      if (printer !== undefined) return printer.cell(piece.bytes, piece.endsCell);
      held.push(piece);
      const cells = held.filter(({ endsCell }) => endsCell).length;
      if (cells > guidCell) open(replyShape(parsed, hasDeleted(held) ? 4 : 3));
    },
    end() {
      (printer ?? open(replyShape(parsed, minor ?? 3))).end();
    },
  };
}

/** Servers of minor 3 are Dovecot 2.4.0 to 2.4.4, or dovegate in front of any. */
function isUnsettled(parsed: ParsedArguments, serverMinor: number | undefined): boolean {
  const isAll = parsed.values.get('field')?.includes('all') === true && !parsed.hasOption('total-sum');
  return (
    parsed.command.name === 'mailbox status' && isAll && (serverMinor === undefined || serverMinor === 3)
  );
}

function hasDeleted(pieces: readonly CellPiece[]): boolean {
  const cells = [''];
  for (const { bytes, endsCell } of pieces) {
    cells.push(`${cells.pop()}${bytes.toString()}`);
    if (endsCell) cells.push('');
  }
  return !guid.test(cells[guidCell] ?? '');
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
