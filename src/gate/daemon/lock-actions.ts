// `lock` and `unlock`: who may use them, what they may name, and what may never be locked. Root at the admin socket and people of the page
// with the role `operate` lock and unlock. Root and the last operator of the page cannot be locked, and nobody lifts a lock on themselves.
// A locked person may take no action at any door, not even as root behind their own login. A hold is lifted by two persons of `persons`,
// neither of them the owner of that mail. Root counts as the person of its login. Without such a login root is one person, and the other
// one must act on the page.

import { lockTarget } from '../../doveadm/codes/lock-target.js';
import { isMask } from '../../doveadm/names/glob.js';
import { bounds } from '../../host/bounds/bounds.js';
import { ourselves } from '../../host/machine/accounts.js';
import { type IdAnswer, isIdAnswer, type NameService } from '../../host/machine/name-service.js';
import type { Clock } from '../../host/ports/machine.js';
import { ownersOf } from '../../host/ports/peer.js';
import { foldAscii } from '../../host/words/text.js';
import { numberIn } from '../../host/words/user-word.js';
import { durationWords, plural } from '../../host/words/words.js';
import { isHold, type LockEntry, whyTooLong } from '../../journal/records/lock-book.js';
import type { AuditRecord, LockRecord } from '../../journal/records/record.js';
import type { Settings } from '../../rules/config/settings.js';
import { loginsOf } from '../../rules/config/settings.js';
import {
  type Human,
  humanOf,
  humanOnPage,
  isOnPage,
  isOpenWord,
  openNames,
  openWord,
} from '../../rules/identity/human.js';
import type { Persons } from '../../rules/identity/person.js';
import { nothingKnown, routesOfOtherCases, userdbKey } from '../../rules/policy/route.js';
import { isOnePerson } from '../access/asker.js';
import type { AccessDesk } from '../access/desk.js';
import { stopOn } from '../access/lock.js';
import { isByOneName, type Locks } from '../access/locks.js';
import { whyNotSaid } from '../access/steps.js';
import { type Act, isOperatorAction, type Operator, type OperatorAction } from '../admin/access.js';
import type { AdminOptions } from '../admin/admin.js';
import type { Router } from '../command/assessment.js';
import type { ActionResult } from '../door/door.js';
import type { Service } from '../session/service.js';
import type { Log } from '../telemetry/log.js';
import { type OtherAct, recordedOperator } from './operator.js';

type LockDeed = Extract<OperatorAction, { kind: 'lock' | 'unlock' }>;

interface LockParts {
  readonly access: Pick<AccessDesk, 'locks'>;
  readonly served: {
    readonly now: {
      readonly settings: Pick<Settings, 'listeners' | 'backends' | 'persons' | 'admin'>;
      readonly persons: Persons;
      readonly exchanges: { readonly router: Pick<Router, 'table' | 'ask'> };
    };
  };
  readonly service: Pick<Service, 'killBound'>;
  readonly names: Pick<NameService, 'uidOf' | 'hasUser' | 'ownersOf' | 'userOf'>;
  readonly log: Pick<Log, 'report'>;
}

/** Carries out locks and lifts, and passes other actions to `act`. A locked operator is refused every action. */
export function withLocks(act: OtherAct, parts: LockParts): Act {
  return async (action, operator) => {
    const locked = whyLocked(parts, operator);
    if (locked !== undefined) return refused(locked);
    if (!isOperatorAction(action, 'lock') && !isOperatorAction(action, 'unlock'))
      return act(action, operator, () => whyLocked(parts, operator));
    if (!mayLock(operator)) return refused('only root, at the admin socket, locks and unlocks');
    const why = whyNotSaid(action.reason);
    if (why !== undefined) return refused(why);
    const result = await (isOperatorAction(action, 'lock')
      ? lockNow(parts, action, operator)
      : liftNow(parts, action, operator));
    if (result.kind === 'done' || result.kind === 'undone')
      parts.log.report({
        event: 'operator',
        level: 'info',
        text: `${operator.by}: ${action.kind}: ${result.text}`,
      });
    return result;
  };
}

/** The check for reading at the admin socket. It identifies the caller only while a lock is in force. */
export function whyNotShown(parts: LockParts): NonNullable<AdminOptions['whyNotShown']> {
  return () => (parts.access.locks.size === 0 ? undefined : (operator) => whyLocked(parts, operator));
}

function refused(text: string): ActionResult {
  return { kind: 'refused', text };
}

/** Root or the daemon's own user at the admin socket, and people of the page. */
function mayLock({ human, uid }: Operator): boolean {
  return isOnPage(human) || (uid !== undefined && [0, ourselves().uid].includes(uid));
}

/** Called again after each wait: two operators may lock each other at the same time. */
function whyLocked({ access: { locks } }: LockParts, { human }: Operator): string | undefined {
  const stop = locks.on({ human });
  return stop && locks.sentence(stop);
}

async function lockNow(
  parts: LockParts,
  { target, isHold: holds, forMs, reason, kills }: LockDeed & { kind: 'lock' },
  operator: Operator,
): Promise<ActionResult> {
  const { access, service } = parts;
  const mostMs = holds ? bounds.holdMs : bounds.lockMs;
  const isTime =
    forMs === undefined
      ? holds
      : Number.isSafeInteger(forMs) && forMs >= bounds.lockLeastMs && forMs <= mostMs;
  if (!isTime)
    return refused(
      `a lock or hold is for at least ${durationWords(bounds.lockLeastMs)}; a lock for at most ` +
        `${durationWords(bounds.lockMs)}, a hold for at most ${durationWords(bounds.holdMs)} or without an end`,
    );
  const found = await readTarget(parts, target);
  if (typeof found === 'string') return { kind: 'unknown', text: found };
  const { doubt: unknown = '', ...of } = found;
  if (holds && of.user === undefined) return refused('a hold is of a mail user: user:NAME');
  const { words: held } = await wordsOfHeld(parts, holds ? of : {});
  // No wait from here until the lock is in force.
  const why = whyLocked(parts, operator) ?? whyNever(parts, of);
  if (why !== undefined) return refused(why);
  const owner = holds ? { identities: parts.served.now.persons.withPersons(held) } : {};
  const wish = { ...of, ...owner, ...recordedOperator(operator), reason, forMs, isHold: holds };
  const long = whyTooLong(wish);
  if (long !== undefined) return refused(long);
  const { locks } = access;
  const isPerson = isOnPage(operator.human);
  const most = isPerson ? bounds.locksOfPeople : bounds.locks;
  const made = locks.lock(wish, most, (lock) => (kills ? service.killBound(lock, locks.persons) : undefined));
  if (made === undefined) {
    const others = isPerson ? ', and the other places are for root at the admin socket' : '';
    return refused(`there are ${plural(most, 'lock')} already${others}; lift one first`);
  }
  const { until, doubt: open } = locks.shown(made.lock);
  const ended = made.count === undefined ? '' : `; ${plural(made.count, 'command')} ended`;
  const end = until === undefined ? '' : ` until ${until}`;
  const doubt = `${unknown}${otherCases(parts, of)}`;
  const about = holds ? `${holdOfThisGate}${doubt}${whyNoTwo(parts, made.lock.locked.identities)}` : doubt;
  const [state, noun] = holds ? ['held', 'hold'] : ['locked', 'lock'];
  const done = `${target} is ${state}${end}, ${noun} ${made.lock.id}${ended}${about}`;
  const fault = await made.recorded;
  const left = [
    ...(of.user === undefined && open !== undefined ? [open] : []),
    ...(fault === undefined ? [] : [`in force, but not recorded yet, which is tried again: ${fault}`]),
  ];
  return { kind: left.length === 0 ? 'done' : 'undone', text: [done, ...left].join('; ') };
}

const holdOfThisGate =
  '; what could destroy, hide, move or change that mail is refused here. It binds this gate only: not IMAP, not LDA and LMTP, not ' +
  'autoexpunge, and no other way to Dovecot';

const namedMost = 5;

/** A lock also stops names that differ in case only: Dovecot may treat them as one user even where dovegate keeps the case. */
function otherCases({ served }: LockParts, { user, users = [] }: Target): string {
  if (user === undefined) return '';
  const patterns = routesOfOtherCases(served.now.exchanges.router.table, [user, ...users]);
  if (patterns.length === 0) return '';
  const more = patterns.length > namedMost ? ' and others' : '';
  const shown = patterns.slice(0, namedMost).join(' ');
  return `. Other cases of that name are stopped as well, and have a route: ${shown}${more}`;
}

async function liftNow(
  parts: LockParts,
  { target, reason }: LockDeed & { kind: 'unlock' },
  operator: Operator,
): Promise<ActionResult> {
  const { locks } = parts.access;
  const of = asLocked(parts, target);
  const found = locks.entries.filter((lock) => lock.id === target || locks.shown(lock).target === of);
  if (found.length === 0)
    return { kind: 'unknown', text: `there is no lock ${target}; dovegate status lists them` };
  const lift = { ...recordedOperator(operator), reason };
  const results = await Promise.all(
    found.map((lock) =>
      isHold(lock)
        ? liftHold(parts, lock, operator, lift)
        : liftOne(parts, lock, target, lift, () => whyNotLift(parts, lock, operator)),
    ),
  );
  const kind = results.find((each) => each.kind !== 'done')?.kind ?? 'done';
  return { kind, text: [...new Set(results.map(({ text }) => text))].join('; ') };
}

/** A mail user may be written as for `lock`: in another case, and without the usual realm. */
function asLocked({ served }: LockParts, target: string): string {
  const [, user] = /^user:(.*)$/s.exec(target) ?? [];
  const found = user === undefined ? undefined : served.now.exchanges.router.table.userNames.normalise(user);
  return found === undefined || found.kind === 'refused' ? target : lockTarget({ user: found.name });
}

function whyNotLift(parts: LockParts, { id }: LockEntry, operator: Operator): ActionResult | undefined {
  const { locks } = parts.access;
  const why = whyLocked(parts, operator);
  if (why !== undefined) return refused(why);
  const lock = locks.entries.find((each) => each.id === id);
  if (lock === undefined) return { kind: 'already', text: `${id} is lifted already` };
  const isOwn = locks.persons.sharesHuman(lock.locked.identities ?? [], operator.human.identities);
  return isOwn && !isHold(lock) ? refused('nobody lifts a lock on oneself; ask another operator') : undefined;
}

async function liftOne(
  { access: { locks } }: LockParts,
  lock: LockEntry,
  target: string,
  lift: Parameters<Locks['lift']>[1],
  whyNot: () => ActionResult | undefined,
): Promise<ActionResult> {
  const why = await locks.lift(lock, lift, whyNot);
  if (why === undefined) return { kind: 'done', text: `${target} is unlocked` };
  if (typeof why === 'object') return why;
  return { kind: 'unrecorded', text: `${target} stays locked, because that cannot be recorded: ${why}` };
}

async function liftHold(
  parts: LockParts,
  lock: LockEntry,
  operator: Operator,
  lift: Parameters<Locks['lift']>[1],
): Promise<ActionResult> {
  const { locks } = parts.access;
  const { id, locked } = lock;
  const target = lockTarget(locked);
  const [{ words: held, unanswered }, alias] = await Promise.all([
    wordsOfHeld(parts, locked),
    aliasOfHeld(parts, locked, operator.human.identities),
  ]);
  /** Called again after each wait. */
  const liftable = ():
    | ActionResult
    | { readonly words: readonly string[]; readonly asked: LockEntry['asked'] } => {
    const no = whyNotLift(parts, lock, operator);
    if (no !== undefined) return no;
    const { persons } = parts.served.now;
    const words = wordsOfLifter(operator.human, persons);
    if (typeof words === 'string') return refused(words);
    const { asked, locked: now = locked } = locks.entries.find((each) => each.id === id) ?? {};
    if (persons.sharesHuman(inAnyCase([...(now.identities ?? []), ...held]), inAnyCase(words)))
      return refused('nobody lifts a hold of their own mail; ask two others');
    if (alias === 'unanswered')
      return refused(
        'the userdb does not answer, so it is not known whether that mail is yours; ask again later',
      );
    if (alias !== undefined)
      return refused(
        `nobody lifts a hold of their own mail, and ${alias} is a name of that user; ask two others`,
      );
    if (unanswered !== undefined)
      return refused(
        `the name service does not answer for "${unanswered}", so it is not known whether that mail is yours; ask again later`,
      );
    return { words, asked };
  };
  const whyNotSecond = (): ActionResult | undefined => {
    const now = liftable();
    if ('kind' in now) return now;
    const { words, asked } = now;
    if (asked === undefined)
      return refused(`${target} stays held: who asked to lift it does not count any more`);
    const { by = '', identities: before = rootAlone } = asked.record;
    const stays = `${target} stays held: ${by} asked to lift it, and the second is another person`;
    if (parts.served.now.persons.sharesHuman(before, words)) return refused(stays);
    const isUnsure =
      [before, words].some(isRootAlone) && ![before, words].some((identities) => isOnPage({ identities }));
    return isUnsure
      ? refused(`${stays}: of root without a login of a person it is not known who it is`)
      : undefined;
  };
  const first = liftable();
  if ('kind' in first) return first;
  const { words, asked } = first;
  // Only a person of the page could be the second after root without a login. So root with a login replaces that request.
  const replaces =
    isRootAlone(asked?.record.identities ?? rootAlone) &&
    !isRootAlone(words) &&
    !isOnPage({ identities: words });
  if (asked !== undefined && !replaces) return liftOne(parts, lock, target, lift, whyNotSecond);
  const fault = await locks.askLift(lock, { ...lift, identities: words });
  if (fault !== undefined)
    return { kind: 'unrecorded', text: `${target} stays held, because that cannot be recorded: ${fault}` };
  const late = liftable();
  if ('kind' in late) return late;
  const text = `${target} stays held until a second person lifts it, within ${durationWords(bounds.liftAskMs)}, with dovegate unlock ${id}`;
  return { kind: 'done', text };
}

function inAnyCase(words: readonly string[]): readonly string[] {
  return [...words, ...words.map(foldAscii)];
}

/** Returns the name of the operator that the userdb resolves to the held mail user, or undefined if there is none. */
async function aliasOfHeld(
  { served }: LockParts,
  { user = '', users = [user] }: Pick<AuditRecord, 'user' | 'users'>,
  words: readonly string[],
): Promise<string | undefined> {
  const { router } = served.now.exchanges;
  if (!router.table.asksUserdb) return undefined;
  const [, domain] = /(@.*)$/s.exec(user) ?? [];
  const names = words.flatMap((word) => {
    const [, name] = /^(?:name|person|page|oidc|user):(.+)$/s.exec(word) ?? [];
    return name === undefined ? [] : domain === undefined ? [name] : [name, `${name}${domain}`];
  });
  for (const name of new Set(names)) {
    const found = await readUser(router, name);
    if (typeof found === 'string') continue;
    if (found.users === undefined) return 'unanswered';
    if (found.users.some((each) => inAnyCase(users).includes(foldAscii(each)))) return name;
  }
  return undefined;
}

/** Identities of root without the login of a person. They come before those of the login that it has. */
const rootAlone: readonly string[] = ['uid:0', 'name:root'];
const isRootAlone = ([first]: readonly string[]): boolean => first === rootAlone[0];

/** The identities of an operator who lifts a hold, first the one by which they act. A string: why this operator may not lift it. */
function wordsOfLifter(human: Human, persons: Persons): readonly string[] | string {
  if (isOnePerson(human, persons) && (!isOnPage(human) || human.whyNotApprove === undefined))
    return persons.withPersons(human.identities);
  if (!isOnPage(human)) return [...rootAlone, ...human.identities];
  return `two persons of \`persons\` lift a hold, and ${human.whyNotApprove ?? 'you are none of them'}`;
}

/** Identities of the owner of the held mail, with and without its domain. `unanswered`: a name without an answer of the name service. */
async function wordsOfHeld(
  { names }: Pick<LockParts, 'names'>,
  { user, users }: Pick<AuditRecord, 'user' | 'users'>,
): Promise<{ readonly words: readonly string[]; readonly unanswered: string | undefined }> {
  const mails = [user ?? [], users ?? []].flat();
  const all = [...new Set(mails.flatMap((mail) => [mail, mail.split('@', 1)[0] ?? mail]))];
  const uids = await Promise.all(all.map((name) => names.uidOf(name)));
  const words = all.flatMap((name, at) => {
    const uid = uids[at];
    const own = [`name:${name}`, `person:${name}`, `oidc:${name}`];
    return uid !== undefined && isIdAnswer(uid, 'found') ? [...own, `uid:${uid.id}`] : own;
  });
  const isUnanswered = (uid: IdAnswer | undefined): boolean =>
    uid !== undefined && isIdAnswer(uid, 'unanswered');
  return { words, unanswered: all.find((_, at) => isUnanswered(uids[at])) };
}

/** The text for the answer if fewer than two persons could lift the hold; '' if two can. */
function whyNoTwo({ served }: LockParts, held: readonly string[] = []): string {
  const { persons, settings } = served.now;
  const onPage = (settings.admin?.page?.people ?? []).flatMap((each) => {
    const { identities: words } = humanOnPage(each);
    const person = each.roles.includes('operate') ? persons.provenBy(words) : undefined;
    return person === undefined || persons.sharesHuman(held, words) ? [] : [person];
  });
  const byLogin = [...settings.persons].flatMap(([name, { users }]) =>
    users.length === 0 || persons.sharesHuman(held, [`person:${name}`]) ? [] : [name],
  );
  // With a person on the page, root without a login can be the other one.
  if (onPage.length > 0 || new Set([...onPage, ...byLogin]).size > 1) return '';
  return (
    '. Two persons lift it, and fewer than two could now: name them in `persons`, with `users` by which they log in here and become ' +
    'root, or with `page` and the role operate'
  );
}

type Target = Pick<AuditRecord, 'to' | 'identities' | 'user' | 'users' | 'backend' | 'listener'> & {
  /** A text for the answer: that other names of the mail user may be unknown, or who else is locked. */
  readonly doubt?: string | undefined;
};

/** A string: why there is no such target. */
async function readTarget(
  { served, names }: Pick<LockParts, 'served' | 'names'>,
  target: string,
): Promise<Target | string> {
  const { settings, exchanges } = served.now;
  const [, kind = '', name = ''] = /^(key|listener|backend|user):(.*)$/s.exec(target) ?? [];
  const among = (all: readonly { readonly name: string }[], found: Target): Target | string =>
    all.some((each) => each.name === name) ? found : `there is no ${kind} ${name}`;
  switch (kind) {
    case 'key':
      return among(
        settings.listeners.flatMap(({ keys }) => keys),
        { to: target, identities: [target] },
      );
    case 'listener':
      return among(settings.listeners, { listener: name });
    case 'backend':
      return among(settings.backends, { backend: name });
    case 'user':
      return readUser(exchanges.router, name);
    default:
      return readPerson({ served, names }, target);
  }
}

/** The mail user with all names that the userdb has for it. */
async function readUser(
  { table, ask }: LockParts['served']['now']['exchanges']['router'],
  name: string,
): Promise<Target | string> {
  const found = table.userNames.normalise(name);
  if (found.kind === 'refused' || isMask(found.name)) return `${name} is no name of one mail user`;
  const user = found.name;
  if (!table.asksUserdb)
    return { user, doubt: '. Without `resolve` in the configuration no other name of that user is known' };
  const users = [user];
  const asker = { principal: 'lock', origin: 'lock' };
  const answer = (await ask([{ kind: 'userdb', users }], nothingKnown, asker)).userdb.get(userdbKey(users));
  if (answer?.kind === 'resolved') return { user, users: [user, ...answer.aliases] };
  return {
    user,
    doubt: `. The userdb did not answer (${answer?.code ?? 'failed'}): no other name of that user is known until it does, and it is asked again`,
  };
}

const namesAgainMs = 5_000;

/** Looks up missing names and uids of locked or held targets again until all are known. Returns a function that stops it. */
export function followNames(parts: LockParts, clock: Pick<Clock, 'setTimer'>): () => void {
  const { served, names } = parts;
  const { locks } = parts.access;
  let timer = clock.setTimer(namesAgainMs, again);
  let isOver = false;
  return () => {
    isOver = true;
    timer.cancel();
  };

  function again(): void {
    void askAgain()
      // Tried again after `namesAgainMs`.
      .catch(() => undefined)
      .finally(() => {
        if (!isOver) timer = clock.setTimer(namesAgainMs, again);
      });
  }

  async function askAgain(): Promise<void> {
    const { router } = served.now.exchanges;
    for (const lock of locks.entries) {
      const { user, to = '', identities = [] } = lock.locked;
      if (isByOneName(lock) && router.table.asksUserdb) {
        const found = await readUser(router, user ?? '');
        if (typeof found === 'object' && found.users !== undefined) locks.learn(lock, { users: found.users });
      } else if (openNames(identities).length > 0) {
        const found = await readPerson({ served, names }, to);
        // A reload may have added identities meanwhile, some of them unresolved.
        const { identities: now = [] } = locks.entries.find(({ id }) => id === lock.id)?.locked ?? {};
        // No answer yet, or no such name: the lock stays as it is.
        const { identities: more = [] } = typeof found === 'object' ? found : {};
        const known = now.filter((word) => !isOpenWord(word) || !identities.includes(word));
        // Root and the last operator are never locked: the lock stays for the name alone.
        const isNever = whyNever(parts, { to, identities: more }) !== undefined;
        const all = [...new Set([...known, ...(isNever ? [] : more)])];
        if (String(all) !== String(now)) locks.learn(lock, { identities: all });
      }
    }
  }
}

/** All identities of a person of `persons`, or else of the one with that name or uid on this host, at a listener or on the page. */
async function readPerson(
  { served, names }: Pick<LockParts, 'served' | 'names'>,
  to: string,
): Promise<Target | string> {
  const { persons } = served.now;
  const { listeners, admin } = served.now.settings;
  const own = persons.wordsOf(to);
  if (own !== undefined)
    return { to, identities: [...own, ...(await wordsByName(names, persons.unknownUsersOf(to)))] };
  const number = numberIn(to);
  if (number !== undefined)
    return number.id === undefined ? `no system has the uid ${to}` : readUid({ served, names }, number.id);
  const onPage = admin?.page?.people.find(({ name }) => name === to);
  const users = [to, ...(onPage?.user === undefined ? [] : [onPage.user])];
  const [uids, hasUser] = await Promise.all([wordsByName(names, users), names.hasUser(to)]);
  const isLogin = listeners.some((listener) => loginsOf(listener).some(({ name }) => name === to));
  if (onPage === undefined && !isLogin && hasUser === false)
    return `there is no person, user or account ${to}; or write key:, listener:, backend: or user: before it`;
  // `persons` may name this person later.
  const words = [
    `name:${to}`,
    `person:${to}`,
    ...(onPage === undefined ? [] : humanOnPage(onPage).identities),
  ];
  return { to, identities: persons.withPersons([...words, ...uids]) };
}

/** The identities that `lock` would store for the target of a record; undefined if the target is neither a human nor a key. */
export async function wordsOfTarget(
  parts: Pick<LockParts, 'served' | 'names'>,
  { user, backend, listener, to = '' }: LockRecord,
): Promise<readonly string[] | undefined> {
  if (user || backend || listener) return undefined;
  if (to.startsWith('key:')) return [to];
  // If `to` is damaged, it holds the first of the identities.
  const [, kind = '', name = ''] = /^(?:(person|name|page|user|uid|oidc):)?(.*)$/s.exec(to) ?? [];
  const found = await readPerson(parts, name);
  if (typeof found === 'object') return found.identities;
  const words = [...(kind === '' ? [] : [to]), `person:${name}`, `name:${name}`];
  return parts.served.now.persons.withPersons(words);
}

/** A lock on one uid of a range of subordinate uids covers the whole range and its owner. */
async function readUid({ served, names }: Pick<LockParts, 'served' | 'names'>, uid: number): Promise<Target> {
  const [owners, user] = await Promise.all([names.ownersOf(uid), names.userOf(uid)]);
  const peer = { uid, ...('name' in user && { user: user.name }) };
  const { identities } = humanOf({ ...peer, rangeOwners: owners }, { kind: 'kernel' }, false);
  const known = ownersOf({ rangeOwners: owners });
  const open = known.flatMap(({ uid: own, user: name }) =>
    own === undefined && name !== undefined ? [name] : [],
  );
  const unread = owners === 'unknown' ? [String(uid)] : [];
  const whose = known.map(({ user: name, uid: own }) => name ?? String(own)).join(' and ');
  return {
    to: String(uid),
    identities: [...served.now.persons.withPersons(identities), ...[...open, ...unread].map(openWord)],
    doubt:
      known.length === 0
        ? undefined
        : `; /etc/subuid gives it to ${whose}, who is locked with all of that range`,
  };
}

/** The identities of these users by uid; for a user without an answer, a word that marks the name as unresolved. */
async function wordsByName(
  names: Pick<NameService, 'uidOf'>,
  users: readonly string[],
): Promise<readonly string[]> {
  const answers = await Promise.all(users.map((user) => names.uidOf(user)));
  return answers.flatMap((answer, at) => {
    if (isIdAnswer(answer, 'found')) return [`uid:${answer.id}`];
    return isIdAnswer(answer, 'unanswered') ? [openWord(users[at] ?? '')] : [];
  });
}

/** People of the page who may operate. A group is left out: it is not one human, so it cannot be the last operator. */
function operatorsOn({ admin }: Pick<Settings, 'admin'>) {
  const people = admin?.page?.people ?? [];
  return people.filter(({ roles, oidc }) => roles.includes('operate') && oidc?.group === undefined);
}

/** Why nobody can operate on the page, if so: a changed `persons` may make each operator one human with a locked person. */
export function whyNobodyOperates(settings: Pick<Settings, 'admin'>, locks: Locks): string | undefined {
  const people = operatorsOn(settings);
  const stops = people.flatMap((person) => {
    const stop = locks.on({ human: humanOnPage(person) });
    return stop === undefined ? [] : [{ id: stop.lock.id, why: `${person.name}: ${locks.sentence(stop)}` }];
  });
  const [first] = stops;
  if (first === undefined || stops.length < people.length) return undefined;
  const whys = stops.slice(0, namedMost).map(({ why }) => why);
  return `nobody operates on the page now (${whys.join('; ')}); root lifts a lock: dovegate unlock ${first.id} --reason WHY`;
}

/** Why this may not be locked; undefined: it may. */
function whyNever(
  { access: { locks }, served }: Pick<LockParts, 'access' | 'served'>,
  wish: Target,
): string | undefined {
  const { identities } = wish;
  if (identities === undefined) return undefined;
  const { persons, settings } = served.now;
  if (persons.sharesHuman(identities, ['uid:0', 'name:root']))
    return 'root is not locked, nor a person who may be root';
  const free = operatorsOn(settings).filter(
    (person) => locks.on({ human: humanOnPage(person) }) === undefined,
  );
  const lock = { id: '', untilMs: 0, locked: { time: 0, event: 'lock', ...wish } } as const;
  const isLast =
    free.length > 0 &&
    free.every((person) => stopOn([lock], { human: humanOnPage(person) }, persons) !== undefined);
  return isLast ? 'that is the last person who operates on the page' : undefined;
}
