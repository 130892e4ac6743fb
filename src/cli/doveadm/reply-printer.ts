// Prints the replies to one typed command, for one user or several. At most the first row is held, for replies whose number of
// columns only that row shows.

import type { CellPiece } from '../../client/connect.js';
import type { Series } from '../../domain/language/commands/catalog.js';
import type { ParsedArguments } from '../../domain/language/commands/parse.js';
import {
  type ReplyRows,
  type ReplyShape,
  replyRows,
  replyShape,
  shapeOf,
} from '../../domain/language/meaning/columns.js';
import { parseLine } from '../../domain/records/audit/record.js';
import { asList, asNumber, asText, asTexts, isObject } from '../../domain/records/audit/stored.js';
import { minorForClients } from '../../protocol/minors.js';
import { createRowPrinter, type PrintOptions, type RowPrinter, type Sink } from '../output/row-printer.js';

export interface ReplyPrinter {
  /** The next reply: its user, the server's minor, and the command as that server parses it. */
  begin(user: string, serverMinor: number | undefined, parsed: ParsedArguments): void;
  piece(piece: CellPiece): void;
  /** After each reply. A text: its rows are not whole. */
  endReply(): string | undefined;
  /** After the last reply, also if there was none. */
  end(): void;
}

/** The cells of an unknown reply, one a line. */
const unknownShape = shapeOf('flow', 'value!');

/** `complain`: takes what is no row, and belongs to stderr. */
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
  /** Undefined: the cells are those of rows that are known. */
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
      if (printer === undefined) rows = rowsOf(read, serverMinor);
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

const address = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f.]*:[0-9a-f:.]*)?$/i;

/** `serverMinor`: undefined if the server announced none; that of dovegate hides the backend's series, which the first cells show then. */
export function rowsOf(parsed: ParsedArguments, serverMinor: number | undefined): ReplyRows | undefined {
  const known = replyRows(parsed);
  if (serverMinor !== undefined && serverMinor !== minorForClients) return known;
  const as = (series: Series): ReplyShape | undefined => replyShape({ ...parsed, series });
  const byFirst = (cells: number, isOld: (cells: readonly string[]) => boolean): ReplyRows => ({
    decidedBy: cells,
    shapeFrom: (first) => as(first.length > 0 && isOld(first) ? '2.3' : '2.4'),
  });
  switch (parsed.command.name) {
    case 'who':
      // The fifth cell is the client's address, or the next user.
      if (!parsed.values.has('separate-connections')) return known;
      return byFirst(5, (cells) => cells.length < 5 || !address.test(cells[4] ?? ''));
    case 'kick':
      // The number of connections, or their users.
      return byFirst(1, ([first = '']) => !/^\d+$/.test(first));
    case 'log errors':
      // 2.4 has the fraction of the second, and the colon after the prefix.
      return byFirst(2, ([time = '', prefix = '']) => !/\.\d+$/.test(time) && !/(?:^|: )$/.test(prefix));
    default:
      return known;
  }
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
