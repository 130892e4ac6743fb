// Who asks for access, approves it or ends it: the principal with the words that identify the human behind it, and what forbids an approval.
// The rule: nobody approves what the same human asked for, however the two connections came about (sudo, su, a second account, a key, the
// page); an identity that cannot be known approves nothing.

import { type AccessEntry, isBound } from '../audit/access-book.js';
import type { AuditRecord, RecordedPeer } from '../audit/record.js';
import type { Peer } from '../identity/peer.js';
import { type Person, personOf, sharesHuman } from '../identity/person.js';
import type { Policy } from '../policy/policy.js';

/** The policy of somebody who acts, as far as access needs it. */
export type AskerPolicy = Pick<Policy, 'name' | 'version' | 'users' | 'except' | 'approve'>;

/** Who acts: over a listener, on the page, or at the admin socket. */
export interface Asker {
  readonly session?: string | undefined;
  readonly listener: string | undefined;
  /** `NAME@LISTENER`; `page:NAME` for a person of the page. */
  readonly principal: string;
  readonly policy: AskerPolicy;
  readonly peer?: RecordedPeer | undefined;
  /** See {@link identitiesOf}. */
  readonly identities: readonly string[];
  /** Those of the login alone, where it has another uid: see {@link humanOf}. */
  readonly loginIdentities?: readonly string[] | undefined;
  /** The login uid as text, `none` where the kernel says that there is none; undefined: over a network, or unknown. */
  readonly login: string | undefined;
  /** Changes with the password, key or certificate; undefined: the kernel identified the peer. */
  readonly credential: string | undefined;
  /** Why it may ask for nothing; undefined: it may. */
  readonly whyNotAsk?: string | undefined;
  /** Why it may approve nothing, whatever the policies say; undefined: it may. */
  readonly whyNotApprove?: string | undefined;
}

/** How a peer proved who it is. */
export type Proof =
  | { readonly kind: 'kernel' }
  | { readonly kind: 'account' | 'key'; readonly name: string; readonly stamp: string };

/**
 * The words that identify the human behind a connection: `user:anna`, `uid:1001` (of the process and of the login), `account:anna`,
 * `key:anna`, and `name:anna` for each name: an account, a key and a UNIX user of one name are taken for one human.
 */
export function identitiesOf(peer: Peer, proof: Proof): readonly string[] {
  const words = new Set<string>();
  const named = (kind: string, name: string): void => {
    words.add(`${kind}:${name}`);
    words.add(`name:${name}`);
  };
  if (proof.kind !== 'kernel') named(proof.kind, proof.name);
  if (peer.uid !== undefined) words.add(`uid:${peer.uid}`);
  if (peer.loginUid !== undefined) words.add(`uid:${peer.loginUid}`);
  if (peer.user !== undefined) named('user', peer.user);
  if (peer.loginUser !== undefined) named('user', peer.loginUser);
  return [...words];
}

const noLogin = 'none';
const rootLogin = '0';

/** The login of a peer of a UNIX socket, as a grant is bound to it. */
export function loginOf({ address, loginUid, hasNoLogin }: Peer): string | undefined {
  if (address !== undefined) return undefined;
  return loginUid === undefined ? (hasNoLogin === true ? noLogin : undefined) : String(loginUid);
}

/** The words of the login where it is not that of the process. */
export function loginIdentitiesOf({ uid, loginUid, loginUser }: Peer): readonly string[] | undefined {
  if (loginUid === undefined || loginUid === uid) return undefined;
  return [`uid:${loginUid}`, ...(loginUser === undefined ? [] : [`user:${loginUser}`])];
}

/** The same of a recorded peer, whose words these are. */
function recordedLoginWords({ peer, principal, identities = [] }: AuditRecord): readonly string[] {
  const { uid, user, login_uid: loginUid } = peer ?? {};
  // There the peer is the page's process.
  if (loginUid === undefined || loginUid === uid || principal?.startsWith(pagePrefix) === true) return [];
  const own = user === undefined ? '' : `user:${user}`;
  return identities.filter(
    (word) => word === `uid:${loginUid}` || (word.startsWith('user:') && word !== own),
  );
}

type Words = Pick<Asker, 'identities' | 'loginIdentities'>;

/**
 * The one person whose words these are, but for the login; undefined: none, or several. A process without a login can set that of anybody, so
 * a login is no proof of a person: it only forbids, where it is another's, as behind sudo and su.
 */
export function humanOf(
  { identities, loginIdentities = [] }: Words,
  persons: ReadonlyMap<string, Person>,
): string | undefined {
  return personOf(
    identities.filter((word) => !loginIdentities.includes(word)),
    persons,
  );
}

/** With the login. */
function isOnePerson(words: Words, persons: ReadonlyMap<string, Person>): boolean {
  const person = humanOf(words, persons);
  return person !== undefined && personOf(words.identities, persons) === person;
}

const unknownLogin =
  'the kernel does not say which login this process belongs to (it ended, or lives in another namespace)';

export function whyNotAsk(peer: Peer, proof: Proof): string | undefined {
  return proof.kind === 'kernel' && loginOf(peer) === undefined ? unknownLogin : undefined;
}

/** Over a UNIX socket, root and processes without a login approve nothing: no human is known behind them. */
export function whyNotApprove(peer: Peer, proof: Proof): string | undefined {
  if (proof.kind !== 'kernel') return undefined;
  if (peer.uid === 0 || peer.loginUid === 0) return 'root may be anybody, so it approves nothing';
  if (peer.loginUid === undefined)
    return 'this process belongs to no login, so nobody knows which person it is; log in and ask again';
  return undefined;
}

/** One request as the checks need it. */
export interface Approvable {
  readonly policy: string;
  readonly users: readonly string[];
  readonly identities: readonly string[];
  /** The words of each approver so far. */
  readonly approvers: readonly (readonly string[])[];
}

/** Whether somebody may see the requests of a policy for these users, approve or review them. */
export function isApprover(
  { policy }: Pick<Asker, 'policy'>,
  asked: Pick<Approvable, 'policy' | 'users'>,
): boolean {
  if (!policy.approve.includes(asked.policy)) return false;
  return asked.users.every((user) => policy.users.matches(user) && !policy.except.matches(user));
}

/** Why somebody may not approve a request; undefined: they may. Sentences, for people. */
export function whyNoApproval(
  asker: Asker,
  asked: Approvable,
  persons: ReadonlyMap<string, Person>,
): string | undefined {
  if (!isApprover(asker, asked)) return 'your policy does not let you approve this request';
  const why = whyNobody(asker, persons);
  if (why !== undefined) return why;
  if (sharesHuman(asker.identities, asked.identities, persons))
    return 'nobody approves a request of their own';
  if (asked.approvers.some((each) => sharesHuman(asker.identities, each, persons)))
    return 'you approved it already; the second approval is for another person';
  return undefined;
}

/** The keys of an entry of `persons` by the kinds of identities, and which of them is proposed first. */
const keysOfPersons = [
  ['page', 'page'],
  ['key', 'keys'],
  ['account', 'accounts'],
  ['user', 'users'],
  ['uid', 'users'],
] as const;

/** Names what an operator has to add to `persons`. */
function noPerson({ identities, loginIdentities = [] }: Words): string {
  const own = identities.filter((word) => !loginIdentities.includes(word));
  const entries = keysOfPersons.flatMap(([kind, key]) => {
    const word = own.find((each) => each.startsWith(`${kind}:`));
    return word === undefined ? [] : [`${key}: [${word.slice(kind.length + 1)}]`];
  });
  const [entry = 'you'] = entries;
  return `you may approve nothing, since no one entry of persons names you: ask an operator to add ${entry} to yours`;
}

/** Why somebody whose policy approves sees nothing of others; undefined: they do, or their policy approves nothing. */
export function whyBlind(asker: Asker, persons: ReadonlyMap<string, Person>): string | undefined {
  const isBlind = asker.policy.approve.length > 0 && humanOf(asker, persons) === undefined;
  return isBlind ? whyNobody(asker, persons) : undefined;
}

/** Why somebody may approve nothing, whatever is asked for; undefined: it is known which person acts. A sentence. */
export function whyNobody(asker: Asker, persons: ReadonlyMap<string, Person>): string | undefined {
  if (asker.whyNotApprove !== undefined) return asker.whyNotApprove;
  const { loginIdentities = [], credential } = asker;
  const person = humanOf(asker, persons);
  if (person === undefined) return noPerson(asker);
  // Another human may have become this user. A password, key or certificate says itself who it is.
  const login = credential === undefined ? personOf(loginIdentities, persons) : person;
  const isOther = loginIdentities.length > 0 && login !== person;
  if (isOther || !isOnePerson(asker, persons))
    return 'this login is not that of the same person; approve from a login of your own';
  return undefined;
}

/** The principal who has or asks for access. */
export function ownerOf({ requested }: AccessEntry): string {
  return ownerOfRequest(requested);
}

export function ownerOfRequest({ to, principal }: AuditRecord): string {
  return to ?? principal ?? '';
}

/** The kernel says that this process belongs to no login, or to root's, which is anybody's; and nothing else says who is behind it. */
export function lacksLogin({ login, credential }: Pick<Asker, 'login' | 'credential'>): boolean {
  return credential === undefined && (login === noLogin || login === rootLogin);
}

/**
 * Whether the login and credential are those of a grant; one that is not bound yet is for each that is known. Without a request nobody
 * showed who asks, and its approver may be behind the cron of its owner: then a process without a login, or in root's, has none of it.
 */
export function belongsTo({ requested }: AccessEntry, asker: Asker): boolean {
  const { login, credential } = asker;
  if (requested.by !== undefined && lacksLogin(asker)) return false;
  if (!isBound(requested)) return login !== undefined || credential !== undefined;
  const { bound } = requested;
  return (bound?.login ?? login) === login && (bound?.credential ?? credential) === credential;
}

/** Whether the same human asked for it, or gave it to another principal, as whomever. */
export function isMadeBy(
  { identities }: Pick<Asker, 'identities'>,
  { requested, approvals }: AccessEntry,
  persons: ReadonlyMap<string, Person>,
): boolean {
  const { by } = requested;
  const makers = [requested.identities ?? []];
  if (by !== undefined) {
    // The name too: a crash may have come between the request and the approval of whoever gave it.
    makers.push([by.startsWith(pagePrefix) ? by : `name:${by.slice(0, by.lastIndexOf('@'))}`]);
    for (const each of approvals) if (each.principal === by) makers.push(each.identities ?? []);
  }
  return makers.some((each) => sharesHuman(identities, each, persons));
}

/** `approvals`: those that count. */
export function approvableOf({ requested }: AccessEntry, approvals: readonly AuditRecord[]): Approvable {
  return {
    policy: requested.policy ?? '',
    users: requested.users ?? [],
    identities: requested.identities ?? [],
    approvers: approvals.map(({ identities = [] }) => identities),
  };
}

/** What of the configuration decides about approvals. */
export interface ApprovalRights {
  readonly persons: ReadonlyMap<string, Person>;
  readonly policies: ReadonlyMap<string, AskerPolicy>;
  /** Whether a person of the page may decide about access to these mail users. */
  readonly approvesOnPage: (name: string, users: readonly string[]) => boolean;
}

/**
 * The approvals that count by this configuration: of approvers, each of another person than the requester and than those before. After the
 * grant they are those that counted for it.
 */
export function countingApprovals(
  entry: AccessEntry,
  { persons, policies, approvesOnPage }: ApprovalRights,
): readonly AuditRecord[] {
  const { state, requested, approvals } = entry;
  if (state !== 'requested') return approvals;
  const asked = { policy: requested.policy ?? '', users: requested.users ?? [] };
  const humans = [requested.identities ?? []];
  return approvals.filter((approval) => {
    const { policy: name = '', identities = [], principal = '' } = approval;
    const loginIdentities = recordedLoginWords(approval);
    const policy = policies.get(name);
    // People of the page have no policy.
    const may = principal.startsWith(pagePrefix)
      ? approvesOnPage(principal.slice(pagePrefix.length), asked.users)
      : policy !== undefined && isApprover({ policy }, asked);
    if (!may || !isOnePerson({ identities, loginIdentities }, persons)) return false;
    if (humans.some((each) => sharesHuman(each, identities, persons))) return false;
    humans.push(identities);
    return true;
  });
}

/** Begins the principal of a person of the page. */
export const pagePrefix = 'page:';

/** The keys of a record that say who acts. */
export function actorKeys(asker: Asker): Partial<AuditRecord> {
  const { session, listener, peer, principal, policy, identities } = asker;
  return {
    session,
    listener,
    peer,
    principal,
    policy: policy.name === '' ? undefined : policy.name,
    version: policy.version === '' ? undefined : policy.version,
    identities,
  };
}
