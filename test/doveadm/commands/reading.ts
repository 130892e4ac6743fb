// Reads a whole command line, name and arguments, for tests.
import assert from 'node:assert/strict';
import { resolveCommand, resolveOwnCommand, type Series } from '../../../src/doveadm/commands/catalog.js';
import type { Unparsable } from '../../../src/doveadm/commands/getopt.js';
import { type ParsedArguments, parseArguments } from '../../../src/doveadm/commands/parse.js';

/** Undefined: there is no such command. */
export function read(series: Series, line: readonly string[]): ParsedArguments | Unparsable | undefined {
  const found = resolveCommand(series, line) ?? resolveOwnCommand(line);
  return found === undefined ? undefined : parseArguments(series, found.command, found.args);
}

/** The arguments of a line that must be accepted. */
export function accept(series: Series, line: readonly string[]): ParsedArguments {
  const parsed = read(series, line);
  if (parsed?.kind !== 'parsed') assert.fail(`${line.join(' ')}: ${parsed?.message ?? 'no such command'}`);
  return parsed;
}
