// The origin of a client: whom the limits that protect others count (sessions, turns, rates and shares of the journal). One human with many
// names is one origin: all uids of a range of subordinate uids count as their owner, and all identities of an entry of `persons` as that
// person.
//
//   person:carol        an identity of `persons`
//   uid:1001            the uid of the peer of a UNIX socket, or of the owner of its range
//   user:anna           the owner of its range, while that name has no uid
//   uids:65536          uids from 65536 to 131071 without an account or a known name: the creator of one can create all of them
//   uids:65536 new      such uids before the name service was asked: a client that connects with many at once can cause this state
//   account:anna        after a login, whichever the address
//   key:panel           after a key
//   192.0.2.1           an address before the login; of an IPv6 one the /64
//   -                   no fact is known
//
// The login uid has no part in it: a process that has none may set any number in /proc/self/loginuid.
import { networkOf, ownersOf, type Peer } from '../../host/ports/peer.js';
import type { Persons } from './person.js';

export interface ProvenLogin {
  readonly account: string;
  readonly isKey?: boolean | undefined;
}

export interface OriginFacts {
  readonly persons: Pick<Persons, 'personOf'>;
  readonly isNamed: (uid: number) => boolean;
}

/** Container managers and user namespaces map uids in blocks of this size. */
const blockSize = 65_536;

export function originOf(peer: Peer, login: ProvenLogin | undefined, facts: OriginFacts): string {
  const word = wordOf(peer, login, facts);
  const person = facts.persons.personOf([word]);
  return person === undefined ? word : `person:${person}`;
}

function wordOf(peer: Peer, login: ProvenLogin | undefined, { isNamed }: OriginFacts): string {
  if (login !== undefined) return `${login.isKey === true ? 'key' : 'account'}:${login.account}`;
  const { uid, account, address } = peer;
  if (uid !== undefined) {
    const owners = ownersOf(peer);
    const owner = owners.find((each) => each.uid !== undefined) ?? owners[0];
    if (owner !== undefined) return owner.uid === undefined ? `user:${owner.user}` : `uid:${owner.uid}`;
    // Without an answer the uid keeps its own share: a directory that is down puts nobody into a stranger's share.
    if (uid < blockSize || account === 'found' || account === 'unanswered' || isNamed(uid))
      return `uid:${uid}`;
    return `uids:${uid - (uid % blockSize)}${account === 'none' ? '' : ' new'}`;
  }
  return address === undefined ? '-' : networkOf(address);
}

export function isPerson(origin: string): boolean {
  return origin.startsWith('person:');
}

export function originOfRecord({
  origin,
  peer,
}: {
  readonly origin?: unknown;
  readonly peer?: unknown;
}): string {
  if (typeof origin === 'string') return origin;
  return `uid:${typeof peer === 'object' && peer !== null && 'uid' in peer ? String(peer.uid) : ''}`;
}
