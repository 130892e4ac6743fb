// Which values of a command line must not stand in a record or a log: passwords, keys, what mails and attributes say. Knows nothing of
// how they are hidden.
import { commandsOf, type Parameter, type Role } from './catalog.js';
import type { ParsedArguments } from './parse.js';
import { searchKeyNamed } from './search-keys.js';
import { conditionsIn } from './search-query.js';

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
