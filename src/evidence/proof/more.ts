// Decides whether a new configuration permits no requester more than the old one. It is proved if each new rule is covered, in every
// condition, by rules that the same requester had. It is disproved by a command line that the new one serves and the old one refuses.
// Limits and the number of users in a line are not compared; a reason that is no longer required counts as more. Any other setting that
// differs leaves the question undecided, except for settings in a list of those that permit nothing.

import { type Command, locationRoles, type Parameter, userRoles } from '../../doveadm/commands/catalog.js';
import { type GlobList, isMask } from '../../doveadm/names/glob.js';
import { isMailboxMask } from '../../doveadm/names/mailbox-names.js';
import { mayBeGiven } from '../../rules/answers/command-list.js';
import { isForAllUsers } from '../../rules/answers/rights.js';
import { isStatement, type MoreStatement, type Statement } from '../../rules/answers/statement.js';
import {
  comparesKey,
  isKeyTest,
  isQueryTest,
  type KeyCondition,
  keyKindOf,
  type QueryTest,
  writtenQuery,
} from '../../rules/conditions/query-test.js';
import {
  comparesValues,
  isValueTest,
  kindOf,
  passes,
  textsOfTest,
  type ValueTest,
  writtenTest,
} from '../../rules/conditions/value-test.js';
import type { Settings } from '../../rules/config/settings.js';
import { isForEverybody } from '../../rules/policy/match.js';
import type { Policy, Rule } from '../../rules/policy/policy.js';
import { findText, setOfLanguage, setOfList } from './language.js';
import { linesFor } from './lines.js';
import {
  at,
  grantsOf,
  holdsUnless,
  isStale,
  isSurelyDenied,
  type Proof,
  type ProofOptions,
  possibleOf,
  proofMs,
  prove,
  reachOf,
  timeIsUp,
  type Witness,
  witnessOf,
} from './prove.js';
import { isOnly, perhapsOf, type Requester, requestersOf, sayRequester, splitByName } from './requesters.js';
import { fateOfLine, sourceOf, userFor, viewOf, type World, worldOf } from './world.js';

export function proveNoMore(
  statement: MoreStatement,
  before: Settings,
  after: Settings,
  { nowMs, isOver }: ProofOptions,
): Proof {
  const [old, fresh] = [worldOf(before, nowMs, isOver), worldOf(after, nowMs, isOver)];
  let doubt: string | undefined;
  const differences = whatDiffers(old, fresh);
  const unknown = new Set<string>();
  for (const { requester, were, beside } of pairsOf(statement, old, fresh)) {
    for (const key of beside) unknown.add(key);
    const policy = viewOf(requester.policy, statement.isWithApproval);
    const olds = were.map(
      (each) => each && { requester: each, policy: viewOf(each.policy, statement.isWithApproval) },
    );
    if (differences === undefined && olds.every((each) => each?.policy.version === policy.version)) continue;
    for (const { command, rule } of grantsOf(fresh, policy)) {
      if (statement.exceptCommands.includes(command.name) || isStale(rule, nowMs)) continue;
      if (isOver()) return { kind: 'undecided', reason: timeIsUp };
      if (reachOf(fresh, policy, rule, command, undefined) === undefined) continue;
      if (isSurelyDenied(rule, command, policy, isOver)) continue;
      const gaps = olds.map((each) => gapOf({ fresh, policy, rule, command, was: each?.policy }));
      const gap = gaps.find((each) => each !== undefined);
      if (gap === undefined) continue;
      const trial: Trial = {
        old,
        fresh,
        requester,
        policy,
        rule,
        command,
        olds,
        gaps: gaps.flatMap((each) => each ?? []),
      };
      const found = moreBy(trial);
      if (found?.isForAll === true) return { kind: 'disproved', witness: found.witness };
      doubt ??=
        found === undefined
          ? `${gap.why}: policy ${policy.name} may allow more of "${command.name}" than before${at(rule)}, and no command line was found that shows it`
          : `groups: which policy ${sayRequester(requester)} had before only that machine knows; now "${command.name}" is allowed${at(rule)}`;
    }
  }
  doubt ??= differences;
  if (unknown.size > 0)
    doubt ??= `no proof knows what a change of these settings allows: ${[...unknown].join(', ')}`;
  return holdsUnless(doubt);
}

/**
 * The keys of each part of the settings that a proof compares, that it reports as left out (limits, locks, who can open a socket,
 * approvals), or that give nobody more. It does not know any other key, so a new setting leaves a proof undecided until it is listed here.
 */
const known = {
  settings:
    'listeners policies routes backends mailUsers catalog serverCommands limits fleetKeys state log tests places hash audit admin',
  audit:
    'directory memoryFile memoryBytes segmentBytes deadlineMs keepMs keepMinMs sizeMax unshippedBytesMax reserveBytes signKeyFile checkpointIntervalMs',
  backend:
    'name address tls caFile serverName keyPins username passwordFiles idle connections idleTimeoutMs maxLifetimeMs connectTimeoutMs greetingTimeoutMs drained',
  listener: 'name socket peers policies accounts keys refusalCell sessions sessionsPerPeer',
  login: 'name policy',
  policy:
    'name mode users except use allow deny onRequest added isForEverybody allowByCommand denyByCommand onRequestByCommand limits requests weight contact shadow place usersPlace exceptPlace written effectiveText version',
  rule: 'place command meaning where query users rootEquivalent masks shared allUsers content expiresMs obligations terms hash',
  obligations: 'reason limit limitKey alsoLimit maxMatches approvedMatches deadlineMs',
  terms: 'approvals forMs uses',
  page: 'people',
} as const;

/** The keys that differ and are not among the known ones, as they are written. */
function differing(old: object, fresh: object, part: keyof typeof known | undefined, above = ''): string[] {
  const [before, after] = [new Map(Object.entries(old)), new Map(Object.entries(fresh))];
  const left = part === undefined ? [] : known[part].split(' ');
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => !left.includes(key) && textOf(before.get(key)) !== textOf(after.get(key)))
    .map((key) => {
      const written = key.replace(/Ms$/, '').replace(/^hashes$/, 'hash');
      return above + written.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    });
}

function textOf(value: unknown): string | undefined {
  return JSON.stringify(value, (key, each: unknown) => {
    if (key === 'place') return undefined;
    return each instanceof Map || each instanceof Set ? [...each] : each;
  });
}

/** What differs beside the rules, for people. Undefined: nothing. */
function whatDiffers(old: World, fresh: World): string | undefined {
  const of = (key: string, part: (settings: Settings) => unknown): string[] =>
    JSON.stringify(part(old.settings)) === JSON.stringify(part(fresh.settings)) ? [] : [key];
  const parts = [
    ...of('mail_users', ({ mailUsers }) => mailUsers),
    ...of('catalog', ({ catalog }) => catalog?.files.map(({ hash }) => hash)),
    ...of('backends', ({ backends }) => backends.map(({ name }) => name)),
    ...fresh.settings.backends.flatMap((backend) => {
      const was = old.settings.backends.find(({ name }) => name === backend.name);
      return was === undefined ? [] : differing(was, backend, 'backend', `backends.${backend.name}.`);
    }),
    ...of('server_commands', ({ serverCommands: { default: usual, byCommand } }) => [usual, ...byCommand]),
    ...differing(old.settings.audit, fresh.settings.audit, 'audit', 'audit.'),
    ...differing(old.settings, fresh.settings, 'settings'),
    ...differingAdmin(old.settings, fresh.settings),
  ];
  const routed = findText([fresh.names, fresh.routed], [old.routed], fresh.isOver);
  if (routed.kind !== 'none')
    parts.push(routed.kind === 'text' ? `routes (${routed.text} had none)` : 'routes');
  return parts.length === 0
    ? undefined
    : `what decides beside the rules differs: ${parts.join(', ')}; prove one change after the other`;
}

/** Compares people of the page one by one: a person who was removed may do nothing more. */
function differingAdmin({ admin: old }: Settings, { admin: fresh }: Settings): string[] {
  const { page: pageBefore, ...before } = { page: undefined, ...old };
  const { page, ...after } = { page: undefined, ...fresh };
  return [
    ...differing(before, after, undefined, 'admin.'),
    ...differing({ ...pageBefore }, { ...page }, 'page', 'admin.page.'),
    ...(page?.people ?? []).flatMap((person) => {
      const was = pageBefore?.people.find(({ name }) => name === person.name);
      const path = `admin.page.people.${person.name}`;
      return was === undefined ? [path] : differing(was, person, undefined, `${path}.`);
    }),
  ];
}

/** Keys that differ in what a requester is given beside the rules. */
function differingFor({ listener, login, policy }: Requester, was: Requester | undefined): string[] {
  const path = `listeners.${listener.name}`;
  const own = login === undefined ? path : `${path}.${login.kind}s.${login.name}`;
  if (was === undefined) return [own];
  const loginAt = ({ accounts, keys }: Requester['listener']) =>
    (login?.kind === 'key' ? keys : accounts).find(({ name }) => name === login?.name);
  return [
    ...differing(was.listener, listener, 'listener', `${path}.`),
    ...differing({ ...loginAt(was.listener) }, { ...loginAt(listener) }, 'login', `${own}.`),
    ...differing(was.policy, policy, 'policy', `policies.${policy.name}.`),
  ];
}

interface Pair {
  readonly requester: Requester;
  /** What it was before. Several if only the machine knows which; undefined: it was not let in. */
  readonly were: readonly (Requester | undefined)[];
  /** Differing keys beside the rules. */
  readonly beside: readonly string[];
}

function pairsOf({ except }: MoreStatement, old: World, fresh: World): Pair[] {
  const before = requestersOf(old.settings, old.nowMs);
  const pairs = requestersOf(fresh.settings, fresh.nowMs)
    .filter((requester) => !except.some((who) => isOnly(who, requester, fresh.settings)))
    .flatMap((requester): Omit<Pair, 'beside'>[] => {
      const { listener, login } = requester;
      const there = before.filter((each) => each.listener.name === listener.name);
      if (login !== undefined) {
        const was = there.find((each) => each.login?.kind === login.kind && each.login.name === login.name);
        return [{ requester, were: [was] }];
      }
      const choices = there.filter((each) => each.login === undefined);
      const [first] = choices;
      if (first === undefined) return [{ requester, were: [undefined] }];
      const own = requestersOf(fresh.settings, fresh.nowMs).filter(
        (each) => each.listener === listener && each.login === undefined,
      );
      const peersOf = (all: readonly Requester[]): string =>
        JSON.stringify([all[0]?.listener.peers ?? null, ...all.map(({ peers }) => peers ?? null)]);
      if (peersOf(own) === peersOf(choices)) {
        const index = own.findIndex(
          ({ peers, policy }) => peers === requester.peers && policy === requester.policy,
        );
        return [{ requester, were: [choices[index]] }];
      }
      const { named, rest } = splitByName(requester);
      // Everybody was let in before only if a line without peers said so.
      const isForAll = choices.some(({ peers }) => peers === undefined);
      return [
        ...named.map((each) => ({ requester: each, were: perhapsOf(each.peers?.users[0] ?? '', choices) })),
        ...(rest === undefined
          ? []
          : [{ requester: rest, were: isForAll ? choices : [...choices, undefined] }]),
      ].filter(({ requester: each }) => !except.some((who) => isOnly(who, each, fresh.settings)));
    });
  const distinct = new Map<string, Pair>();
  for (const { requester, were } of pairs) {
    const versions = were.map((each) => each?.policy.version ?? '');
    const keys = were.flatMap((each) => differingFor(requester, each));
    const key = JSON.stringify([requester.listener.protocol, requester.policy.name, versions, keys]);
    if (!distinct.has(key)) distinct.set(key, { requester, were, beside: keys });
  }
  return [...distinct.values()];
}

/** Where a rule may go beyond those of before; `why` begins a sentence. */
interface Gap {
  readonly why: string;
  readonly user?: string;
  readonly value?: readonly [parameter: string, text: string];
}

interface Compared {
  readonly fresh: World;
  readonly policy: Policy;
  /** Undefined: the observing policy serves the command without a rule. */
  readonly rule: Rule | undefined;
  readonly command: Command;
  /** Undefined: nothing was allowed. */
  readonly was: Policy | undefined;
}

const allUsers = 'all_users: true';

/** Undefined: all that the rule allows of the command was allowed before. */
function gapOf(compared: Compared): Gap | undefined {
  const { policy, rule, command, was, fresh } = compared;
  if (was === undefined) return { why: 'a new requester' };
  if (rule === undefined) return was.mode === 'observe' ? undefined : { why: 'mode: observe' };
  if (was.mode === 'observe' && isWithinObserving(rule, command)) return undefined;
  const denied = deniedBefore(compared, was);
  if (denied !== undefined) return denied;
  const rules = [
    ...(was.allowByCommand.get(command.name) ?? []),
    ...(was.mode === 'enforce' ? (was.onRequestByCommand.get(command.name) ?? []) : []),
  ].filter((each) => !isStale(each, fresh.nowMs));
  // A grant serves fewer commands than a rule of `allow`, so an equal rule of `on_request` does not cover one of `allow`.
  const isRequest = policy.onRequest.some((each) => each === rule);
  const comparable = rules.filter((each) => isRequest || !was.onRequest.some((one) => one === each));
  let nearest: Gap | undefined;
  const covering: Rule[] = [];
  for (const each of comparable) {
    const gap = gapBetween(rule, each, compared, was);
    if (gap === undefined) covering.push(each);
    else nearest ??= gap;
  }
  if (covering.length === 0) return nearest ?? { why: 'a new rule' };
  return gapInUsers(rule, covering, compared, was);
}

/** The policy before, and its covering rules, must have covered the users of the rule. */
function gapInUsers(
  rule: Rule,
  covering: readonly Rule[],
  { fresh, policy, command }: Compared,
  was: Policy,
): Gap | undefined {
  const find = (only: GlobList | undefined, except: readonly GlobList[]) => {
    const wanted = only && { set: setOfList(only), key: JSON.stringify([only.texts, only.isAnyCase]) };
    const found = userFor(fresh, policy, rule, command, wanted, except);
    return found.kind === 'none' && sourceOf(rule, command) !== undefined
      ? userFor(fresh, policy, rule, command, wanted, except, true)
      : found;
  };
  const gap = (found: ReturnType<typeof find>, why: string): Gap | undefined =>
    found.kind === 'none' ? undefined : { why, ...(found.kind === 'text' && { user: found.text }) };
  const outside = gap(find(undefined, [was.users]), 'users') ?? gap(find(was.except, []), 'except');
  if (outside !== undefined) return outside;
  const namesOne =
    command.scope === 'user' &&
    !command.params.some(({ role }) => role === 'acl-id' || role === 'source-user');
  const lists = covering.map(({ users }) => users);
  const others = lists.flatMap((each) => each ?? []);
  const isWithinOne = (list: GlobList | undefined): boolean =>
    list === undefined || find(undefined, [list]).kind === 'none';
  const isCovered = namesOne
    ? lists.includes(undefined) || find(undefined, others).kind === 'none'
    : lists.some(isWithinOne);
  if (!isCovered) return gap(find(undefined, others), 'users of the rule') ?? { why: 'users of the rule' };
  if (!mayHaveMasks(rule, command)) return undefined;
  // Masks are compared by their texts.
  const hasAll = (one: GlobList | undefined, other: GlobList | undefined): boolean =>
    other === undefined || (one !== undefined && one.texts.every((text) => other.has(text)));
  const isByText = covering.some(
    (each) =>
      isForEverybody(each, was) ||
      (!isForEverybody(rule, policy) &&
        hasAll(policy.users, was.users) &&
        hasAll(was.except, policy.except) &&
        hasAll(rule.users, each.users)),
  );
  return isByText ? undefined : { why: 'masks of users' };
}

function mayHaveMasks(rule: Rule, command: Command): boolean {
  if (rule.masks || rule.allUsers) return true;
  return (rule.where ?? []).some(({ parameter, test }) => {
    const role = command.params.find(({ name }) => name === parameter)?.role;
    const isOfUsers = userRoles.has(role) || role === 'acl-id';
    return isOfUsers && comparesValues(test) && textsOfTest(test)?.some(isMask) !== false;
  });
}

/** A rule of `deny` before that may apply to what the rule allows now. */
function deniedBefore({ policy, rule, command, fresh }: Compared, was: Policy): Gap | undefined {
  if (rule === undefined) return undefined;
  const now = (policy.denyByCommand.get(command.name) ?? []).map(({ meaning }) => JSON.stringify(meaning));
  for (const deny of was.denyByCommand.get(command.name) ?? []) {
    if (deny.meaning !== undefined && now.includes(JSON.stringify(deny.meaning))) continue;
    const { where = [], query, users } = deny;
    const isOfUsers = where.length === 0 && !isQueryTest(query, 'keys') && users !== undefined;
    if (isOfUsers && !mayHaveMasks(rule, command)) {
      const only = { set: setOfList(users), key: JSON.stringify([users.texts, users.isAnyCase]) };
      const found = userFor(fresh, policy, rule, command, only);
      if (found.kind === 'none') continue;
      return { why: 'a deny of before', ...(found.kind === 'text' && { user: found.text }) };
    }
    return { why: 'a deny of before' };
  }
  return undefined;
}

/** Whether an observing policy serves all that the rule allows. */
function isWithinObserving(rule: Rule, command: Command): boolean {
  const { grant, isAdded, input, params } = command;
  if (grant === 'never' || isAdded || input === 'duplex' || mayHaveMasks(rule, command)) return false;
  return params.every((parameter) => {
    if (!mayBeGiven(rule, command, parameter)) return true;
    const { role, caution, danger } = parameter;
    if (role === 'acl-id' || role === 'source-user') return false;
    return (
      caution === 'free' || ((role === undefined || role === 'output-fields') && danger?.effect !== 'session')
    );
  });
}

/** Compares two rules in everything except users. Undefined: the old one covers the new one. */
function gapBetween(
  rule: Rule,
  old: Rule,
  { policy, command, fresh }: Compared,
  was: Policy,
): Gap | undefined {
  for (const key of ['masks', 'shared', 'content'] as const)
    if (rule[key] && !old[key]) return { why: `${key}: true` };
  if (isForAllUsers(rule, policy) && !isForAllUsers(old, was)) return { why: allUsers };
  const terms = policy.onRequest.find((each) => each === rule)?.terms;
  const oldTerms = was.onRequest.find((each) => each === old)?.terms;
  const [unknown] = [
    ...differing(old, rule, 'rule'),
    ...differing(old.obligations, rule.obligations, 'obligations'),
    ...(terms === undefined || oldTerms === undefined ? [] : differing(oldTerms, terms, 'terms')),
  ];
  if (unknown !== undefined) return { why: unknown };
  if (isMore(rule.obligations.maxMatches, old.obligations.maxMatches)) return { why: 'max_matches' };
  if (isMore(terms?.forMs, oldTerms?.forMs)) return { why: 'for' };
  if (isMore(terms?.uses, oldTerms?.uses)) return { why: 'uses' };
  if (old.obligations.reason && !rule.obligations.reason) return { why: 'a reason is not required any more' };
  if (old.expiresMs !== undefined && (rule.expiresMs === undefined || rule.expiresMs > old.expiresMs))
    return { why: 'time' };
  for (const parameter of command.params) {
    // Compared above: the parameter does nothing under a policy that is not for everybody.
    if (parameter.caution === 'all-users') continue;
    const gap = gapInParameter(parameter, rule, old, command, fresh.isOver);
    if (gap !== undefined) return gap;
  }
  return coversQuery(old.query, rule.query, fresh.isOver) ? undefined : { why: 'the words of a query' };
}

function isMore(value = Infinity, old = Infinity): boolean {
  return value > old;
}

function gapInParameter(
  parameter: Parameter,
  rule: Rule,
  old: Rule,
  command: Command,
  isOver: () => boolean,
): Gap | undefined {
  const { name, role, isPositional, isOptional } = parameter;
  if (role === 'search-query' || (role === 'user' && command.scope === 'user')) return undefined;
  const testOf = ({ where = [] }: Rule): ValueTest | undefined =>
    where.find((each) => each.parameter === name)?.test;
  const [test, oldTest] = [testOf(rule), testOf(old)];
  const why = `its parameter ${name}`;
  if (!mayBeGiven(rule, command, parameter))
    return oldTest === undefined || passes(oldTest, undefined) ? undefined : { why };
  if (!mayBeGiven(old, command, parameter)) return { why };
  if (oldTest === undefined || isValueTest(oldTest, 'any')) return undefined;
  if (test !== undefined && isSameText(writtenTest(test), writtenTest(oldTest))) return undefined;
  const mayLack = test === undefined ? isOptional || !isPositional : passes(test, undefined);
  if (mayLack && !passes(oldTest, undefined)) return { why };
  if (!comparesValues(oldTest)) return isValueTest(oldTest, 'absent') ? { why } : undefined;
  if (test === undefined || !comparesValues(test) || locationRoles.has(role)) return { why };
  const [kind, oldKind] = [kindOf(test), kindOf(oldTest)];
  if (kind === oldKind && kind.isWithin?.(test, oldTest) === true) return undefined;
  const [language, oldLanguage] = [kind.language?.(test), oldKind.language?.(oldTest)];
  if (language === undefined || oldLanguage === undefined || oldKind.isExact) return { why };
  const texts = textsOfTest(test) ?? [];
  if (isValueTest(oldTest, 'regex') && texts.some((text) => text.includes('*')) && !kind.isExact)
    return { why };
  // A mask is covered only if the old rule has it word for word, or covers everything.
  const has = (text: string): boolean =>
    isValueTest(oldTest, 'one-of') && (oldTest.globs.isEverything || oldTest.globs.has(text));
  const isOfUsers = userRoles.has(role) || role === 'acl-id';
  const isLiteral = (text: string): boolean =>
    isOfUsers ? isMask(text) : kind.isExact === true && isMailboxMask(text);
  if (texts.some((text) => isLiteral(text) && !has(text))) return { why };
  const found = findText([setOfLanguage(language)], [setOfLanguage(oldLanguage)], isOver);
  if (found.kind === 'none') return undefined;
  return { why, ...(found.kind === 'text' && { value: [name, found.text] as const }) };
}

function isSameText(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Whether each query that passes the one test surely passes the old one. */
function coversQuery(
  old: QueryTest | undefined,
  test: QueryTest | undefined,
  isOver: () => boolean,
): boolean {
  if (old === undefined || isQueryTest(old, 'any')) return true;
  if (test === undefined) return false;
  if (!isQueryTest(old, 'keys') || !isQueryTest(test, 'keys'))
    return isSameText(writtenQuery(old), writtenQuery(test));
  const implies = (conditions: readonly KeyCondition[], wanted: readonly KeyCondition[]): boolean =>
    wanted.every((each) => conditions.some((one) => impliesKey(one, each, isOver)));
  if (!implies(test.conditions, old.conditions)) return false;
  if (old.anyOf.length === 0) return true;
  const groups = test.anyOf.length === 0 ? [[]] : test.anyOf;
  return groups.every((group) => old.anyOf.some((each) => implies([...test.conditions, ...group], each)));
}

function impliesKey({ key, test }: KeyCondition, old: KeyCondition, isOver: () => boolean): boolean {
  const wanted = old.test;
  if (key !== old.key || !isKeyTest(test, wanted.kind)) return false;
  if (!isKeyTest(wanted, 'one-of') || !isKeyTest(test, 'one-of'))
    return !comparesKey(wanted) || !comparesKey(test) || keyKindOf(test).isWithin?.(test, wanted) === true;
  // `*` passes a value only if it narrows the search, so it covers only `*`, or any mailbox. Masks are covered only word for word.
  if (wanted.globs.isEverything) return test.globs.isEverything || key === 'mailbox';
  if (test.globs.texts.some((text) => (isMask(text) || isMailboxMask(text)) && !wanted.globs.has(text)))
    return false;
  return findText([setOfList(test.globs)], [setOfList(wanted.globs)], isOver).kind === 'none';
}

interface Trial extends Omit<Compared, 'was'> {
  readonly old: World;
  readonly requester: Requester;
  readonly olds: readonly ({ readonly requester: Requester; readonly policy: Policy } | undefined)[];
  readonly gaps: readonly Gap[];
}

/** A line that is served now and was refused before. `isForAll`: whichever requester it was before. */
function moreBy(trial: Trial): { readonly witness: Witness; readonly isForAll: boolean } | undefined {
  const { old, fresh, requester, policy, rule, command, olds, gaps } = trial;
  const usual = userFor(fresh, policy, rule, command, undefined);
  const users = new Set([
    ...gaps.flatMap(({ user }) => user ?? []),
    usual.kind === 'text' ? usual.text : 'x',
  ]);
  const values = new Map(gaps.flatMap(({ value }) => (value === undefined ? [] : [value])));
  const others = [policy, ...olds.flatMap((each) => (each === undefined ? [] : [each.policy]))].flatMap(
    ({ denyByCommand }) => denyByCommand.get(command.name) ?? [],
  );
  const series = fresh.series.at(-1) ?? '2.4';
  const named = command.params.filter(
    (each) =>
      rule !== undefined && each.caution === 'named' && !each.isPositional && mayBeGiven(rule, command, each),
  );
  const givens = [
    ...possibleOf(rule, command),
    ...named.map(({ name }) => ({ given: [name], content: 'no' as const })),
  ];
  const isOfAllUsers = gaps.every(({ why }) => why === allUsers);
  let partly: Witness | undefined;
  for (const user of users) {
    for (const { given, content } of givens) {
      const wish = {
        command,
        series,
        rule,
        user,
        given,
        isAboutContent: content === 'asked',
        others,
        values,
      };
      for (const words of linesFor(wish)) {
        if (fresh.isOver()) return undefined;
        const asked = isOfAllUsers
          ? { user: '', words: [...command.words, '-A', ...words.slice(command.words.length)] }
          : { user: command.scope === 'user' ? user : '', words };
        for (const reason of [undefined, 'a reason']) {
          const now = fateOfLine(fresh, requester, policy, asked, reason);
          if (now.kind !== 'served') continue;
          const refusing = olds.filter(
            (each) =>
              each === undefined ||
              fateOfLine(old, each.requester, each.policy, asked, reason).kind === 'refused',
          );
          const witness = witnessOf(requester, policy, asked, now);
          if (refusing.length === olds.length) return { witness, isForAll: true };
          if (refusing.length > 0) partly ??= witness;
        }
      }
    }
  }
  return partly && { witness: partly, isForAll: false };
}

/** Decides within `proofMs`. Undefined: the statement is about a change, and there is no configuration before it. */
export function proofOf(
  statement: Statement,
  settings: Settings,
  before: Settings | undefined,
  clock: { readonly now: () => number; readonly wallMs: () => number },
): Proof | undefined {
  const startedMs = clock.now();
  const options = { nowMs: clock.wallMs(), isOver: () => clock.now() - startedMs > proofMs };
  if (isStatement(statement, 'never')) return prove(statement, settings, options);
  return before && proveNoMore(statement, before, settings, options);
}
