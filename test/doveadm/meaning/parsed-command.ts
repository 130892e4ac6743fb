import type { Command, Series } from '../../../src/doveadm/commands/catalog.js';
import type { ParsedArguments } from '../../../src/doveadm/commands/parse.js';

/** A command as it is read when nothing follows its name. */
export function withoutArguments(command: Command, series: Series): ParsedArguments {
  return { kind: 'parsed', command, series, values: new Map(), query: undefined };
}
