// Converts persons in a configuration to the numbers of this machine. An unknown name matches nobody and is reported; if a file
// needs that owner, the start fails.

import { accountFiles } from '../../host/machine/account-files.js';
import { localUserName, type NameNumbers, systemNumbers, userNameOf } from '../../host/machine/accounts.js';
import { statOf } from '../../host/machine/files.js';
import { localSources } from '../../host/machine/name-service.js';
import type { Peer } from '../../host/ports/peer.js';
import { numberIn } from '../../host/words/user-word.js';
import { type Finding, finding, type Severity } from '../config/problem.js';
import {
  isSocket,
  type ListenerSettings,
  type PagePerson,
  type PageSettings,
  type PeersSettings,
  type Settings,
  type UnixSocket,
} from '../config/settings.js';
import { choosePolicy, demandsIdentity, isAmong, type People } from '../identity/principal.js';

export function peopleOf(peers: PeersSettings, numbers: NameNumbers = systemNumbers): People {
  const known = (found: number | undefined): number[] => (found === undefined ? [] : [found]);
  return {
    uids: new Set(peers.users.flatMap((name) => known(numbers.uidOf(name)))),
    gids: new Set(peers.groups.flatMap((name) => known(numbers.gidOf(name)))),
  };
}

/** Chooses among the policies of a listener, by numbers that were looked up once; undefined: it does not let this peer in. */
export function createPolicyChooser(
  listener: ListenerSettings,
  numbers: NameNumbers = systemNumbers,
): (peer: Peer) => string | undefined {
  const people = new Map(peersIn(listener).map((peers) => [peers, peopleOf(peers, numbers)]));
  const asksWho = demandsIdentity(listener);
  const asksGroups = peersIn(listener).some((peers) => peers.groups.length > 0);
  return (peer) => {
    // If the kernel did not name the peer, nobody is let in, and nobody gets the policy for others.
    if (asksWho && peer.uid === undefined) return undefined;
    if (asksGroups && peer.groups === undefined) return undefined;
    return choosePolicy(listener, (peers) => {
      const meant = people.get(peers);
      return meant !== undefined && isAmong(meant, peer);
    });
  };
}

export function* uidsNamedBy(listener: ListenerSettings, numbers: NameNumbers): Iterable<number> {
  for (const peers of peersIn(listener)) yield* peopleOf(peers, numbers).uids;
}

function peersIn({ peers, policies }: ListenerSettings): PeersSettings[] {
  return [peers, ...policies.map((choice) => choice.peers)].filter((each) => each !== undefined);
}

export function namesIn({ listeners, audit, admin }: Settings): {
  readonly users: readonly string[];
  readonly groups: readonly string[];
} {
  const set = (name: string | undefined): string[] => (name === undefined ? [] : [name]);
  const { page } = admin ?? {};
  return {
    users: [
      ...listeners.flatMap((each) => [
        ...set(ownersOf(each).owner),
        ...peersIn(each).flatMap(({ users }) => users),
      ]),
      ...(page?.people ?? []).flatMap(({ user }) => set(user)),
    ],
    groups: [
      ...listeners.flatMap((each) => [
        ...set(ownersOf(each).group),
        ...peersIn(each).flatMap(({ groups }) => groups),
      ]),
      ...set(audit.group),
      ...set(page?.socket?.group),
    ],
  };
}

export interface Ourselves {
  readonly isRoot: boolean;
  readonly uid: number;
  readonly gids: readonly number[];
  /** It is the running daemon, with the groups of its start. */
  readonly isRunning?: boolean;
  /** It is the daemon's user, and another user runs the check. */
  readonly isElsewhere?: boolean;
}

/**
 * Problems with accounts: unknown names, and owners that this process may not give to a file. `serve` does not start without an owner or a
 * group, so an unknown name is an error. If another user checks, the rights of the daemon are not certain, so the rest are warnings. A
 * running daemon knows its rights: then a wrong group of a listener's socket is an error.
 */
export function inspectAccounts(
  settings: Settings,
  ourselves: Ourselves,
  numbers: NameNumbers = systemNumbers,
): readonly Finding[] {
  const { listeners, audit, admin } = settings;
  const tellTop = teller('audit');
  return [
    ...listeners.flatMap((listener) => {
      const tell = teller(`listeners.${listener.name}`);
      const { owner, group, path = '' } = ownersOf(listener);
      return [
        ...strangers(listener, numbers, tell),
        ...(owner === undefined ? [] : inspectOwner(owner, ourselves, numbers, tell)),
        ...(group === undefined ? [] : inspectGroup(group, ourselves, numbers, tell, path, true)),
      ];
    }),
    ...(audit.group === undefined
      ? []
      : inspectGroup(audit.group, ourselves, numbers, tellTop, audit.directory)),
    ...inspectPersons(settings, numbers),
    ...(admin?.page === undefined ? [] : inspectPage(admin.page, ourselves, numbers)),
    ...(admin?.page === undefined || audit.group !== undefined ? [] : [withoutGroup()]),
  ];
}

/** A user of two persons, by name and by uid, could approve its own request: an error. An unknown user is a warning. */
function inspectPersons({ persons }: Settings, numbers: NameNumbers): Finding[] {
  // The directory is not asked here: while it is down, a start would wait for each name.
  const uidOf = (user: string): number | undefined =>
    numberIn(user)?.id ??
    accountFiles.uidOf(user) ??
    (numbers === systemNumbers ? undefined : numbers.uidOf(user));
  const isLocal = accountFiles.sourcesOf('passwd').every((source) => localSources.has(source));
  const owners = new Map<number, { readonly person: string; readonly user: string }>();
  return [...persons].flatMap(([person, { users }]) =>
    users.flatMap((user): Finding[] => {
      const uid = uidOf(user);
      const tell = teller(`persons.${person}`);
      const unknown = `this machine has no user ${user}, so no request over a UNIX socket is approved where it never had one; remove the name, or make the user`;
      if (uid === undefined) return isLocal ? [tell('users', 'warning', unknown)] : [];
      const other = owners.get(uid) ?? { person, user };
      owners.set(uid, other);
      if (other.person === person) return [];
      const message = `${user} is the same user as ${other.user} of "${other.person}"; an identity is one person`;
      return [tell('users', 'error', message)];
    }),
  );
}

function withoutGroup(): Finding {
  const message =
    'can show no records: its process is another user; add audit.group: GROUP, a group of which that user is a member';
  return finding('warning', 'admin.page', message, 'no-effect');
}

function inspectPage(page: PageSettings, ourselves: Ourselves, numbers: NameNumbers): Finding[] {
  const { group, path = '' } = page.socket ?? {};
  const tell = teller('admin.page');
  const byUid = new Map<number, PagePerson>();
  return [
    ...(group === undefined ? [] : inspectGroup(group, ourselves, numbers, tell, path)),
    ...page.people.flatMap((person): Finding[] => {
      const { name, user } = person;
      if (user === undefined) return [];
      const told = (severity: Severity, message: string): Finding[] => [
        teller(`admin.page.people.${name}`)('user', severity, message),
      ];
      const uid = numbers.uidOf(user);
      if (uid === undefined)
        return told('warning', `this machine has no user ${user}, so ${name} cannot ask`);
      const other = byUid.get(uid);
      byUid.set(uid, person);
      return other === undefined
        ? []
        : told('error', `${user} is the same user as ${other.user ?? ''} of ${other.name}`);
    }),
  ];
}

/** The groups of a user by its number, and who may read the journal's files without being in `audit.group`. */
export interface ReaderFacts {
  readonly gidsOf: (uid: number) => readonly number[];
  readonly daemonUid: number | undefined;
}

/** Finds people who see a part on the page but can read all files: by the files' group, `audit.group`, root, or the daemon's user. */
export function inspectReaders(
  settings: Settings,
  severity: Severity,
  { gidsOf, daemonUid }: ReaderFacts,
  numbers: NameNumbers = systemNumbers,
): readonly Finding[] {
  const { audit, admin } = settings;
  const { page } = admin ?? {};
  if (page === undefined) return [];
  const readers = audit.group === undefined ? undefined : numbers.gidOf(audit.group);
  const told = (path: string, message: string): Finding => finding(severity, path, message, 'too-open');
  const { group } = page.socket ?? {};
  const isShared = group !== undefined && readers !== undefined && numbers.gidOf(group) === readers;
  const shared = `is the group of audit.group too, so everybody who may connect reads the files of the whole journal; give the socket a group of its own, as dovegate-people`;
  return [
    ...(isShared ? [told('admin.page.group', shared)] : []),
    ...page.people.flatMap(({ name, user, users }): Finding[] => {
      const uid = user === undefined || users === undefined ? undefined : numbers.uidOf(user);
      if (uid === undefined) return [];
      const how =
        uid === 0
          ? 'as root; remove "users"'
          : uid === daemonUid
            ? 'as the user of the daemon; use another user'
            : readers !== undefined && gidsOf(uid).includes(readers)
              ? `as a member of ${audit.group ?? ''} (audit.group): gpasswd --delete ${user ?? ''} ${audit.group ?? ''}; or remove "users"`
              : undefined;
      if (how === undefined) return [];
      const message = `${user ?? ''} may see a part of the journal, and can read all of it in ${audit.directory} ${how}`;
      return [told(`admin.page.people.${name}.users`, message)];
    }),
  ];
}

type Tell = (key: string, severity: Severity, message: string) => Finding;

function teller(path: string): Tell {
  return (key, severity, message) => finding(severity, `${path}.${key}`, message, 'unknown-account');
}

function strangers(listener: ListenerSettings, numbers: NameNumbers, tell: Tell): Finding[] {
  const told = (word: string, name: string): Finding =>
    tell('peers', 'warning', `this machine has no ${word} ${name}, so the name lets nobody in`);
  return peersIn(listener).flatMap(({ users, groups }) => [
    ...users.filter((name) => numbers.uidOf(name) === undefined).map((name) => told('user', name)),
    ...groups.filter((name) => numbers.gidOf(name) === undefined).map((name) => told('group', name)),
  ]);
}

function missing(key: string, what: string, name: string, tell: Tell): Finding {
  return tell(
    key,
    'error',
    `this machine has no ${what} ${name}, so serve cannot start; make it, or correct the name`,
  );
}

/** Only root can give a file to another owner. */
function inspectOwner(
  name: string,
  { isRoot, uid, isElsewhere }: Ourselves,
  numbers: NameNumbers,
  tell: Tell,
): Finding[] {
  const meant = numbers.uidOf(name);
  if (meant === undefined) return [missing('owner', 'user', name, tell)];
  if (isRoot || meant === uid) return [];
  const why = 'only root can give a socket to another user, and serve does not start if it cannot';
  const who = isElsewhere === true ? `the daemon's user` : 'this user';
  return [tell('owner', 'warning', `cannot be set by ${who}: ${why}`)];
}

/** Root and members of a group can give a file to that group. */
function inspectGroup(
  name: string,
  { isRoot, uid, gids, isRunning, isElsewhere }: Ourselves,
  numbers: NameNumbers,
  tell: Tell,
  path: string,
  isUsedAtReload = false,
): Finding[] {
  const meant = numbers.gidOf(name);
  if (meant === undefined) return [missing('group', 'group', name, tell)];
  if (isRoot || gids.includes(meant)) return [];
  if (isRunning === true) {
    // The name comes from this machine's files: the daemon serves clients, and a directory could block it.
    const todo = `usermod -aG ${name} ${localUserName(uid) ?? uid}; systemctl restart dovegate`;
    const message = `dovegate runs without group ${name}, and gets new groups only at a start: ${todo}`;
    return [tell('group', isUsedAtReload ? 'error' : 'warning', message)];
  }
  if (isElsewhere === true) {
    // A group of the service only (SupplementaryGroups=) is in no database, but files that the daemon made show it.
    if (statOf(path)?.gid === meant) return [];
    const user = userNameOf(uid) ?? uid;
    const todo = `usermod --append --groups ${name} ${user}; systemctl restart dovegate`;
    const message = `the daemon's user ${user} is not in group ${name}, so serve does not start: ${todo}`;
    return [tell('group', 'warning', message)];
  }
  const why = `only root or a member of group ${name} can, and serve does not start if it cannot`;
  return [tell('group', 'warning', `cannot be set by this user: ${why}`)];
}

/** Mode and owners of a socket that the daemon creates; the unit sets them for systemd's sockets. */
function ownersOf({ socket }: ListenerSettings): Partial<UnixSocket> {
  return isSocket(socket, 'unix') ? socket : {};
}
