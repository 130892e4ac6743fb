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
import { type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { columns } from '../../kit/plain/columns.js';
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

void test('root and people who operate on the page lock and lift; nobody else does', async () => {
  const { engine, onPage, lock, unlock } = open();
  for (const operator of [
    { by: 'token', address: '192.0.2.1' },
    { by: 'SIGHUP' },
    { by: 'dave', uid: 64_123, user: 'dave', loginUid: 64_123 },
  ])
    for (const asked of [lock('dave', operator), unlock('dave', operator)])
      assert.equal((await asked).kind, 'refused');
  for (const operator of [root, onPage('anna')]) {
    assert.equal((await lock('dave', operator)).kind, 'done');
    assert.equal((await unlock('dave', operator)).kind, 'done');
  }
  const [made, , again] = engine.recordsOf('lock');
  assert.deepEqual([made?.by, made?.peer?.login_uid, made?.args], ['root', 0, undefined]);
  assert.deepEqual([again?.by, again?.args], ['anna', ['address=192.0.2.7']]);
  assert.deepEqual(again?.identities, ['name:dave', 'person:dave', 'page:dave', 'user:dave']);
});

void test('a lift takes the spelling of a mail user that a lock takes', async () => {
  const { lock, unlock } = open();
  for (const target of [bob, 'user:BOB@Example.org']) {
    assert.equal((await lock(target, root)).kind, 'done');
    assert.equal((await unlock(target, root)).kind, 'done', target);
  }
});

void test('nobody lifts a lock on oneself, and somebody locked does nothing', async () => {
  const { act, onPage, lock, unlock, others } = open();
  assert.equal((await lock('anna', root)).kind, 'done');
  const annas: readonly Acting[] = [
    onPage('anna'),
    { by: 'anna', uid: 1001, user: 'anna', loginUid: 1001 },
    { by: 'admin', uid: 64_000, user: 'admin', loginUid: 1001 },
  ];
  for (const operator of annas) {
    assert.match((await unlock('anna', operator)).text, /anna is locked by root/);
    assert.match((await act({ kind: 'reload' }, operator)).text, /anna is locked by root/);
  }
  assert.deepEqual(others, []);
  assert.equal((await unlock('anna', onPage('carol'))).kind, 'done');
});

void test('root behind the login of somebody locked is locked, and root without one lifts it', async () => {
  const { act, lock, hold, unlock, others } = open();
  const asked: readonly OperatorAction[] = [
    { kind: 'reload' },
    { kind: 'kill', id: 'X' },
    { kind: 'revoke', id: 'X' },
    { kind: 'drain', backend: 'mail1' },
    { kind: 'enable', backend: 'mail1' },
    { kind: 'confirm', user: 'anna' },
  ];
  // The uid of `dave` is not known: the name of the login says it.
  for (const [target, login] of [
    ['anna', { loginUid: 1001 }],
    ['1001', { loginUid: 1001 }],
    ['dave', { loginUid: 64_123, loginUser: 'dave' }],
  ] as const) {
    const sudo: Acting = { ...root, ...login };
    assert.equal((await lock(target, root)).kind, 'done');
    for (const each of asked)
      assert.match((await act(each, sudo)).text, / is locked by root until .*: stolen/);
    for (const result of [unlock(target, sudo), lock('carol', sudo), hold(bob, sudo)])
      assert.deepEqual(
        [(await result).kind, /is locked by root/.test((await result).text)],
        ['refused', true],
      );
    assert.deepEqual(others, []);
    const free: Acting[] = [root, { by: 'root', uid: 0, user: 'root' }, { ...root, loginUid: 1002 }];
    for (const operator of free) assert.equal((await act({ kind: 'reload' }, operator)).kind, 'done');
    others.length = 0;
    assert.equal((await unlock(target, { by: 'root', uid: 0, user: 'root' })).kind, 'done');
    assert.equal((await act({ kind: 'reload' }, sudo)).kind, 'done');
    others.length = 0;
  }
});

void test('root lifts a lock of a person who may be root since a reload', async () => {
  const { turn, act, lock, unlock } = open();
  assert.equal((await lock('carol', root)).kind, 'done');
  turn(settings.replace('users: [carol]', 'users: [carol, root]').replace('[root, boss]', '[boss]'));
  assert.equal((await act({ kind: 'reload' }, root)).kind, 'done');
  assert.equal((await unlock('carol', root)).kind, 'done');
});

void test('root, a person who may be root, and the last one who operates on the page are not locked', async () => {
  const { lock, unlock } = open();
  for (const target of ['root', '0', 'boss'])
    assert.match((await lock(target, root)).text, /root is not locked/);
  assert.equal((await lock('anna', root)).kind, 'done');
  assert.match((await lock('carol', root)).text, /last person who operates on the page/);
  assert.match((await lock('1002', root)).text, /last person who operates on the page/);
  assert.equal((await lock('dave', root)).kind, 'done');
  assert.equal((await unlock('anna', root)).kind, 'done');
  assert.equal((await lock('carol', root)).kind, 'done');
});

// bounds.lockMs
void test('a lock is for a time, and its record is tried again', async () => {
  const { engine, lock } = open();
  for (const forMs of [0, -1, 0.5, bounds.lockLeastMs - 1, bounds.lockMs + 1, Number.NaN])
    assert.equal((await lock('dave', root, forMs)).kind, 'refused');
  engine.setJournal('refuse');
  const { kind, text } = await lock('dave', root, bounds.lockMs);
  assert.equal(kind, 'undone');
  assert.match(
    text,
    /^dave is locked until .*; in force, but not recorded yet, which is tried again: the disk refuses$/,
  );
  assert.ok(engine.exchanges.access.locks.on({ human: { identities: ['name:dave'] } }));
});

void test('a hold says whom it binds, and what is not known of the names of its user', async () => {
  const { engine, hold, lock } = open();
  const { kind, text } = await hold('user:BOB@example.org');
  assert.equal(kind, 'done');
  assert.match(
    text,
    /^user:BOB@example\.org is held, hold \w{26}; what could destroy, .* binds this gate only: not IMAP, not LDA and LMTP, not autoexpunge, and no other way to Dovecot\. Without `resolve` .* is known$/,
  );
  const [{ action, user, until, duration_ms: ms } = {}] = engine.recordsOf('lock');
  assert.deepEqual([action, user, until, ms], ['held', 'bob@example.org', undefined, undefined]);
  assert.match((await hold(bob, root, 3_600_000)).text, / is held until \d{4}-/);
  for (const forMs of [0, -1, 0.5, bounds.lockLeastMs - 1, Number.NaN])
    assert.equal((await hold(bob, root, forMs)).kind, 'refused');
  for (const target of ['anna', 'key:x', 'backend:mail1', 'user:*@example.org'])
    assert.notEqual((await hold(target)).kind, 'done', target);
  // A lock of a person counts no hold.
  assert.equal((await lock('dave', root)).kind, 'done');
  assert.equal(engine.exchanges.access.locks.on({ human: { identities: ['name:bob'] } }), undefined);
});

void test('two persons lift a hold: the first asks, the second lifts; it survives what one does alone', async () => {
  const { engine, onPage, hold, unlock } = open();
  const held = () => engine.exchanges.access.locks.entries.length;
  const [anna, carol] = [onPage('anna'), onPage('carol')];
  const annaAsRoot = { ...root, loginUid: 1001 };
  const carolAsRoot = { ...root, loginUid: 1002 };
  const rootAlone: Acting = { by: 'root', uid: 0, user: 'root' };
  for (const [first, alike, second] of [
    [anna, [anna, annaAsRoot], carol],
    [annaAsRoot, [annaAsRoot, anna, rootAlone, { ...root, loginUid: 4_711 }], carolAsRoot],
    [rootAlone, [rootAlone], anna],
    [anna, [], rootAlone],
  ] as const) {
    assert.equal((await hold(bob)).kind, 'done');
    assert.match((await unlock(bob, first)).text, /^user:bob@example\.org stays held until a second person/);
    for (const each of alike) {
      const { kind, text } = await unlock(bob, each);
      assert.equal(kind, 'refused', text);
      assert.match(text, /stays held: .* asked to lift it, and the second is another person/);
    }
    assert.equal(held(), 1);
    assert.deepEqual(await unlock(bob, second), { kind: 'done', text: `${bob} is unlocked` });
    assert.equal(held(), 0);
  }
  // Root without a login asked: one with a login asks in its place, and another one lifts.
  await hold(bob);
  for (const first of [rootAlone, annaAsRoot]) {
    const { kind, text } = await unlock(bob, first);
    assert.deepEqual([kind, /stays held until a second person/.test(text)], ['done', true], text);
  }
  for (const each of [rootAlone, annaAsRoot]) assert.equal((await unlock(bob, each)).kind, 'refused');
  assert.deepEqual(await unlock(bob, carolAsRoot), { kind: 'done', text: `${bob} is unlocked` });
  assert.deepEqual(
    engine
      .recordsOf('lock')
      .slice(0, 3)
      .map(({ action, by }) => [action, by]),
    [
      ['held', 'root'],
      ['unlock-asked', 'anna'],
      ['unlocked', 'carol'],
    ],
  );
});

void test('neither who is held lifts it, nor somebody who is no person of `persons`', async () => {
  const { onPage, hold, unlock } = open();
  for (const user of ['anna@example.org', 'anna']) {
    await hold(`user:${user}`);
    for (const operator of [onPage('anna'), { ...root, loginUid: 1001 }])
      assert.match((await unlock(`user:${user}`, operator)).text, /nobody lifts a hold of their own mail/);
  }
  const stranger = open(settings.replace(', carol: { users: [carol], page: [carol] }', ''));
  await stranger.hold(bob);
  assert.match((await stranger.unlock(bob, stranger.onPage('carol'))).text, /you are none of them/);
});

void test('who asked to lift a hold is not the second one, also where `persons` was changed between the two', async () => {
  const web = settings.replace('      anna: { user: anna', '      web: { user: web');
  const persons = (text: string): string =>
    web.replace(/persons: .*/, `persons: { carol: { users: [carol] }, ${text} }`);
  const one = persons('anna: { users: [anna], page: [web] }');
  const split = persons('anna: { users: [anna] }, another: { page: [web] }');
  const annaAsRoot: Acting = { ...root, loginUid: 1001, loginUser: 'anna' };
  for (const [before, after] of [
    [one, split],
    [one, persons('anna: { users: [anna] }, another: { users: ["7"], page: [web] }')],
    [split, one],
  ] as const)
    for (const isPageFirst of [true, false]) {
      const { turn, onPage, hold, unlock, engine } = open(before);
      const [first, second] = isPageFirst ? [onPage('web'), annaAsRoot] : [annaAsRoot, onPage('web')];
      await hold(bob);
      assert.match((await unlock(bob, first)).text, /stays held until a second person/);
      turn(after);
      const { kind, text } = await unlock(bob, second);
      assert.equal(kind, 'refused', text);
      assert.match(text, /asked to lift it, and the second is another person/);
      assert.equal((await unlock(bob, { ...root, loginUid: 1002, loginUser: 'carol' })).kind, 'done');
      const [{ identities = [] } = {}] = engine
        .recordsOf('lock')
        .filter(({ action }) => action === 'unlock-asked');
      assert.ok(identities.includes('person:anna') || before === split, identities.join(' '));
    }
});

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

void test('where fewer than two could lift it, the answer to the hold says so', async () => {
  const few = /fewer than two could now: name them in `persons`/;
  assert.doesNotMatch((await open().hold(bob)).text, few);
  const noPage = settings.replace(/ {2}page:\n[^]*/, '').replaceAll(/, page: \[\w+\]/g, '');
  assert.doesNotMatch((await open(noPage).hold(bob)).text, few);
  const one = noPage.replace(/persons: .*/, 'persons: { anna: { users: [anna] } }');
  assert.match((await open(one).hold(bob)).text, few);
  const none = noPage.replace(/persons: .*/, '');
  assert.match((await open(none).hold(bob)).text, few);
  const two = noPage.replace(/persons: .*/, 'persons: { anna: { users: [anna] }, bob: { users: [bob] } }');
  assert.match((await open(two).hold(bob)).text, few);
});

// bounds.holdMs
void test('a hold has an end within a bound, or none', async () => {
  const { hold } = open();
  for (const forMs of [bounds.holdMs + 1, 999_999_999_999, 8.64e15, Number.MAX_SAFE_INTEGER])
    assert.deepEqual(await hold(bob, root, forMs), {
      kind: 'refused',
      text: 'a lock or hold is for at least 1 min; a lock for at most 7 days, a hold for at most 3,650 days or without an end',
    });
  assert.match((await hold(bob, root, bounds.holdMs)).text, / is held until \d{4}-/);
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

// bounds.liftAskMs
void test('what one asked to lift is over after a day, and the next one asks again', async () => {
  const { engine, onPage, hold, unlock } = open();
  const [anna, carol] = [onPage('anna'), onPage('carol')];
  const { locks } = engine.exchanges.access;
  const shown = () =>
    locks.entries.map((lock) => locks.shown(lock)).map(({ asked, asked_until: until }) => [asked, until]);
  await hold(bob);
  assert.match(
    (await unlock(bob, anna)).text,
    /stays held until a second person lifts it, within 1 day, with dovegate unlock/,
  );
  engine.clock.leap(30 * 86_400_000);
  engine.clock.advanceNow(bounds.liftAskMs - 1);
  assert.deepEqual(shown(), [['anna', new Date(engine.clock.wallMs() + 1).toISOString()]]);
  engine.clock.advanceNow(1);
  assert.deepEqual(shown(), [[undefined, undefined]]);
  assert.match((await unlock(bob, carol)).text, /stays held until a second person lifts it/);
  assert.deepEqual(shown().flat()[0], 'carol');
  assert.equal((await unlock(bob, anna)).kind, 'done');
  assert.deepEqual(columns(engine.recordsOf('lock'), 'action', 'duration_ms'), [
    ['held', undefined],
    ['unlock-asked', bounds.liftAskMs],
    ['unlock-asked', bounds.liftAskMs],
    ['unlocked', undefined],
  ]);
});

void test('a user of a person is locked with all of the human, also after persons was changed', async () => {
  const { engine, turn, lock } = open(
    settings.replace('carol: { users: [carol], page: [carol] }', 'c: { users: [carol, bob] }'),
  );
  assert.equal((await lock('carol', root)).kind, 'done');
  turn(settings.replace('carol: { users: [carol], page: [carol] }, ', ''));
  const { locks } = engine.exchanges.access;
  assert.ok(locks.on({ human: { identities: ['uid:1003'] } }), 'by the other user');
  assert.equal(locks.on({ human: { identities: ['uid:1001'] } }), undefined);
});

void test('a step of a lift that is not recorded is not done', async () => {
  const { engine, onPage, hold, unlock } = open();
  await hold(bob);
  engine.setJournal('refuse');
  assert.equal((await unlock(bob, onPage('anna'))).kind, 'unrecorded');
  engine.setJournal('take');
  assert.match((await unlock(bob, onPage('carol'))).text, /stays held until a second person/);
  engine.setJournal('refuse');
  assert.equal((await unlock(bob, onPage('anna'))).kind, 'unrecorded');
  assert.equal(engine.exchanges.access.locks.entries.length, 1);
});

void test('whose name is one of the mail user who is held, by the userdb, does not lift that', async () => {
  let isAnswering = true;
  const asked: string[] = [];
  const { onPage, hold, unlock } = openWithUserdb((users) => {
    asked.push(...users);
    return isAnswering ? (users.includes('carol@example.org') ? ['bob@example.org'] : []) : undefined;
  });
  assert.equal((await hold(bob)).kind, 'done');
  const own = await unlock(bob, onPage('carol'));
  assert.deepEqual(
    [own.kind, own.text],
    [
      'refused',
      'nobody lifts a hold of their own mail, and carol@example.org is a name of that user; ask two others',
    ],
  );
  assert.ok(asked.includes('carol'), 'also without the domain');
  isAnswering = false;
  assert.match((await unlock(bob, onPage('anna'))).text, /^the userdb does not answer/);
  isAnswering = true;
  assert.match((await unlock(bob, onPage('anna'))).text, /stays held until a second person/);
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

void test('a lift whose operator is locked, or whose first asker is, while its record is written is none, also after a start', async () => {
  for (const whom of ['carol', 'anna', 'self'] as const) {
    const { engine, onPage, lock, unlock, hold } = open();
    const { locks } = engine.exchanges.access;
    const target = whom === 'self' ? 'dave' : bob;
    if (whom === 'self') await lock('dave', root);
    else {
      await hold(bob);
      assert.match((await unlock(bob, onPage('anna'))).text, /stays held until a second person/);
    }
    engine.setJournal('hold');
    const late = unlock(target, onPage('carol'));
    const twice = unlock(target, onPage('carol'));
    await settle();
    const locked = lock(whom === 'self' ? 'carol' : whom, root);
    await settle();
    engine.setJournal('take');
    assert.equal((await locked).kind, 'done');
    for (const each of [await late, await twice]) {
      assert.equal(each.kind, 'refused', `${whom}: ${each.text}`);
      const why = whom === 'anna' ? /stays held: who asked .* does not count/ : /carol is locked by root/;
      assert.match(each.text, why);
    }
    assert.ok(locks.entries.some((each) => locks.shown(each).target === target));
    const records = engine.recordsOf('lock').filter((each) => each.to !== (whom === 'self' ? 'carol' : whom));
    assert.deepEqual(
      records.map(({ action, by }) => `${action} ${by}`),
      whom === 'self'
        ? ['locked root', 'unlocked carol', 'locked root']
        : ['held root', 'unlock-asked anna', 'unlocked carol', 'held root'].concat(
            whom === 'carol' ? ['unlock-asked anna'] : [],
          ),
    );
    const text = records.find((each) => each.text !== undefined)?.text;
    assert.match(text ?? '', /^not lifted: /);
    const started = openMemoryEngine({ settings, uids, found: records }).exchanges.access.locks;
    assert.deepEqual(
      started.entries.map((each) => [started.shown(each).target, each.asked?.record.by]),
      [[target, whom === 'carol' ? 'anna' : undefined]],
    );
  }
});

void test('who asked to lift a hold and was locked since does not count, and the next one is the first', async () => {
  const byLogin: Acting = { by: 'root', uid: 0, user: 'root', loginUid: 64_123, loginUser: 'dave' };
  for (const [whom, first] of [
    ['anna', undefined],
    ['dave', byLogin],
  ] as const) {
    const { engine, onPage, lock, unlock, hold } = open();
    const { locks } = engine.exchanges.access;
    const asked = () => locks.entries.find(({ locked }) => locked.user !== undefined)?.asked?.record.by;
    await hold(bob);
    engine.setJournal('hold');
    const late = unlock(bob, first ?? onPage('anna'));
    await settle();
    const locked = lock(whom, root);
    await settle();
    engine.setJournal('take');
    await locked;
    assert.match((await late).text, / is locked by root/);
    assert.equal(asked(), undefined);
    await unlock(whom, root);
    await unlock(bob, first ?? onPage('anna'));
    assert.notEqual(asked(), undefined);
    assert.equal((await lock(whom, root)).kind, 'done');
    assert.equal(asked(), undefined);
    assert.match((await unlock(bob, onPage('carol'))).text, /stays held until a second person/);
    assert.equal(asked(), 'carol');
  }
});
