// `lock` and `unlock`: who may, what they may name, and what may never be locked. Root at the admin socket and people of the page with
// `operate` lock and lift. Root and the last operator of the page cannot be locked, and nobody lifts a lock on oneself. A locked person
// takes no other action either, at whatever door.

import { type Act, isOperatorAction, type Operator, type OperatorAction } from '../adapters/admin/access.js';
import { ourselves } from '../adapters/host/accounts.js';
import { isIdAnswer, type NameService } from '../adapters/host/name-service.js';
import type { Log } from '../adapters/telemetry/log.js';
import { bounds } from '../bounds/bounds.js';
import type { ActionResult } from '../domain/admin/door/door.js';
import type { PagePerson, Settings } from '../domain/config/settings.js';
import { loginsOf } from '../domain/config/settings.js';
import { lockOn } from '../domain/judging/policy/lock.js';
import { isMask } from '../domain/language/names/glob.js';
import { durationWords, plural } from '../domain/language/words/words.js';
import { whyNotSaid } from '../domain/people/access/steps.js';
import type { Persons } from '../domain/people/identity/person.js';
import type { UserNames } from '../domain/people/identity/user-name.js';
import { identityOfUser, numberIn } from '../domain/people/identity/user-word.js';
import { pagePrefix } from '../domain/records/audit/stored.js';
import type { AccessDesk } from '../gateway/access/desk.js';
import type { LockWish } from '../gateway/access/locks.js';
import type { Service } from '../gateway/session/service.js';
import { type OtherAct, recordedOperator } from './operator.js';

type LockDeed = Extract<OperatorAction, { kind: 'lock' | 'unlock' }>;

export interface LockParts {
  readonly access: Pick<AccessDesk, 'locks'>;
  readonly served: {
    readonly now: {
      readonly settings: Pick<Settings, 'listeners' | 'backends' | 'persons' | 'admin'>;
      readonly persons: Persons;
      readonly exchanges: { readonly router: { readonly table: { readonly userNames: UserNames } } };
    };
  };
  readonly service: Pick<Service, 'killBound'>;
  readonly names: Pick<NameService, 'uidOf' | 'hasUser'>;
  readonly log: Pick<Log, 'report'>;
}

/** The words that a person of the page has wherever that human acts. */
export function wordsOnPage({ name, user, oidc }: PagePerson): readonly string[] {
  return [
    `${pagePrefix}${name}`,
    `name:${name}`,
    ...(user === undefined ? [] : [identityOfUser(user), `name:${user}`]),
    ...[oidc?.email, oidc?.sub].flatMap((each) => (each === undefined ? [] : [`oidc:${each}`])),
  ];
}

/** Locks and lifts; all other actions go to `act`, and whoever is locked is refused them. */
export function withLocks(act: OtherAct, parts: LockParts): Act {
  return async (action, operator) => {
    const words = wordsOf(operator);
    const lock = isRoot(operator) ? undefined : parts.access.locks.on({ identities: words });
    if (lock !== undefined) return { kind: 'refused', text: parts.access.locks.sentence(lock) };
    if (!isOperatorAction(action, 'lock') && !isOperatorAction(action, 'unlock'))
      return act(action, operator);
    if (!mayLock(operator)) return refused('only root, at the admin socket, locks and unlocks');
    const why = whyNotSaid(action.reason);
    if (why !== undefined) return refused(why);
    const result = await (isOperatorAction(action, 'lock')
      ? lockNow(parts, action, operator)
      : liftNow(parts, action, operator, words));
    if (result.kind === 'done' || result.kind === 'undone')
      parts.log.report({
        event: 'operator',
        level: 'info',
        text: `${operator.by}: ${action.kind}: ${result.text}`,
      });
    return result;
  };
}

function refused(text: string): ActionResult {
  return { kind: 'refused', text };
}

function isRoot({ person, uid }: Operator): boolean {
  return person === undefined && uid === 0;
}

function mayLock({ person, uid }: Operator): boolean {
  return person !== undefined || (uid !== undefined && [0, ourselves().uid].includes(uid));
}

/** On the page the peer is the page's process. */
function wordsOf({ person, uid, loginUid, user }: Operator): readonly string[] {
  if (person !== undefined) return person;
  const uids = [uid, loginUid].flatMap((each) => (each === undefined ? [] : [`uid:${each}`]));
  return user === undefined ? uids : [...uids, `name:${user}`];
}

async function lockNow(
  parts: LockParts,
  { target, forMs, reason, kills }: LockDeed & { kind: 'lock' },
  operator: Operator,
): Promise<ActionResult> {
  const { access, service } = parts;
  if (!Number.isSafeInteger(forMs) || forMs <= 0 || forMs > bounds.lockMs)
    return refused(`a lock is for more than nothing and at most ${durationWords(bounds.lockMs)}`);
  const of = await readTarget(parts, target);
  if (typeof of === 'string') return { kind: 'unknown', text: of };
  const wish = { ...of, ...recordedOperator(operator), reason, forMs };
  const why = whyNever(parts, wish);
  if (why !== undefined) return refused(why);
  const { locks } = access;
  const made = locks.lock(wish, (lock) => (kills ? service.killBound(lock, locks.persons) : undefined));
  if (made === undefined) return refused(`there are ${bounds.locks} locks already; lift one first`);
  const { until } = locks.shown(made.lock);
  const ended = made.count === undefined ? '' : `; ${plural(made.count, 'command')} ended`;
  const done = `${target} is locked until ${until}, lock ${made.lock.id}${ended}`;
  const fault = await made.recorded;
  if (fault === undefined) return { kind: 'done', text: done };
  return { kind: 'undone', text: `${done}; in force, but not recorded yet, which is tried again: ${fault}` };
}

async function liftNow(
  { access: { locks } }: LockParts,
  { target, reason }: LockDeed & { kind: 'unlock' },
  operator: Operator,
  words: readonly string[],
): Promise<ActionResult> {
  const found = locks.entries.filter((lock) => [lock.id, locks.shown(lock).target].includes(target));
  if (found.length === 0)
    return { kind: 'unknown', text: `there is no lock ${target}; dovegate status lists them` };
  if (found.some(({ locked }) => locks.persons.sharesHuman(locked.identities ?? [], words)))
    return refused('nobody lifts a lock on oneself; ask another operator');
  const lift = { ...recordedOperator(operator), reason };
  const faults = await Promise.all(found.map((lock) => locks.lift(lock, lift)));
  const fault = faults.find((each) => each !== undefined);
  if (fault !== undefined)
    return { kind: 'unrecorded', text: `${target} stays locked, because that cannot be recorded: ${fault}` };
  return { kind: 'done', text: `${target} is unlocked` };
}

type Target = Pick<LockWish, 'to' | 'identities' | 'user' | 'backend' | 'listener'>;

/** A text: there is nothing of that name. */
async function readTarget({ served, names }: LockParts, target: string): Promise<Target | string> {
  const { settings, exchanges } = served.now;
  const [, kind = '', name = ''] = /^(key|listener|backend|user):(.*)$/s.exec(target) ?? [];
  const missing = `there is no ${kind} ${name}`;
  switch (kind) {
    case 'key': {
      const isThere = settings.listeners.some(({ keys }) => keys.some((key) => key.name === name));
      return isThere ? { to: target, identities: [target] } : missing;
    }
    case 'listener':
      return settings.listeners.some((each) => each.name === name) ? { listener: name } : missing;
    case 'backend':
      return settings.backends.some((each) => each.name === name) ? { backend: name } : missing;
    case 'user': {
      const user = exchanges.router.table.userNames.normalise(name);
      if (user.kind === 'refused' || isMask(user.name)) return `${name} is no name of one mail user`;
      return { user: user.name };
    }
    default:
      return readPerson({ served, names }, target);
  }
}

/** A person of `persons`, or who has that name or uid on this host, at a listener or on the page. */
async function readPerson(
  { served, names }: Pick<LockParts, 'served' | 'names'>,
  to: string,
): Promise<Target | string> {
  const own = served.now.persons.wordsOf(to);
  if (own !== undefined) return { to, identities: [`person:${to}`, ...own] };
  const number = numberIn(to);
  if (number !== undefined)
    return number.id === undefined ? `no system has the uid ${to}` : { to, identities: [`uid:${number.id}`] };
  const [uid, hasUser] = await Promise.all([names.uidOf(to), names.hasUser(to)]);
  const { listeners, admin } = served.now.settings;
  const onPage = admin?.page?.people.find(({ name }) => name === to);
  const isLogin = listeners.some((listener) => loginsOf(listener).some(({ name }) => name === to));
  if (onPage === undefined && !isLogin && hasUser === false)
    return `there is no person, user or account ${to}; or write key:, listener:, backend: or user: before it`;
  const words = new Set([`name:${to}`, ...(onPage === undefined ? [] : wordsOnPage(onPage))]);
  if (isIdAnswer(uid, 'found')) words.add(`uid:${uid.id}`);
  return { to, identities: [...words] };
}

/** Why this may not be locked; undefined: it may. */
function whyNever({ access: { locks }, served }: LockParts, wish: LockWish): string | undefined {
  const { identities } = wish;
  if (identities === undefined) return undefined;
  const { persons, settings } = served.now;
  if (persons.sharesHuman(identities, ['uid:0', 'name:root']))
    return 'root is not locked, nor a person who may be root';
  const people = settings.admin?.page?.people ?? [];
  const free = people.filter((person) => {
    const isOperator = person.roles.includes('operate') && person.oidc?.group === undefined;
    return isOperator && locks.on({ identities: wordsOnPage(person) }) === undefined;
  });
  const lock = { id: '', untilMs: 0, locked: { time: 0, event: 'lock', ...wish } } as const;
  const isLast =
    free.length > 0 &&
    free.every((person) => lockOn([lock], { identities: wordsOnPage(person) }, persons) !== undefined);
  return isLast ? 'that is the last person who operates on the page' : undefined;
}
