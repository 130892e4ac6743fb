// Where commands go as far as the configuration alone decides: routes of mail users, and `server_commands` for commands that name no
// mailbox user. Pure: a passdb look-up is returned as a question. The first matching route counts, and users are compared in their normal
// form. Without a line in `server_commands`, only reading commands go to all backends; a command about users by name goes to the one
// backend that has them all; a mask needs a line that names the backend.

import type { Effect, Series } from '../../doveadm/commands/catalog.js';
import { GlobList } from '../../doveadm/names/glob.js';
import type { MailboxNames } from '../../doveadm/names/mailbox-names.js';
import type { UserNames } from '../../doveadm/names/user-name.js';
import type { Server } from '../../doveadm/protocol/releases.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { foldAscii } from '../../host/words/text.js';
import type { Inability, JudgementCache } from './judge.js';
import { type Route, reachable, type ServerCommandRules } from './policy.js';

export interface RoutedBackend {
  readonly name: string;
  readonly series: Series | undefined;
  /** What is known of its release; undefined: nothing yet, so it is no obstacle yet. */
  readonly server?: Server | undefined;
  /** What it gets if it is newer than the newest known release. */
  readonly newer?: 'serve' | 'reads' | 'refuse';
  /** Prefixes of its shared namespaces; undefined: not declared. */
  readonly sharedNamespaces: readonly string[] | undefined;
  /** The possible mailboxes of a name there; undefined: its namespaces are not declared. */
  readonly mailboxNames?: MailboxNames | undefined;
}

export interface RoutingTableOptions<Backend extends RoutedBackend> {
  readonly routes: readonly Route[];
  readonly serverCommands: ServerCommandRules;
  readonly backends: readonly Backend[];
  readonly userNames: UserNames;
  /** Whether the userdb is asked for aliases of an allowed command's users. */
  readonly asksUserdb: boolean;
  /** For backends with an unknown series, and if there is no backend; undefined: any. */
  readonly assumedSeries?: readonly Series[] | undefined;
  readonly remembered?: JudgementCache;
}

export interface RoutingTable<Backend extends RoutedBackend = RoutedBackend>
  extends RoutingTableOptions<Backend> {
  readonly byName: ReadonlyMap<string, Backend>;
  readonly everywhere: readonly Backend[];
}

export function createRoutingTable<Backend extends RoutedBackend>(
  options: RoutingTableOptions<Backend>,
): RoutingTable<Backend> {
  const byName = new Map(options.backends.map((backend) => [backend.name, backend]));
  const everywhere = reachable(options.routes, [...byName.keys()]).flatMap((name) => byName.get(name) ?? []);
  return { ...options, byName, everywhere };
}

export type Question =
  | {
      readonly kind: 'passdb';
      readonly user: string;
      readonly socket: string;
      readonly cacheTtlMs: number;
    }
  /** Asks for the other names of these users, which are in normal form. */
  | { readonly kind: 'userdb'; readonly users: readonly string[] };

export type PassdbAnswer =
  /** `aliases`: other names of the user from its answer, in normal form. */
  | { readonly kind: 'to'; readonly backend: string; readonly aliases: readonly string[] }
  | { readonly kind: 'nowhere'; readonly reason: string }
  | { readonly kind: 'failed'; readonly code: string };

export const isPassdbAnswer = predicateOf<PassdbAnswer>();

export type UserdbAnswer =
  | { readonly kind: 'resolved'; readonly aliases: readonly string[] }
  | { readonly kind: 'failed'; readonly code: string };

export interface Answers {
  readonly passdb: ReadonlyMap<string, PassdbAnswer>;
  /** By {@link userdbKey}. */
  readonly userdb: ReadonlyMap<string, UserdbAnswer>;
  /**
   * `ask`: an open question ends the assessment until it is answered. `suppose`: there will be no answers, so a user may live on any
   * backend and have no other name; the judgement then covers all of them.
   */
  readonly whenOpen: 'ask' | 'suppose';
}

export const nothingAsked = { passdb: new Map(), userdb: new Map(), whenOpen: 'suppose' } as const;

export const nothingKnown: Answers = { ...nothingAsked, whenOpen: 'ask' };

export function userdbKey(users: readonly string[]): string {
  return users.join('\0');
}

/** Why an allowed command is not carried out; never renamed, because journals hold the codes. */
export type Obstacle =
  | { readonly kind: 'unroutable'; readonly reason: string }
  | { readonly kind: 'unresolved'; readonly code: string }
  /** It cannot be carried out in this form. */
  | { readonly kind: 'unparsable'; readonly code: ObstacleCode; readonly reason: string };

export type ObstacleCode =
  | Inability['code']
  | 'no-server-route'
  | 'no-single-user'
  | 'several-backends'
  | 'all-users-series'
  | 'backend-newer'
  | 'release-unsure';

export type Home<Backend> =
  | {
      readonly kind: 'to';
      readonly backends: readonly Backend[];
      readonly aliases: readonly string[];
      readonly questions: readonly Question[];
      readonly isByRoute: boolean;
    }
  | { readonly kind: 'open'; readonly questions: readonly Question[] }
  | { readonly kind: 'nowhere'; readonly obstacle: Obstacle };

const none: readonly never[] = [];

function nowhere(reason: string): Home<never> {
  return { kind: 'nowhere', obstacle: { kind: 'unroutable', reason } };
}

function refused(code: ObstacleCode, reason: string): Home<never> {
  return { kind: 'nowhere', obstacle: { kind: 'unparsable', code, reason } };
}

function toBackend<Backend extends RoutedBackend>(
  name: string,
  { byName }: RoutingTable<Backend>,
  aliases: readonly string[],
  isByRoute: boolean,
): Home<Backend> {
  const backend = byName.get(name);
  if (backend === undefined) return nowhere(`there is no backend ${name}`);
  return { kind: 'to', backends: [backend], aliases, questions: none, isByRoute };
}

/** Patterns of routes that match names which differ from these in case only; empty where case is folded. */
export function routesOfOtherCases(
  { routes, userNames }: Pick<RoutingTable, 'routes' | 'userNames'>,
  users: readonly string[],
): readonly string[] {
  if (userNames.nameCase === 'fold') return [];
  const isOther = (text: string): boolean => {
    const globs = new GlobList([foldAscii(text)], { isAnyCase: true });
    return !users.includes(text) && users.some((user) => globs.matches(user));
  };
  return routes.flatMap(({ users: { texts } }) => texts.filter(isOther));
}

export function homeOf<Backend extends RoutedBackend>(
  user: string,
  table: RoutingTable<Backend>,
  answers: Answers,
): Home<Backend> {
  const target = table.routes.find((route) => route.users.matches(user))?.target;
  switch (target?.kind) {
    case undefined:
      return nowhere('no route matches this user');
    case 'backend':
      return toBackend(target.backend, table, none, true);
    case 'spread':
      return toBackend(chooseByRendezvous(user, target.backends), table, none, true);
    case 'passdb': {
      const found = answers.passdb.get(user);
      switch (found?.kind) {
        case 'to':
          return toBackend(found.backend, table, found.aliases, false);
        case 'nowhere':
          return nowhere(found.reason);
        case 'failed':
          return { kind: 'nowhere', obstacle: { kind: 'unresolved', code: found.code } };
        case undefined: {
          const { socket, cacheTtlMs } = target;
          const questions: readonly Question[] = [{ kind: 'passdb', user, socket, cacheTtlMs }];
          if (answers.whenOpen === 'ask') return { kind: 'open', questions };
          return { kind: 'to', backends: table.backends, aliases: none, questions, isByRoute: false };
        }
        default:
          return found satisfies never;
      }
    }
    default:
      return target satisfies never;
  }
}

export interface ServerCommand {
  readonly command: { readonly name: string; readonly isAdded: boolean };
  readonly effect: Effect;
  /** Users that it names literally, in normal form. */
  readonly users: readonly string[];
  readonly masks: readonly unknown[];
  readonly everybody: 'none' | 'option' | 'listing' | 'unknown';
}

/** With a single backend, everything goes there, whatever the lines are. */
export function homeOfServerCommand<Backend extends RoutedBackend>(
  { command: { name, isAdded }, effect, users, masks, everybody }: ServerCommand,
  table: RoutingTable<Backend>,
  answers: Answers,
): Home<Backend> {
  const { backends, serverCommands } = table;
  const all = { kind: 'to', backends, aliases: none, questions: none, isByRoute: true } as const;
  if (backends.length === 1) return all;
  const line = `server_commands has no line "${name}: BACKEND"`;
  const target =
    serverCommands.byCommand.get(name) ??
    // `user` is about users, and its rows from several backends cannot be joined.
    (name === 'user'
      ? { kind: 'by-user' }
      : effect === 'read' && !isAdded
        ? serverCommands.default
        : undefined);
  switch (target?.kind) {
    case undefined:
      return refused(
        'no-server-route',
        `"${name}" ${isAdded ? 'is a command of a plugin,' : 'changes something'} and there is more than one backend; ${line}`,
      );
    case 'all':
      return all;
    case 'backend':
      return toBackend(target.backend, table, none, true);
    case 'by-user':
      if (users.length > 0 && masks.length === 0 && everybody === 'none') {
        return homeOfAll(users, table, answers);
      }
      return refused(
        'no-single-user',
        `"${name}" goes where its users live, and this one names no user; ${line}`,
      );
    default:
      return target satisfies never;
  }
}

/** The one backend of all these users; without look-ups every possible one. */
function homeOfAll<Backend extends RoutedBackend>(
  users: readonly string[],
  table: RoutingTable<Backend>,
  answers: Answers,
): Home<Backend> {
  const questions: Question[] = [];
  const aliases: string[] = [];
  const homes = new Set<Backend>();
  const possible = new Set<Backend>();
  for (const user of users) {
    const home = homeOf(user, table, answers);
    if (home.kind === 'nowhere') return home;
    questions.push(...home.questions);
    if (home.kind === 'open') continue;
    for (const backend of home.backends) {
      possible.add(backend);
      if (home.questions.length === 0) homes.add(backend);
    }
    aliases.push(...home.aliases);
  }
  if (homes.size > 1) {
    return refused('several-backends', 'its users live on several backends; ask for those of one at a time');
  }
  if (questions.length > 0 && answers.whenOpen === 'ask') return { kind: 'open', questions };
  return { kind: 'to', backends: [...possible], aliases, questions, isByRoute: false };
}

/** The prefixes of shared namespaces of several backends together: undefined if one of them declares none, or if there is no backend. */
export function jointNamespaces(
  said: readonly (readonly string[] | undefined)[],
): readonly string[] | undefined {
  const all = new Set<string>();
  for (const prefixes of said) {
    if (prefixes === undefined) return undefined;
    for (const prefix of prefixes) all.add(prefix);
  }
  return said.length === 0 ? undefined : [...all];
}

/**
 * The user's one of `backends`, at least one; their order does not matter. Rendezvous hashing: the highest score wins, so an added backend
 * takes its share from all, a removed one gives its users to all others, and no other user moves. The score never changes with a release,
 * because users would move to other backends.
 */
export function chooseByRendezvous(user: string, backends: readonly string[]): string {
  const [first, ...others] = backends;
  if (first === undefined) throw new Error('a choice of no backend');
  let best = first;
  let bestScore = scoreOf(`${first}\0${user}`);
  for (const backend of others) {
    const score = scoreOf(`${backend}\0${user}`);
    // The smaller name wins among equal scores: the order of the list must not count.
    if (score > bestScore || (score === bestScore && backend < best)) {
      best = backend;
      bestScore = score;
    }
  }
  return best;
}

/** FNV-1a over the UTF-8 bytes, then the finalizer of MurmurHash3, because FNV alone leaves similar names close: 0 to 2^32 - 1. */
function scoreOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
