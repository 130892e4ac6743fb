// The name of a peer in policy and records (`NAME@LISTENER`), and the policy that applies to it. A peer without a matching line is refused,
// and two different people never get the same principal on one listener.

import type { Peer } from '../../host/ports/peer.js';
import { numberIn } from '../../host/words/user-word.js';

export interface People {
  readonly uids: ReadonlySet<number>;
  readonly gids: ReadonlySet<number>;
}

export function isAmong(people: People, peer: Peer): boolean {
  const { uid, gid, groups = [] } = peer;
  if (uid !== undefined && people.uids.has(uid)) return true;
  if (gid !== undefined && people.gids.has(gid)) return true;
  return groups.some((each) => people.gids.has(each));
}

/** The admitted peers, and those of each policy; absent: everybody. */
export interface Choices<Peers> {
  readonly peers?: Peers;
  readonly policies: readonly { readonly peers?: Peers; readonly policy: string }[];
}

/** Name of the first policy that covers the peer; undefined: the peer is refused. */
export function choosePolicy<Peers>(
  { peers, policies }: Choices<Peers>,
  takes: (peers: Peers) => boolean,
): string | undefined {
  if (peers !== undefined && !takes(peers)) return undefined;
  return policies.find((choice) => choice.peers === undefined || takes(choice.peers))?.policy;
}

/** Name of the policy without `peers`; undefined: each policy names its peers. */
export function policyOfAnybody<Peers>({ policies }: Choices<Peers>): string | undefined {
  return policies.find((choice) => choice.peers === undefined)?.policy;
}

export function demandsIdentity<Peers>({ peers, policies }: Choices<Peers>): boolean {
  return peers !== undefined || policies.some((choice) => choice.peers !== undefined);
}

/** `text` is `NAME@LISTENER`. */
export interface Principal {
  readonly name: string;
  readonly listener: string;
  readonly text: string;
}

const maxNameBytes = 256;

/**
 * The principal of a peer: the system's user name, else the uid, else the verified account, else `-`. A system user name with another
 * possible meaning (all digits would look like a uid; `-` means no name; blanks and control characters would break a log line) is replaced
 * by the uid.
 */
export function principalOf(peer: Peer, account?: string): Principal {
  return principal(nameOf(peer, account), peer.listener);
}

/** The principal with this name on this listener; for texts that dovegate itself wrote before. */
export function principal(name: string, listener: string): Principal {
  return { name, listener, text: `${name}@${listener}` };
}

/** Reads `NAME@LISTENER`; the name may hold an `@`, a listener never does. Undefined when it is not of that form. */
export function parsePrincipal(text: string): Principal | undefined {
  const at = text.lastIndexOf('@');
  if (at <= 0 || at === text.length - 1) return undefined;
  return principal(text.slice(0, at), text.slice(at + 1));
}

function nameOf(peer: Peer, account: string | undefined): string {
  if (peer.user !== undefined && isUnmistakable(peer.user)) return peer.user;
  if (peer.uid !== undefined) return String(peer.uid);
  if (account !== undefined && account !== '') return account;
  return '-';
}

/**
 * Whether a process of this machine can have the principal with that name, judged by the form of the name. `userName`: the known name of a
 * uid; a uid with a name is not a principal.
 */
export function canBeProcess(name: string, userName: (uid: number) => string | undefined): boolean {
  const number = numberIn(name);
  if (number === undefined) return isUnmistakable(name) && !neverInNames.test(name);
  const { id: uid } = number;
  return uid !== undefined && nameOf({ listener: '', uid, user: userName(uid) }, undefined) === name;
}

/** A colon ends a field of /etc/passwd; the other characters are invisible. */
const neverInNames = /[:\p{Default_Ignorable_Code_Point}]/u;

function isUnmistakable(name: string): boolean {
  return name !== '-' && !/^[0-9]*$/.test(name) && !/[\s\p{C}]/u.test(name) && name.length <= maxNameBytes;
}
