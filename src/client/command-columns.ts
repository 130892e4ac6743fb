// The names, and so the number, of the cells in a command's rows, from Dovecot's catalog. Imported on demand: programs that send many
// commands often pass `columns` themselves and need no catalog.

import { resolveCommand, resolveOwnCommand } from '../doveadm/commands/catalog.js';
import { parseArguments } from '../doveadm/commands/parse.js';
import { replyRowsAt } from '../doveadm/meaning/columns.js';
import { serverOf } from '../doveadm/protocol/releases.js';

export interface RowColumns {
  /** The number of a row's first cells that decide; 0: the command alone does. */
  readonly decidedBy: number;
  /** Returns an empty list if there are no rows, and undefined for cells that no known release sends. */
  namesFrom(firstCells: readonly string[]): readonly string[] | undefined;
}

/** Returns undefined for an unknown command, wrong arguments, or rows of unknown form. */
export function columnsOf(
  name: string,
  args: readonly string[],
  serverMinor: number | undefined,
): RowColumns | undefined {
  if (resolveOwnCommand([name]) !== undefined) return settled(['what', 'value']);
  const { series } = serverOf(serverMinor);
  const found = resolveCommand(series, [name, ...args]);
  const parsed = found && parseArguments(series, found.command, found.args);
  if (parsed === undefined || parsed.kind === 'unparsable') return undefined;
  // Over all users, rows may begin with the user's name; the reply does not show whether they do.
  if (parsed.values.has('all-users')) return undefined;
  const rows = replyRowsAt(serverMinor, parsed);
  return (
    rows && {
      decidedBy: rows.decidedBy,
      namesFrom: (cells) => rows.shapeFrom(cells)?.columns.map(({ key }) => key),
    }
  );
}

/** Columns that the command alone decides. */
export function settled(names: readonly string[]): RowColumns {
  return { decidedBy: 0, namesFrom: () => names };
}
