// Prints the replies to one typed command, for one user or several. At most the first row is held, for replies whose number of
// columns only that row shows.

import type { ParsedArguments } from '../../doveadm/commands/parse.js';
import { type ReplyShape, replyRows, replyRowsAt, shapeOf } from '../../doveadm/meaning/columns.js';
import { asList, asNumber, asText, asTexts, isObject, parseLine } from '../../host/values/values.js';
import type { CellPiece } from '../connect.js';
import { createRowPrinter, type PrintOptions, type RowPrinter, type Sink } from './row-printer.js';

export interface ReplyPrinter {
  /** The next reply: its user, the server's minor, and the command as that server parses it. */
  begin(user: string, serverMinor: number | undefined, parsed: ParsedArguments): void;
  piece(piece: CellPiece): void;
  /** Call after each reply. Returns a text if its rows are not whole. */
  endReply(): string | undefined;
  /** Call after the last reply, also if there was none. */
  end(): void;
}

/** The cells of an unknown reply, one a line. */
const unknownShape = shapeOf('flow', 'value!');

/** `complain` gets texts for stderr. */
export function createReplyPrinter(
  parsed: ParsedArguments,
  options: PrintOptions,
  sink: Sink,
  complain: (text: string) => void,
): ReplyPrinter {
  if (parsed.command.name === 'user') return createUserPrinter(parsed, options, sink, complain);
  let printer: RowPrinter | undefined;
  let user = '';
  let rows = replyRows(parsed);
  let held: CellPiece[] = [];
  /** Why the cells are not rows of a known form; undefined: they are. */
  let why: string | undefined;

  function open(): RowPrinter {
    let shape = rows === undefined ? unknownShape : rows.shapeFrom(cellsOf(held));
    if (shape === undefined) why = 'rows that no known release of Dovecot sends';
    else if (shape.columns.length === 0 && held.length > 0) why = 'cells, where this command has none';
    if (why !== undefined) shape = unknownShape;
    printer = createRowPrinter(shape ?? unknownShape, options, sink);
    printer.setUser(user);
    for (const { bytes, endsCell } of held) printer.cell(bytes, endsCell);
    held = [];
    return printer;
  }

  return {
    begin(name, serverMinor, read) {
      user = name;
      printer?.setUser(name);
      if (printer === undefined) rows = replyRowsAt(serverMinor, read);
    },
    piece(piece) {
      if (printer !== undefined) return printer.cell(piece.bytes, piece.endsCell);
      held.push(piece);
      const decidedBy = rows?.decidedBy ?? 0;
      if (decidedBy === 0 || held.filter(({ endsCell }) => endsCell).length >= decidedBy) open();
    },
    endReply() {
      const last = held.length > 0 ? open() : printer;
      if (last === undefined) return undefined;
      if (why !== undefined) return `the reply has ${why}`;
      const broken = last.endReply();
      if (broken === undefined) return undefined;
      const [cells, of] = broken;
      return `the last row has ${cells} of ${of} cells: the reply is not whole, or this Dovecot has other columns`;
    },
    end() {
      (printer ?? open()).end();
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

export function parseUserList(json: string): readonly string[] | undefined {
  const found = asList(parseLine(json)?.['userList']);
  return found && asTexts(found);
}

/** JSON: names, or fields and values of users. Rows are names, values (`-f`, `-e`) or both; anything else is printed unchanged. */
function createUserPrinter(
  { values }: ParsedArguments,
  options: PrintOptions,
  sink: Sink,
  complain: (text: string) => void,
): ReplyPrinter {
  const held: Buffer[] = [];

  function print(shape: ReplyShape, cells: Iterable<readonly [user: string, ...cells: string[]]>): void {
    const hasUsers = (values.get('user-mask')?.length ?? 0) > 1 && shape !== namesShape;
    const printer = createRowPrinter(shape, { ...options, hasUsers }, sink);
    for (const [user, ...row] of cells) {
      printer.setUser(user);
      for (const cell of row) printer.cell(Buffer.from(cell), true);
    }
    printer.end();
  }

  return {
    begin() {},
    piece: ({ bytes }) => void held.push(bytes),
    endReply() {
      const isWhole = held.length === 0 || parseLine(Buffer.concat(held).toString()) !== undefined;
      return isWhole ? undefined : 'the reply is not the whole JSON of this command';
    },
    end() {
      if (held.length === 0) return;
      const json = Buffer.concat(held).toString();
      const names = parseUserList(json);
      if (names !== undefined)
        return print(
          namesShape,
          names.map((name) => ['', name]),
        );
      const users = parseLine(json);
      if (users === undefined) return print(unknownShape, [['', json]]);
      const isValueOnly = values.has('field') || values.has('expand-field');
      const found = Object.entries(users).flatMap(([user, fields]) =>
        isObject(fields) && !('error' in fields) ? [[user, fields] as const] : [],
      );
      print(
        isValueOnly ? unknownShape : fieldsShape,
        found.flatMap(([user, fields]) =>
          Object.entries(fields).map(([field, value]): [string, ...string[]] =>
            isValueOnly ? [user, textOf(value)] : [user, field, textOf(value)],
          ),
        ),
      );
      for (const user of Object.keys(users))
        if (!found.some(([name]) => name === user)) complain(`No such user: ${user}`);
    },
  };
}

const namesShape = shapeOf('flow', 'username!');
const fieldsShape = shapeOf('tab', 'field value');

function textOf(value: unknown): string {
  return asText(value) ?? asNumber(value)?.toString() ?? '';
}
