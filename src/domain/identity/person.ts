// Persons: which identities are the same human. An identity is a word, as in records: `user:anna`, `uid:1001` (of the kernel and of the
// login), `account:carol`, `key:backup`, `page:carol`, `oidc:carol@example.com`.
// The rule: what is not known to be two humans counts as one where one human would be too few.
import { foldAscii } from './user-name.js';

/** The identities of one human. */
export interface Person {
  /** Users of this host, by name or uid. */
  readonly users: readonly string[];
  /** Names of accounts and keys of listeners, whichever the listener. */
  readonly accounts: readonly string[];
  readonly keys: readonly string[];
  /** Names of people of the page. */
  readonly page: readonly string[];
  /** Email address or subject at the issuer. */
  readonly oidc: string | undefined;
}

/** The identity words of a person. */
export function identitiesOf({ users, accounts, keys, page, oidc }: Person): string[] {
  return [
    ...users.map((user) => (/^[0-9]+$/.test(user) ? `uid:${user}` : `user:${user}`)),
    ...accounts.map((account) => `account:${account}`),
    ...keys.map((key) => `key:${key}`),
    ...page.map((each) => `page:${each}`),
    ...(oidc === undefined ? [] : [`oidc:${oidc}`]),
  ].map(folded);
}

/**
 * Name of the one person with any of these identities; undefined: no person has one of them, or several persons have (as under `su`), so
 * that it is unknown who acts.
 */
export function personOf(
  identities: readonly string[],
  persons: ReadonlyMap<string, Person>,
): string | undefined {
  const [only, ...more] = personsOf(identities, persons);
  return more.length === 0 ? only : undefined;
}

/** Whether the two may be one human: they share an identity, or a person has identities of both. */
export function sharesHuman(
  one: readonly string[],
  other: readonly string[],
  persons: ReadonlyMap<string, Person>,
): boolean {
  const words = new Set(one.map(folded));
  if (other.some((word) => words.has(folded(word)))) return true;
  const names = new Set(personsOf(one, persons, true));
  return personsOf(other, persons, true).some((name) => names.has(name));
}

/** `byName`: an identity that a person does not list, and that has the name of one that it lists, counts as the person's too. */
function personsOf(
  identities: readonly string[],
  persons: ReadonlyMap<string, Person>,
  byName = false,
): string[] {
  const words = new Set(identities.map(folded));
  const isOf = (word: string): boolean =>
    words.has(word) || (byName && words.has(`name:${word.slice(word.indexOf(':') + 1)}`));
  return [...persons].filter(([, person]) => identitiesOf(person).some(isOf)).map(([name]) => name);
}

/** Issuers spell email addresses in either case. */
function folded(word: string): string {
  return word.startsWith('oidc:') ? foldAscii(word) : word;
}
