// Decides a statement about the policies of a configuration: it holds, a command line disproves it, or it is undecided, with the reason.
//
// It holds only if no rule could let anybody do what it excludes, with every doubt counted against it: for each requester, each rule and
// each command of the series that the backends may have, there is no mail user for whom it could be, or nothing that the command could do
// is excluded. It is disproved only by a command line that `assess`, as the daemon calls it, allows. Left out: limits, locks, commands of
// dovegate itself, and what the machine and the servers add (modes of sockets, ACLs).

import {
  type Command,
  commandsOf,
  type Effect,
  parameterNamed,
  strongerEffect,
} from '../../doveadm/commands/catalog.js';
import { touchedUsers } from '../../doveadm/meaning/reach.js';
import { createUserNames } from '../../doveadm/names/user-name.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { foldAscii } from '../../host/words/text.js';
import { mayBeGiven, mayBeObserved } from '../../rules/answers/command-list.js';
import { isForAllUsers } from '../../rules/answers/rights.js';
import { type Deed, effectVerbs, isDeed, type NeverStatement } from '../../rules/answers/statement.js';
import { isQueryTest } from '../../rules/conditions/query-test.js';
import { isValueTest, passes, type ValueTest } from '../../rules/conditions/value-test.js';
import type { Settings } from '../../rules/config/settings.js';
import type { Attempt } from '../../rules/policy/attempt.js';
import { isForEverybody, strikesAlways } from '../../rules/policy/match.js';
import type { Policy, Rule } from '../../rules/policy/policy.js';
import { givesContent } from '../story/content.js';
import { findText, setOfList, setOfMask, setOfPatterns, setOfText, type TextSet } from './language.js';
import { linesFor } from './lines.js';
import { canBe, isOnly, type Requester, requestersOf, sayRequester } from './requesters.js';
import {
  type Fate,
  fateOfLine,
  type Line,
  namersOf,
  saysWhom,
  sourceOf,
  userFor,
  viewOf,
  type Wanted,
  type World,
  worldOf,
} from './world.js';

export type Witness = ReturnType<typeof witnessOf>;

export type Proof =
  | { readonly kind: 'holds'; readonly notes: readonly string[] }
  | { readonly kind: 'disproved'; readonly witness: Witness }
  /** `reason` is a sentence without its end. */
  | { readonly kind: 'undecided'; readonly reason: string };

export const isProof = predicateOf<Proof>();

export interface ProofOptions {
  readonly nowMs: number;
  /** Whether the time for it is up. */
  readonly isOver: () => boolean;
}

/** Longest proof; beyond it the statement is undecided. */
export const proofMs = 10_000;

/** What a command may do, which is checked first, or what a command line does. */
export interface Facts {
  readonly command: Command;
  readonly effect: Effect;
  /** `asked`: by a search key or a field; what changes mail by such a key shows none of it. `given`: whatever its arguments are. */
  readonly content: 'no' | 'asked' | 'given';
}

export function isDone(deed: Deed, { command, effect, content }: Facts): boolean {
  switch (deed.kind) {
    case 'anything':
      return true;
    case 'command':
      return deed.name === command.name;
    case 'content':
      return content === 'given' || (content === 'asked' && (!deed.isRead || command.effect === 'read'));
    case 'effect': {
      const wanted = effectVerbs[deed.verb];
      if (wanted === 'destroy') return effect === wanted || command.hold === 'all';
      // A command that administers or destroys is a change, too.
      if (wanted === 'write') return strongerEffect(effect, wanted) === effect || command.hold === 'all';
      return effect === wanted;
    }
    default:
      return deed satisfies never;
  }
}

function isExcluded({ deeds, isOnly: isOnlyThese }: NeverStatement, facts: Facts): boolean {
  const does = deeds.some((deed) => isDone(deed, facts));
  if (!isOnlyThese) return does;
  // A command with `hold: 'all'` may also change and destroy, so it is permitted only if one of the deeds includes that.
  const isMeant = (deed: Deed): boolean =>
    !isDeed(deed, 'effect') || deed.verb === 'change' || deed.verb === 'destroy';
  return !(facts.command.hold === 'all' ? deeds.some((deed) => isMeant(deed) && isDone(deed, facts)) : does);
}

/** What a rule (undefined: observing) could let a command do, and the parameters that this needs. */
interface Possible extends Facts {
  readonly given: readonly string[];
}

const copiers = new Set(['batch', 'import']);

export function possibleOf(rule: Rule | undefined, command: Command): Possible[] {
  const may = (name: string): boolean => {
    const parameter = parameterNamed(command, name);
    if (parameter === undefined) return false;
    return rule === undefined ? mayBeObserved(parameter, command) : mayBeGiven(rule, command, parameter);
  };
  const dangers = command.params.filter(({ name, danger }) => danger !== undefined && may(name));
  const effects = [
    { effect: command.effect, given: [] },
    ...dangers.map(({ name, danger }) => ({
      effect: strongerEffect(command.effect, danger?.effect ?? 'read'),
      given: [name],
    })),
  ];
  const isSearch = command.params.some(({ role }) => role === 'search-query');
  const isAsking =
    (rule === undefined || rule.content) && (isSearch || command.name === 'fetch' || command.name === 'user');
  const isAlways = givesContent(command.name) || copiers.has(command.name) || command.isAdded;
  const source = sourceOf(rule, command);
  return effects.flatMap(({ effect, given }): Possible[] => [
    { command, effect, given, content: isAlways ? 'given' : 'no' },
    ...(isAsking && !isAlways ? [{ command, effect, given, content: 'asked' as const }] : []),
    ...(source === undefined
      ? []
      : [{ command, effect, given: [...given, source.name], content: 'given' as const }]),
  ]);
}

function factsOf({ command, effect, content, parsed }: Attempt): Facts {
  const isGiven = givesContent(command.name) || copiers.has(command.name) || parsed.values.has('source-user');
  return { command, effect, content: isGiven ? 'given' : content.length > 0 ? 'asked' : 'no' };
}

export function wantedOf(users: readonly string[] | undefined): Wanted | undefined {
  if (users === undefined) return undefined;
  const texts = users.map(foldAscii);
  return { set: setOfPatterns(texts, true), key: JSON.stringify(texts) };
}

/** Why no user name can match a pattern of the statement, which would then always hold; undefined: each pattern can match one. */
export function whoIsNobody(
  { settings }: World,
  { users = [] }: Pick<NeverStatement, 'users'>,
): string | undefined {
  const names = createUserNames(settings.mailUsers);
  for (const pattern of users) {
    const { why, write } = names.whyNobody(pattern, true) ?? {};
    const hint = write === undefined ? '' : `; write "${write}"`;
    if (why !== undefined) return `users: "${pattern}" matches no name that a user can have (${why})${hint}`;
  }
  return undefined;
}

/** Whether a command line touches one of these users. `unsaid`: if its backend has shared mailboxes, which the backend does not say. */
function touches(world: World, attempt: Attempt, { set }: Wanted): boolean | 'unsaid' {
  const { command, users, aliases, masks, everybody, shared, isSharedUnsaid } = attempt;
  if (everybody !== 'none' || command.hold === 'all') return true;
  const isOne = (name: TextSet): boolean =>
    findText([world.names, name, set], [], world.isOver).kind === 'text';
  if ([...users, ...aliases].some((user) => isOne(setOfText(user)))) return true;
  // An id in an ACL does not say whose mail it is.
  const isMasked = masks.some(
    ({ parameter, value, isUserMask }) =>
      parameterNamed(command, parameter)?.role !== 'acl-id' && (!isUserMask || isOne(setOfMask(value))),
  );
  if (isMasked) return true;
  if (shared === undefined) return false;
  return isSharedUnsaid ? 'unsaid' : true;
}

/** Whom a rule could be about: a user to try; undefined: nobody. */
type Reach =
  /** `source`: the parameter and the name of another user, whose mails are copied. */
  | { readonly kind: 'user'; readonly user: string; readonly source?: readonly [name: string, user: string] }
  | { readonly kind: 'too-much' }
  | undefined;

export function reachOf(
  world: World,
  policy: Policy,
  rule: Rule | undefined,
  command: Command,
  wanted: Wanted | undefined,
): Reach {
  const find = (only: Wanted | undefined): Reach => {
    const found = userFor(world, policy, rule, command, only);
    if (found.kind === 'text') return { kind: 'user', user: found.text };
    return found.kind === 'none' ? undefined : { kind: 'too-much' };
  };
  const anybody = (): Reach => {
    const found = find(undefined);
    if (found !== undefined) return found;
    const isForAll = rule !== undefined && isForAllUsers(rule, policy);
    return command.scope === 'server' || isForAll ? { kind: 'user', user: 'x' } : undefined;
  };
  if (wanted === undefined) return anybody();
  const named = command.scope === 'user' || namersOf(command).length > 0 ? find(wanted) : undefined;
  if (named !== undefined) return named;
  const source = sourceOf(rule, command);
  const copied = source && userFor(world, policy, rule, command, wanted, [], true);
  if (source !== undefined && copied?.kind === 'text') {
    const line = anybody();
    return line?.kind === 'user' ? { ...line, source: [source.name, copied.text] } : line;
  }
  if (copied !== undefined && copied.kind !== 'none') return { kind: 'too-much' };
  if (command.hold === 'all') return anybody();
  const bare = { kind: 'parsed', command, series: '2.4', values: new Map(), query: undefined } as const;
  const isListing = touchedUsers(bare, '').kind !== 'named';
  const isOpen =
    command.scope === 'server' &&
    (isListing || (namersOf(command).length > 0 && (rule === undefined || !saysWhom(rule, command))));
  if (isOpen && rule !== undefined && isForEverybody(rule, policy)) return anybody();
  const isShared = command.scope === 'user' && !world.isShareless && (rule === undefined || rule.shared);
  return isShared ? anybody() : undefined;
}

/** Whether a rule of `deny` applies to every command that the rule allows. An observing policy denies none. */
export function isSurelyDenied(
  rule: Rule | undefined,
  command: Command,
  { denyByCommand, mode }: Policy,
  isOver: () => boolean,
): boolean {
  if (rule === undefined || mode !== 'enforce') return false;
  return (denyByCommand.get(command.name) ?? []).some((deny) => {
    if (strikesAlways(deny)) return true;
    const { where = [], query, users } = deny;
    if (users !== undefined || isQueryTest(query, 'keys') || where.length === 0) return false;
    return where.every(({ parameter: name, test }) => {
      const parameter = parameterNamed(command, name);
      if (parameter === undefined) return false;
      const own = rule.where?.find((each) => each.parameter === name)?.test;
      const isDemanded =
        (own !== undefined && !passes(own, undefined)) || (parameter.isPositional && !parameter.isOptional);
      // A parameter that is left out counts as a denied value, except for a source user: then it is the user of the line.
      const isMeant = parameter.role !== 'source-user' || isDemanded;
      if (isValueTest(test, 'any')) return isMeant;
      if (isValueTest(test, 'present')) return isDemanded;
      if (isValueTest(test, 'absent')) return !mayBeGiven(rule, command, parameter);
      const allowed = own === undefined ? [] : setsOf(own);
      if (!isMeant || !isValueTest(test, 'one-of') || allowed === undefined) return false;
      return findText(allowed, [setOfPatterns(test.globs.texts, true)], isOver).kind === 'none';
    });
  });
}

/** The values that a test of `allow` accepts, as sets. Undefined: they are not known as a set. */
function setsOf(test: ValueTest): TextSet[] | undefined {
  if (isValueTest(test, 'one-of')) return test.globs.isLocation ? undefined : [setOfList(test.globs)];
  return isValueTest(test, 'any') || isValueTest(test, 'present') ? [] : undefined;
}

/** `doubt`: the first reason that leaves it undecided. */
export function holdsUnless(doubt: string | undefined): Proof {
  return doubt === undefined ? { kind: 'holds', notes: [] } : { kind: 'undecided', reason: doubt };
}

export const timeIsUp = `the time for it (${proofMs / 1000} s) ran out, or it has too many cases; name fewer users or policies`;

export function prove(statement: NeverStatement, settings: Settings, { nowMs, isOver }: ProofOptions): Proof {
  const world = worldOf(settings, nowMs, isOver);
  const wanted = wantedOf(statement.users);
  const nobody = whoIsNobody(world, statement);
  if (nobody !== undefined) return { kind: 'undecided', reason: nobody };
  let doubt: string | undefined;
  let aliases: string | undefined;
  const isMeant = (facts: Facts): boolean => isExcluded(statement, facts);
  const subjects = subjectsOf(statement, settings, nowMs);
  if (subjects.length === 0)
    return { kind: 'holds', notes: ['nobody is one of these: no listener gives them a policy'] };
  for (const { requester, isSure } of subjects) {
    const policy = viewOf(requester.policy, statement.isWithApproval);
    for (const { command, rule } of grantsOf(world, policy)) {
      const excluded = possibleOf(rule, command).filter(isMeant);
      if (excluded.length === 0 || isStale(rule, nowMs)) continue;
      if (isSurelyDenied(rule, command, policy, isOver)) continue;
      if (isOver()) return { kind: 'undecided', reason: timeIsUp };
      const reach = reachOf(world, policy, rule, command, wanted);
      if (reach === undefined) {
        const isElsewhere =
          wanted !== undefined && !statement.isByName && settings.mailUsers.resolve === undefined;
        if (
          isElsewhere &&
          reachOf(world, policy, rule, command, undefined) !== undefined &&
          command.scope === 'user'
        )
          aliases ??= `aliases: policy ${policy.name} allows "${command.name}" for others${at(rule)}, and who they are is not asked; set mail_users.resolve, or end the statement in: by name`;
        continue;
      }
      if (reach.kind === 'too-much') {
        doubt ??= timeIsUp;
        continue;
      }
      const tried = tryLines(
        { world, requester, policy, rule, command, ...reach, wanted, isMeant },
        excluded,
      );
      if ('witness' in tried && isSure) return { kind: 'disproved', witness: tried.witness };
      doubt ??=
        'witness' in tried
          ? `groups: whether it is ${sayRequester(requester)}, who may run "${command.name}"${at(rule)}, only that machine knows`
          : tried.why;
    }
  }
  return holdsUnless(doubt ?? aliases);
}

export function at(rule: Rule | undefined): string {
  return rule === undefined ? '' : ` (${rule.place.file}:${rule.place.line})`;
}

export function isStale(rule: Rule | undefined, nowMs: number): boolean {
  return rule?.expiresMs !== undefined && rule.expiresMs <= nowMs;
}

interface Asking {
  readonly requester: Requester;
  readonly isSure: boolean;
}

/** One requester for each protocol and policy: nothing else about it matters. Certain ones come first. */
function subjectsOf({ who, isForOthers }: NeverStatement, settings: Settings, nowMs: number): Asking[] {
  const found = requestersOf(settings, nowMs).flatMap((requester): Asking[] => {
    if (isForOthers)
      return who.some((each) => isOnly(each, requester, settings)) ? [] : [{ requester, isSure: true }];
    const all = who.map((each) => canBe(each, requester, settings));
    if (all.includes('yes')) return [{ requester, isSure: true }];
    return all.includes('maybe') ? [{ requester, isSure: false }] : [];
  });
  const distinct = new Map<string, Asking>();
  for (const asking of found.toSorted((one, other) => Number(other.isSure) - Number(one.isSure))) {
    const { requester } = asking;
    const key = `${requester.listener.protocol} ${requester.policy.name}`;
    if (!distinct.has(key)) distinct.set(key, asking);
  }
  return [...distinct.values()];
}

export interface Granting {
  readonly command: Command;
  readonly rule: Rule | undefined;
}

/** Each rule with each command of its name; and, of an observing policy, each command that it serves without one. */
export function grantsOf({ series }: World, policy: Policy): Granting[] {
  const rules = [...policy.allow, ...(policy.mode === 'enforce' ? policy.onRequest : [])];
  return series.flatMap((each) => {
    const commands = commandsOf(each, policy.added);
    const byName = new Map(commands.map((command) => [command.name, command]));
    return [
      ...rules.flatMap((rule) => {
        const command = byName.get(rule.command);
        return command === undefined ? [] : [{ command, rule }];
      }),
      ...(policy.mode === 'enforce'
        ? []
        : commands
            .filter(({ grant, isAdded, input }) => grant !== 'never' && !isAdded && input !== 'duplex')
            .map((command) => ({ command, rule: undefined }))),
    ];
  });
}

export interface Trial extends Granting {
  readonly world: World;
  readonly requester: Requester;
  readonly policy: Policy;
  readonly user: string;
  /** As {@link reachOf} says it. */
  readonly source?: readonly [name: string, user: string];
  readonly wanted: Wanted | undefined;
  /** Whether a line that is served does what is looked for. */
  readonly isMeant: (facts: Facts, attempt: Attempt) => boolean;
}

/** A line that does one of these, or why none was found. */
export function tryLines(
  trial: Trial,
  excluded: readonly Possible[],
): { readonly witness: Witness } | { readonly why: string } {
  const { world, requester, policy, rule, command, user, wanted, isMeant } = trial;
  let why: string | undefined;
  for (const { given, content } of excluded) {
    for (const line of linesOf(trial, given, content === 'asked')) {
      if (world.isOver()) return { why: timeIsUp };
      const fate = fateOfLine(world, requester, policy, line, 'a reason');
      if (fate.kind !== 'served') {
        if (fate.kind === 'obstacle')
          why ??= `policy ${policy.name} allows "${command.name}"${at(rule)}, and now ${fate.why}`;
        continue;
      }
      const { attempt } = fate;
      if (!isMeant(factsOf(attempt), attempt)) continue;
      const isTouched = wanted === undefined || touches(world, attempt, wanted);
      if (isTouched === true) return { witness: witnessOf(requester, policy, line, fate) };
      if (isTouched === 'unsaid')
        why = `mailboxes that others share: policy ${policy.name} allows "${command.name}" in them${at(rule)}, and a backend does not say its shared_namespaces`;
    }
  }
  if (command.isAdded && why === undefined)
    return {
      why: `"${command.name}" is a command of a plugin: what it shows or reaches is not known${at(rule)}`,
    };
  return { why: why ?? whyUntried(trial, user) };
}

/** Why no line was found: the words of a query, values, or other rules are in the way. */
function whyUntried({ policy, rule, command }: Trial, user: string): string {
  const isQuery = rule?.query !== undefined && !isQueryTest(rule.query, 'any');
  const isDenied = policy.denyByCommand.has(command.name);
  const what = isQuery
    ? 'the words of a query'
    : isDenied
      ? 'what a deny leaves of it'
      : 'the values of its parameters';
  return `${what}: policy ${policy.name} may allow "${command.name}" for ${user}${at(rule)}, and no command line was found that it does`;
}

function linesOf(
  { world, policy, rule, command, user, source }: Trial,
  given: readonly string[],
  isAboutContent: boolean,
): Line[] {
  const others = policy.denyByCommand.get(command.name) ?? [];
  const series = world.series.at(-1) ?? '2.4';
  const values = source && { values: new Map([source]) };
  const lines = linesFor({ command, series, rule, user, given, isAboutContent, others, ...values });
  return lines.map((words) => ({ user: command.scope === 'user' ? user : '', words }));
}

/** A command line that disproves a statement, with what `explain` needs to confirm it. */
export function witnessOf(
  { listener, login, peers }: Requester,
  { name }: Policy,
  { user, words }: Line,
  { series, rule, isGranted, attempt }: Extract<Fate, { kind: 'served' }>,
) {
  return {
    listener: listener.name,
    /** For people. */
    who: sayRequester({ listener, login, peers }),
    /** An account or a key. */
    account: login?.name,
    /** A user of the machine who gets that policy, by its name or uid; undefined: everybody does, or members of a group. */
    uid: login === undefined ? peers?.users[0] : undefined,
    /** Only members of groups get it. */
    isOfGroup: login === undefined && peers !== undefined && peers.users.length === 0,
    policy: name,
    /** The rule that allows it; undefined: the policy observes. */
    rule,
    user,
    words,
    /** Undefined: that of the backend. */
    series,
    isGranted,
    effect: attempt.effect,
  };
}
