// Sends a harmless command the whole way, through a listener of the running daemon to a backend and back, as the calling user.
// The configuration gives the listener and the command; the daemon decides on it and records it like any other.

import { newestMinor } from '../../doveadm/protocol/minors.js';
import { bad, doctorsReason, type Look, ok, warning } from '../../gate/health/look.js';
import { gidsOf, ourselves, userNameOf } from '../../host/machine/accounts.js';
import type { Clock } from '../../host/ports/machine.js';
import { plural } from '../../host/words/words.js';
import {
  isSocket,
  type ListenerSettings,
  routingTableOf,
  type Settings,
} from '../../rules/config/settings.js';
import { principalOf } from '../../rules/identity/principal.js';
import { assess, fateOf, plainLine } from '../../rules/policy/assess.js';
import type { Policy } from '../../rules/policy/policy.js';
import { homeOf, nothingAsked } from '../../rules/policy/route.js';
import { createPolicyChooser } from '../../rules/setup/peers.js';
import { CommandFailed, connect, SessionFault } from '../connect.js';
import { askDoor } from './server-door.js';

/** Commands that read no mail content, the most conclusive one first. */
const ofUser: readonly (readonly string[])[] = [
  ['mailbox list'],
  ['mailbox status', 'messages', 'INBOX'],
  // Only if Dovecot has the plugin.
  ['quota get'],
];
const ofServer: readonly (readonly string[])[] = [['service status'], ['process status'], ['instance list']];

const answerMs = 10_000;

interface Way {
  readonly listener: ListenerSettings;
  readonly path: string;
  readonly user: string;
  readonly words: readonly string[];
  readonly backend: string;
}

/** One finding for each backend. `users`: mail users for test commands. */
export async function lookAtWays(
  settings: Settings,
  users: readonly string[],
  clock: Clock,
): Promise<readonly Look[]> {
  const { ways, homes } = waysIn(settings, users, clock.wallMs());
  return Promise.all(
    settings.backends.map(({ name }): Promise<Look> => {
      const way = ways.get(name);
      if (way !== undefined) return walk(way, clock);
      return Promise.resolve(uncovered(settings, name, users) ?? notWalked(name, users, homes));
    }),
  );
}

/** A warning if no policy covers one of the users of that backend: then asking as another person would not help. */
function uncovered(settings: Settings, backend: string, users: readonly string[]): Look | undefined {
  const table = routingTableOf(settings);
  const covers = ({ users: own, except }: Policy, user: string): boolean =>
    own.matches(user) && !except.matches(user);
  const user = users.find((each) => {
    const home = homeOf(each, table, nothingAsked);
    const isHere = 'backends' in home && home.backends.some(({ name }) => name === backend);
    return isHere && ![...settings.policies.values()].some((policy) => covers(policy, each));
  });
  if (user === undefined) return undefined;
  const text = `no policy covers ${user} (routes: ${backend}), so every command for them is denied`;
  return warning(`way to ${backend}`, text, 'add the domain to users of a policy, if it shall be reached');
}

function notWalked(backend: string, users: readonly string[], homes: Homes): Look {
  const name = `way to ${backend}`;
  const todo = `give --user with a mail user of ${backend}, whose mailboxes are counted`;
  if (users.length === 0) return warning(name, 'no command was sent through the daemon', todo);
  const elsewhere = users.flatMap((user) => {
    const home = homes.get(user);
    return home === undefined || home === backend ? [] : [`${user} is on ${home}`];
  });
  if (elsewhere.length === users.length) return warning(name, elsewhere.join(', '), todo);
  return warning(
    name,
    'no listener lets you send it a harmless command for these users',
    'ask as a member of a team',
  );
}

/** The backend of each user whose commands go to one backend. */
type Homes = ReadonlyMap<string, string>;

/** The first path to each backend, and the users' backends, whether a listener permits these commands or not. */
function waysIn(
  settings: Settings,
  users: readonly string[],
  nowMs: number,
): { readonly ways: ReadonlyMap<string, Way>; readonly homes: Homes } {
  const { uid, gids } = ourselves();
  const table = routingTableOf(settings);
  const found = new Map<string, Way>();
  const homes = new Map<string, string>();
  const lines = [
    ...users.flatMap((user) => ofUser.map((words) => ({ user, words }))),
    ...ofServer.map((words) => ({ user: '', words })),
  ];
  for (const listener of settings.listeners) {
    const { socket, name } = listener;
    if (!isSocket(socket, 'unix') || listener.protocol !== 'doveadm') continue;
    const groups = [...new Set([...gids, ...gidsOf(uid)])];
    const policy = settings.policies.get(
      createPolicyChooser(listener)({ listener: name, uid, groups }) ?? '',
    );
    if (policy === undefined) continue;
    const person = userNameOf(uid);
    const principal = principalOf({
      listener: name,
      uid,
      ...(person !== undefined && { user: person }),
    }).text;
    const subject = { listener: name, principal, clientMinor: newestMinor, policy };
    for (const { user, words } of lines) {
      const [command = '', ...args] = words;
      const assessment = assess(
        plainLine(user, [...command.split(' '), ...args]),
        subject,
        table,
        nothingAsked,
        nowMs,
      );
      const [destination, ...others] = assessment.destinations;
      if (user !== '' && destination !== undefined && others.length === 0) homes.set(user, destination.name);
      if (fateOf(assessment) !== 'allow' || destination === undefined || others.length > 0) continue;
      if (!found.has(destination.name))
        found.set(destination.name, { listener, path: socket.path, user, words, backend: destination.name });
    }
  }
  return { ways: found, homes };
}

async function walk({ listener, path, user, words, backend }: Way, clock: Clock): Promise<Look> {
  const name = `way to ${backend}`;
  const [command = '', ...args] = words;
  const what = `${command}${user === '' ? '' : ` of ${user}`} through ${listener.name}`;
  const door = { name: path, open: (_: unknown, signal: AbortSignal) => connect({ socket: path, signal }) };
  try {
    return await askDoor(door, answerMs, async (session, signal) => {
      const startMs = clock.now();
      const rows = await session.run({ user, name: command, args, reason: doctorsReason, signal });
      const ms = Math.max(1, Math.round(clock.now() - startMs));
      return ok(name, `${what}: ${plural(rows.length, 'row')} in ${ms} ms, recorded`);
    });
  } catch (fault) {
    if (fault instanceof CommandFailed) return describeFailure(name, what, fault);
    if (fault instanceof SessionFault)
      return bad(name, `${what}: ${fault.message}`, 'look at the daemon above, and at its log');
    throw fault;
  }
}

function describeFailure(name: string, what: string, { code, message }: CommandFailed): Look {
  if (code === 'NOUSER')
    return warning(name, `${what}: Dovecot has no such user`, 'name another one with --user');
  if (code === 'NOPERM')
    return bad(
      name,
      `${what}: denied, though this file allows it`,
      'reload the daemon: it has another configuration',
    );
  return bad(name, `${what}: ${message}`, 'look at the log of the daemon, then at that of Dovecot');
}
