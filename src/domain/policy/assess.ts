// What would become of one command line: what it means, whether policy allows it, where it would go, what stands in its way. Pure.
// The daemon, `explain`, policy tests, replay and suggest all ask here, each with what it knows, so that they cannot disagree.
// The rules: route first, then judge for the series of that backend; a command for several backends must be allowed, and mean the
// same, in each of their series; nobody is asked about users whom the policy does not hold for.

import type { CommandLine } from '../../protocol/command.js';
import { allSeries, type Series } from '../commands/catalog.js';
import { type MailboxNames, namesAmong } from '../commands/mailbox-names.js';
import type { UserNames } from '../identity/user-name.js';
import {
  type Inability,
  isAllowed,
  isServerCommand,
  type JudgeContext,
  type Judged,
  type Judgement,
  type JudgementCache,
  judge,
  judgeOnce,
  type Subject,
  sooner,
  unparsable,
} from './judge.js';
import { jointNamespaces, type Route, reachable, routeUser } from './route.js';
import { areSameTerms, type Policy } from './rule.js';
import { routeServerCommand, type ServerCommandRules, type UnroutableCode } from './server-commands.js';

/** What clients of the newest series announce. Where nobody says which client asks, it is one of these, to whom `-A` means all users. */
export const minorOfToday = 4;

/** A line without flags, as configurations and people write it; `user` empty: it names none. */
export function plainLine(user: string, words: readonly string[]): CommandLine {
  return {
    debug: false,
    verbose: false,
    proxyTtl: undefined,
    hasForward: false,
    user,
    words: [...words],
    isUtf8: true,
  };
}

/** A backend, as far as judging needs it. */
export interface RoutedBackend {
  readonly name: string;
  /** Undefined: not known yet. */
  readonly series: Series | undefined;
  /** Prefixes of its shared namespaces; undefined: not said. */
  readonly sharedNamespaces: readonly string[] | undefined;
  /** Which mailboxes a name may be there; undefined: its namespaces are not said. */
  readonly mailboxNames?: MailboxNames | undefined;
}

/** What a {@link RoutingTable} is made from. */
export interface RoutingTableOptions<Backend extends RoutedBackend> {
  readonly routes: readonly Route[];
  readonly serverCommands: ServerCommandRules;
  /** In the order of the configuration. */
  readonly backends: readonly Backend[];
  readonly userNames: UserNames;
  /** Whether the userdb is asked who the users of an allowed command are. */
  readonly asksUserdb: boolean;
  /** Of backends whose series is not known, and where there is none; undefined: any. */
  readonly assumedSeries?: readonly Series[] | undefined;
  /** Judgements that are remembered; for this table only. Undefined: none are. */
  readonly remembered?: JudgementCache;
}

/** Where commands go under one configuration. */
export interface RoutingTable<Backend extends RoutedBackend = RoutedBackend>
  extends RoutingTableOptions<Backend> {
  readonly byName: ReadonlyMap<string, Backend>;
  /** Every backend that a user's route can lead to. */
  readonly everywhere: readonly Backend[];
}

export function createRoutingTable<Backend extends RoutedBackend>(
  options: RoutingTableOptions<Backend>,
): RoutingTable<Backend> {
  const byName = new Map(options.backends.map((backend) => [backend.name, backend]));
  const everywhere = reachable(options.routes, [...byName.keys()]).flatMap((name) => byName.get(name) ?? []);
  return { ...options, byName, everywhere };
}

/** What has to be looked up before a command can be assessed. */
export type Question =
  /** Where a user in normal form lives. */
  | {
      readonly kind: 'passdb';
      readonly user: string;
      readonly socket: string;
      readonly cacheTtlMs: number;
    }
  /** Which other names users in normal form have. */
  | { readonly kind: 'userdb'; readonly users: readonly string[] };

/** Where the passdb says that a user lives. */
export type PassdbAnswer =
  /** `aliases`: other names that it gives the user, in normal form. */
  | { readonly kind: 'to'; readonly backend: string; readonly aliases: readonly string[] }
  | { readonly kind: 'nowhere'; readonly reason: string }
  /** It could not be asked; `code` says why. */
  | { readonly kind: 'failed'; readonly code: string };

/** Who else the userdb says the users of a command are. */
export type UserdbAnswer =
  | { readonly kind: 'resolved'; readonly aliases: readonly string[] }
  | { readonly kind: 'failed'; readonly code: string };

/** The look-ups that are answered. */
export interface Answers {
  readonly passdb: ReadonlyMap<string, PassdbAnswer>;
  /** By {@link userdbKey}. */
  readonly userdb: ReadonlyMap<string, UserdbAnswer>;
  /**
   * `ask`: an open question ends the assessment until it is answered. `suppose`: nobody will be asked, so a user may live on any
   * backend and have no other name; the judgement then holds for all of them.
   */
  readonly whenOpen: 'ask' | 'suppose';
}

/** Nothing was asked, and nobody will be. */
export const nothingAsked = { passdb: new Map(), userdb: new Map(), whenOpen: 'suppose' } as const;

/** Nothing was asked yet. */
export const nothingKnown: Answers = { ...nothingAsked, whenOpen: 'ask' };

/** The key of the answer about these users. */
export function userdbKey(users: readonly string[]): string {
  return users.join('\0');
}

/** Why an allowed command is not carried out; never renamed, because journals hold the codes. */
export type Obstacle =
  | { readonly kind: 'unroutable'; readonly reason: string }
  /** The auth service could not say who or where a user is. */
  | { readonly kind: 'unresolved'; readonly code: string }
  /** It cannot be carried out as it was said. */
  | { readonly kind: 'unparsable'; readonly code: ObstacleCode; readonly reason: string };

/** Why a command cannot be carried out as it was said. */
export type ObstacleCode = UnroutableCode | Inability['code'] | 'several-backends' | 'all-users-series';

/** What would become of a command line. */
export interface Assessment<Backend extends RoutedBackend = RoutedBackend> {
  readonly judgement: Judgement;
  /** The backends that it may go to; where nobody was asked, more than it will. */
  readonly destinations: readonly Backend[];
  /** Why it goes nowhere, though policy may allow it. */
  readonly obstacle: Obstacle | undefined;
  /** What would have to be looked up to be sure. */
  readonly questions: readonly Question[];
  /** Other names of its users. */
  readonly aliases: readonly string[];
  /** Settled by the configuration alone: nobody was asked, and the same line will come to the same. */
  readonly isSettled: boolean;
}

/** With `whenOpen: 'ask'`: these have to be answered first. */
export interface Unanswered {
  readonly judgement: undefined;
  readonly questions: readonly Question[];
}

/** One word for what becomes of a command line. */
export type Fate = 'allow' | 'deny' | 'unparsable' | 'obstacle';

export function fateOf({ judgement, obstacle }: Pick<Assessment, 'judgement' | 'obstacle'>): Fate {
  if (judgement.kind === 'unparsable') return 'unparsable';
  if (judgement.decision.kind === 'deny') return 'deny';
  return obstacle === undefined ? 'allow' : 'obstacle';
}

/** For people. */
export function describeObstacle(obstacle: Obstacle): string {
  if (obstacle.kind !== 'unresolved') return obstacle.reason;
  return `Dovecot's auth service could not be asked about its users (${obstacle.code})`;
}

/** Why `-A` goes nowhere. */
export const noAllUsers = {
  kind: 'unparsable',
  code: 'all-users-series',
  reason: 'Dovecot 2.3 has no command for all users, and a backend here is of it, or not known yet',
} as const satisfies Obstacle;

const none: readonly never[] = [];

/** `nowMs` in Unix milliseconds. */
export function assess<Backend extends RoutedBackend>(
  line: CommandLine,
  subject: Subject,
  table: RoutingTable<Backend>,
  answers: Answers & { readonly whenOpen: 'suppose' },
  nowMs: number,
): Assessment<Backend>;
export function assess<Backend extends RoutedBackend>(
  line: CommandLine,
  subject: Subject,
  table: RoutingTable<Backend>,
  answers: Answers,
  nowMs: number,
): Assessment<Backend> | Unanswered;
export function assess<Backend extends RoutedBackend>(
  line: CommandLine,
  subject: Subject,
  table: RoutingTable<Backend>,
  answers: Answers,
  nowMs: number,
): Assessment<Backend> | Unanswered {
  const isServer = isServerCommand(line);
  const home = isServer || line.user === '' ? undefined : homeOfLine(line, subject.policy, table, answers);
  if (home?.kind === 'open') return { judgement: undefined, questions: [home.question] };
  const questions: Question[] = home?.kind === 'anywhere' ? [home.question] : [];
  const isLiving = home?.kind === 'to' || home?.kind === 'anywhere';
  let destinations = isLiving ? home.backends : isServer ? table.backends : none;
  // Without a user it is for all of them, or refused.
  if (!isServer && line.user === '') destinations = table.everywhere;
  const aliases = new Set(isLiving ? home.aliases : none);
  let judgement = judgeFor(line, subject, table, destinations, [...aliases], nowMs);
  const ended = (obstacle?: Obstacle): Assessment<Backend> => ({
    judgement,
    destinations,
    obstacle,
    questions,
    aliases: aliases.size === 0 ? none : [...aliases],
    isSettled: false,
  });
  const homeless = home === undefined || isLiving ? undefined : obstacleAt(home);
  if (judgement.kind === 'unparsable') return ended(homeless);
  const isForAll = judgement.attempt.everybody === 'option';
  if (isForAll) destinations = table.everywhere;
  if (judgement.decision.kind === 'deny') return ended(isForAll ? undefined : homeless);
  if (judgement.unable !== undefined) return ended(obstacleOf(judgement.unable));
  if (isForAll) {
    judgement = judgeFor(line, subject, table, destinations, none, nowMs);
    if (!isAllowed(judgement)) return ended();
    if (judgement.unable !== undefined) return ended(obstacleOf(judgement.unable));
    if (judgement.series.includes('2.3')) return ended(noAllUsers);
  } else if (isServer) {
    const found = homeOfServerCommand(judgement.attempt, table, answers);
    if (found.kind === 'open') return { judgement: undefined, questions: found.questions };
    if (found.kind !== 'to') return ended(obstacleAt(found));
    destinations = found.backends;
    questions.push(...found.questions);
    for (const alias of found.aliases) aliases.add(alias);
  } else if (homeless !== undefined) {
    return ended(homeless);
  } else if (home === undefined) {
    destinations = none;
    return ended({ kind: 'unroutable', reason: 'the command names no user' });
  }
  if (table.asksUserdb && judgement.attempt.users.length > 0) {
    const { users } = judgement.attempt;
    const found = answers.userdb.get(userdbKey(users));
    const question: Question = { kind: 'userdb', users };
    if (found?.kind === 'failed') return ended({ kind: 'unresolved', code: found.code });
    if (found === undefined && answers.whenOpen === 'ask')
      return { judgement: undefined, questions: [question] };
    if (found === undefined) questions.push(question);
    for (const alias of found?.aliases ?? none) aliases.add(alias);
  }
  if (aliases.size > judgement.attempt.aliases.length) {
    judgement = judgeFor(line, subject, table, destinations, [...aliases], nowMs);
    if (judgement.kind === 'judged' && judgement.unable !== undefined) {
      return ended(obstacleOf(judgement.unable));
    }
  }
  const isByRoute = home?.kind === 'to' && home.isByRoute && !isForAll;
  return { ...ended(), isSettled: isByRoute && !table.asksUserdb && aliases.size === 0 };
}

/** Judges the line for all these backends; for both series where there is none, or where the series of one is not known. */
export function judgeFor(
  line: CommandLine,
  { listener, principal, clientMinor, policy }: Subject,
  { userNames, remembered, assumedSeries }: RoutingTable,
  backends: readonly RoutedBackend[],
  aliases: readonly string[],
  nowMs: number,
  series: readonly Series[] = seriesOf(backends, assumedSeries),
): Judgement {
  const said = backends.map((each) => each.sharedNamespaces);
  const mailboxNames = namesAmong(backends);
  const judgeWith = (sharedNamespaces: readonly string[] | undefined): Judgement => {
    const context: JudgeContext = {
      listener,
      principal,
      clientMinor,
      policy,
      userNames,
      sharedNamespaces,
      mailboxNames,
      nowMs,
      aliases: aliases.length === 0 ? undefined : aliases,
    };
    return remembered === undefined
      ? judge(line, series, context)
      : judgeOnce(line, series, context, remembered);
  };
  const judgement = judgeWith(jointNamespaces(said));
  const others = said.filter((each) => each !== undefined);
  if (!isAllowed(judgement) || others.length === 0 || others.length === said.length) return judgement;
  // Where only some backends say which they have, those count as well as the usual ones.
  const again = judgeWith(jointNamespaces(others));
  if (!isAllowed(again)) return again;
  if (areSameTerms(again.decision.obligations, judgement.decision.obligations)) {
    const holdsUntilMs = sooner(judgement.holdsUntilMs, again.holdsUntilMs);
    return { ...judgement, holdsUntilMs, shadow: judgement.shadow ?? again.shadow };
  }
  const { command, effect, user, input } = judgement;
  return unparsable({ command, effect, user, input }, 'backends-differ', backendsDiffer);
}

const backendsDiffer =
  'its backends have different shared namespaces, and its rules for them different terms';

/** Of these backends; those assumed where there is none, or where one's is not known. */
export function seriesOf(
  backends: readonly RoutedBackend[],
  assumed: readonly Series[] = allSeries,
): readonly Series[] {
  const found = new Set<Series>();
  for (const { series } of backends) {
    if (series === undefined) return assumed;
    found.add(series);
  }
  return found.size === 0 ? assumed : allSeries.filter((series) => found.has(series));
}

/** Where a user lives. */
export type Home<Backend> =
  | {
      readonly kind: 'to';
      readonly backends: readonly [Backend];
      readonly aliases: readonly string[];
      /** By a route alone: nobody was asked. */
      readonly isByRoute: boolean;
    }
  /** The passdb would say it, and is not asked. */
  | {
      readonly kind: 'anywhere';
      readonly backends: readonly Backend[];
      readonly aliases: readonly never[];
      readonly question: Question;
    }
  | { readonly kind: 'open'; readonly question: Question }
  | Exclude<PassdbAnswer, { kind: 'to' }>;

/** Of a user in normal form. */
export function homeOf<Backend extends RoutedBackend>(
  user: string,
  table: RoutingTable<Backend>,
  answers: Answers,
): Home<Backend> {
  const route = routeUser(table.routes, user);
  switch (route.kind) {
    case 'none':
      return { kind: 'nowhere', reason: 'no route matches this user' };
    case 'backend':
      return named(route.backend, none, true);
    case 'ask': {
      const found = answers.passdb.get(user);
      if (found !== undefined)
        return found.kind === 'to' ? named(found.backend, found.aliases, false) : found;
      const { socket, cacheTtlMs } = route;
      const question: Question = { kind: 'passdb', user, socket, cacheTtlMs };
      if (answers.whenOpen === 'ask') return { kind: 'open', question };
      return { kind: 'anywhere', backends: table.backends, aliases: none, question };
    }
    default:
      return route satisfies never;
  }

  function named(name: string, aliases: readonly string[], isByRoute: boolean): Home<Backend> {
    const backend = table.byName.get(name);
    if (backend === undefined) return { kind: 'nowhere', reason: `there is no backend ${name}` };
    return { kind: 'to', backends: [backend], aliases, isByRoute };
  }
}

/** Whoever may not name that user learns nothing of where they live, and costs nobody a question. */
function homeOfLine<Backend extends RoutedBackend>(
  line: CommandLine,
  policy: Policy,
  table: RoutingTable<Backend>,
  answers: Answers,
): Home<Backend> {
  const user = table.userNames.normalise(line.user);
  if (user.kind === 'refused') return { kind: 'nowhere', reason: user.message };
  const mayName =
    policy.mode !== 'enforce' || (policy.users.matches(user.name) && !policy.except.matches(user.name));
  if (!mayName) return { kind: 'nowhere', reason: 'told to those only who may name this user' };
  return homeOf(user.name, table, answers);
}

/** Where a command goes that names no mailbox user. */
type ServerHome<Backend> =
  | {
      readonly kind: 'to';
      readonly backends: readonly Backend[];
      readonly aliases: readonly string[];
      readonly questions: readonly Question[];
    }
  | { readonly kind: 'open'; readonly questions: readonly Question[] }
  | { readonly kind: 'refused'; readonly code: ObstacleCode; readonly message: string }
  | Exclude<PassdbAnswer, { kind: 'to' }>;

function homeOfServerCommand<Backend extends RoutedBackend>(
  attempt: Judged['attempt'],
  table: RoutingTable<Backend>,
  answers: Answers,
): ServerHome<Backend> {
  const found = { kind: 'to', aliases: none, questions: none } as const;
  const route = routeServerCommand(table.serverCommands, [...table.byName.keys()], attempt);
  switch (route.kind) {
    case 'refused':
      return route;
    case 'all':
      return { ...found, backends: table.backends };
    case 'backend': {
      const backend = table.byName.get(route.backend);
      if (backend === undefined) return { kind: 'nowhere', reason: `there is no backend ${route.backend}` };
      return { ...found, backends: [backend] };
    }
    case 'users':
      return homeOfAll(route.users, table, answers);
    default:
      return route satisfies never;
  }
}

/** The one backend of all these users; every backend that it may be where it is not asked. */
function homeOfAll<Backend extends RoutedBackend>(
  users: readonly string[],
  table: RoutingTable<Backend>,
  answers: Answers,
): ServerHome<Backend> {
  const questions: Question[] = [];
  const aliases: string[] = [];
  const homes = new Set<Backend>();
  const possible = new Set<Backend>();
  for (const user of users) {
    const home = homeOf(user, table, answers);
    if (home.kind === 'nowhere' || home.kind === 'failed') return home;
    if (home.kind === 'open' || home.kind === 'anywhere') questions.push(home.question);
    if (home.kind === 'open') continue;
    for (const backend of home.backends) possible.add(backend);
    if (home.kind === 'to') homes.add(home.backends[0]);
    aliases.push(...home.aliases);
  }
  if (homes.size > 1) return { kind: 'refused', code: 'several-backends', message: severalBackends };
  if (questions.length > 0 && answers.whenOpen === 'ask') return { kind: 'open', questions };
  return { kind: 'to', backends: [...possible], aliases, questions };
}

const severalBackends = 'its users live on several backends; ask for those of one at a time';

function obstacleAt(
  home:
    | Exclude<PassdbAnswer, { kind: 'to' }>
    | { readonly kind: 'refused'; readonly code: ObstacleCode; readonly message: string },
): Obstacle {
  switch (home.kind) {
    case 'nowhere':
      return { kind: 'unroutable', reason: home.reason };
    case 'failed':
      return { kind: 'unresolved', code: home.code };
    case 'refused':
      return { kind: 'unparsable', code: home.code, reason: home.message };
    default:
      return home satisfies never;
  }
}

function obstacleOf({ code, message }: Inability): Obstacle {
  return { kind: 'unparsable', code, reason: message };
}
