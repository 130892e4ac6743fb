// Writes parsed arguments out in the one form that goes upstream and into the journal, and says which of its values must not stand in
// a record or a log (passwords, keys, texts of mails and attributes): options in table order, `--`, positionals
// in table order. Nothing of the client's spelling survives. parseArguments reads it back to the same values.
import {
  commandsOf,
  listOfText,
  optionName,
  type Parameter,
  type Role,
  textOfList,
} from '../commands/catalog.js';
import type { ParsedArguments } from '../commands/parse.js';
import { conditionsIn, searchKeyNamed } from '../commands/search-query.js';

/** One argument of the canonical form. */
export interface CanonicalWord {
  readonly text: string;
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
      positionals.push({ text: given.join(' '), isSecret: false });
      continue;
    }
    if (parameter.isPositional && parameter.role === 'source-user') positionals.push(around('user'));
    const secret = secretValues(parsed, parameter);
    for (const [index, text] of given.entries()) {
      const word = { text, isSecret: secret[index] ?? false };
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
  return { text, isSecret: false };
}

const secretRoles: ReadonlySet<Role> = new Set<Role>([
  'auth-info',
  'metadata-value',
  'secret',
  'setting-override',
  'text',
  'value',
]);

/** Their values are paths or addresses that an auditor must read, but can carry credentials. */
const maybeSecretRoles: ReadonlySet<Role> = new Set<Role>([
  'dict-uri',
  'fs-args',
  'mail-location',
  'remote-destination',
]);
const credential = /pass|secret|token|credential|key=|:[^/@]*@/i;

/** Words of command names: what is shown of the sub-commands of a batch, which have a grammar of their own. */
const commandWords = new Set(commandsOf('2.3').flatMap((command) => command.words));

/**
 * For each value of the parameter, in order, whether it is secret. In search queries those are the words looked for in mails;
 * the keys are not.
 */
export function secretValues(parsed: ParsedArguments, parameter: Parameter): boolean[] {
  const values = parsed.values.get(parameter.name) ?? [];
  const { role } = parameter;
  if (role === undefined) return values.map(() => false);
  if (secretRoles.has(role)) return values.map(() => true);
  if (maybeSecretRoles.has(role)) return values.map((value) => credential.test(value));
  if (role === 'sub-commands') return values.map((value) => !isBatchWord(value));
  if (role !== 'search-query' || parsed.query === undefined) return values.map(() => false);
  const secret = values.map(() => false);
  for (const { key, values: words, at } of conditionsIn(parsed.query)) {
    if (key.class === 'content') secret.fill(true, at + 1, at + 1 + words.length);
  }
  return secret;
}

function isBatchWord(word: string): boolean {
  return commandWords.has(word) || /^-[A-Za-z0-9]$/.test(word) || searchKeyNamed(word) !== undefined;
}
