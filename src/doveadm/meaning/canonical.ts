// Writes parsed arguments in their one canonical form, for backends and the journal, and marks values that must not be in a record or a log
// (passwords, keys, texts of mails and attributes): options in table order, `--`, positionals in table order. Nothing of the client's
// spelling remains. parseArguments reads it back to the same values.
import {
  type Command,
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
  readonly isSecret: boolean;
}

/**
 * The arguments that follow the command's name, which is sent as one field: `-x`, `-x VALUE`, `--long`, `--long=VALUE`; always a `--`;
 * `field` and `flag` as one word joined by blanks, the source user of copy and move as `user WHO` (both series and all their releases take
 * these).
 */
export function canonicalArguments(parsed: ParsedArguments): string[] {
  return canonicalWords(parsed).map((word) => word.text);
}

/** The canonical form, with a mark for each argument that a record must hide. */
export function canonicalWords(parsed: ParsedArguments): CanonicalWord[] {
  const { command, values } = parsed;
  const options: CanonicalWord[] = [];
  const positionals: CanonicalWord[] = [];
  for (const parameter of command.params) {
    const { name, short, type, isPositional } = parameter;
    const list = listOfText(command, parameter);
    const words = values.get((list ?? parameter).name);
    // The protocol has this list as one text.
    const given = parameter.role === 'cache-fields' && words !== undefined ? [words.join(' ')] : words;
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

/** Roles whose values are paths or addresses that an auditor must read, but that can contain credentials. */
const maybeSecretRoles: readonly (Role | undefined)[] = [
  'dict-uri',
  'fs-args',
  'mail-location',
  'remote-destination',
];
const credential = /pass|secret|token|credential|key=|:[^/@]*@/i;

/** Words of command names: of a batch's sub-commands only these, short options and search keys are shown. */
const commandWords = new Set<string>();

/** For each value of the parameter, in order, whether it is secret. In search queries the search texts are secret, the keys are not. */
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
  if (commandWords.size === 0)
    for (const { words } of commandsOf('2.3')) for (const each of words) commandWords.add(each);
  return commandWords.has(word) || /^-[A-Za-z0-9]$/.test(word) || searchKeyNamed(word) !== undefined;
}

/**
 * Restores arguments from a record: the words of its canonical arguments, options up to `--` and positionals after it. A word recorded as a
 * digest becomes an artificial one, the same for equal values. `cut`: too long to be recorded whole. `hidden`: an option is recorded as a
 * digest, so it is unknown which one it was.
 */
export function recordedWords(command: Command, args: readonly unknown[]): string[] | 'cut' | 'hidden' {
  const words: string[] = [];
  let option: Parameter | undefined;
  let isBehindOptions = false;
  for (const arg of args) {
    const digest = digestOf(arg);
    if (typeof arg === 'string') words.push(arg);
    else if (digest === undefined) return 'cut';
    else if (option !== undefined)
      words.push(option.role === 'auth-info' ? `${factPrefix}${digest}` : digest);
    else if (isBehindOptions) words.push(digest);
    // An option and its value in one word: no command has a secret value in such an option.
    else return 'hidden';
    if (option !== undefined) option = undefined;
    else if (arg === '--') isBehindOptions = true;
    else if (!isBehindOptions) option = optionWithValue(command, arg);
  }
  return words;
}

/** Facts about a login are KEY=VALUE; this key accepts any value. */
const factPrefix = 'service=';

function optionWithValue(command: Command, word: unknown): Parameter | undefined {
  return command.params.find(
    ({ short, type }) => short !== undefined && type !== 'bool' && word === `-${short}`,
  );
}

/** The artificial word for a value that was recorded as a digest: equal values have equal words. */
function digestOf(arg: unknown): string | undefined {
  if (typeof arg !== 'object' || arg === null || !('hmac' in arg) || typeof arg.hmac !== 'string')
    return undefined;
  return `hmac:${arg.hmac.slice(0, digestShown)}`;
}

export function isDigested(arg: unknown): boolean {
  return digestOf(arg) !== undefined;
}

const digestShown = 16;

export function isDigest(word: string): boolean {
  return /^(?:service=)?hmac:[0-9a-f]{16}$/.test(word);
}
