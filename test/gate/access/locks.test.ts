// Goal: what a lock stops, with the engine's own sessions: whom it holds for, and each place where a command of theirs is about to be sent.
// What must not happen: a command of a locked one at a backend after the lock; a command of another one that is stopped; a lock that ends
// by a step of the clock, or by a lift without its record.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandNamed } from '../../../src/doveadm/commands/catalog.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { AccessJournal } from '../../../src/gate/access/access-journal.js';
import { Locks } from '../../../src/gate/access/locks.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { Peer } from '../../../src/host/ports/peer.js';
import { LockBook, type LockEntry } from '../../../src/journal/records/lock-book.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { openWord } from '../../../src/rules/identity/human.js';
import { type Person, Persons } from '../../../src/rules/identity/person.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  journalModes,
  type MemoryClient,
  type MemoryEngine,
  openMemoryEngine,
} from '../../kit/gate/memory-engine.js';
import { type Asked, compareAnswers, compareStories } from '../../kit/plain/approved.js';
import { column, columns } from '../../kit/plain/columns.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { held, locked } from '../../kit/plain/lock-records.js';
import { knownUids } from '../../kit/plain/names.js';

const hour = 3_600_000;
const fail = () => Promise.reject(new Error('no disk'));
const isFree = () => undefined;
const good = replyPacket('\n+\n');
const settings = `
version: 1
listeners:
  support: { unix: /run/dovegate/support.sock, policy: support }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", connections: 1 } }
routes: [{ users: ["*"], backend: mail1 }]
persons: { anna: { users: [anna, anna-admin] }, carol: { users: [carol] }, dave: { users: [dave] }, erin: { users: [erin] } }
policies:
  support:
    users: ["*@example.org"]
    allow:
      - quota get
      - save
      - { command: mailbox status, masks: true, all_users: true }
      - { command: expunge, max_matches: 5 }
    on_request:
      - { command: mailbox list, approvals: 1, for: 1h }
      - { command: mailbox subscribe, approvals: 2, for: 1h }
    approve: [support]
`;
const uids = { anna: 1001, 'anna-admin': 1011, carol: 1002, dave: 1003, erin: 1004 };
const anna = { uid: 1001, user: 'anna', loginUid: 1001 };
const carol = { uid: 1002, user: 'carol', loginUid: 1002 };
const ofAnna = { to: 'anna', identities: ['person:anna', 'key:robot'] };

function open(more = ''): MemoryEngine {
  return openMemoryEngine({ settings: settings + more, uids });
}

function lockIn(
  { exchanges }: MemoryEngine,
  of: Partial<Parameters<Locks['lock']>[0]> = ofAnna,
  kill = (_lock: LockEntry) => 0,
) {
  const wish = { by: 'root', reason: 'stolen', forMs: 2 * hour, ...of };
  const made = exchanges.access.locks.lock(wish, bounds.locks, kill);
  assert.ok(made);
  return made;
}

const killIn =
  ({ service, exchanges }: MemoryEngine) =>
  (lock: LockEntry) =>
    service.killBound(lock, exchanges.access.locks.persons);

void test('the end of a lock is the millisecond of its record in each sentence, whatever the clocks differ by', () => {
  const engine = open();
  const { exchanges, clock } = engine;
  const { lock } = lockIn(engine);
  const told = new Set<string | undefined>();
  for (let count = 0; count < 8; count += 1) {
    clock.advanceNow(0.3);
    told.add(exchanges.access.locks.shown(lock).until);
  }
  assert.deepEqual([...told], [lock.locked.until]);
});

void test('a mail user is locked by aliases and by masks that may be the user', () => {
  const engine = open();
  lockIn(engine, { user: 'bob@example.org' });
  const { locks } = engine.exchanges.access;
  const command = commandNamed('2.4', 'quota get') ?? assert.fail();
  const parsed = parseArguments('2.4', command, []);
  assert.ok(parsed.kind === 'parsed');
  const nobody = { user: undefined, users: [], aliases: [], masks: [], everybody: 'none' } as const;
  const nothing = {
    command,
    effect: 'read',
    parsed,
    ...nobody,
    shared: undefined,
    isSharedUnsaid: false,
  } as const;
  const mask = (value: string, isUserMask = true) => ({ masks: [{ parameter: 'user', value, isUserMask }] });
  for (const [touched, isBound] of [
    [{ aliases: ['bob@example.org'] }, true],
    [{ users: ['bob@example.com'] }, false],
    [mask('b*@example.org'), true],
    [mask('e*@example.org'), false],
    [mask('192.0.2.1', false), true],
    [{ everybody: 'listing' }, true],
    [{}, false],
  ] as const)
    assert.equal(
      locks.on({ touched: { ...nothing, ...touched } }) !== undefined,
      isBound,
      JSON.stringify(touched),
    );
});

void test('in force before its record: a disk that fails gets it later, and the answer says so', async () => {
  const engine = open();
  engine.setJournal('refuse');
  const { recorded } = lockIn(engine);
  assert.ok(engine.exchanges.access.locks.on({ human: { identities: ['uid:1001'] } }));
  assert.match((await recorded) ?? '', /the disk refuses/);
  engine.setJournal('take');
  assert.equal(engine.recordsOf('lock').length, 0);
  const lockedAt = new Date(engine.clock.wallMs()).toISOString();
  await engine.clock.advance(2_000);
  assert.deepEqual(columns(engine.recordsOf('lock'), 'action', 'by', 'at'), [['locked', 'root', lockedAt]]);
});

void test('a lock whose record comes after a step of the clock has its end by the clock of then', async () => {
  for (const leapMs of [30 * 24 * hour, -30 * 24 * hour]) {
    const engine = open();
    engine.setJournal('refuse');
    await lockIn(engine).recorded;
    engine.clock.leap(leapMs);
    engine.setJournal('take');
    await engine.clock.advance(2_000);
    const [{ until = '', action } = {}] = engine.recordsOf('lock');
    assert.equal(action, 'locked');
    const leftMs = Date.parse(until) - engine.clock.wallMs();
    assert.ok(Math.abs(leftMs - 2 * hour + 2_000) < 5, `${leftMs}`);
  }
});

void test('a lift takes effect once its record is on disk', async () => {
  const engine = open();
  const { lock, recorded } = lockIn(engine);
  await recorded;
  const { locks } = engine.exchanges.access;
  await engine.clock.advance(60_000);
  engine.setJournal('later');
  assert.match((await locks.lift<never>(lock, { by: 'carol', reason: 'found' }, isFree)) ?? '', /later/);
  assert.equal(locks.size, 1);
  // A start that finds the lift finds the lock again after it.
  assert.deepEqual(column(engine.recordsOf('lock'), 'action'), ['locked', 'unlocked', 'locked']);
  const book = new LockBook();
  for (const record of engine.recordsOf('lock')) book.follow({ ...record });
  assert.equal(book.find(lock.id)?.locked.time, lock.locked.time, 'since when it is locked');
  engine.setJournal('hold');
  const lifted = locks.lift(lock, { by: 'carol', reason: 'found' }, isFree);
  await settle();
  assert.equal(locks.size, 1);
  engine.setJournal('take');
  assert.equal(await lifted, undefined);
  assert.equal(locks.size, 0);
  assert.equal(engine.recordsOf('lock').at(-1)?.reason, 'found');
});

void test('a lock ends after its time, whatever becomes of the wall clock', async () => {
  for (const leapMs of [0, 30 * 24 * hour, -30 * 24 * hour]) {
    const engine = open();
    lockIn(engine);
    const { locks } = engine.exchanges.access;
    engine.clock.leap(leapMs);
    await engine.clock.advance(2 * hour - 1_000);
    assert.ok(locks.on({ human: { identities: ['uid:1001'] } }));
    await engine.clock.advance(1_000);
    assert.equal(locks.on({ human: { identities: ['uid:1001'] } }), undefined);
    await engine.clock.advance(1_000);
    assert.deepEqual(column(engine.recordsOf('lock'), 'action'), ['locked', 'expired']);
    assert.equal(locks.size, 0);
  }
});

void test('a step of the clock between the journal and the locks of a start neither ends nor prolongs one', () => {
  for (const leapMs of [0, 30 * 24 * hour, -30 * 24 * hour]) {
    const clock = createFakeClock();
    const book = new LockBook();
    book.follow(locked('L1', clock.wallMs()));
    const records = book.carried(clock.wallMs() + hour / 2);
    clock.leap(leapMs);
    const journal = new AccessJournal(
      { append: () => undefined, appendDurable: fail, checkpoint: fail },
      clock,
    );
    const locks = new Locks({ clock, journal, newId: () => '', onMade: () => undefined }, records);
    const [lock] = locks.entries;
    assert.ok(lock);
    assert.equal(locks.shown(lock).until, new Date(clock.wallMs() + hour / 2).toISOString());
    clock.advanceNow(hour / 2);
    assert.deepEqual(locks.entries, []);
  }
});

// bounds.locks
void test('so many locks at once', () => {
  const engine = open();
  for (let at = 0; at < bounds.locks; at += 1) lockIn(engine, { backend: `mail${at}` });
  const one = { by: 'root', reason: 'x', forMs: hour, backend: 'more' };
  const surplus = engine.exchanges.access.locks.lock(one, bounds.locks, () => 0);
  assert.equal(surplus, undefined);
});

const ofBob = { user: 'bob@example.org', isHold: true, forMs: undefined, reason: 'case 17' };

void test('a hold without an end outlasts every step of the clock; one with an end expires', async () => {
  const engine = open();
  lockIn(engine, ofBob);
  lockIn(engine, { ...ofBob, forMs: hour });
  engine.clock.leap(4_000 * 24 * hour);
  await engine.clock.advance(hour);
  const { locks } = engine.exchanges.access;
  const untils = locks.entries.map((lock) => locks.shown(lock).until);
  assert.deepEqual(untils, [undefined]);
});

const meant: Readonly<Record<string, string>> = {
  'info@example.org': 'USER|bob@example.org',
  'sales@example.org': 'USER|bob@example.com',
  'mute@example.org': 'FAIL',
};

const peers: Readonly<Record<string, Partial<Peer>>> = {
  anna,
  carol,
  dave: { uid: 1003, user: 'dave', loginUid: 1003 },
  erin: { uid: 1004, user: 'erin', loginUid: 1004 },
  'anna-admin': { uid: 1011, user: 'anna-admin' },
  sudo: { uid: 0, user: 'root', loginUid: 1001 },
  eve: { uid: 2001, user: 'eve' },
};

/** A hold has no end. */
function wishOf(json: string): Parameters<typeof lockIn>[1] {
  const wish: Parameters<typeof lockIn>[1] = JSON.parse(json);
  return wish?.isHold === true ? { ...wish, forMs: undefined } : wish;
}

/** A step of stops.txt that begins with `* `; a lift is of the first lock. */
function happen(engine: MemoryEngine, what: string, wish: string): unknown {
  const { locks } = engine.exchanges.access;
  const first = () => locks.entries[0] ?? assert.fail();
  switch (what) {
    case 'lock':
      return void lockIn(engine, wishOf(wish));
    case 'kill':
      return lockIn(engine, wishOf(wish), killIn(engine)).count;
    case 'stops':
      return locks.on({ human: { identities: wish.split(' ') } }) !== undefined;
    case 'journal':
      return engine.setJournal(journalModes.find((each) => each === wish) ?? assert.fail(wish));
    case 'silent':
      return engine.setAnswer((line) => (line.includes(wish) ? undefined : good));
    case 'answers':
      engine.setAnswer(() => good);
      return engine.commands[0]?.end.peer.send(good);
    case 'ask-lift':
      return locks.askLift(first(), { by: wish, reason: 'over' });
    case 'lift':
      return locks.lift(first(), { by: wish, reason: 'found' }, isFree);
    default:
      return assert.fail(what);
  }
}

// A step: `WHO LINE`, with R1 for the first request; or `* ` and what happens. Below it: what anybody reads, commands at the backend,
// records.
void test('what a lock or a hold stops, and what its client reads, as stops.txt has it', async () => {
  await compareStories('test/gate/access/stops.txt', (withs) => {
    const unread = { ...locked('L1', 0), to: undefined, identities: undefined };
    const [first = '', ...rest] = withs;
    const own =
      first === 'shared' ? settings.replace('max_matches: 5', 'shared: true') : `${settings}${first}\n`;
    assert.deepEqual(rest, []);
    const engine = openMemoryEngine(
      first === 'unread'
        ? { found: [unread, locked('L2', 0)] }
        : { settings: own, uids, auth: (_kind, user) => meant[user] ?? `USER|${user}` },
    );
    const clients: Record<string, MemoryClient> = {};
    const ids: string[] = [];
    const read: Record<string, number> = {};
    return async (step) => {
      const [before, sent] = [engine.records.length, engine.commands.length];
      const [, who = '', line = ''] = /^(\S+) (.*)$/.exec(step) ?? [];
      const said: unknown[] = [];
      if (who === '*') said.push(await happen(engine, ...wordAndRest(line)));
      else {
        clients[who] ??= await engine.client(2, peers[who] ?? assert.fail(who));
        await clients[who].line(line.replace(/\bR(\d)\b/g, (_, at) => ids[at - 1] ?? ''));
      }
      await engine.clock.advance(0);
      for (const [name, client] of Object.entries(clients)) {
        const text = client.said().slice(read[name] ?? 0);
        read[name] = client.said().length;
        // Without the heads of its packets.
        if (text !== '') said.push(`${name}: ${text.replace(/[\0L]\0\0[^]{2}\x04?/g, '')}`);
      }
      said.push(...engine.commands.slice(sent).map(({ line: at }) => `sent: ${at}`));
      for (const { record } of engine.records.slice(before)) {
        const { event, action, command, outcome, error, sent: isSent, lock, by, count } = record;
        if (event !== 'admission')
          said.push({ event, action, command, outcome, error, sent: isSent, lock, by, count });
      }
      const { locks } = engine.exchanges.access;
      said.push(locks.entries.map((each) => [locks.shown(each).target, each.asked?.record.by]));
      const lines = said.flatMap((each) => (each === undefined ? [] : [JSON.stringify(each)]));
      return lines.join('\n').replace(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, (id) => {
        if (!ids.includes(id)) ids.push(id);
        return `R${ids.indexOf(id) + 1}`;
      });
    };
  });
});

function wordAndRest(text: string): [word: string, rest: string] {
  const [word = '', ...rest] = text.split(' ');
  return [word, rest.join(' ')];
}

void test('each change of a lock, its record and its sentence, as locks.txt has it', async () => {
  const clock = createFakeClock();
  const told: Asked[] = [];
  const recorded: unknown[] = [];
  let isFull = false;
  const take = (record: AuditRecord): undefined => void recorded.push({ ...record });
  const journal = new AccessJournal(
    {
      append: take,
      appendDurable: (record) => (isFull ? fail() : Promise.resolve(take(record))),
      checkpoint: () => (isFull ? fail() : Promise.resolve()),
    },
    clock,
  );
  let count = 0;
  let changes = 0;
  const locks = new Locks({ clock, journal, newId: () => `L${(count += 1)}`, onMade: () => undefined }, []);
  locks.onChanged = () => void (changes += 1);
  const person = (...users: string[]): Person => ({
    users,
    accounts: ['car'],
    keys: [],
    page: [],
    oidc: undefined,
  });
  const personsOf = (all: Readonly<Record<string, Person>>) =>
    new Persons(new Map(Object.entries(all)), knownUids({ carol: 1002, 'carol-admin': 1012 }));
  const lock =
    (of: Partial<Parameters<Locks['lock']>[0]>, most = 9) =>
    () =>
      locks.lock({ by: 'root', peer: { uid: 0 }, reason: 'stolen', forMs: hour, ...of }, most, () => 3)
        ?.count;
  const one = (id: string): LockEntry => locks.all.find((each) => each.id === id) ?? assert.fail(id);
  const lift = { by: 'anna', peer: { uid: 1001 }, reason: 'over', identities: ['page:anna'] };
  const many = Array.from({ length: 600 }, (_, at) => `u${at}`);
  const bob = { user: 'bob@example.org', users: ['bob@example.org', 'bob@example.com'] };
  const covers = { users: new GlobList(['*@example.org']), except: new GlobList(['eve@example.org']) };
  const steps: readonly (readonly [what: string, run: () => unknown])[] = [
    ['a person', lock({ to: 'carol', identities: ['person:carol', 'name:carol', 'uid:1002'] })],
    ['a key', lock({ to: 'key:panel', identities: ['key:panel', 'name:panel'], args: ['--kill'] })],
    ['a mail user of one name', lock({ user: 'eve@example.org', reason: 'case 3' })],
    ['a hold', lock({ ...bob, isHold: true, forMs: undefined, reason: 'case 17' })],
    ['a backend', lock({ backend: 'mail1', listener: undefined })],
    ['a listener', lock({ listener: 'support' })],
    ['a name that is not known yet', lock({ to: 'fay', identities: ['name:fay', openWord('fay')] })],
    ['one too many', lock({ backend: 'mail2' }, 7)],
    ['a client on two backends', () => locks.endingOn({ backends: [{ name: 'mail2' }, { name: 'mail1' }] })],
    ['on another backend', () => locks.endingOn({ backends: [{ name: 'mail2' }], listener: 'jobs' })],
    ['on that listener', () => locks.endingOn({ listener: 'support' })],
    ['the key', () => locks.endingOn({ human: { identities: ['key:panel'] } })?.lock],
    ['a user of its name', () => locks.endingOn({ human: { identities: ['name:panel', 'uid:7'] } })?.lock],
    [
      'somebody without a name',
      () => locks.endingOn({ human: { identities: ['uid:7'], isUnanswered: true } }),
    ],
    ['holds that a policy may name', () => locks.heldFor(covers)],
    ['and one that may not', () => locks.heldFor({ ...covers, except: covers.users })],
    ['the people', () => locks.ofPeople],
    [
      'a lift asked with too much',
      () => locks.askLift(one('L4'), { ...lift, identities: ['x'.repeat(9_999)] }),
    ],
    ['a lift asked', () => locks.askLift(one('L4'), lift)],
    ['who asked is locked', lock({ to: 'anna', identities: ['page:anna'], forMs: 1_000 })],
    ['a second later, and none of an hour', () => (clock.advanceNow(1_000), locks.sweep())],
    ['the clock is set ahead by a month', () => clock.leap(30 * 24 * hour)],
    ['no disk', () => void (isFull = true)],
    ['a lift asked without a disk', () => locks.askLift(one('L4'), lift)],
    ['a lift without a disk', () => locks.lift(one('L4'), lift, isFree)],
    ['the disk is back', () => void (isFull = false)],
    [
      'a lift that is not permitted any more',
      () => {
        const answers = [undefined, { text: 'not now' }];
        return locks.lift(one('L4'), lift, () => answers.shift());
      },
    ],
    ['a lift that is not permitted', () => locks.lift(one('L5'), lift, () => ({ text: 'no' }))],
    ['a lift', () => locks.lift(one('L5'), lift, isFree)],
    ['of what is lifted', () => locks.lift({ ...one('L4'), id: 'L5' }, lift, isFree)],
    [
      'more names of a mail user',
      () => locks.learn(one('L3'), { users: ['eve@example.org', 'e@example.org'] }),
    ],
    ['persons', () => locks.turnTo(personsOf({ carol: person('carol') }))],
    ['another user', () => locks.turnTo(personsOf({ carol: person('carol-admin', '7') }))],
    ['another name of the entry', () => locks.turnTo(personsOf({ boss: person('carol', ...many) }))],
    ['nobody', () => locks.turnTo(personsOf({}))],
    ['almost an hour later', () => clock.advanceNow(0.9 * hour)],
    ['a copy of one in force', () => locks.restore({ ...one('L3').locked, duration_ms: hour / 2 })],
    ['a copy of one that is not known', () => locks.restore(locked('M1', 0, { duration_ms: hour }))],
    ['a copy without an end', () => locks.restore(held('M2', 0))],
    ['a copy of nothing', () => locks.restore({ time: 0, event: 'lock', action: 'locked', lock: 'M3' })],
    ['one that is dropped', () => locks.drop(one('M1'))],
    ['an hour later', () => (clock.advanceNow(hour), locks.sweep())],
    ['a day later', () => (clock.advanceNow(24 * hour), locks.entries.length)],
  ];
  let shown: readonly string[] = [];
  for (const [what, run] of steps) {
    const [before, changed, were] = [recorded.length, changes, shown];
    const answer = await run();
    await settle();
    shown = locks.entries.map((each) =>
      JSON.stringify([locks.shown(each), locks.sentence({ lock: each, isNamed: true })]),
    );
    const lines = [answer, ...recorded.slice(before)].flatMap((each) => JSON.stringify(each) ?? []);
    // How each lock is shown that is shown otherwise than before.
    lines.push(
      `${shown.length} in force, told ${changes - changed} times`,
      ...shown.filter((each) => !were.includes(each)),
    );
    const short = lines.map((line) =>
      line.length < 2_000 ? line : `${line.slice(0, 300)} ... of ${line.length}`,
    );
    told.push([`${told.length + 1}. ${what}`, () => short.join('\n')]);
  }
  compareAnswers('test/gate/access/locks.txt', told);
});
