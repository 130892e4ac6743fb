// The human behind a connection, an act at the admin socket or an act on the page: a list of identities that locks, holds and approvals
// compare. The identities: `uid:1001` (of the process, of its login, and of the owner of a range of subordinate uids that contains one of
// them), `account:anna`, `key:anna`, `page:anna`, `oidc:anna@example.com`, and `name:anna` for each name: an account, a key and a UNIX user
// with the same name count as one human. Under sudo the identities of both users are in the list.

import { ownersOf, type Peer } from '../../host/ports/peer.js';
import { identityOfUser } from '../../host/words/user-word.js';
import type { Persons } from './person.js';

export interface Human {
  readonly identities: readonly string[];
  /** The identities that prove a person, while the others only forbid; undefined: all but `loginIdentities`. */
  readonly proving?: readonly string[] | undefined;
  /** Uids of the login and of range owners, where they differ from the uid of the process: they only forbid. */
  readonly loginIdentities?: readonly string[] | undefined;
  /** The name service did not answer for one of the uids, so some names are unknown. */
  readonly isUnanswered?: boolean | undefined;
  /** Why this human may not approve anything; undefined: `persons` decides. */
  readonly whyNotApprove?: string | undefined;
}

export const noHuman: Human = { identities: [] };

export type Proof =
  | { readonly kind: 'kernel' }
  | { readonly kind: 'account' | 'key'; readonly name: string; readonly stamp: string };

type Facts = Omit<Peer, 'listener'>;
const byKernel = { kind: 'kernel' } as const;

/** `origin`: of the connection. A `person:` origin stays an identity even if `persons` changes. */
export function humanOf(peer: Facts, proof: Proof, hasDirectory: boolean, origin = ''): Human {
  const words = wordsOf(peer, proof);
  return {
    identities: origin.startsWith('person:') ? [...words, origin] : words,
    loginIdentities: loginIdentitiesOf(peer),
    isUnanswered: isUnanswered(peer, proof, hasDirectory),
    whyNotApprove: whyNotApprove(peer, proof),
  };
}

/** At the admin socket root may be anybody: the identities are those of its login, and none without a login. */
export function humanOfOperator(peer: Facts, hasDirectory: boolean): Human {
  const { uid, loginUid, loginUser, loginAccount, loginOwners } = peer;
  if (uid === 0 && loginUid === 0) return noHuman;
  const shown = uid === 0 ? { loginUid, loginUser, loginAccount, loginOwners } : peer;
  const human = humanOf(shown, byKernel, hasDirectory);
  return { ...human, proving: human.identities };
}

/** What the page's process reports about the person. That process may be compromised, so each word only adds identities. */
export interface SeenOnPage {
  /** `oidc=`, `uid=` and `user=` among others. */
  readonly from: readonly string[];
  /** The process at the page's socket that asks, or that got the session's link. */
  readonly opener?: (Facts & Pick<Human, 'isUnanswered'>) | undefined;
}

interface PageEntry {
  readonly name: string;
  readonly user?: string | undefined;
  readonly oidc?: { readonly email?: string | undefined; readonly sub?: string | undefined } | undefined;
}

/** The first identity is that of the page's entry. */
export function humanOnPage(
  { name, user, oidc }: PageEntry,
  { from, opener }: SeenOnPage = { from: [] },
  persons?: Pick<Persons, 'personOf'>,
): Human {
  const page = `page:${name}`;
  const person = persons?.personOf([page]);
  const linked = opener && humanOf(opener, byKernel, false);
  const proving = [
    page,
    `name:${name}`,
    ...(user === undefined ? [] : [identityOfUser(user), `name:${user}`]),
    ...[oidc?.email, oidc?.sub].flatMap((each) => (each === undefined ? [] : [`oidc:${each}`])),
  ];
  const words = [
    ...proving,
    ...from.flatMap(wordsSeen),
    ...(linked?.identities ?? []),
    ...(person === undefined ? [] : [`person:${person}`]),
  ];
  const isNameless = linked?.isUnanswered === true || opener?.isUnanswered === true;
  return { ...linked, identities: [...new Set(words)], proving, isUnanswered: isNameless };
}

const openPrefix = 'unanswered:';

/** Marks a name (or the uid of a container) that the name service did not resolve yet: until then the lock covers that name alone. */
export function openWord(name: string): string {
  return `${openPrefix}${name}`;
}

export function isOpenWord(word: string): boolean {
  return word.startsWith(openPrefix);
}

export function openNames(words: readonly string[]): readonly string[] {
  return words.filter(isOpenWord).map((word) => word.slice(openPrefix.length));
}

export function isOnPage({ identities: [first] }: Pick<Human, 'identities'>): boolean {
  return first?.startsWith('page:') === true;
}

function wordsSeen(word: string): readonly string[] {
  const [, key, value = ''] = /^(oidc|uid|user)=(.*)$/s.exec(word) ?? [];
  return key === undefined ? [] : [`${key === 'user' ? 'name' : key}:${value}`];
}

function wordsOf(peer: Facts, proof: Proof): readonly string[] {
  const words = new Set<string>();
  if (proof.kind !== 'kernel') words.add(`${proof.kind}:${proof.name}`).add(`name:${proof.name}`);
  const { uid, loginUid, user, loginUser } = peer;
  const owners = allOwnersOf(peer);
  for (const each of [uid, loginUid, ...owners.map((owner) => owner.uid)])
    if (each !== undefined) words.add(`uid:${each}`);
  for (const name of [user, loginUser, ...owners.map((owner) => owner.user)])
    if (name !== undefined) words.add(`name:${name}`);
  return [...words];
}

export function loginIdentitiesOf({
  uid,
  loginUid,
  ...peer
}: Pick<Peer, 'uid' | 'loginUid' | 'rangeOwners' | 'loginOwners'>): readonly string[] {
  return [loginUid, ...allOwnersOf(peer).map((owner) => owner.uid)].flatMap((each) =>
    each === undefined || each === uid ? [] : [`uid:${each}`],
  );
}

/** Owners of the range of its uid and of the range of its login uid. */
function allOwnersOf({ rangeOwners, loginOwners }: Pick<Peer, 'rangeOwners' | 'loginOwners'>) {
  return [rangeOwners, loginOwners].flatMap((each) => ownersOf({ rangeOwners: each }));
}

/** A directory that is down may also answer that there is no account. A range owner without a uid may be anybody. */
function isUnanswered(peer: Facts, proof: Proof, hasDirectory: boolean): boolean {
  if (proof.kind !== 'kernel') return false;
  const { account, loginAccount, rangeOwners, loginOwners } = peer;
  if (rangeOwners === 'unknown' || loginOwners === 'unknown') return true;
  if (allOwnersOf(peer).some(({ uid }) => uid === undefined)) return true;
  return [account, loginAccount].some(
    (each) => each === 'unanswered' || each === 'crowded' || (each === 'none' && hasDirectory),
  );
}

/** Over a UNIX socket, root and processes without a login approve nothing: no human is known behind them. */
function whyNotApprove(peer: Facts, proof: Proof): string | undefined {
  if (proof.kind !== 'kernel') return undefined;
  if (peer.uid === 0 || peer.loginUid === 0) return 'root may be anybody, so it approves nothing';
  const [owner] = ownersOf(peer);
  if (owner !== undefined)
    return `uid ${peer.uid} is one of the subordinate uids of ${owner.user ?? owner.uid} (/etc/subuid), so nobody knows which person it is`;
  if (peer.loginUid === undefined)
    return 'this process belongs to no login, so nobody knows which person it is; log in and ask again';
  return undefined;
}
