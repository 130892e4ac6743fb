// What is found out about a command line before anything is recorded or sent: where it would go, what it means there, whether policy
// allows it, who else its users are. A script. It does not record, count or send.
// The rules: route first, then judge for that backend's series; a command that goes to several must be allowed, and mean the same,
// in each of their series; nobody is asked about users whom the policy does not hold for.

import { type MailboxNames, namesAmong } from '../../domain/commands/mailbox-names.js';
import { allSeries, type Series } from '../../domain/commands/series.js';
import {
  isAllowed,
  isServerCommand,
  type Judgement,
  judgedBytes,
  judgeOnce,
} from '../../domain/policy/judge-line.js';
import { jointNamespaces } from '../../domain/policy/route.js';
import { areSameTerms, type Policy } from '../../domain/policy/rule.js';
import type { CommandLine } from '../../protocol/command.js';
import type { Ending } from '../outcome/outcome.js';
import type { ExchangeContext, ExchangeSession, Inquiry, KnownLine } from './exchange-context.js';
import { recordedJudgement, type SessionNames } from './exchange-records.js';
import { noAllUsers } from './refusal.js';
import type { Destination, Routed } from './router.js';

/** Never rejects. */
export async function inquire(
  context: ExchangeContext,
  session: ExchangeSession,
  line: CommandLine,
): Promise<Inquiry> {
  const { router } = context;
  const isServer = isServerCommand(line);
  const asked = isServer ? undefined : routeOf(context, session.policy, line);
  const routed = asked instanceof Promise ? await asked : asked;
  let destinations = isServer ? router.all : routed?.kind === 'to' ? [routed.destination] : [];
  // Without a user it is for all of them, or refused.
  if (!isServer && line.user === '') destinations = router.everywhere;
  const aliases = new Set(routed?.kind === 'to' ? routed.aliases : []);
  let judgement = judgeFor(context, session, line, destinations, [...aliases]);
  const stop = (obstacle: Ending): Inquiry => ({
    judgement,
    destinations: [],
    obstacle,
    aliases: [...aliases],
    isSettled: false,
  });
  if (!isAllowed(judgement)) return refused(judgement, []);
  if (judgement.attempt.everybody === 'option') {
    destinations = router.everywhere;
    judgement = judgeFor(context, session, line, destinations, []);
    if (!isAllowed(judgement)) return refused(judgement, []);
    if (judgement.series.includes('2.3')) return stop(noAllUsers);
  } else if (isServer) {
    const found = await router.ofServerCommand(judgement.attempt);
    if (found.kind === 'refused') {
      return stop({ kind: 'unparsable', code: found.code, reason: found.message });
    }
    if (found.kind !== 'to') return stop(obstacleOf(found));
    destinations = found.destinations;
    for (const alias of found.aliases) aliases.add(alias);
  } else if (routed !== undefined && routed.kind !== 'to') {
    return stop(obstacleOf(routed));
  }
  if (context.resolver !== undefined) {
    const found = await context.resolver.resolve(judgement.attempt.users);
    if (found.kind === 'failed') return stop({ kind: 'unresolved', code: found.code });
    for (const alias of found.aliases) aliases.add(alias);
  }
  if (aliases.size > judgement.attempt.aliases.length) {
    judgement = judgeFor(context, session, line, destinations, [...aliases]);
    if (!isAllowed(judgement)) return refused(judgement, [...aliases]);
  }
  const isByRoute = routed !== undefined && line.user !== '' && judgement.attempt.everybody !== 'option';
  const isUnasked = !(asked instanceof Promise) && context.resolver === undefined && aliases.size === 0;
  const isSettled = isByRoute && isUnasked;
  return { judgement, destinations, obstacle: undefined, aliases: [...aliases], isSettled };
}

function refused(judgement: Judgement, aliases: readonly string[]): Inquiry {
  return { judgement, destinations: [], obstacle: undefined, aliases, isSettled: false };
}

/** Judges the line for all these backends; for both series where there is none, or where one's is not known. */
export function judgeFor(
  context: ExchangeContext,
  session: ExchangeSession,
  line: CommandLine,
  destinations: readonly Destination[],
  aliases: readonly string[],
): Judgement {
  const series = seriesOf(destinations);
  const said = destinations.map((each) => each.sharedNamespaces);
  const names = namesAmong(destinations);
  const judgement = judgeAs(context, session, line, series, jointNamespaces(said), aliases, names);
  const others = said.filter((each) => each !== undefined);
  if (!isAllowed(judgement) || others.length === 0 || others.length === said.length) return judgement;
  // Where only some say which they have, those count as well as the usual ones.
  const again = judgeAs(context, session, line, series, jointNamespaces(others), aliases, names);
  if (!isAllowed(again)) return again;
  if (areSameTerms(again.decision.obligations, judgement.decision.obligations)) return judgement;
  return { ...judgement, kind: 'unparsable', code: 'backends-differ', message: backendsDiffer };
}

const backendsDiffer =
  'its backends have different shared namespaces, and its rules for them different terms';

/** Judges it for these series. */
export function judgeAs(
  context: ExchangeContext,
  session: Pick<ExchangeSession, 'names' | 'policy' | 'clientMinor'>,
  line: CommandLine,
  series: readonly Series[],
  sharedNamespaces: readonly string[] | undefined,
  aliases: readonly string[],
  mailboxNames: MailboxNames | undefined,
): Judgement {
  const { names, policy, clientMinor } = session;
  const asked = {
    listener: names.listener,
    principal: names.principal,
    clientMinor,
    policy,
    userNames: context.userNames,
    sharedNamespaces,
    mailboxNames,
    nowMs: context.clock.wallMs(),
    aliases: aliases.length === 0 ? undefined : aliases,
  };
  return judgeOnce(line, series, asked, context.judgements);
}

function routeOf(context: ExchangeContext, policy: Policy, line: CommandLine): Routed | Promise<Routed> {
  const user = context.userNames.normalise(line.user);
  if (user.kind === 'refused') return { kind: 'nowhere', reason: user.message };
  if (!mayNameUser(policy, user.name)) return { kind: 'nowhere', reason: 'not asked' };
  return context.router.ofUser(user.name);
}

/** Whoever may not name that user learns nothing of where he lives, and costs nobody a question. */
export function mayNameUser(policy: Policy, user: string): boolean {
  return policy.mode !== 'enforce' || (policy.users.matches(user) && !policy.except.matches(user));
}

function obstacleOf(routed: Exclude<Routed, { kind: 'to' }>): Ending {
  switch (routed.kind) {
    case 'nowhere':
      return { kind: 'unroutable', reason: routed.reason };
    case 'unasked':
      return { kind: 'unresolved', code: routed.code };
    default:
      return routed satisfies never;
  }
}

/** Of these backends; both where there is none, or where one's is not known. */
export function seriesOf(destinations: readonly Destination[]): readonly Series[] {
  const found = new Set<Series>();
  for (const { pool } of destinations) {
    if (pool.series === undefined) return allSeries;
    found.add(pool.series);
  }
  return found.size === 0 ? allSeries : allSeries.filter((series) => found.has(series));
}

/** A longer line is not asked for again and again. */
const lineBytesMax = 512;

/** What lines of a session are looked at by, besides their bytes. No text of it may hold a NUL. */
export function lineScope(policy: Policy, names: SessionNames, clientMinor: number): string {
  return `${policy.version}\0${policy.name}\0${names.listener}\0${names.principal}\0${clientMinor}\0`;
}

/** The key of a line; undefined: it is too long to be remembered. */
export function lineKey(scope: string, line: Buffer): string | undefined {
  return line.length > lineBytesMax ? undefined : scope + line.toString('latin1');
}

/** What is known of the line with that key and still holds. */
export function findLine(context: ExchangeContext, key: string): KnownLine | undefined {
  const known = context.knownLines.find(key, context.clock.wallMs());
  if (known === undefined) return undefined;
  return known.inquiry.destinations[0]?.pool.series === known.series ? known : undefined;
}

/** What a remembered line takes, in bytes: its judgement, and the same words as they came, as they are recorded and as they are sent. */
export function knownLineBytes(key: string, { line, inquiry }: KnownLine): number {
  const { judgement } = inquiry;
  const judged = judgement.kind === 'judged' ? judgedBytes(key, judgement) : 0;
  return judged + 1_500 + key.length * 4 + line.words.length * 60;
}

/** Remembers what was found out about a line, if it is to be remembered. */
export function keepLine(
  context: ExchangeContext,
  key: string,
  line: CommandLine,
  inquiry: Inquiry,
): KnownLine | undefined {
  const { judgement, destinations, obstacle, isSettled } = inquiry;
  const [destination] = destinations;
  if (!isSettled || obstacle !== undefined || judgement.kind !== 'judged') return undefined;
  if (destination === undefined || destinations.length > 1) return undefined;
  if (judgement.args.some((word) => word.isSecret)) return undefined;
  // An upstream that was greeted in between may be of another series, and what is remembered would hold for that one then.
  if (judgement.series.join() !== seriesOf(destinations).join()) return undefined;
  const known: KnownLine = {
    line,
    inquiry,
    backends: destinations.map(({ pool }) => pool.backend),
    recorded: recordedJudgement(judgement, context.redact),
    series: destination.pool.series,
    holdsUntilMs: judgement.holdsUntilMs,
    sent: undefined,
  };
  context.knownLines.keep(key, known);
  return known;
}
