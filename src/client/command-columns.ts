// How many cells a row of a command's reply has, by Dovecot's catalog. Imported on demand: programs that call often pass `columns`
// themselves, and need no catalog.

import { resolveCommand, type Series } from '../domain/commands/catalog.js';
import { parseArguments } from '../domain/commands/parse.js';
import { replyShape } from '../domain/meaning/columns.js';

/** Undefined: unknown command, wrong arguments, or rows of no known form. */
export function columnsOf(
  name: string,
  args: readonly string[],
  serverMinor: number | undefined,
): number | undefined {
  const series: Series = serverMinor !== undefined && serverMinor >= 3 ? '2.4' : '2.3';
  const found = resolveCommand(series, [name, ...args]);
  const parsed = found && parseArguments(series, found.command, found.args);
  if (parsed === undefined || parsed.kind === 'unparsable') return undefined;
  // Over all users rows can begin with the user's name, and the reply does not say so.
  if (parsed.values.has('all-users')) return undefined;
  const { length } = replyShape(parsed, serverMinor)?.columns ?? [];
  return length === 0 ? undefined : length;
}
