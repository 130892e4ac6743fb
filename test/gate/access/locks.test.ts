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
import { LockBook, type LockEntry } from '../../../src/journal/records/lock-book.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { openWord } from '../../../src/rules/identity/human.js';
import { type Person, Persons } from '../../../src/rules/identity/person.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { allSynced, type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
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
const quota = '|bob@example.org|quota get';
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

function end(engine: MemoryEngine): readonly unknown[] {
  const { outcome, error, sent, lock } = engine.recordsOf('completion').at(-1) ?? {};
  return [outcome, error, sent, lock];
}

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

void test('a locked person: the client reads by whom, until when and why; others go on', async () => {
  const engine = open();
  const [her, other] = [await engine.client(2, anna), await engine.client(2, carol)];
  await her.line(quota);
  assert.equal(engine.commands.length, 1);
  const { lock } = lockIn(engine);
  const untilText = new Date(engine.clock.wallMs() + 2 * hour).toISOString();
  await her.line(quota);
  assert.ok(her.said().includes(`anna is locked by root until ${untilText}: stolen [locked]`), her.said());
  assert.ok(her.said().endsWith('-NOPERM\n'));
  assert.deepEqual(end(engine), ['denied', 'locked', false, lock.id]);
  assert.equal(engine.commands.length, 1);
  await other.line(quota);
  assert.equal(engine.commands.length, 2);
  assert.deepEqual(end(engine), ['ok', undefined, true, undefined]);
});

void test('the same human by another uid, a login under sudo, and a key; another human is not held', async () => {
  const engine = open();
  lockIn(engine);
  for (const who of [anna, { uid: 1011, user: 'anna-admin' }, { uid: 0, user: 'root', loginUid: 1001 }]) {
    const client = await engine.client(2, who);
    await client.line(quota);
    assert.match(client.said(), /\[locked\]/, JSON.stringify(who));
  }
  const { locks } = engine.exchanges.access;
  assert.ok(locks.on({ human: { identities: ['key:robot'] } }));
  assert.ok(locks.on({ human: { identities: ['account:x', 'name:anna'] } }));
  assert.equal(locks.on({ human: { identities: ['uid:1002', 'name:carol'] } }), undefined);
  assert.equal(engine.commands.length, 0);
});

void test('a listener, a backend, and a mail user under each name and mask', async () => {
  for (const [of, stopped, free] of [
    [{ listener: 'support' }, [quota], []],
    [{ backend: 'mail1' }, [quota], []],
    [{ backend: 'mail2', listener: undefined }, [], [quota]],
    [
      { user: 'bob@example.org' },
      [quota, '|BOB@example.org|quota get', '||mailbox status|-A|messages|INBOX'],
      ['|eve@example.org|quota get'],
    ],
  ] as const) {
    const engine = open();
    const client = await engine.client(2, anna);
    lockIn(engine, of);
    for (const line of stopped) {
      const before = client.said().length;
      await client.line(line);
      assert.match(client.said().slice(before), /is locked by root .*\[locked\]/, line);
      assert.equal(engine.commands.length, 0);
    }
    for (const [at, line] of free.entries()) {
      await client.line(line);
      assert.equal(engine.commands.length, at + 1, client.said());
    }
  }
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

void test('a command that waits for its connection is not sent', async () => {
  const engine = open();
  engine.setAnswer(() => undefined);
  const [first, her] = [await engine.client(2, carol), await engine.client(2, anna)];
  await first.line(quota);
  await her.line('|eve@example.org|quota get');
  assert.equal(engine.commands.length, 1);
  lockIn(engine);
  engine.setAnswer(() => good);
  engine.commands[0]?.end.peer.send(good);
  await settle();
  assert.match(her.said(), /\[locked\]/);
  assert.equal(engine.commands.length, 1);
});

void test('a command that waits for its record is not sent', async () => {
  const engine = open(allSynced.replace('audit', '\naudit'));
  const her = await engine.client(2, anna);
  engine.setJournal('hold');
  await her.line(quota);
  lockIn(engine);
  engine.setJournal('take');
  await settle();
  assert.match(her.said(), /\[locked\]/);
  assert.equal(engine.commands.length, 0);
});

void test('neither the search that counts mails is sent after its record, nor the command after its answer', async () => {
  const expunge = '|bob@example.org|expunge|mailbox|Trash|all';
  const engine = open('\naudit: { strict: [read] }\n');
  const her = await engine.client(2, anna);
  engine.setJournal('hold');
  await her.line(expunge);
  lockIn(engine);
  engine.setJournal('take');
  await settle();
  assert.equal(engine.commands.length, 0);
  assert.match(her.said(), /\[locked\]/);
  const twin = engine.recordsOf('completion').find(({ command }) => command === 'search');
  assert.deepEqual([twin?.sent, twin?.outcome], [false, 'failed']);

  const again = open();
  again.setAnswer((line) => (line.includes('search') ? undefined : good));
  const other = await again.client(2, anna);
  await other.line(expunge);
  assert.equal(again.commands.length, 1);
  lockIn(again);
  again.commands[0]?.end.peer.send(good);
  await settle();
  assert.equal(again.commands.length, 1);
  assert.match(other.said(), /\[locked\]/);
});

void test('a text whose command line was not sent yet is not sent', async () => {
  const engine = open();
  const her = await engine.client(2, anna);
  await her.line('|bob@example.org|save');
  lockIn(engine);
  await her.line('Subject: x');
  await her.line('.');
  assert.equal(engine.commands.length, 0);
  assert.match(her.said(), /\[locked\]/);
  await her.line(quota);
  assert.equal(her.said().match(/\[locked\]/g)?.length, 2);
});

void test('kill ends what runs and what waits, of the locked one only', async () => {
  const engine = open();
  engine.setAnswer(() => undefined);
  const clients = [await engine.client(2, anna), await engine.client(2, carol), await engine.client(2, anna)];
  for (const client of clients) await client.line(quota);
  assert.equal(engine.service.running().length, 3);
  const { count, recorded } = lockIn(engine, ofAnna, killIn(engine));
  assert.equal(count, 2);
  assert.equal(await recorded, undefined);
  assert.equal(engine.recordsOf('lock').at(-1)?.count, 2);
  await settle();
  const told = clients.map((client) => client.said().includes('['));
  assert.deepEqual(told, [true, false, true]);
});

void test('a locked person decides nothing about access', async () => {
  const engine = open();
  const [her, other] = [await engine.client(2, anna), await engine.client(2, carol)];
  await other.line('||dovegate request|-u|bob@example.org|--reason|ticket 1|--|mailbox list|INBOX');
  const [, id = ''] = /"id":"(\w+)"/.exec(other.said()) ?? [];
  lockIn(engine);
  for (const line of [`approve|${id}`, `refuse|--reason|no way|${id}`, 'requests'])
    await her.line(`||dovegate ${line}`);
  assert.equal(her.said().match(/\[locked\]/g)?.length, 3, her.said());
  await her.line('||dovegate can');
  assert.ok(her.said().endsWith('+\n'));
});

void test('what a person approved before the lock does not count while it is in force', async () => {
  const engine = open();
  const her = await engine.client(2, anna);
  const other = await engine.client(2, carol);
  const third = await engine.client(2, { uid: 1003, user: 'dave', loginUid: 1003 });
  const fourth = await engine.client(2, { uid: 1004, user: 'erin', loginUid: 1004 });
  await other.line('||dovegate request|-u|bob@example.org|--reason|ticket 2|--|mailbox subscribe|INBOX');
  const [, id = ''] = /"id":"(\w+)"/.exec(other.said()) ?? [];
  await her.line(`||dovegate approve|${id}`);
  const { lock } = lockIn(engine);
  const granted = (): number =>
    engine.recordsOf('access').filter(({ action }) => action === 'granted').length;
  await third.line(`||dovegate approve|${id}`);
  assert.match(third.said(), /"state":"requested"/);
  assert.equal(granted(), 0);
  assert.equal(
    await engine.exchanges.access.locks.lift(lock, { by: 'root', reason: 'found' }, isFree),
    undefined,
  );
  await fourth.line(`||dovegate approve|${id}`);
  assert.equal(granted(), 1, fourth.said());
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

const expungeIn = (user: string): string => `|${user}|expunge|mailbox|Trash|all`;
const ofBob = { user: 'bob@example.org', isHold: true, forMs: undefined, reason: 'case 17' };

void test('a hold: what could change the mail is not sent, and the rest goes on', async () => {
  const engine = open();
  const client = await engine.client(2, anna);
  const { lock } = lockIn(engine, ofBob);
  await client.line(expungeIn('BOB@example.org'));
  assert.match(
    client.said(),
    /user bob@example\.org is held by root since \S+, reason: case 17; "expunge" deletes mail \[held\]/,
  );
  assert.ok(client.said().endsWith('-NOPERM\n'));
  assert.deepEqual(end(engine), ['denied', 'held', false, lock.id]);
  assert.equal(engine.commands.length, 0);
  for (const line of [quota, '|eve@example.org|quota get']) await client.line(line);
  assert.equal(engine.commands.length, 2);
  const before = client.said().length;
  await client.line('||dovegate can');
  assert.match(
    client.said().slice(before),
    /held\tuser bob@example\.org is held by root since [^\t]*; what could destroy/,
  );
  await client.line(`||dovegate explain|-u|bob@example.org|--|expunge|mailbox|Trash|all`);
  assert.match(
    client.said(),
    /locked\tuser bob@example\.org is held by root since [^\t]*; "expunge" deletes mail\t/,
  );
});

void test('a hold stops what waits, what counts its mails, and lifts with its second step only', async () => {
  const engine = open('\naudit: { strict: [read] }\n');
  const her = await engine.client(2, anna);
  engine.setJournal('hold');
  await her.line(expungeIn('bob@example.org'));
  const { lock, recorded } = lockIn(engine, ofBob);
  engine.setJournal('take');
  await settle();
  assert.equal(engine.commands.length, 0);
  assert.match(her.said(), /\[held\]/);
  await recorded;
  const { locks } = engine.exchanges.access;
  engine.setJournal('refuse');
  assert.match((await locks.askLift(lock, { by: 'anna', reason: 'over' })) ?? '', /the disk refuses/);
  const askedBy = (): string | undefined => locks.entries[0]?.asked?.record.by;
  assert.equal(askedBy(), undefined);
  engine.setJournal('take');
  assert.equal(await locks.askLift(lock, { by: 'anna', reason: 'over' }), undefined);
  assert.equal(askedBy(), 'anna');
  assert.equal(locks.size, 1);
  assert.equal(await locks.lift(lock, { by: 'carol', reason: 'over' }, isFree), undefined);
  assert.equal(locks.size, 0);
});

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

void test('who may not name the held user reads neither the user nor the reason', async () => {
  const engine = openMemoryEngine({ settings: settings.replace('max_matches: 5', 'shared: true'), uids });
  lockIn(engine, { ...ofBob, user: 'bob@example.com' });
  const client = await engine.client(2, anna);
  await client.line('|eve@example.org|expunge|mailbox-guid|0123456789abcdef0123456789abcdef|all');
  assert.match(
    client.said(),
    /a mailbox is held by root since \S+, reason: that of hold \w{26}; "expunge" deletes mail/,
  );
  await client.line('||dovegate can');
  assert.ok(!client.said().includes('bob@example.com') && !client.said().includes('case 17'));
});

const resolved = '\nmail_users: { resolve: /run/dovecot/dovegate-userdb }\n';
const meant: Readonly<Record<string, string>> = {
  'info@example.org': 'USER|bob@example.org',
  'sales@example.org': 'USER|bob@example.com',
  'mute@example.org': 'FAIL',
};

function openResolved(): MemoryEngine {
  const auth = (_kind: string, user: string): string => meant[user] ?? `USER|${user}`;
  return openMemoryEngine({ settings: settings + resolved, uids, auth });
}

void test('by an alias: who may name the user reads about a lock, others neither the user nor that there is one', async () => {
  for (const of of [{ user: 'bob@example.com' }, { ...ofBob, user: 'bob@example.com' }]) {
    const engine = openResolved();
    lockIn(engine, { reason: 'case 17', ...of });
    const client = await engine.client(2, anna);
    for (const line of [
      '|sales@example.org|quota get',
      expungeIn('sales@example.org'),
      '|bob@example.com|quota get',
      expungeIn('bob@example.com'),
      '||mailbox status|-A|messages|INBOX',
    ]) {
      await client.line(line);
      await engine.clock.advance(0);
    }
    assert.equal(client.said().match(/-NOPERM/g)?.length, 5, client.said());
    assert.doesNotMatch(client.said(), /case 17|\[locked\]|\[held\]|user bob@example\.com is/);
    assert.equal(engine.commands.length, 0);
  }
  const engine = openResolved();
  lockIn(engine, { user: 'bob@example.org', reason: 'case 17' });
  const client = await engine.client(2, anna);
  await client.line('|info@example.org|quota get');
  await engine.clock.advance(0);
  assert.match(client.said(), /user bob@example\.org is locked by root until \S+: case 17 \[locked\]/);
  assert.equal(engine.commands.length, 0);
});

void test('kill ends what a lock or a hold refuses, also under an alias, and not what it lets through', async () => {
  for (const [of, lines, most] of [
    [ofBob, [expungeIn('bob@example.org'), quota], 1],
    [{ user: 'bob@example.org' }, Array<string>(2).fill('|info@example.org|quota get'), 2],
    [ofBob, Array<string>(2).fill(expungeIn('info@example.org')), 2],
    // The search that counts its mails.
    [ofBob, Array<string>(2).fill('||dovegate dry-run|-u|info@example.org|--|expunge|mailbox|Trash|all'), 2],
  ] as const) {
    const engine = openResolved();
    engine.setAnswer(() => undefined);
    const clients = [await engine.client(2, anna), await engine.client(2, carol)];
    for (const [at, client] of clients.entries()) await client.line(lines[at] ?? '');
    await engine.clock.advance(0);
    assert.equal(engine.service.running().length, 2);
    assert.equal(lockIn(engine, of, killIn(engine)).count, most);
  }
});

void test('while the userdb does not answer, nothing is sent that could be a held mailbox', async () => {
  const engine = openResolved();
  lockIn(engine, ofBob);
  const client = await engine.client(2, anna);
  await client.line(expungeIn('mute@example.org'));
  await engine.clock.advance(0);
  assert.equal(engine.commands.length, 0);
  assert.ok(client.said().endsWith('-TEMPFAIL\n'), client.said());
  assert.match(client.said(), /look/);
});

void test('a lock of whom nobody knows: reads go on, changes wait for everybody until it is lifted by its id', async () => {
  const unread = { ...locked('L1', 0), to: undefined, identities: undefined };
  const engine = openMemoryEngine({ found: [unread, locked('L2', 0)] });
  const { locks } = engine.exchanges.access;
  const client = await engine.client(2, { uid: 2001, user: 'eve' });
  await client.line('|eve@example.org|quota get');
  await client.line('|eve@example.org|mailbox subscribe|INBOX');
  const ends = () => engine.recordsOf('completion').map(({ outcome, error, lock }) => [outcome, error, lock]);
  assert.deepEqual(ends(), [
    ['ok', undefined, undefined],
    ['denied', 'lock-unread', 'L1'],
  ]);
  const [lock] = locks.entries;
  assert.equal(
    await locks.lift(lock ?? assert.fail(), { by: 'root', reason: 'found out' }, isFree),
    undefined,
  );
  await client.line('|eve@example.org|mailbox subscribe|INBOX');
  assert.deepEqual(ends().at(-1), ['ok', undefined, undefined]);
});

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
