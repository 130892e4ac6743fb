// Prints the replies to one typed command, for one user or several. At most the first row is held, for replies whose number of
// columns only that row shows.

import type { CellPiece } from '../../client/connect.js';
import { isObject } from '../../domain/audit/record.js';
import type { Series } from '../../domain/commands/catalog.js';
import type { ParsedArguments } from '../../domain/commands/parse.js';
import {
  type ReplyRows,
  type ReplyShape,
  replyRows,
  replyShape,
  shapeOf,
} from '../../domain/meaning/columns.js';
import { minorForClients } from '../../protocol/minors.js';
import { createRowPrinter, type PrintOptions, type RowPrinter, type Sink } from '../output/row-printer.js';
import { exitCodeOf } from './server-door.js';
import type { TypedCommand } from './typed-command.js';

export interface ReplyPrinter {
  /** The next reply: its user, the server's minor, and the command as that server parses it. */
  begin(user: string, serverMinor: number | undefined, parsed: ParsedArguments): void;
  piece(piece: CellPiece): void;
  /** After the last reply, also if there was none; `code`: the exit code. */
  end(code: number): void;
}

export function createReplyPrinter(typed: TypedCommand, options: PrintOptions, sink: Sink): ReplyPrinter {
  if (typed.command.name === 'user') return createUserPrinter(typed, options, sink);
  let printer: RowPrinter | undefined;
  let user = '';
  let { parsed } = typed;
  let rows: ReplyRows | undefined;
  let held: CellPiece[] = [];
  /** Printed after the rows. */
  let ending = '';
  const isKick = typed.command.name === 'kick';

  function open(shape: ReplyShape | undefined): RowPrinter {
    printer = createRowPrinter(shape, options, sink);
    printer.setUser(user);
    // Without a format, 2.3 prints a sentence about the kicked users.
    if (isKick && options.format === undefined && shape?.columns[0]?.key === 'result' && held.length > 0) {
      sink('kicked connections from the following users:\n');
      ending = '\n';
    }
    for (const { bytes, endsCell } of held) printer.cell(bytes, endsCell);
    held = [];
    return printer;
  }

  function settledShape(): ReplyShape | undefined {
    return rows?.shapeFrom(cellsOf(held));
  }

  return {
    begin(name, serverMinor, read) {
      user = name;
      parsed = read;
      printer?.setUser(name);
      if (printer !== undefined) return;
      rows = rowsOf(parsed, serverMinor);
      if ((rows === undefined || rows.decidedBy === 0) && !isKick) open(settledShape());
    },
    piece(piece) {
      if (printer !== undefined) return printer.cell(piece.bytes, piece.endsCell);
      held.push(piece);
      if (held.filter(({ endsCell }) => endsCell).length >= Math.max(1, rows?.decidedBy ?? 1))
        open(settledShape());
    },
    end(code) {
      // Only 2.3 does so for `kick`, with a sentence too.
      const isNobody =
        isKick && printer === undefined && held.length === 0 && code === exitCodeOf('NOTFOUND');
      (printer ?? open(isNobody ? replyShape({ ...parsed, series: '2.3' }) : settledShape())).end();
      sink(isNobody ? 'no users kicked\n' : ending);
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

function createUserPrinter(typed: TypedCommand, options: PrintOptions, sink: Sink): ReplyPrinter {
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

export interface UserReplyOptions extends Pick<PrintOptions, 'format' | 'hidesTitles'> {
  /** One field only (`-f` of the command). */
  readonly field: string | undefined;
}

/** Undefined: the reply is not a list of users. */
export function parseUserList(json: string): readonly string[] | undefined {
  const found = parseObject(json)?.['userList'];
  return Array.isArray(found) ? found.filter((name) => typeof name === 'string') : undefined;
}

/** Prints the JSON of `user`: names one a line, or fields and values of each user. Anything else is printed unchanged. */
export function printUserReply(json: string, options: UserReplyOptions, sink: Sink): void {
  const { format, hidesTitles, field: only } = options;
  const users = parseObject(json);
  if (format === 'json' || users === undefined) return sink(`${json}\n`);
  const names = parseUserList(json);
  if (names !== undefined) return sink(names.map((name) => `${name}\n`).join(''));
  const shape = shapeOf('tab', 'field value');
  const shown = { format, hidesTitles, width: undefined, hasUsers: false };
  const printer = only === undefined ? createRowPrinter(shape, shown, sink) : undefined;
  const missing: string[] = [];
  for (const [user, fields] of Object.entries(users)) {
    const values = isObject(fields) ? fields : {};
    if ('error' in values) missing.push(user);
    else if (only !== undefined) sink(`${textOf(values[only])}\n`);
    else for (const cell of Object.entries(values).flat()) printer?.cell(Buffer.from(textOf(cell)), true);
  }
  printer?.end();
  if (only === undefined) for (const user of missing) sink(`\nuserdb lookup: user ${user} doesn't exist\n`);
}

function parseObject(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
