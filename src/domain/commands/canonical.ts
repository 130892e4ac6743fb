// Writes parsed arguments out in the one form that goes upstream and into the journal: options in table order, `--`, positionals
// in table order. Nothing of the client's spelling survives. parseArguments reads it back to the same values.
import { listOfText, type Parameter, textOfList } from './catalog.js';
import { optionName } from './getopt.js';
import type { ParsedArguments } from './parse.js';
import { secretValues } from './secrets.js';

/** One argument of the canonical form. */
export interface CanonicalWord {
  readonly text: string;
  /** Whose value it holds; undefined for the words around values. */
  readonly parameter: string | undefined;
  /** Must not be recorded as it is. */
  readonly isSecret: boolean;
}

/**
 * The arguments behind the command's name, which is sent as one field: `-x`, `-x VALUE`, `--long`, `--long=VALUE`; always
 * a `--`; `field` and `flag` as one word joined by blanks, the source user of copy and move as `user WHO` (both series and
 * all their releases take these).
 */
export function canonicalArguments(parsed: ParsedArguments): string[] {
  return canonicalWords(parsed).map((word) => word.text);
}

/** The canonical form with what each argument is: what a record of it must hide. */
export function canonicalWords(parsed: ParsedArguments): CanonicalWord[] {
  const { command, values } = parsed;
  const options: CanonicalWord[] = [];
  const positionals: CanonicalWord[] = [];
  for (const parameter of command.params) {
    const list = listOfText(command, parameter);
    const given = values.get((list ?? parameter).name);
    if (given === undefined || textOfList(command, parameter) !== undefined) continue;
    if (list !== undefined) {
      positionals.push({ text: given.join(' '), parameter: list.name, isSecret: false });
      continue;
    }
    if (parameter.isPositional && parameter.role === 'source-user') positionals.push(around('user'));
    const secret = secretValues(parsed, parameter);
    for (const [index, text] of given.entries()) {
      const word = { text, parameter: parameter.name, isSecret: secret[index] ?? false };
      if (parameter.isPositional) positionals.push(word);
      else options.push(...asOption(parameter, word));
    }
  }
  return [...options, around('--'), ...positionals];
}

function asOption(parameter: Parameter, word: CanonicalWord): CanonicalWord[] {
  if (parameter.type === 'bool') return [{ ...word, text: optionName(parameter) }];
  if (parameter.short === undefined) return [{ ...word, text: `--${parameter.name}=${word.text}` }];
  return [around(optionName(parameter)), word];
}

function around(text: string): CanonicalWord {
  return { text, parameter: undefined, isSecret: false };
}
