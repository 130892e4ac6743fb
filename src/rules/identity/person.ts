// Persons: which identities are the same human. An identity is a word, as in records: `uid:1001` (of the process and of the login),
// `account:carol`, `key:backup`, `page:carol`, `oidc:carol@example.com`; `name:carol` for each name that an account, key or UNIX user has.
// A user of `persons` counts by its uids, because a directory that is down removes names from peers but never uids. Where two humans are
// required, identities that are not known to be two humans count as one.
import { foldAscii } from '../../host/words/text.js';
import { identityOfUser, numberIn } from '../../host/words/user-word.js';

export interface Person {
  /** Users of this host, by name or uid. */
  readonly users: readonly string[];
  readonly accounts: readonly string[];
  readonly keys: readonly string[];
  readonly page: readonly string[];
  /** Email address or subject at the issuer. */
  readonly oidc: string | undefined;
}

/** The identities of a person, as the configuration writes them: a user by its name is `user:carol`. */
export function identitiesOf({ users, accounts, keys, page, oidc }: Person): string[] {
  return [
    ...users.map(identityOfUser),
    ...accounts.map((account) => `account:${account}`),
    ...keys.map((key) => `key:${key}`),
    ...page.map((each) => `page:${each}`),
    ...(oidc === undefined ? [] : [`oidc:${oidc}`]),
  ].map(folded);
}

/** The names that can be those of users of this host: a user, account, key or page login of one name counts as one human. */
export function namesOf({ users, accounts, keys, page }: Person): string[] {
  return [...users.filter((user) => numberIn(user) === undefined), ...accounts, ...keys, ...page];
}

export interface UserUids {
  /** All uids that a name has or had; empty: none was ever known. */
  readonly uidsOf: (name: string) => readonly number[];
  readonly isUnknown: (name: string) => boolean;
  /** The one uid that the name has now; undefined: it has none, several count, or the name service did not say so lately. */
  readonly uidOf: (name: string) => number | undefined;
}

const prefix = 'person:';

const noUids: UserUids = { uidsOf: () => [], isUnknown: () => false, uidOf: () => undefined };

/** The persons of one configuration, indexed by identity: the cost of a comparison does not depend on the number of persons. */
export class Persons {
  readonly #persons: ReadonlyMap<string, Person>;
  readonly #byWord = new Map<string, Set<string>>();
  readonly #byName = new Map<string, Set<string>>();
  /** Identities that prove a person: without uids that a name had earlier. */
  readonly #proofs = new Map<string, Set<string>>();
  #unknown: readonly string[] = [];
  #users: UserUids = noUids;
  /** Cache of {@link #humansOf} by list: each approval is compared with each command of the grant's owner. */
  #compared = new WeakMap<readonly string[], ReadonlySet<string>>();

  constructor(persons: ReadonlyMap<string, Person>, users: UserUids = noUids) {
    this.#persons = persons;
    this.learn(users);
  }

  learn(users: UserUids): void {
    const { uidsOf, isUnknown, uidOf } = users;
    this.#users = users;
    this.#byWord.clear();
    this.#byName.clear();
    this.#proofs.clear();
    this.#compared = new WeakMap();
    const unknown = new Set<string>();
    for (const [name, person] of this.#persons) {
      for (const word of identitiesOf(person)) {
        add(this.#byWord, word, name);
        add(this.#proofs, word, name);
      }
      for (const user of person.users) {
        if (numberIn(user) !== undefined) continue;
        if (isUnknown(user)) unknown.add(user);
        for (const uid of uidsOf(user)) add(this.#byWord, `uid:${uid}`, name);
        const uid = uidOf(user);
        if (uid !== undefined) add(this.#proofs, `uid:${uid}`, name);
      }
      for (const each of namesOf(person)) {
        add(this.#byName, `name:${each}`, name);
        for (const uid of uidsOf(each)) add(this.#byName, `uid:${uid}`, name);
      }
    }
    this.#unknown = [...unknown];
  }

  /** Users of persons whose uid was never known: any peer may be one of them. */
  get unknownUsers(): readonly string[] {
    return this.#unknown;
  }

  unknownUsersOf(person: string): readonly string[] {
    return (this.#persons.get(person)?.users ?? []).filter((user) => this.#unknown.includes(user));
  }

  /** The one person with any of these identities; undefined: none, or several (as under `su`), so that it is unknown who acts. */
  personOf(identities: readonly string[]): string | undefined {
    return onlyOf(this.#personsOf(identities, [this.#byWord]));
  }

  /** As {@link personOf}, for approvals: an identity must prove that person. A uid that a name had earlier may be somebody else's now. */
  provenBy(identities: readonly string[]): string | undefined {
    const proven = onlyOf(this.#personsOf(identities, [this.#proofs]));
    return proven === this.personOf(identities) ? proven : undefined;
  }

  /** Every word and name of a person, also the uids that its users had; undefined: there is no such person. */
  wordsOf(person: string): readonly string[] | undefined {
    const found = this.#persons.get(person);
    if (found === undefined) return undefined;
    const names = namesOf(found);
    const uids = [...names, ...found.users].flatMap((name) => this.#users.uidsOf(name));
    const words = [...names.map((name) => `name:${name}`), ...uids.map((uid) => `uid:${uid}`)];
    return [...new Set([`${prefix}${person}`, ...words, ...identitiesOf(found)])];
  }

  /** These identities, then those of each person they may mean: a record still names the same human after `persons` changed. */
  withPersons(identities: readonly string[]): readonly string[] {
    const persons = this.#personsOf(identities, [this.#byWord, this.#byName]);
    for (const word of identities) if (word.startsWith(prefix)) persons.add(word.slice(prefix.length));
    return [...new Set([...identities, ...[...persons].flatMap((person) => this.wordsOf(person) ?? [])])];
  }

  /** Whether a person is a user of that name or uid in the configuration. */
  names(person: string, user: string, uid: number | undefined): boolean {
    const { users = [] } = this.#persons.get(person) ?? {};
    return users.includes(user) || users.includes(String(uid));
  }

  /** Whether the two may be one human: they share an identity, or a person has identities of both, also by name. */
  sharesHuman(one: readonly string[], other: readonly string[]): boolean {
    const [mine, theirs] = [this.#humansOf(one), this.#humansOf(other)];
    for (const each of mine) if (theirs.has(each)) return true;
    return false;
  }

  /** The words, and `person:NAME` for each person who may be meant. */
  #humansOf(identities: readonly string[]): ReadonlySet<string> {
    const known = this.#compared.get(identities);
    if (known !== undefined) return known;
    const found = new Set(identities.map(folded));
    for (const name of this.#personsOf(identities, [this.#byWord, this.#byName]))
      found.add(`${prefix}${name}`);
    this.#compared.set(identities, found);
    return found;
  }

  #personsOf(
    identities: readonly string[],
    indexes: readonly ReadonlyMap<string, ReadonlySet<string>>[],
  ): Set<string> {
    const found = new Set<string>();
    for (const word of identities)
      for (const index of indexes) for (const name of index.get(folded(word)) ?? []) found.add(name);
    return found;
  }
}

function onlyOf(names: ReadonlySet<string>): string | undefined {
  const [only, ...more] = names;
  return more.length === 0 ? only : undefined;
}

function add(index: Map<string, Set<string>>, word: string, name: string): void {
  const names = index.get(word) ?? new Set();
  index.set(word, names.add(name));
}

/** Issuers spell email addresses in either case. */
export function folded(word: string): string {
  return word.startsWith('oidc:') ? foldAscii(word) : word;
}
