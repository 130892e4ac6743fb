// Owns who is meant by a list of users and groups, in the kernel's numbers. Pure.
// It does not know names: whoever reads a configuration asks the system for their numbers.
// The rule: what the kernel did not say matches nothing.
import type { Peer } from './peer.js';

/** Everybody with one of these uids, and everybody in one of these groups. */
export interface People {
  readonly uids: ReadonlySet<number>;
  readonly gids: ReadonlySet<number>;
}

/** Whether a peer is among them: by its uid, by its own group, or by a supplementary one. */
export function isAmong(people: People, peer: Peer): boolean {
  const { uid, gid, groups = [] } = peer;
  if (uid !== undefined && people.uids.has(uid)) return true;
  if (gid !== undefined && people.gids.has(gid)) return true;
  return groups.some((each) => people.gids.has(each));
}
