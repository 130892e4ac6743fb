// Who asks for access, approves it or ends it: the principal with the words that identify the human behind it, and what forbids an
// approval. Nobody approves what the same human asked for, however the two connections came about (sudo, su, a second account, a key, the
// page). An identity that cannot be known approves nothing.

import { ownersOf, type Peer } from '../../host/ports/peer.js';
import { type AccessEntry, isBound } from '../../journal/records/access-book.js';
import type { RecordedPeer } from '../../journal/records/keys.js';
import type { AuditRecord } from '../../journal/records/record.js';
import { pagePrefix } from '../../journal/records/stored.js';
import { type Human, loginIdentitiesOf, type Proof } from '../../rules/identity/human.js';
import { originOfRecord } from '../../rules/identity/origin.js';
import type { Persons } from '../../rules/identity/person.js';
import type { Policy } from '../../rules/policy/policy.js';

export type AskerPolicy = Pick<Policy, 'name' | 'version' | 'users' | 'except' | 'approve'>;

export interface Asker extends Human {
  readonly session?: string | undefined;
  readonly listener: string | undefined;
  readonly principal: string;
  /** The origin that limits count: see rules/identity/origin. */
  readonly origin: string;
  /** Further origins that the same client can have had, or will have: see {@link countsFor}. */
  readonly otherOrigins?: readonly string[] | undefined;
  readonly policy: AskerPolicy;
  readonly peer?: RecordedPeer | undefined;
  /** The login uid as text, `none` where the kernel says that there is none; undefined: over a network, or unknown. */
  readonly login: string | undefined;
  /** Changes with the password, key or certificate; undefined: the kernel identified the peer. */
  readonly credential: string | undefined;
  readonly whyNotAsk?: string | undefined;
}

/**
 * The origins that a client can have without an entry of `persons`, whatever is known about its names now. While the name of a range's
 * owner has no uid, the range has the origin `user:anna`. `owner:anna` then matches it for a client with her name, and `named:anna` matches
 * her own requests for a client from her range. A name alone is no origin: two users may have it.
 */
export function otherOriginsOf(peer: Peer, proof: Proof): readonly string[] {
  if (proof.kind !== 'kernel') return [`${proof.kind}:${proof.name}`];
  const { uid, user } = peer;
  const owners = ownersOf(peer);
  const words = new Set<string>();
  for (const each of [uid, ...owners.map((owner) => owner.uid)])
    if (each !== undefined) words.add(`uid:${each}`);
  if (user !== undefined) words.add(`owner:${user}`);
  for (const owner of owners) {
    if (owner.user === undefined) continue;
    words.add(`user:${owner.user}`);
    if (owner.uid === undefined) words.add(`named:${owner.user}`);
  }
  return [...words];
}

/**
 * Whether a request counts for this client: it has the client's origin, or one that the same client had before. The origin changes when an
 * entry of `persons` comes or goes, and when the name of a range's owner gets a uid. Logins are not compared: a process without a login can
 * set anybody's.
 */
export function countsFor(
  { origin, otherOrigins = [] }: Pick<Asker, 'origin' | 'otherOrigins'>,
  requested: AuditRecord,
  persons: Persons,
): boolean {
  const { peer, identities = [], principal = '' } = requested;
  const isOfKernel = peer?.address === undefined && !principal.startsWith(pagePrefix);
  const of = originOfRecord(requested);
  const recorded = [
    of,
    ...(of.startsWith('user:') ? [`owner:${of.slice('user:'.length)}`] : []),
    ...identities.filter((word) => /^(?:account|key):/.test(word)),
    ...(isOfKernel && peer?.uid !== undefined ? [`uid:${peer.uid}`] : []),
    ...(isOfKernel && peer?.user !== undefined ? [`named:${peer.user}`] : []),
  ];
  const own = withPersons([origin, ...otherOrigins], persons);
  return withPersons(recorded, persons).some((word) => own.includes(word));
}

function withPersons(words: readonly string[], persons: Persons): readonly string[] {
  const found = words.flatMap((word) => {
    const person = persons.personOf([word]);
    return person === undefined ? [] : [`person:${person}`];
  });
  return [...words, ...found];
}

const noLogin = 'none';
const rootLogin = '0';

export function loginOf({ address, loginUid, hasNoLogin }: Peer): string | undefined {
  if (address !== undefined) return undefined;
  return loginUid === undefined ? (hasNoLogin === true ? noLogin : undefined) : String(loginUid);
}

function recordedLoginWords({ peer, principal }: AuditRecord): readonly string[] {
  // On the page the peer is the page's process.
  if (principal?.startsWith(pagePrefix) === true) return [];
  return loginIdentitiesOf({ uid: peer?.uid, loginUid: peer?.login_uid });
}

/**
 * The one person whom these words prove, without the words of the login; undefined: none, or several. A login proves nobody, since a
 * process without one can set anybody's: it only forbids if it is another person's, as after sudo and su.
 */
export function personBehind(human: Human, persons: Persons): string | undefined {
  return persons.provenBy(provingOf(human));
}

function provingOf({ identities, loginIdentities = [], proving }: Human): readonly string[] {
  return proving ?? identities.filter((word) => !loginIdentities.includes(word));
}

/** Whether all words are of one person, including those that only forbid. */
export function isOnePerson(words: Human, persons: Persons): boolean {
  const person = personBehind(words, persons);
  return person !== undefined && persons.provenBy(words.identities) === person;
}

/**
 * Why it is unknown now which human asks, or whether they differ from the requester: a name service does not answer, or never gave the uid
 * of a user in `persons`. Undefined: it is known. `isOverKernel`: the kernel named the peer of this step or of its request.
 */
export function whyUnsure(asker: Asker, isOverKernel: boolean, persons: Persons): string | undefined {
  if (asker.isUnanswered === true)
    return 'the name service of this host does not tell the name of your uid, or whose range of /etc/subuid it is in';
  const [unknown] = persons.unknownUsers;
  if (!isOverKernel || unknown === undefined) return undefined;
  return `the name service of this host never told the uid of "${unknown}" in \`persons\``;
}

const unknownLogin =
  'the kernel does not say which login this process belongs to (it ended, or lives in another namespace)';

export function whyNotAsk(peer: Peer, proof: Proof): string | undefined {
  if (proof.kind !== 'kernel') return undefined;
  const owners = ownersOf(peer);
  const [owner] = owners;
  if (owner !== undefined && owners.every(({ isGone }) => isGone === true))
    return `/etc/subuid gives uid ${peer.uid} to ${owner.user}, and there is no such user: ask an operator to correct that line`;
  return loginOf(peer) === undefined ? unknownLogin : undefined;
}

export interface Approvable {
  readonly policy: string;
  readonly users: readonly string[];
  readonly identities: readonly string[];
  readonly approvers: readonly (readonly string[])[];
}

export function isApprover(
  { policy }: Pick<Asker, 'policy'>,
  asked: Pick<Approvable, 'policy' | 'users'>,
): boolean {
  if (!policy.approve.includes(asked.policy)) return false;
  return asked.users.every((user) => policy.users.matches(user) && !policy.except.matches(user));
}

export function whyNoApproval(asker: Asker, asked: Approvable, persons: Persons): string | undefined {
  if (!isApprover(asker, asked)) return 'your policy does not let you approve this request';
  const why = whyNobody(asker, persons);
  if (why !== undefined) return why;
  if (persons.sharesHuman(asker.identities, asked.identities))
    return 'nobody approves a request of their own';
  if (asked.approvers.some((each) => persons.sharesHuman(asker.identities, each)))
    return 'you approved it already; the second approval is for another person';
  return undefined;
}

/** Kinds of identities with their keys in an entry of `persons`; the first kind that the human has is proposed. */
const keysOfPersons = [
  ['page', 'page'],
  ['key', 'keys'],
  ['account', 'accounts'],
  ['user', 'users'],
  ['uid', 'users'],
] as const;

/** For a user of `persons` with several uids, or none: each counts as the person's, but none proves it. */
function unconfirmed(person: string): string {
  return `a user of "${person}" in \`persons\` has had several uids, or has none now; ask an operator (dovegate status, dovegate confirm)`;
}

/** Names what an operator has to add to `persons`. */
function noPerson({ peer, ...human }: Human & Pick<Asker, 'peer'>): string {
  const own = provingOf(human);
  const entries = keysOfPersons.flatMap(([kind, key]) => {
    const word = own.find((each) => each.startsWith(`${kind}:`));
    if (word === undefined) return [];
    const name = word === `uid:${peer?.uid}` ? peer?.user : undefined;
    return [`${key}: [${name ?? word.slice(kind.length + 1)}]`];
  });
  const [entry = 'you'] = entries;
  return `you may approve nothing, since no one entry of persons names you: ask an operator to add ${entry} to yours`;
}

/** Why an approver sees no requests of others; undefined: they do, or their policy approves nothing. */
export function whyBlind(asker: Asker, persons: Persons): string | undefined {
  const isBlind = asker.policy.approve.length > 0 && personBehind(asker, persons) === undefined;
  return isBlind ? whyNobody(asker, persons) : undefined;
}

/** Why this uid does not stand for the person any more: this host calls it by another name, so it may be somebody else's by now. */
function whyOther(
  { listener, credential, peer }: Asker,
  person: string,
  persons: Persons,
): string | undefined {
  const { uid, user } = peer ?? {};
  if (credential !== undefined || listener === undefined || user === undefined) return undefined;
  if (persons.names(person, user, uid)) return undefined;
  return `this host calls uid ${uid} "${user}" now, and no user of "${person}" in \`persons\` has that name; ask an operator`;
}

/** Why somebody may approve nothing, whatever is asked for; undefined: it is known which person acts. A sentence. */
export function whyNobody(asker: Asker, persons: Persons): string | undefined {
  if (asker.whyNotApprove !== undefined) return asker.whyNotApprove;
  const { loginIdentities = [], credential } = asker;
  const person = personBehind(asker, persons);
  if (person === undefined) {
    const moved = persons.personOf(provingOf(asker));
    return moved === undefined ? noPerson(asker) : unconfirmed(moved);
  }
  const renamed = whyOther(asker, person, persons);
  if (renamed !== undefined) return renamed;
  // After su or sudo the login is another human's. A password, key or certificate proves by itself who it is.
  const login = credential === undefined ? persons.personOf(loginIdentities) : person;
  const isOther = loginIdentities.length > 0 && login !== person;
  if (isOther || !isOnePerson(asker, persons))
    return 'this login is not that of the same person; approve from a login of your own';
  return undefined;
}

/** The uid that a grant is bound to; undefined: the kernel does not say who acts. */
export function uidOf(asker: Pick<Asker, 'credential' | 'listener' | 'peer'>): number | undefined {
  const { credential, listener, peer } = asker;
  return credential === undefined && listener !== undefined ? peer?.uid : undefined;
}

/** Whether it is of this principal, and of this uid: another user of the same name is somebody else. */
export function isOwnedBy({ requested }: Pick<AccessEntry, 'requested'>, asker: Asker): boolean {
  const { uid = uidOf(asker) } = requested.bound ?? {};
  return ownerOfRequest(requested) === asker.principal && uid === uidOf(asker);
}

export function ownerOf({ requested }: AccessEntry): string {
  return ownerOfRequest(requested);
}

export function ownerOfRequest({ to, principal }: AuditRecord): string {
  return to ?? principal ?? '';
}

/** The kernel says that this process belongs to no login, or to root's, which may be anybody's, and no credential says who is behind it. */
export function lacksLogin({ login, credential }: Pick<Asker, 'login' | 'credential'>): boolean {
  return credential === undefined && (login === noLogin || login === rootLogin);
}

/**
 * Whether a grant is for this login and credential; one that is not bound yet is for any known one. A grant that was given without a
 * request is not for a process without a login, or in root's: its approver may be behind a cron job of the owner.
 */
export function belongsTo({ requested }: AccessEntry, asker: Asker): boolean {
  const { login, credential } = asker;
  if (!isOwnedBy({ requested }, asker)) return false;
  if (requested.by !== undefined && lacksLogin(asker)) return false;
  if (!isBound(requested)) return login !== undefined || credential !== undefined;
  const { bound } = requested;
  return (bound?.login ?? login) === login && (bound?.credential ?? credential) === credential;
}

/** Whether this human asked for it, or gave it to another principal, under any name. */
export function isMadeBy(
  { identities }: Pick<Asker, 'identities'>,
  { requested, approvals }: AccessEntry,
  persons: Persons,
): boolean {
  const { by } = requested;
  const makers = [requested.identities ?? []];
  if (by !== undefined) {
    // The name of the giver, too: a crash may have come between the request and their approval.
    makers.push([by.startsWith(pagePrefix) ? by : `name:${by.slice(0, by.lastIndexOf('@'))}`]);
    for (const each of approvals) if (each.principal === by) makers.push(each.identities ?? []);
  }
  return makers.some((each) => persons.sharesHuman(identities, each));
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

export interface ApprovalRights {
  readonly persons: Persons;
  readonly policies: ReadonlyMap<string, AskerPolicy>;
  readonly approvesOnPage: (name: string, users: readonly string[]) => boolean;
}

/**
 * The approvals that count by this configuration: of approvers who are not locked now, each a different person from the requester and the
 * other approvers. After the grant: those that counted for it.
 */
export function countingApprovals(
  entry: Pick<AccessEntry, 'state' | 'requested'> & { readonly approvals: readonly AuditRecord[] },
  { persons, policies, approvesOnPage }: ApprovalRights,
  isLocked: (words: readonly string[]) => boolean,
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
    if (isLocked([...identities, ...loginIdentities])) return false;
    if (humans.some((each) => persons.sharesHuman(each, identities))) return false;
    humans.push(identities);
    return true;
  });
}

export function actorKeys(asker: Asker): Partial<AuditRecord> {
  const { session, listener, peer, origin, principal, policy, identities } = asker;
  return {
    session,
    listener,
    peer,
    origin,
    principal,
    policy: policy.name === '' ? undefined : policy.name,
    version: policy.version === '' ? undefined : policy.version,
    identities,
  };
}
