// Writes parsed arguments out in the one form that goes upstream and into the journal: options in table order, `--`, positionals
// in table order. Nothing of the client's spelling survives. parseArguments reads it back to the same values.
import { listOfText, type Parameter } from './catalog.js';
import { optionName } from './getopt.js';
import type { ParsedArguments } from './parse.js';

/**
 * The arguments behind the command's name, which is sent as one field: `-x`, `-x VALUE`, `--long`, `--long=VALUE`; always
 * a `--`; `field` and `flag` as one word joined by blanks, the source user of copy and move as `user WHO` (both series and
 * all their releases take these).
 */
export function canonicalArguments(parsed: ParsedArguments): string[] {
  const { command, values } = parsed;
  const lists = new Map(command.params.map((parameter) => [parameter, listOfText(command, parameter)]));
  const asPositional = new Set(lists.values());
  const options: string[] = [];
  const positionals: string[] = [];
  for (const parameter of command.params) {
    const list = lists.get(parameter);
    const given = values.get((list ?? parameter).name) ?? [];
    if (given.length === 0) continue;
    if (list !== undefined) positionals.push(given.join(' '));
    else if (parameter.isPositional && parameter.role === 'source-user') positionals.push('user', ...given);
    else if (parameter.isPositional) positionals.push(...given);
    else if (!asPositional.has(parameter))
      options.push(...given.flatMap((value) => asOption(parameter, value)));
  }
  return [...options, '--', ...positionals];
}

function asOption(parameter: Parameter, value: string): string[] {
  if (parameter.type === 'bool') return [optionName(parameter)];
  return parameter.short === undefined ? [`--${parameter.name}=${value}`] : [optionName(parameter), value];
}
