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

export interface CanonicalWord {
  readonly text: string;
  /** Must not be recorded as it is. */
  readonly isSecret: boolean;
}

/**
 * The arguments that follow the command's name, which is sent as one field: `-x`, `-x VALUE`, `--long`, `--long=VALUE`; always
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
    const { name, short, type, isPositional } = parameter;
    const list = listOfText(command, parameter);
    const given = values.get((list ?? parameter).name);
    if (given === undefined || textOfList(command, parameter) !== undefined) continue;
    if (list !== undefined) {
      positionals.push(plain(given.join(' ')));
      continue;
    }
    if (isPositional && parameter.role === 'source-user') positionals.push(plain('user'));
    const secret = secretValues(parsed, parameter);
    for (const [index, value] of given.entries()) {
      const isSecret = secret[index] ?? false;
      if (isPositional) positionals.push({ text: value, isSecret });
      else if (type === 'bool') options.push(plain(optionName(parameter)));
      else if (short === undefined) options.push({ text: `--${name}=${value}`, isSecret });
      else options.push(plain(optionName(parameter)), { text: value, isSecret });
    }
  }
  return [...options, plain('--'), ...positionals];
}

function plain(text: string): CanonicalWord {
  return { text, isSecret: false };
}

const secretRoles: readonly (Role | undefined)[] = [
  'auth-info',
  'metadata-value',
  'secret',
  'setting-override',
  'text',
  'value',
];

/** Their values are paths or addresses that an auditor must read, but can carry credentials. */
const maybeSecretRoles: readonly (Role | undefined)[] = [
  'dict-uri',
  'fs-args',
  'mail-location',
  'remote-destination',
];
const credential = /pass|secret|token|credential|key=|:[^/@]*@/i;

/** Words of command names: what is shown of the sub-commands of a batch, which have a grammar of their own. */
const commandWords = new Set(commandsOf('2.3').flatMap((command) => command.words));

/**
 * For each value of the parameter, in order, whether it is secret. In search queries those are the words looked for in mails;
 * the keys are not.
 */
function secretValues({ values, query }: ParsedArguments, { name, role }: Parameter): boolean[] {
  const given = values.get(name) ?? [];
  if (maybeSecretRoles.includes(role)) return given.map((value) => credential.test(value));
  if (role === 'sub-commands') return given.map((value) => !isBatchWord(value));
  const secret = given.map(() => secretRoles.includes(role));
  if (role !== 'search-query' || query === undefined) return secret;
  for (const { key, values: words, at } of conditionsIn(query)) {
    if (key.class === 'content') secret.fill(true, at + 1, at + 1 + words.length);
  }
  return secret;
}

function isBatchWord(word: string): boolean {
  return commandWords.has(word) || /^-[A-Za-z0-9]$/.test(word) || searchKeyNamed(word) !== undefined;
}
