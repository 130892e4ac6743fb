// Consistency between the sections of a configuration: names that exist, sockets that differ, users with a destination, rules that can
// match. A name counts as defined if it was written, even with an invalid value, so that one mistake is reported once.

import {
  type AddedCommands,
  allSeries,
  commandNamed,
  commandsNamed,
  parameterNamed,
  userRoles,
} from '../../doveadm/commands/catalog.js';
import { userOfAcl } from '../../doveadm/meaning/reach.js';
import { GlobList, isAddress, isMask } from '../../doveadm/names/glob.js';
import { createUserNames, type UserNames } from '../../doveadm/names/user-name.js';
import { foldAscii } from '../../host/words/text.js';
import { strikesAlways } from '../policy/match.js';
import {
  formatTarget,
  isQueryTest,
  isValueTest,
  type Policy,
  type Rule,
  reachable,
} from '../policy/policy.js';
import { comparesValues } from '../policy/value-test.js';
import { checkRequests } from './check-requests.js';
import type { Cursor } from './cursor.js';
import { unknownName } from './problem.js';
import { formatListenerSocket, type ListenerSettings, loginsOf, type Settings } from './settings.js';

/** Reports problems. `written` is the whole configuration, `valid` its valid part, from which the settings were made. */
export function checkSettings(settings: Settings, written: Cursor, valid: Cursor, isPart: boolean): void {
  checkPresence(written);
  checkListeners(settings, written, valid);
  checkRoutes(settings, written, valid);
  checkNamespaces(settings, valid);
  checkPolicies(settings, written, valid);
  checkPeople(settings, valid);
  if (!isPart) checkRequests(settings, written, valid);
}

function checkPresence(written: Cursor): void {
  for (const [key, what] of [
    ['listeners', 'there is no listener, so nobody could connect'],
    ['backends', 'there is no backend, so no command could be sent'],
    ['policies', 'there is no policy, so every command would be denied'],
    ['routes', 'no user leads to a backend; for a single one: [{ users: ["*"], backend: NAME }]'],
  ] as const) {
    const kind = written.kind(key);
    if (kind === undefined) written.error([key], `is missing: ${what}`, 'missing-key');
    else if (kind !== 'scalar' && written.size(key) === 0)
      written.error([key], `is empty: ${what}`, 'missing-key');
  }
}

function checkRoutes(settings: Settings, written: Cursor, valid: Cursor): void {
  const backends = written.keys('backends');
  const unknown = checkTargets(settings, backends, valid);
  const names = createUserNames(settings.mailUsers);
  let isForAll = false;
  for (const [index, { users, target }] of settings.routes.entries()) {
    const at = valid.down('routes', index);
    reportNobodies(names, at, 'users', 'warning');
    if (isForAll) at.warning([], 'is never reached: a route above takes every user', 'never-reached');
    const policies = [...settings.policies.values()].filter((policy) => policy.users.texts.length > 0);
    for (const [item, text] of policies.length === 0 ? [] : at.words('users').entries())
      if (text.includes('@') && !isAmong(text.toLowerCase(), policies))
        at.warning(['users', item], `no policy covers ${text} (routes: ${formatTarget(target)})`, 'unused');
    isForAll ||= users.isEverything;
  }
  // An unknown name was reported; it may be the missing one.
  const { length } = settings.routes;
  if (length === 0 || written.size('routes') !== length || unknown > 0) return;
  const reached = new Set(reachable(settings.routes, backends));
  for (const { name } of settings.backends) {
    if (!reached.has(name)) valid.warning(['backends', name], 'no route leads here', 'unused');
  }
}

/** Names of backends in routes and server_commands; how many of the routes' are unknown. */
function checkTargets(settings: Settings, backends: readonly string[], valid: Cursor): number {
  let unknown = 0;
  const check = (name: string, at: Cursor, path: readonly PropertyKey[]): void => {
    if (backends.includes(name)) return;
    unknown += 1;
    at.error(path, unknownName('backend', name, backends), 'unknown-name');
  };
  for (const [index, { target }] of settings.routes.entries()) {
    const at = valid.down('routes', index);
    switch (target.kind) {
      case 'backend':
        check(target.backend, at, ['backend']);
        break;
      case 'spread':
        for (const [item, name] of target.backends.entries()) check(name, at, ['spread', item]);
        break;
      case 'passdb':
        break;
      default:
        target satisfies never;
    }
  }
  const inRoutes = unknown;
  const { serverCommands } = settings;
  for (const [name, target] of [['default', serverCommands.default] as const, ...serverCommands.byCommand]) {
    if (target.kind === 'backend') check(target.backend, valid.down('server_commands'), [name]);
  }
  return inRoutes;
}

/** Mail users whose records people of the page see. */
function checkPeople({ admin, mailUsers }: Settings, valid: Cursor): void {
  const names = createUserNames(mailUsers);
  for (const { name } of admin?.page?.people ?? [])
    reportNobodies(names, valid.down('admin', 'page', 'people', name), 'users', 'warning');
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
    // One that observes serves what no rule names.
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
  const { except, users, allow, deny, onRequest } = policy;
  reportNobodies(names, at, 'except', 'error', users);
  const nobodies = reportNobodies(names, at, 'users', 'warning');
  for (const [index, text] of at.words('users').entries()) {
    if (nobodies.has(index)) continue;
    if (except.isEverything || except.matches(foldAscii(text)))
      at.warning(['users', index], 'is covered by except entirely');
  }
  for (const [key, rules] of [
    ['allow', allow],
    ['on_request', onRequest],
    ['deny', deny],
  ] as const) {
    const denies = key === 'deny';
    for (const rule of rules) {
      const own = rule.users?.texts.map((text) => whyNoName(names, text, denies ? users : undefined)) ?? [];
      for (const message of [...own, ...whyNoneInWhere(names, rule, policy, denies)]) {
        if (message === undefined) continue;
        if (denies) at.error([key], message, undefined, rule.place);
        else at.warning([key], message, undefined, rule.place);
      }
    }
  }
}

/** The same of patterns in a `where` that stand for mail users, whose names are compared in normal form there, and masks as written. */
function whyNoneInWhere(
  userNames: UserNames,
  { command, where = [] }: Rule,
  { users, added }: Policy,
  denies: boolean,
): readonly (string | undefined)[] {
  // With this option the values are those of a field, which are no names.
  if (where.some(({ parameter }) => parameter === 'passdb-field')) return [];
  const commands = commandsNamed(command, added);
  return where.flatMap(({ parameter, test }) => {
    const texts = isValueTest(test, 'one-of')
      ? test.globs.texts
      : isValueTest(test, 'equals')
        ? test.values
        : [];
    const roles = commands.map((each) => parameterNamed(each, parameter)?.role);
    const isId = denies && roles.includes('acl-id');
    const isMaskOrIp = roles.includes('user-mask-or-ip');
    // A mask that an allow has literally is allowed.
    const isOther = (text: string): boolean =>
      isId
        ? !text.startsWith(userOfAcl)
        : (isMaskOrIp && isAddress(text.replaceAll('*', '1'))) || (!denies && isMask(text));
    if (!isId && !roles.some((role) => userRoles.has(role))) return [];
    const names = texts.filter((text) => text !== '' && !isOther(text));
    return names.map((text) => {
      const name = isId ? text.slice(userOfAcl.length) : text;
      const isAsWritten = isMaskOrIp && userNames.nameCase === 'keep';
      const why = whyNoName(userNames, name, denies ? users : undefined, isAsWritten);
      return why === undefined ? undefined : `where: ${parameter} ${why}`;
    });
  });
}

/** The places of the patterns at a key that match nobody. An error where they deny: their author relies on it. */
function reportNobodies(
  names: UserNames,
  at: Cursor,
  key: string,
  as: 'error' | 'warning',
  covered?: Policy['users'],
): ReadonlySet<number> {
  const found = new Set<number>();
  for (const [index, text] of at.words(key).entries()) {
    const message = whyNoName(names, text, as === 'error' ? (covered ?? everybody) : undefined);
    if (message === undefined) continue;
    found.add(index);
    at[as]([key, index], message);
  }
  return found;
}

const everybody = new GlobList(['*']);

/** `covered`: the users from which a pattern takes some; undefined: it allows. `isAsWritten`: names there get no realm. */
function whyNoName(
  names: UserNames,
  text: string,
  covered?: Policy['users'],
  isAsWritten = false,
): string | undefined {
  const { why, write } = names.whyNobody(text, covered !== undefined) ?? {};
  if (isAsWritten && (why === undefined || write !== undefined)) return undefined;
  if (why !== undefined) return `matches nobody: ${why}${write === undefined ? '' : `; write ${write}`}`;
  // As with a default realm: no single star crosses an @.
  const isLocal = covered !== undefined && !/@|\*\*|^\*$/.test(text);
  return isLocal && covered.texts.length > 0 && covered.texts.every((each) => each.includes('@'))
    ? `matches nobody: all users here have a realm; write ${text}@*`
    : undefined;
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

/** A route for all users takes a misspelt domain, too. Among hundreds of domains an alike name says nothing. */
function warnOfSlip(at: Cursor, index: number, domain: string, domains: ReadonlyMap<string, number>): void {
  if (domains.get(domain) !== 1 || domains.size > 500) return;
  const meant = [...domains.keys()].find((other) => isSlip(domain, other));
  if (meant !== undefined)
    at.warning(['users', index], `no other place names ${domain}; was ${meant} meant?`);
}

/** One letter too many, too few or another one within a label, or two exchanged: first and last letters often tell sites apart. */
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

function checkListeners(
  { listeners, admin }: Pick<Settings, 'listeners' | 'admin'>,
  written: Cursor,
  valid: Cursor,
): void {
  const policies = written.keys('policies');
  const sockets = new Map<string, string>();
  for (const listener of listeners) {
    const { name, socket, sessions, sessionsPerPeer } = listener;
    const at = valid.down('listeners', name);
    const place = formatListenerSocket(socket);
    const first = sockets.get(place);
    if (first !== undefined)
      at.error([socket.kind], `is the socket of listener ${first} already`, 'defined-twice');
    sockets.set(place, first ?? name);
    checkPoliciesOf(listener, policies, at);
    if (sessionsPerPeer > sessions && at.has('sessions_per_peer')) {
      at.warning(['sessions_per_peer'], `is above sessions (${sessions}), so it never counts`, 'no-effect');
    }
  }
  const { unix, tcp, page, door } = admin ?? {};
  const place = tcp && formatListenerSocket({ kind: 'tcp', ...tcp });
  const pagePlace = page?.tcp && formatListenerSocket({ kind: 'tcp', ...page.tcp });
  for (const [path, text] of [
    [['unix'], unix && `unix:${unix}`],
    [['tcp'], place],
    [['door'], page && `unix:${door ?? ''}`],
    [['page', 'unix'], page?.socket && formatListenerSocket(page.socket)],
    [['page', 'tcp'], pagePlace],
  ] as const) {
    const taken = sockets.get(text ?? '');
    if (taken !== undefined)
      valid.down('admin').error(path, `is the socket of listener ${taken} already`, 'defined-twice');
  }
  if (page !== undefined && written.size('admin', 'page', 'people') === 0)
    valid.down('admin').error(['page', 'people'], 'needs at least one person', 'missing-key');
  if (place !== undefined && place === pagePlace)
    valid.down('admin').error(['page', 'tcp'], 'is the socket of admin.tcp already', 'defined-twice');
  if (page?.socket !== undefined && page.socket.path === unix)
    valid.down('admin').error(['page', 'unix'], 'is the socket of admin.unix already', 'defined-twice');
  if (page !== undefined && (door === unix || door === page.socket?.path)) {
    const other = door === unix ? 'admin.unix' : 'admin.page.unix';
    valid.down('admin').error(['door'], `is the socket of ${other} already`, 'defined-twice');
  }
}

function checkPoliciesOf(
  { policies: choices, accounts, keys }: ListenerSettings,
  policies: readonly string[],
  at: Cursor,
): void {
  for (const [index, { policy }] of choices.entries()) {
    const path = at.has('policy') ? ['policy'] : ['policies', index, 'policy'];
    if (!policies.includes(policy)) at.error(path, unknownName('policy', policy, policies), 'unknown-name');
  }
  for (const [key, logins] of [['accounts', accounts] as const, ['keys', keys] as const]) {
    for (const { name, policy } of logins) {
      if (policies.includes(policy)) continue;
      at.error([key, name, 'policy'], unknownName('policy', policy, policies), 'unknown-name');
    }
  }
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
