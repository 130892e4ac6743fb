// Persons as a configuration names them, in the numbers of this machine. It does not know who connects.
// The rule: a name that this machine does not know is nobody, and is told.

import type { Settings } from '../config/settings.js';
import { type NameNumbers, systemNumbers } from '../host/accounts.js';
import { choosePolicy, demandsIdentity } from '../identity/choose-policy.js';
import type { Peer } from '../identity/peer.js';
import { isAmong, type People } from '../identity/people.js';
import type { ListenerSettings, PeersSettings } from '../listening/settings.js';
import type { Problem } from '../source/problem.js';

/** Everybody whom the settings mean; names that are not known are left out. */
export function peopleOf(peers: PeersSettings, numbers: NameNumbers = systemNumbers): People {
  const known = (found: number | undefined): number[] => (found === undefined ? [] : [found]);
  return {
    uids: new Set(peers.users.flatMap((name) => known(numbers.uidOf(name)))),
    gids: new Set(peers.groups.flatMap((name) => known(numbers.gidOf(name)))),
  };
}

/** Chooses among the policies of a listener by numbers that were asked for once; undefined: it does not let this peer in. */
export function createPolicyChooser(
  listener: ListenerSettings,
  numbers: NameNumbers = systemNumbers,
): (peer: Peer) => string | undefined {
  const people = new Map(peersIn(listener).map((peers) => [peers, peopleOf(peers, numbers)]));
  const asksWho = demandsIdentity(listener);
  const asksGroups = peersIn(listener).some((peers) => peers.groups.length > 0);
  return (peer) => {
    // Nobody is let in, or given what others get, because the kernel did not say who it is.
    if (asksWho && peer.uid === undefined) return undefined;
    if (asksGroups && peer.groups === undefined) return undefined;
    return choosePolicy(listener, (peers) => {
      const meant = people.get(peers);
      return meant !== undefined && isAmong(meant, peer);
    });
  };
}

/** Every list of persons that a listener has. */
function peersIn({ peers, policies }: ListenerSettings): PeersSettings[] {
  return [peers, ...policies.map((choice) => choice.peers)].filter((each) => each !== undefined);
}

/** Every name that these settings need the number of. */
export function namesIn(settings: Settings): {
  readonly users: readonly string[];
  readonly groups: readonly string[];
} {
  const { listeners } = settings;
  const set = (name: string | undefined): string[] => (name === undefined ? [] : [name]);
  return {
    users: listeners.flatMap((each) => [
      ...set(ownersOf(each).owner),
      ...peersIn(each).flatMap(({ users }) => users),
    ]),
    groups: listeners.flatMap((each) => [
      ...set(ownersOf(each).group),
      ...peersIn(each).flatMap(({ groups }) => groups),
    ]),
  };
}

/** Who this daemon is. */
export interface Ourselves {
  readonly isRoot: boolean;
  readonly uid: number;
  readonly gids: readonly number[];
}

/** Warnings about accounts: names that this machine does not know, and owners that we may not give to a socket. */
export function inspectAccounts(
  settings: Settings,
  ourselves: Ourselves,
  numbers: NameNumbers = systemNumbers,
): readonly Problem[] {
  return settings.listeners.flatMap((listener) => {
    const at = `listeners.${listener.name}`;
    const warn = (path: string, message: string): Problem => ({
      ...listener.place,
      path: `${at}.${path}`,
      message,
      severity: 'warning',
      code: 'unknown-account',
    });
    const unknown = peersIn(listener).flatMap((peers) => [
      ...peers.users
        .filter((name) => numbers.uidOf(name) === undefined)
        .map((name) => warn('peers', `this machine has no user ${name}, so the name lets nobody in`)),
      ...peers.groups
        .filter((name) => numbers.gidOf(name) === undefined)
        .map((name) => warn('peers', `this machine has no group ${name}, so the name lets nobody in`)),
    ]);
    return [...unknown, ...ownership(listener, ourselves, numbers, warn)];
  });
}

/** Only root gives a file away; a group can be set by who is in it. */
function ownership(
  listener: ListenerSettings,
  ourselves: Ourselves,
  numbers: NameNumbers,
  warn: (path: string, message: string) => Problem,
): Problem[] {
  const { owner, group } = ownersOf(listener);
  const problems: Problem[] = [];
  const uid = owner === undefined ? ourselves.uid : numbers.uidOf(owner);
  const gid = group === undefined ? undefined : numbers.gidOf(group);
  if (uid === undefined) problems.push(warn('owner', `this machine has no user ${owner ?? ''}`));
  else if (uid !== ourselves.uid && !ourselves.isRoot) {
    problems.push(warn('owner', 'cannot be set by who runs this: only root gives a socket away'));
  }
  if (group !== undefined && gid === undefined)
    problems.push(warn('group', `this machine has no group ${group}`));
  else if (gid !== undefined && !ourselves.isRoot && !ourselves.gids.includes(gid)) {
    problems.push(
      warn('group', `cannot be set by who runs this: only root, or somebody in group ${group ?? ''}, can`),
    );
  }
  return problems;
}

/** Of a socket that we make; systemd's has its own. */
function ownersOf({ socket }: ListenerSettings): { readonly owner?: string; readonly group?: string } {
  return socket.kind === 'unix' ? socket : {};
}
