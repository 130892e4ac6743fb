// What the cells of a command's reply are called, and so how many a row has, by Dovecot's catalog. Imported on demand: programs that call
// often pass `columns` themselves, and need no catalog.

import { resolveCommand, resolveOwnCommand } from '../domain/commands/catalog.js';
import { parseArguments } from '../domain/commands/parse.js';
import { replyShape } from '../domain/meaning/columns.js';
import { ofMinor } from '../protocol/minors.js';

/** Empty: there are no rows. Undefined: unknown command, wrong arguments, or rows of no known form. */
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
  // Over all users rows can begin with the user's name, and the reply does not say so.
  if (parsed.values.has('all-users')) return undefined;
  return replyShape(parsed, serverMinor)?.columns.map(({ key }) => key);
}
