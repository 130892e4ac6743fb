// Goal: who locks and lifts, and what is never locked, at each door of an operator. What must not happen: a lock by somebody who is not
// root and does not operate on the page; a lift of one's own lock; an action of somebody locked; a page without an operator who is free.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operator, OperatorAction } from '../../../src/gate/admin/access.js';
import { followNames, withLocks } from '../../../src/gate/daemon/lock-actions.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { humanOfOperator, humanOnPage, type SeenOnPage } from '../../../src/rules/identity/human.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { type UserdbAnswer, userdbKey } from '../../../src/rules/policy/route.js';
import { journalModes, type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { compareStories } from '../../kit/plain/approved.js';
import { column } from '../../kit/plain/columns.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { knownUids } from '../../kit/plain/names.js';

const settings = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server" } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*@example.org"], allow: [quota get] } }
persons: { anna: { users: [anna], page: [anna] }, carol: { users: [carol], page: [carol] }, boss: { users: [root, boss] } }
admin:
  unix: /run/dovegate/admin.sock
  page:
    unix: /run/dovegate/page.sock
    people:
      anna: { user: anna, roles: [operate] }
      carol: { user: carol, roles: [operate] }
      dave: { user: dave, roles: [audit] }
`;
const uids = { anna: 1001, carol: 1002, root: 0, boss: 1009, bob: 1003 };
const bob = 'user:bob@example.org';
type LockParts = Parameters<typeof withLocks>[1];
/** `loginUser`: as the name service says it at the admin socket. */
type Acting = Omit<Operator, 'human'> &
  Partial<Pick<Operator, 'human'>> & { readonly loginUser?: string | undefined };
const root: Acting = { by: 'root', uid: 0, user: 'root', loginUid: 0 };

function open(text = settings, more: (engine: MemoryEngine) => Partial<LockParts> = () => ({})) {
  const engine = openMemoryEngine({ settings: text, uids });
  const users = knownUids(uids);
  /** The name service. */
  let isAway = false;
  const others: OperatorAction[] = [];
  const { exchanges } = engine;
  const now = { settings: engine.settings, persons: new Persons(engine.settings.persons, users), exchanges };
  /** A reload, of what locks look at. */
  const turn = (next: string): void => {
    const { settings: read } = openMemoryEngine({ settings: next, uids });
    Object.assign(now, { settings: read, persons: new Persons(read.persons, users) });
    engine.exchanges.access.locks.turnTo(now.persons);
  };
  const parts: LockParts = {
    access: exchanges.access,
    served: { now },
    service: engine.service,
    names: {
      uidOf: async (name) =>
        name in uids
          ? { kind: 'found', id: users.uidOf(name) ?? 0 }
          : { kind: isAway ? 'unanswered' : 'none' },
      hasUser: async (name) => ['dave', 'root'].includes(name),
      userOf: async () => ({ kind: 'none' }),
      ownersOf: async (uid) => (uid >= 100_000 ? [{ uid: 1003, user: 'bob' }] : undefined),
    },
    log: { report: () => undefined },
    ...more(engine),
  };
  const actLocked = withLocks(async (action) => {
    others.push(action);
    return { kind: 'done', text: '' };
  }, parts);
  const act = (action: OperatorAction, { loginUser, human, ...operator }: Acting) =>
    actLocked(action, { ...operator, human: human ?? humanOfOperator({ ...operator, loginUser }, false) });
  const onPage = (name: string, seen?: SeenOnPage): Acting => {
    const person = now.settings.admin?.page?.people.find((each) => each.name === name);
    assert.ok(person);
    return {
      by: name,
      uid: 64_000,
      user: 'dovegate-page',
      human: humanOnPage(person, seen, now.persons),
      from: ['address=192.0.2.7'],
    };
  };
  const lock = (target: string, operator: Acting, forMs = 3_600_000) =>
    act({ kind: 'lock', target, isHold: false, forMs, reason: 'stolen', kills: false }, operator);
  const hold = (target: string, operator: Acting = root, forMs?: number) =>
    act({ kind: 'lock', target, isHold: true, forMs, reason: 'case 17', kills: false }, operator);
  const unlock = (target: string, operator: Acting) =>
    act({ kind: 'unlock', target, reason: 'found' }, operator);
  const setAway = (away: boolean): void => {
    isAway = away;
  };
  return { engine, parts, turn, setAway, act, onPage, lock, hold, unlock, others };
}

/** `aliasesOf`: other names of these users; undefined: the userdb does not answer. */
function openWithUserdb(aliasesOf: (users: readonly string[]) => readonly string[] | undefined) {
  return open(settings, ({ settings: own, exchanges }) => ({
    served: {
      now: {
        settings: own,
        persons: new Persons(own.persons),
        exchanges: {
          router: {
            table: { ...exchanges.router.table, asksUserdb: true },
            ask: async ([question], known) => {
              const users = question?.kind === 'userdb' ? question.users : [];
              const aliases = aliasesOf(users);
              const answer: UserdbAnswer =
                aliases === undefined
                  ? { kind: 'failed', code: 'reply-timeout' }
                  : { kind: 'resolved', aliases };
              return { ...known, userdb: new Map([[userdbKey(users), answer]]) };
            },
          },
        },
      },
    },
  }));
}

void test('who is held is no lifter under any name, at the time of the hold or of the lift', async () => {
  const persons = (text: string): string =>
    settings.replace(/persons: .*/, `persons: { carol: { users: [carol] }, ${text} }`);
  const login = (loginUid: number, loginUser?: string): Acting => ({ ...root, loginUid, loginUser });
  for (const [entry, operator] of [
    ['bob: { users: ["1003"] }', login(1003)],
    ['robert: { users: ["1003"] }', login(1003)],
    ['bob: { users: ["64123"] }', login(64_123)],
    ['robert: { users: ["64123"] }', login(64_123, 'bob')],
    ['robert: { users: ["64123", bob] }', login(64_123)],
    ['robert: { users: ["64123"], oidc: "BOB@example.org" }', login(64_123)],
  ] as const) {
    for (const later of [
      entry,
      'robert: { users: ["64123", "1003"] }',
      'rob: { users: ["64123"] }, x: { users: ["1003"] }',
    ]) {
      const { turn, hold, unlock } = open(persons(entry));
      assert.equal((await hold(bob)).kind, 'done');
      turn(persons(later));
      const { kind, text } = await unlock(bob, operator);
      assert.deepEqual(
        [kind, text],
        ['refused', 'nobody lifts a hold of their own mail; ask two others'],
        `${entry} ${later}`,
      );
      assert.equal((await unlock(bob, login(1002))).kind, 'done');
    }
  }
  const { setAway, hold, unlock } = open();
  await hold('user:eve@example.org');
  setAway(true);
  assert.match(
    (await unlock('user:eve@example.org', login(1001))).text,
    /the name service does not answer for "eve/,
  );
  setAway(false);
  assert.equal((await unlock('user:eve@example.org', login(1001))).kind, 'done');
});

// bounds.locksOfPeople, bounds.locks
void test('people on the page leave places for locks of root', async () => {
  const { onPage, hold, lock, unlock } = open();
  const anna = onPage('anna');
  const user = (at: number): string => `user:u${at}@example.org`;
  for (let at = 0; at < bounds.locksOfPeople; at += 1)
    assert.equal((await (at % 2 === 0 ? hold(user(at), anna) : lock(user(at), anna))).kind, 'done');
  for (const made of [lock('dave', anna), hold(bob, onPage('carol'))])
    assert.deepEqual(await made, {
      kind: 'refused',
      text: 'there are 150 locks already, and the other places are for root at the admin socket; lift one first',
    });
  assert.equal((await lock('anna', root)).kind, 'done');
  assert.equal((await unlock(user(1), root)).kind, 'done');
  for (let at = bounds.locksOfPeople; at < bounds.locks; at += 1)
    assert.equal((await lock(user(at), root)).kind, 'done');
  assert.deepEqual(await lock(bob, root), {
    kind: 'refused',
    text: 'there are 200 locks already; lift one first',
  });
});

void test('the other names of a mail user are asked for again until the userdb has said them', async () => {
  let isAnswering = false;
  const { engine, parts, hold } = openWithUserdb(() => (isAnswering ? ['bob@example.org'] : undefined));
  const clock = createFakeClock();
  const end = followNames(parts, clock);
  const { locks } = parts.access;
  assert.match((await hold('user:robert@example.org')).text, /did not answer .*, and it is asked again/);
  const shown = () => locks.entries.map((lock) => locks.shown(lock).doubt !== undefined);
  const tick = async (): Promise<void> => {
    await clock.advance(5_000);
    await settle();
  };
  await tick();
  assert.deepEqual(shown(), [true]);
  isAnswering = true;
  await tick();
  assert.deepEqual(shown(), [false]);
  assert.deepEqual(locks.entries[0]?.locked.users, ['robert@example.org', 'bob@example.org']);
  assert.equal(locks.entries[0]?.untilMs, Infinity);
  const made = engine.recordsOf('lock');
  assert.deepEqual(
    made.map(({ users, lock }) => [users, lock === made[0]?.lock]),
    [
      [undefined, true],
      [['robert@example.org', 'bob@example.org'], true],
    ],
  );
  await tick();
  assert.equal(engine.recordsOf('lock').length, 2);
  end();
});

void test('two operators who lock each other at the same time: one of them is free', async () => {
  const { onPage, lock } = open();
  const both = await Promise.all([lock('carol', onPage('anna')), lock('anna', onPage('carol'))]);
  assert.deepEqual(both.map(({ kind }) => kind).toSorted(), ['done', 'refused']);
  assert.match(both.map(({ text }) => text).join(), /carol is locked by anna|last person who operates/);
});

/** Who acts, by the first word of a step: `page:anna`, or `root/1001/anna` with the login's uid and name. */
function actingAs(who: string, onPage: (name: string) => Acting): Acting {
  const [name = '', uid, loginUser] = who.split('/');
  if (name.startsWith('page:')) return onPage(name.slice(5));
  const loginUid = uid === undefined ? undefined : Number(uid);
  const known: Readonly<Record<string, Acting>> = {
    token: { by: 'token', address: '192.0.2.1' },
    SIGHUP: { by: 'SIGHUP' },
    root: { by: 'root', uid: 0, user: 'root', loginUid, loginUser },
    anna: { by: 'anna', uid: 1001, user: 'anna', loginUid },
    dave: { by: 'dave', uid: 64_123, user: 'dave', loginUid },
    admin: { by: 'admin', uid: 64_000, user: 'admin', loginUid },
  };
  return known[name] ?? assert.fail(who);
}

const asked: readonly OperatorAction[] = [
  { kind: 'reload' },
  { kind: 'kill', id: 'X' },
  { kind: 'revoke', id: 'X' },
  { kind: 'drain', backend: 'mail1' },
  { kind: 'enable', backend: 'mail1' },
  { kind: 'confirm', user: 'anna' },
];

/** The settings with other lines: `KEY = LINE`; without a line, that key and what is below it is gone. */
function settingsWith(changes: readonly string[]): string {
  return changes.reduce((text, change) => {
    const [, key = '', line = ''] = /^(\w+) = ?(.*)$/.exec(change) ?? [];
    const old = new RegExp(line === '' ? `^( *)${key}:.*\n(?:\\1 .*\n)*` : `^( *)${key}:.*\n`, 'm');
    assert.match(text, old);
    return text.replace(old, line === '' ? '' : `$1${line}\n`);
  }, settings);
}

// A step: `WHO lock|hold TARGET [MS]`, `WHO unlock TARGET`, `WHO acts`: all that is no lock; or `* ` and what happens.
// bounds.holdMs, bounds.liftAskMs
void test('who locks, holds and lifts, what is recorded and what is in force, as lock-actions.txt has it', async () => {
  await compareStories('test/gate/daemon/lock-actions.txt', (withs) => {
    const userdb = withs.find((each) => each.startsWith('userdb '))?.slice(7);
    let isAnswering = true;
    const questions: string[] = [];
    const opened =
      userdb === undefined
        ? open(settingsWith(withs))
        : openWithUserdb((users) => {
            questions.push(...users);
            return isAnswering ? (users.includes(userdb) ? ['bob@example.org'] : []) : undefined;
          });
    const { engine, turn, setAway, act, onPage, others } = opened;
    const { locks } = engine.exchanges.access;
    const inForce = (of = locks) =>
      of.entries.map((each) => {
        const { target, until, asked: by, asked_until: askedUntil } = of.shown(each);
        return [target, until, by, askedUntil];
      });
    const ids: string[] = [];
    const named = (text: string): string =>
      text.replace(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, (id) => {
        if (!ids.includes(id)) ids.push(id);
        return `L${ids.indexOf(id) + 1}`;
      });
    const finished: (readonly [step: string, answer: string])[] = [];
    const signedIn = new Map<string, Acting>();
    const happen = (what: string, text: string): unknown => {
      switch (what) {
        case 'signs-in':
          return void signedIn.set(text, actingAs(text, onPage));
        case 'reload':
          return turn(settingsWith(text === '' ? [] : text.split(' AND ')));
        case 'journal':
          return engine.setJournal(journalModes.find((each) => each === text) ?? assert.fail(text));
        case 'later':
          return engine.clock.advanceNow(Number(text));
        case 'leap':
          return engine.clock.leap(Number(text));
        case 'userdb':
          isAnswering = text === 'answers';
          return undefined;
        case 'names':
          return setAway(text === 'away');
        case 'stops':
          return locks.on({ human: { identities: [text] } }) !== undefined;
        case 'start':
          return inForce(
            openMemoryEngine({ settings, uids, found: engine.recordsOf('lock') }).exchanges.access.locks,
          );
        default:
          return assert.fail(what);
      }
    };
    let shown = '[]';
    return async (step) => {
      const before = engine.recordsOf('lock').length;
      const said: unknown[] = [];
      const [who = '', verb = '', target = '', ms] = step.split(' ');
      const operator = who === '*' ? root : (signedIn.get(who) ?? actingAs(who, onPage));
      if (who === '*') said.push(happen(verb, step.split(' ').slice(2).join(' ')));
      else if (verb === 'acts') {
        const answers = await Promise.all(asked.map((each) => act(each, operator)));
        said.push(...new Set(answers.map(({ kind, text }) => `each: ${kind} ${text}`)));
      } else {
        const isHold = verb === 'hold';
        const forMs = ms === undefined && !isHold ? 3_600_000 : ms === undefined ? undefined : Number(ms);
        const answer = act(
          verb === 'unlock'
            ? { kind: 'unlock', target, reason: 'found' }
            : { kind: 'lock', target, isHold, forMs, reason: isHold ? 'case 17' : 'stolen', kills: false },
          operator,
        );
        void answer.then(({ kind, text }) => finished.push([step, `${kind}: ${text}`]));
      }
      for (let turns = 0; turns < 5; turns += 1) await settle();
      // What waited for its record, under the step that asked for it.
      for (const [of, answer] of finished.splice(0)) said.push(of === step ? answer : `${of}: ${answer}`);
      said.push(...engine.recordsOf('lock').slice(before));
      if (questions.length > 0) said.push(`the userdb is asked for ${questions.splice(0).join(' ')}`);
      if (others.length > 0) said.push(`done: ${column(others.splice(0), 'kind').join(' ')}`);
      if (shown !== (shown = JSON.stringify(inForce()))) said.push(`in force: ${shown}`);
      const lines = said.flatMap((each) => (each === undefined ? [] : [named(JSON.stringify(each))]));
      return lines.length === 0 ? '-' : lines.join('\n');
    };
  });
});
