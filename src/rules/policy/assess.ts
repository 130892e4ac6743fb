// What would happen to one command line: its meaning, the policy's decision, its destination, and obstacles. Pure. The daemon, `explain`,
// policy tests, replay and suggest all call it, each with its own knowledge, so that they cannot disagree. Route first, then judge for the
// series of that backend. A command for several backends must be allowed, and mean the same, in each of their series. There are no look-ups
// for users outside of the policy.

import { allSeries, type Series } from '../../doveadm/commands/catalog.js';
import { namesAmong } from '../../doveadm/names/mailbox-names.js';
import type { CommandLine } from '../../doveadm/protocol/command.js';
import { lateFields } from '../../doveadm/protocol/releases.js';
import {
  isAllowed,
  isServerCommand,
  type JudgeContext,
  type Judged,
  type Judgement,
  judge,
  judgeOnce,
  type Subject,
  stricterDecision,
  unparsable,
} from './judge.js';
import type { Policy } from './policy.js';
import {
  type Answers,
  type Home,
  homeOf,
  homeOfServerCommand,
  jointNamespaces,
  type Obstacle,
  type Question,
  type RoutedBackend,
  type RoutingTable,
  userdbKey,
} from './route.js';
import { areSameTerms, lesser } from './terms.js';

/** A line without flags, as written in configurations and by people; `user` empty: it names none. */
export function plainLine(user: string, words: readonly string[]): CommandLine {
  return {
    debug: false,
    verbose: false,
    proxyTtl: undefined,
    user,
    words: [...words],
    fault: undefined,
    named: undefined,
  };
}

export interface Assessment<Backend extends RoutedBackend = RoutedBackend> {
  readonly judgement: Judgement;
  /** The backends that it may go to; without look-ups possibly more than necessary. */
  readonly destinations: readonly Backend[];
  readonly obstacle: Obstacle | undefined;
  readonly questions: readonly Question[];
  readonly aliases: readonly string[];
  /** The configuration alone settled it: without look-ups, the same line gives the same result. */
  readonly isSettled: boolean;
}

/** With `whenOpen: 'ask'`: these must be answered first. */
export interface Unanswered {
  readonly judgement: undefined;
  readonly questions: readonly Question[];
}

export type Fate = 'allow' | 'deny' | 'unparsable' | 'obstacle';

export function fateOf({ judgement, obstacle }: Pick<Assessment, 'judgement' | 'obstacle'>): Fate {
  if (judgement.kind === 'unparsable') return 'unparsable';
  if (judgement.decision.kind === 'deny') return 'deny';
  return obstacle === undefined ? 'allow' : 'obstacle';
}

export function describeObstacle(obstacle: Obstacle): string {
  if (obstacle.kind !== 'unresolved') return obstacle.reason;
  return `Dovecot's auth service could not be asked about its users (${obstacle.code})`;
}

export const noAllUsers = {
  kind: 'unparsable',
  code: 'all-users-series',
  reason:
    'Dovecot 2.3 has no command for all users, and a backend here is of it, or not known yet; for each user of a list, use "dovegate send --users FILE"',
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
  const isServer = isServerCommand(line, subject.policy);
  const home = isServer || line.user === '' ? undefined : homeOfLine(line, subject.policy, table, answers);
  if (home?.kind === 'open') return { judgement: undefined, questions: home.questions };
  const questions: Question[] = home?.kind === 'to' ? [...home.questions] : [];
  // Without a user it is for all users, or refused.
  let destinations = isServer ? table.backends : table.everywhere;
  if (home !== undefined) destinations = home.kind === 'to' ? home.backends : none;
  const aliases = new Set(home?.kind === 'to' ? home.aliases : none);
  // A user without a backend is judged as if any backend could be theirs: what is wrong with the line itself comes before that.
  const homes = home?.kind === 'nowhere' ? table.everywhere : destinations;
  const judgeAt = (at: readonly Backend[]): Judgement =>
    judgeFor(line, subject, table, at, [...aliases], nowMs);
  let judgement = judgeAt(homes);
  if (home?.kind === 'nowhere' && homes.length > 1 && !isAllowed(judgement))
    judgement = homes.map((each) => judgeAt([each])).find(isAllowed) ?? judgement;
  const ended = (obstacle?: Obstacle): Assessment<Backend> => ({
    judgement,
    destinations,
    obstacle,
    questions,
    aliases: [...aliases],
    isSettled: false,
  });
  const homeless = home?.kind === 'nowhere' ? home.obstacle : undefined;
  if (judgement.kind === 'unparsable') return ended(homeless);
  const isForAll = judgement.attempt.everybody === 'option';
  if (isForAll) destinations = table.everywhere;
  if (judgement.decision.kind === 'deny') {
    const isUnable = isForAll && seriesOf(destinations, table.assumedSeries).includes('2.3');
    return ended(isUnable ? noAllUsers : isForAll ? undefined : homeless);
  }
  if (judgement.unable !== undefined) return ended(judgement.unable);
  if (isForAll) {
    judgement = judgeFor(line, subject, table, destinations, none, nowMs);
    if (!isAllowed(judgement)) return ended();
    if (judgement.unable !== undefined) return ended(judgement.unable);
    if (judgement.series.includes('2.3')) return ended(noAllUsers);
  } else if (isServer) {
    const found = homeOfServerCommand(judgement.attempt, table, answers);
    if (found.kind === 'open') return { judgement: undefined, questions: found.questions };
    if (found.kind === 'nowhere') return ended(found.obstacle);
    destinations = found.backends;
    questions.push(...found.questions);
    for (const alias of found.aliases) aliases.add(alias);
  } else if (homeless !== undefined) {
    return ended(homeless);
  } else if (home === undefined) {
    destinations = none;
    return ended({ kind: 'unroutable', reason: 'the command names no user' });
  }
  for (const destination of destinations) {
    const unfit = whyUnfit(judgement, destination);
    if (unfit !== undefined) return ended(unfit);
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
      return ended(judgement.unable);
    }
  }
  const isByRoute = home?.kind === 'to' && home.isByRoute && !isForAll;
  return { ...ended(), isSettled: isByRoute && !table.asksUserdb && aliases.size === 0 };
}

/**
 * Judges the line for all these backends; for both series if there is none, or if one's series is unknown. For a single backend of unknown
 * series, a line that only one series can read is judged for that one: the connection then shows the series, and the line is judged again
 * before it is sent. Otherwise no connection would ever be made if a replicator of 2.3 is the only client.
 */
export function judgeFor(
  line: CommandLine,
  subject: Subject,
  table: RoutingTable,
  backends: readonly RoutedBackend[],
  aliases: readonly string[],
  nowMs: number,
): Judgement {
  const series = seriesOf(backends, table.assumedSeries);
  const judgement = judgeForSeries(line, subject, table, backends, aliases, nowMs, series);
  const isShown = backends.length === 1 && backends[0]?.series === undefined;
  if (judgement.kind === 'judged' || !isShown || series.length === 1) return judgement;
  const readings = series
    .map((one) => judgeForSeries(line, subject, table, backends, aliases, nowMs, [one]))
    .filter(({ kind }) => kind === 'judged');
  const [only] = readings;
  return only === undefined || readings.length > 1 ? judgement : only;
}

function judgeForSeries(
  line: CommandLine,
  { listener, principal, clientMinor, policy, grants }: Subject,
  { userNames, remembered }: RoutingTable,
  backends: readonly RoutedBackend[],
  aliases: readonly string[],
  nowMs: number,
  series: readonly Series[],
): Judgement {
  const said = backends.map((each) => each.sharedNamespaces);
  const mailboxNames = namesAmong(backends);
  const judgeWith = (sharedNamespaces: readonly string[] | undefined): Judgement => {
    const context: JudgeContext = {
      listener,
      principal,
      clientMinor,
      policy,
      grants,
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
  // If only some backends declare their namespaces, these count as well as the usual ones.
  const again = judgeWith(jointNamespaces(others));
  if (!isAllowed(again)) return again;
  const isSameGrant = again.decision.grant === judgement.decision.grant;
  if (isSameGrant && areSameTerms(again.decision.obligations, judgement.decision.obligations)) {
    const holdsUntilMs = lesser(judgement.holdsUntilMs, again.holdsUntilMs);
    const decision = stricterDecision(judgement.decision, again.decision);
    const [one, other] = [judgement.shadow, again.shadow];
    const shadow = one && other && stricterDecision(one, other);
    return { ...judgement, decision, shadow, holdsUntilMs };
  }
  const { command, effect, user, input } = judgement;
  return unparsable({ command, effect, user, input }, 'backends-differ', backendsDiffer);
}

const backendsDiffer =
  'its backends have different shared namespaces, and its rules for them different terms';

export interface SeriesReading {
  readonly series: Series;
  readonly judgement: Judgement;
}

/** The judgements for a backend of each series alone; with one series, the judgement itself. */
export function readingsOf(
  line: CommandLine,
  subject: Subject,
  table: RoutingTable,
  { judgement, destinations, aliases }: Pick<Assessment, 'judgement' | 'destinations' | 'aliases'>,
  nowMs: number,
): readonly SeriesReading[] {
  const all = seriesOf(destinations, table.assumedSeries);
  return all.map((series) => ({
    series,
    judgement:
      all.length === 1
        ? judgement
        : judgeForSeries(line, subject, table, destinations, aliases, nowMs, [series]),
  }));
}

/** The series of these backends; the assumed ones if there is none, or if one's is unknown. */
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

/** A client that may not name that user learns nothing of the user's home, and causes no look-up. */
function homeOfLine<Backend extends RoutedBackend>(
  line: CommandLine,
  policy: Policy,
  table: RoutingTable<Backend>,
  answers: Answers,
): Home<Backend> {
  const user = table.userNames.normalise(line.user);
  const nowhere = (reason: string): Home<Backend> => ({
    kind: 'nowhere',
    obstacle: { kind: 'unroutable', reason },
  });
  if (user.kind === 'refused') return nowhere(user.message);
  const mayName =
    policy.mode !== 'enforce' || (policy.users.matches(user.name) && !policy.except.matches(user.name));
  if (!mayName) return nowhere('told to those only who may name this user');
  return homeOf(user.name, table, answers);
}

/** Why this backend must not get the command; undefined: it may. */
export function whyUnfit(
  { attempt: { command, effect, parsed } }: Pick<Judged, 'attempt'>,
  { name, server, newer = 'reads' }: Pick<RoutedBackend, 'name' | 'server' | 'newer'>,
): Obstacle | undefined {
  if (server === undefined) return undefined;
  if (server.isNewer && effect !== 'read' && newer !== 'serve') {
    const reason = `backend ${name} is newer than this dovegate knows, so it gets reads only (backends.${name}.newer: ${newer})`;
    return { kind: 'unparsable', code: 'backend-newer', reason };
  }
  if (command.name !== 'mailbox status') return undefined;
  const lacking = parsed.values
    .get('field')
    ?.find(
      (field) =>
        lateFields.has(field) && !server.late.every((late) => late['mailbox status']?.includes(field)),
    );
  if (lacking === undefined) return undefined;
  const reason =
    server.releases.length === 1
      ? `Dovecot ${server.releases.join()}, which backend ${name} is, dies of the field "${lacking}"; ask for "all"`
      : `releases of Dovecot without the field "${lacking}" die of it, and backend ${name} may be one; ask for "all", or set backends.${name}.release`;
  return { kind: 'unparsable', code: 'release-unsure', reason };
}
