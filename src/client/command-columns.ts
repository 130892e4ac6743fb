// The names, and so the number, of the cells in a command's rows, from Dovecot's catalog. Imported on demand: programs that send many
// commands often pass `columns` themselves and need no catalog.

import { resolveCommand, resolveOwnCommand } from '../domain/commands/catalog.js';
import { parseArguments } from '../domain/commands/parse.js';
import { replyShape } from '../domain/meaning/columns.js';
import { ofMinor } from '../protocol/minors.js';

/** Empty: there are no rows. Undefined: unknown command, wrong arguments, or rows of unknown form. */
export function columnNamesOf(
  name: string,
  args: readonly string[],
  serverMinor: number | undefined,
): readonly string[] | undefined {
  if (resolveOwnCommand([name]) !== undefined) return ['what', 'value'];
  const { series } = ofMinor(serverMinor);
  const found = resolveCommand(series, [name, ...args]);
  const parsed = found && parseArguments(series, found.command, found.args);
  if (parsed === undefined || parsed.kind === 'unparsable') return undefined;
  // Over all users, rows may begin with the user's name; the reply does not show whether they do.
  if (parsed.values.has('all-users')) return undefined;
  return replyShape(parsed, serverMinor)?.columns.map(({ key }) => key);
}
