// Findings for people who check a configuration, with `check`, `test`, `doctor` or `init`. They do not prevent serving, so a start and a
// reload skip these checks.

import {
  type AddedCommands,
  allSeries,
  commandNamed,
  commandsNamed,
  parameterNamed,
} from '../../doveadm/commands/catalog.js';
import { exceedsNamedUsers } from '../../doveadm/meaning/reach.js';
import { mayOverlap } from '../../doveadm/names/glob.js';
import { createUserNames, type UserNames } from '../../doveadm/names/user-name.js';
import { foldAscii } from '../../host/words/text.js';
import { isStatement, readStatement } from '../answers/statement.js';
import { isQueryTest } from '../conditions/query-test.js';
import { comparesValues, isValueTest } from '../conditions/value-test.js';
import { policyOfAnybody } from '../identity/principal.js';
import { strikesAlways } from '../policy/match.js';
import { backendsOf, formatTarget, type Policy, type Rule, reachable } from '../policy/policy.js';
import { whyNobody, whyNoName } from './check-settings.js';
import type { Cursor } from './cursor.js';
import { meantBy, unknownName } from './problem.js';
import { isStatementTest, type ListenerSettings, loginsOf, type Person, type Settings } from './settings.js';

/** Reports problems. `written` is the whole configuration, `valid` its valid part, from which the settings were made. */
export function checkBeside(settings: Settings, written: Cursor, valid: Cursor): void {
  checkTests(settings, valid, written.keys('listeners'));
  checkRoutes(settings, written, valid);
  checkNamespaces(settings, valid);
  checkPolicies(settings, written, valid);
  checkPeople(settings, valid);
  for (const { name, sessions, sessionsPerPeer } of settings.listeners) {
    const at = valid.down('listeners', name);
    if (sessionsPerPeer > sessions && at.has('sessions_per_peer'))
      at.warning(['sessions_per_peer'], `is above sessions (${sessions}), so it never counts`, 'no-effect');
  }
}

/** Policy tests, which the daemon does not run: names must exist, and the client be named where it matters. `listeners`: as written. */
function checkTests(settings: Settings, valid: Cursor, listeners: readonly string[]): void {
  for (const [index, written] of settings.tests.entries()) {
    const at = valid.down('tests', index);
    if (isStatementTest(written)) {
      const statement = readStatement(written.prove, settings);
      if (isStatement(statement, 'bad')) at.error(['prove'], statement.message);
      if (isStatement(statement, 'more'))
        at.error(['prove'], 'needs two configurations: dovegate prove --against FILE decides it');
      continue;
    }
    const { listener: name, as } = written;
    if (!listeners.includes(name))
      at.error(['listener'], unknownName('listener', name, listeners), 'unknown-name');
    const listener = settings.listeners.find((each) => each.name === name);
    const message = listener && whyNoClient(listener, as);
    if (message !== undefined) at.error([], message);
  }
}

/** Why a test's `as` can match no client at this listener; undefined: it can. */
function whyNoClient(listener: ListenerSettings, as: Person | undefined): string | undefined {
  const { name } = listener;
  const names = loginsOf(listener).map((each) => each.name);
  if (names.length > 0) {
    if (as?.account === undefined)
      return `does not say which account asks (as: { account: NAME }); listener ${name} has: ${names.join(', ')}`;
    if (names.includes(as.account)) return undefined;
    const hint = meantBy(as.account, names, `; there are: ${names.join(', ')}`);
    return `listener ${name} has no account ${JSON.stringify(as.account)}${hint}`;
  }
  if (as?.account !== undefined)
    return `names an account, and listener ${name} has none: the kernel says who asks there`;
  if (as !== undefined || policyOfAnybody(listener) !== undefined) return undefined;
  return `does not say who asks (as), and listener ${name} has no policy for everybody`;
}

function checkRoutes(settings: Settings, written: Cursor, valid: Cursor): void {
  const backends = written.keys('backends');
  const names = createUserNames(settings.mailUsers);
  let isForAll = false;
  for (const [index, { users, target }] of settings.routes.entries()) {
    const at = valid.down('routes', index);
    reportNobodies(names, at);
    if (isForAll) at.warning([], 'is never reached: a route above takes every user', 'never-reached');
    const policies = [...settings.policies.values()].filter((policy) => policy.users.texts.length > 0);
    for (const [item, text] of policies.length === 0 ? [] : at.words('users').entries())
      if (text.includes('@') && !isAmong(text.toLowerCase(), policies))
        at.warning(['users', item], `no policy covers ${text} (routes: ${formatTarget(target)})`, 'unused');
    isForAll ||= users.isEverything;
  }
  // An unknown name was reported already; it may be a misspelt backend, so no backend is called unused.
  const { length } = settings.routes;
  if (length === 0 || written.size('routes') !== length) return;
  const reached = new Set(reachable(settings.routes, backends));
  const named = settings.routes.flatMap(({ target }) => backendsOf(target));
  if (named.some((name) => !backends.includes(name))) return;
  for (const { name } of settings.backends) {
    if (!reached.has(name)) valid.warning(['backends', name], 'no route leads here', 'unused');
  }
}

/** The mail users whose records people of the page may see. */
function checkPeople({ admin, mailUsers }: Settings, valid: Cursor): void {
  const names = createUserNames(mailUsers);
  for (const { name } of admin?.page?.people ?? [])
    reportNobodies(names, valid.down('admin', 'page', 'people', name));
}

/** Warns about the patterns of `users` that match nobody, and returns their indexes in the file. */
function reportNobodies(names: UserNames, at: Cursor): ReadonlySet<number> {
  const found = new Set<number>();
  for (const [index, text] of at.words('users').entries()) {
    const message = whyNoName(names, text);
    if (message === undefined) continue;
    found.add(index);
    at.warning(['users', index], message);
  }
  return found;
}

function checkPolicies(settings: Settings, written: Cursor, valid: Cursor): void {
  const names = written.keys('policies');
  const used = policiesUsed(settings.listeners);
  const mailNames = createUserNames(settings.mailUsers);
  const domains = domainsIn(written);
  const areUsesKnown =
    settings.listeners.length === written.size('listeners') && used.every((name) => names.includes(name));
  const areRoutesKnown = settings.routes.length === written.size('routes');
  for (const [name, policy] of settings.policies) {
    const at = valid.down('policies', name);
    if (areUsesKnown && !used.includes(name)) at.warning([], 'no listener uses this policy', 'unused');
    const writes = (key: string): number => written.size('policies', name, key);
    // A policy that observes serves commands without a rule.
    if (
      policy.mode === 'enforce' &&
      ['allow', 'use', 'on_request', 'approve'].every((key) => writes(key) === 0)
    )
      at.warning([], 'allows nothing');
    if (writes('users') === 0) at.warning(['users'], 'covers no user');
    for (const [index, text] of at.words('users').entries()) {
      const isOneDomain = /^[^@*]+\.(?:com|net|org|edu|gov|info|example)$/i.test(text);
      if (isOneDomain)
        at.warning(['users', index], `is one user of that name; write *@${text} for all of a domain`);
      else if (areRoutesKnown && settings.routes.length > 0 && !isAmong(text.toLowerCase(), settings.routes))
        at.warning(['users', index], 'no route takes these users');
      else warnOfSlip(at, index, domainOf(text.toLowerCase()), domains);
    }
    checkPatterns(mailNames, at, policy);
    checkReach(policy, at);
    if (policy.shadow !== undefined) checkReach(policy.shadow, valid);
    if (writes('except') > 0 && settings.mailUsers.resolve === undefined) {
      const message = 'an alias of such a user gets around it; set mail_users.resolve';
      at.warning(['except'], message, 'except-bypassed');
    }
    for (const rule of [...policy.allow, ...policy.onRequest]) {
      const key = policy.onRequest.some((each) => each === rule) ? 'on_request' : 'allow';
      const deny = (policy.denyByCommand.get(rule.command) ?? []).find((each) => shadows(each, rule));
      if (deny !== undefined) {
        const message = `never allows anything: "${rule.command}" is denied in line ${deny.place.line}`;
        at.warning([key], message, undefined, rule.place);
      }
      if (!isKnownSomewhere(rule.command, settings)) {
        const message = `never matches: no backend is of a series that has "${rule.command}"`;
        at.warning([key], message, undefined, rule.place);
      }
    }
  }
}

/** Whether a deny covers everything that the rule could allow: its command without conditions, or with the same ones. */
function shadows(deny: Rule, rule: Rule): boolean {
  if (strikesAlways(deny)) return true;
  if (deny.users !== undefined) return false;
  const [denied = '', allowed] = [deny, rule].map(({ meaning }) => JSON.stringify(whereIn(meaning)));
  // A deny applies to given values only, and `any` allows also the absence of one.
  return denied === allowed && !denied.includes('"any"') && !denied.includes('"optional"');
}

function whereIn(meaning: unknown): unknown {
  return typeof meaning === 'object' && meaning !== null && 'where' in meaning ? meaning.where : undefined;
}

function isKnownSomewhere(command: string, { backends, catalog }: Settings): boolean {
  const series = backends.flatMap((each) => (each.series === 'auto' ? allSeries : [each.series]));
  return (
    series.length === 0 || series.some((each) => commandNamed(each, command, catalog?.added) !== undefined)
  );
}

/** Patterns that match no name; policies whose users are all excepted. */
function checkPatterns(names: UserNames, at: Cursor, policy: Policy): void {
  const { except, allow, onRequest } = policy;
  const nobodies = reportNobodies(names, at);
  for (const [index, text] of at.words('users').entries()) {
    if (nobodies.has(index)) continue;
    if (except.isEverything || except.matches(foldAscii(text)))
      at.warning(['users', index], 'is covered by except entirely');
  }
  for (const [key, rules] of [
    ['allow', allow],
    ['on_request', onRequest],
  ] as const)
    for (const rule of rules)
      for (const message of whyNobody(names, rule, policy, false))
        at.warning([key], message, undefined, rule.place);
}

/** Whether one of these is about users of a pattern, as far as domains tell. */
function isAmong(pattern: string, those: readonly Pick<Policy, 'users'>[]): boolean {
  const domain = domainOf(pattern);
  return (
    domain.includes('*') ||
    those.some(
      ({ users }) =>
        users.matches(pattern.replace(/\*+/g, 'x')) ||
        users.texts.some((text) => domainOf(text) === domain || domainOf(text).includes('*')),
    )
  );
}

function domainOf(pattern: string): string {
  return pattern.slice(pattern.lastIndexOf('@') + 1);
}

/** How often each domain is named in any value, also by a host or domain below it. */
function domainsIn(written: Cursor): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const names =
    JSON.stringify(written.plain())
      .toLowerCase()
      .match(/[a-z\d-]+(?:\.[a-z\d-]+)+/g) ?? [];
  for (const name of names)
    for (let rest = name; rest.includes('.'); rest = rest.slice(rest.indexOf('.') + 1))
      counts.set(rest, (counts.get(rest) ?? 0) + 1);
  return counts;
}

/** Warns of a probable slip in a domain, which a route for all users would accept. Among hundreds of domains similar names mean nothing. */
function warnOfSlip(at: Cursor, index: number, domain: string, domains: ReadonlyMap<string, number>): void {
  if (domains.get(domain) !== 1 || domains.size > 500) return;
  const meant = [...domains.keys()].find((other) => isSlip(domain, other));
  if (meant !== undefined)
    at.warning(['users', index], `no other place names ${domain}; was ${meant} meant?`);
}

/** One letter more, less or changed within a label, or two exchanged; not its first or last one, which often distinguish sites. */
function isSlip(one: string, other: string): boolean {
  const least = Math.min(one.length, other.length);
  let from = 0;
  while (from < least && one[from] === other[from]) from += 1;
  let end = 0;
  while (end < least - from && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  const [left = '', right = ''] = [one, other].map((text) => text.slice(from, text.length - end));
  if (least < 8 || !/^[a-z]*$/.test(`${left}${right}`) || !/[a-z]/.test(one.charAt(from - 1))) return false;
  if (left.length === 2) return left === `${right.at(1)}${right.at(0)}` && right.length === 2;
  return left.length < 2 && right.length < 2 && /[a-z]/.test(one.charAt(one.length - end));
}

function policiesUsed(listeners: readonly ListenerSettings[]): string[] {
  return listeners.flatMap((listener) =>
    [...listener.policies, ...loginsOf(listener)].map(({ policy }) => policy),
  );
}

/**
 * Warns at each backend without declared shared namespaces, if a rule allows a command that without a mailbox name reaches all mailboxes;
 * `valid` stands at the whole configuration.
 */
function checkNamespaces(settings: Settings, valid: Cursor): void {
  const { backends, policies } = settings;
  checkDenied(settings, valid);
  const rule = [...policies.values()]
    .flatMap(({ allow, onRequest, added }) =>
      [...allow, ...onRequest].filter((each) => leavesMailboxOut(each, added)),
    )
    .at(0);
  if (rule === undefined) return;
  const hurt = `"${rule.command}" without a mailbox is refused (${rule.place.file}:${rule.place.line})`;
  const message = `does not say its shared_namespaces ([] for none), so ${hurt}`;
  for (const { name, sharedNamespaces } of backends) {
    if (sharedNamespaces === undefined) valid.warning(['backends', name], message, 'namespaces-unsaid');
  }
}

/** Warns at each backend without a list of namespaces, if a rule denies mailboxes, which may have unknown names. */
function checkDenied({ backends, policies }: Settings, valid: Cursor): void {
  const rule = [...policies.values()]
    .flatMap(({ deny, added }) => deny.filter((each) => deniesMailboxes(each, added)))
    .at(0);
  if (rule === undefined) return;
  const place = `${rule.place.file}:${rule.place.line}`;
  const message = `does not list its namespaces, so a mailbox that is denied may have names that pass (${place})`;
  for (const { name, namespaces } of backends) {
    if (namespaces === undefined) valid.warning(['backends', name], message, 'namespaces-unsaid');
  }
}

function deniesMailboxes({ command, where, query }: Rule, added: AddedCommands): boolean {
  if (isQueryTest(query, 'keys')) return true;
  const commands = commandsNamed(command, added);
  return (where ?? []).some(({ parameter, test }) => {
    const roles = commands.map((each) => parameterNamed(each, parameter)?.role);
    return comparesValues(test) && roles.some((role) => role === 'mailbox' || role === 'mailbox-mask');
  });
}

/** Whether the rule permits omitting the mailbox, if that means all of them. */
function leavesMailboxOut({ command, shared, where, query }: Rule, added: AddedCommands): boolean {
  if (shared) return false;
  if (command === 'mailbox list') {
    const test = where?.find(({ parameter }) => parameter === 'mailbox-mask')?.test;
    return test === undefined || isValueTest(test, 'any');
  }
  const isSearch = commandsNamed(command, added).some(({ params }) =>
    params.some(({ role }) => role === 'search-query'),
  );
  return isSearch && !(isQueryTest(query, 'keys') && query.conditions.some(({ key }) => key === 'mailbox'));
}

/** Warns about rules without effect: those for everybody in a policy with limited users; those covered by an earlier rule. */
function checkReach(policy: Policy, cursor: Cursor): void {
  checkRequestable(policy, cursor);
  // A preset is written for policies of either kind.
  const own = policy.allow.filter((each) => !each.place.file.startsWith('presets/'));
  for (const rule of own) {
    if (rule.allUsers && !policy.isForEverybody) {
      const message = 'all_users: true has no effect: the policy needs users: ["*"] and no `except`';
      cursor.warning(['allow'], message, undefined, rule.place);
    }
    checkUsers(policy, rule, cursor, 'allow');
    const rules = policy.allowByCommand.get(rule.command) ?? [];
    const first = rules.slice(0, rules.indexOf(rule)).find((earlier) => allowsAllOf(earlier, rule, policy));
    if (first === undefined) continue;
    const { reason, limit, maxMatches, deadlineMs } = rule.obligations;
    const hasTerms = reason || [limit, maxMatches, deadlineMs].some((term) => term !== undefined);
    const message = `is never reached: line ${first.place.line} allows all of it${hasTerms ? ', without its terms' : ''}`;
    cursor.warning(['allow'], message, undefined, rule.place);
  }
}

/** The same for `on_request`: users outside of the policy, what no request can name, and what is allowed without a request. */
function checkRequestable(policy: Policy, cursor: Cursor): void {
  for (const rule of policy.onRequest) {
    checkUsers(policy, rule, cursor, 'on_request');
    if (exceedsNamedUsers(rule.command)) {
      const message = `never matches: a request is for the users that it names, and "${rule.command}" concerns others too`;
      cursor.warning(['on_request'], message, undefined, rule.place);
    }
    const first = policy.allowByCommand
      .get(rule.command)
      ?.find((earlier) => allowsAllOf(earlier, rule, policy));
    if (first === undefined) continue;
    const message = `nobody needs to request it: line ${first.place.line} allows all of it`;
    cursor.warning(['on_request'], message, undefined, rule.place);
  }
}

function checkUsers(policy: Policy, rule: Rule, cursor: Cursor, list: 'allow' | 'on_request'): void {
  if (!isOfUser(rule, policy) || rule.users?.texts.some((text) => mayHoldFor(policy, text)) !== false) return;
  const message = 'never matches: the policy does not hold for these users';
  cursor.warning([list], message, undefined, rule.place);
}

/** Other commands may name no user at all; then the users of a rule do not matter. */
function isOfUser({ command }: Rule, { added }: Policy): boolean {
  return commandsNamed(command, added).every(({ scope }) => scope !== 'server');
}

function mayHoldFor({ users, except }: Policy, pattern: string): boolean {
  return mayOverlap(pattern, users) && !except.isEverything && !except.matches(pattern);
}

/** Whether the earlier rule certainly allows everything that the later one does. */
function allowsAllOf(earlier: Rule, later: Rule, { added }: Policy): boolean {
  const isConditional =
    earlier.where !== undefined || earlier.users !== undefined || earlier.expiresMs !== undefined;
  const grants = ['rootEquivalent', 'masks', 'shared', 'allUsers', 'content'] as const;
  if (isConditional || grants.some((grant) => later[grant] && !earlier[grant])) return false;
  return (later.where ?? []).every(({ parameter, test }) => {
    const commands = commandsNamed(later.command, added);
    const cautions = commands.map((command) => {
      const found = parameterNamed(command, parameter);
      return found === undefined ? 'free' : found.caution;
    });
    // A rule without conditions does not allow parameters that must be named; nor a mask, except by its literal value.
    return (
      isValueTest(test, 'absent') ||
      (cautions.every((caution) => caution === 'free') && !userMasks.has(parameter))
    );
  });
}

const userMasks: ReadonlySet<string> = new Set(['mask', 'user', 'user-mask']);
