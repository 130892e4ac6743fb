// Consistency between the sections of a configuration, without which it is not served: names that exist, sockets that differ, denials that
// can match. A name counts as defined if it was written, even with an invalid value, so that one mistake is reported once. What is only
// doubtful is found by `check-beside`.

import { commandsNamed, parameterNamed, userRoles } from '../../doveadm/commands/catalog.js';
import { userOfAcl } from '../../doveadm/meaning/reach.js';
import { isAddress, isMask } from '../../doveadm/names/glob.js';
import { createUserNames, type UserNames } from '../../doveadm/names/user-name.js';
import { textsOfTest } from '../conditions/value-test.js';
import { backendsOf, isRouteTarget, type Policy, type Rule } from '../policy/policy.js';
import { checkRequests } from './check-requests.js';
import type { Cursor } from './cursor.js';
import { unknownName } from './problem.js';
import { formatListenerSocket, type ListenerSettings, type Settings } from './settings.js';

/** Reports problems. `written` is the whole configuration, `valid` its valid part, from which the settings were made. */
export function checkSettings(settings: Settings, written: Cursor, valid: Cursor, isPart: boolean): void {
  checkPresence(written);
  checkListeners(settings, written, valid);
  checkTargets(settings, written.keys('backends'), valid);
  checkDenials(settings, valid);
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

/** Names of backends in routes and server_commands. */
function checkTargets(
  { routes, serverCommands }: Settings,
  backends: readonly string[],
  valid: Cursor,
): void {
  const check = (name: string, at: Cursor, path: readonly PropertyKey[]): void => {
    if (!backends.includes(name)) at.error(path, unknownName('backend', name, backends), 'unknown-name');
  };
  for (const [index, { target }] of routes.entries()) {
    const at = valid.down('routes', index);
    for (const [item, name] of backendsOf(target).entries())
      check(name, at, isRouteTarget(target, 'spread') ? ['spread', item] : ['backend']);
  }
  for (const [name, target] of [['default', serverCommands.default] as const, ...serverCommands.byCommand]) {
    if (target.kind === 'backend') check(target.backend, valid.down('server_commands'), [name]);
  }
}

/** Patterns of denials that match nobody are errors: their author relies on them. */
function checkDenials({ policies, mailUsers }: Settings, valid: Cursor): void {
  const names = createUserNames(mailUsers);
  for (const [name, policy] of policies) {
    const at = valid.down('policies', name);
    for (const [index, text] of at.words('except').entries()) {
      const message = whyNoName(names, text, policy.users);
      if (message !== undefined) at.error(['except', index], message);
    }
    for (const rule of policy.deny)
      for (const message of whyNobody(names, rule, policy, true))
        at.error(['deny'], message, undefined, rule.place);
  }
}

/** Why patterns on users in a rule match nobody: one message for each such pattern. */
export function whyNobody(names: UserNames, rule: Rule, policy: Policy, denies: boolean): readonly string[] {
  const covered = denies ? policy.users : undefined;
  const own = rule.users?.texts.map((text) => whyNoName(names, text, covered)) ?? [];
  return [...own, ...whyNoneInWhere(names, rule, policy, denies)].flatMap((why) => why ?? []);
}

/** The same for patterns in a `where` that stand for mail users: names are compared in normal form, masks as written. */
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
    const texts = textsOfTest(test) ?? [];
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

/** `covered`: the users of whom the pattern denies some; undefined: it allows. `isAsWritten`: no realm is added to the names. */
export function whyNoName(
  names: UserNames,
  text: string,
  covered?: Policy['users'],
  isAsWritten = false,
): string | undefined {
  const { why, write } = names.whyNobody(text, covered !== undefined) ?? {};
  if (isAsWritten && (why === undefined || write !== undefined)) return undefined;
  if (why !== undefined) return `matches nobody: ${why}${write === undefined ? '' : `; write ${write}`}`;
  // A single star does not match an `@`, so the pattern matches no name with a realm.
  const isLocal = covered !== undefined && !/@|\*\*|^\*$/.test(text);
  return isLocal && covered.texts.length > 0 && covered.texts.every((each) => each.includes('@'))
    ? `matches nobody: all users here have a realm; write ${text}@*`
    : undefined;
}

function checkListeners(
  { listeners, admin }: Pick<Settings, 'listeners' | 'admin'>,
  written: Cursor,
  valid: Cursor,
): void {
  const policies = written.keys('policies');
  const sockets = new Map<string, string>();
  for (const listener of listeners) {
    const { name, socket } = listener;
    const at = valid.down('listeners', name);
    const place = formatListenerSocket(socket);
    const first = sockets.get(place);
    if (first !== undefined)
      at.error([socket.kind], `is the socket of listener ${first} already`, 'defined-twice');
    sockets.set(place, first ?? name);
    checkPoliciesOf(listener, policies, at);
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
