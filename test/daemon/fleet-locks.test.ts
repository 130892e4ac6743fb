// Goal: what a line of locks does at a gate: who is locked and freed, in which order, with which records; what stays when the journal
// refuses; what a reload without the key ends. Who forges what: whoever reaches the door hands over whatever lines there were, in any
// order, and others. What must not happen: a lock that no line of a listed key says; a lift without one; a lifted lock that comes back.
// bounds.fleetLocks

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../src/bounds/bounds.js';
import { FleetLocks } from '../../src/daemon/fleet-locks.js';
import { withLocks } from '../../src/daemon/lock-actions.js';
import { Persons } from '../../src/domain/people/identity/person.js';
import { makeSignKey } from '../../src/domain/records/audit/ledger.js';
import { LockBook } from '../../src/domain/records/audit/lock-book.js';
import { formatTime } from '../../src/domain/records/audit/record.js';
import { markOf, type SignedLock, signLockLine } from '../../src/domain/records/fleet/lock-line.js';
import { openMemoryEngine } from '../kit/memory-engine.js';

const [ours, second, foreign] = [makeSignKey(), makeSignKey(), makeSignKey()];
const settingsOf = (keys: Readonly<Record<string, string>>): string => `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server" } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*@example.org"], allow: [quota get] } }
persons: { carol: { users: [carol], page: [carol] }, dave: { users: [dave] }, boss: { users: [root] } }
fleet_keys: ${JSON.stringify(keys)}
audit: { ship: [{ nats: "tls://127.0.0.1:4222", host: gate1 }] }
admin:
  unix: /run/dovegate/admin.sock
  page: { unix: /run/dovegate/page.sock, people: { carol: { user: carol, roles: [operate] } } }
`;

function open(keys: Readonly<Record<string, string>> = { security: ours.key }) {
  const uids: Readonly<Record<string, number>> = { carol: 1001, dave: 1002, root: 0 };
  const users = {
    uidsOf: (name: string) => [uids[name] ?? []].flat(),
    uidOf: (name: string) => uids[name],
    isUnknown: () => false,
  };
  const engine = openMemoryEngine({ settings: settingsOf(keys), uids });
  const { exchanges, service, clock } = engine;
  const now = { settings: engine.settings, persons: new Persons(engine.settings.persons, users), exchanges };
  const logged: string[] = [];
  const parts = {
    clock,
    access: exchanges.access,
    served: { now },
    service,
    names: {
      uidOf: async (name: string) =>
        uids[name] === undefined ? ({ kind: 'none' } as const) : ({ kind: 'found', id: uids[name] } as const),
      hasUser: async () => false,
    },
    log: { report: ({ event }: { readonly event: string }) => void logged.push(event) },
  };
  const fleet = new FleetLocks(parts);
  const { locks } = exchanges.access;
  locks.persons = now.persons;
  const turn = (next: Readonly<Record<string, string>>): Promise<void> => {
    now.settings = openMemoryEngine({ settings: settingsOf(next), uids }).settings;
    return fleet.review();
  };
  let number = 0;
  const lockOf = (target: string, more: Partial<SignedLock> = {}): SignedLock => {
    const until = formatTime(clock.wallMs() + 3_600_000);
    return {
      id: target.replaceAll(/[^a-z0-9]/g, '').slice(0, 16),
      target,
      until,
      reason: 'stolen',
      by: 'anna',
      ...more,
    };
  };
  const lineOf = (locks_: readonly SignedLock[], more = {}, key = ours): string => {
    number += 1;
    const about = { hosts: ['gate1'], by: 'anna', reason: 'stolen', nowMs: clock.wallMs() };
    return signLockLine({ number, ...about, locks: [...locks_], ...more }, key.secretPem);
  };
  const targets = (): string[] => locks.entries.map((lock) => locks.shown(lock).target);
  const actions = (): string[] => engine.recordsOf('lock').map(({ action = '' }) => action);
  return { engine, clock, fleet, locks, turn, lockOf, lineOf, targets, actions, logged, parts };
}

void test('a line locks by its whole set: the next one adds, keeps and lifts', async () => {
  const { engine, fleet, locks, lockOf, lineOf, targets, actions } = open();
  assert.deepEqual(await fleet.take(lineOf([lockOf('dave'), lockOf('user:bob@example.org')])), {
    kind: 'taken',
  });
  assert.deepEqual(targets(), ['dave', 'user:bob@example.org']);
  const [first] = engine.recordsOf('lock');
  assert.deepEqual(
    [first?.by, first?.args, first?.reason, first?.lock],
    ['fleet:security', ['signer=anna'], 'stolen', `${markOf(ours.key)}:dave`],
  );
  const stop = locks.on({ identities: ['uid:1002'] });
  assert.match(stop ? locks.sentence(stop) : '', /^dave is locked by fleet:security until .*: stolen$/);
  assert.deepEqual(await fleet.take(lineOf([lockOf('dave'), lockOf('key:panel')], { reason: 'found' })), {
    kind: 'taken',
  });
  assert.deepEqual(targets(), ['dave', 'key:panel']);
  const lifted = engine.recordsOf('lock').find(({ action }) => action === 'unlocked');
  assert.deepEqual(
    [lifted?.by, lifted?.reason, lifted?.user],
    ['fleet:security', 'found', 'bob@example.org'],
  );
  assert.deepEqual(await fleet.take(lineOf([])), { kind: 'taken' });
  assert.deepEqual(targets(), []);
  assert.deepEqual(actions(), [
    'locked',
    'locked',
    'taken',
    'locked',
    'unlocked',
    'taken',
    'unlocked',
    'unlocked',
    'taken',
  ]);
});

void test('whoever has the door and all lines there were neither repeats, nor lifts, nor invents', async () => {
  const { fleet, clock, lockOf, lineOf, targets, logged } = open();
  const [lock, lift, again] = [lineOf([lockOf('dave')]), lineOf([]), lineOf([lockOf('dave', { id: 'b' })])];
  assert.equal((await fleet.take(lock)).kind, 'taken');
  assert.equal((await fleet.take(lift)).kind, 'taken');
  for (const line of [lock, lift, lock]) await fleet.take(line);
  assert.deepEqual(targets(), []);
  assert.equal((await fleet.take(again)).kind, 'taken');
  for (const line of [
    lift,
    lock,
    lineOf([], {}, foreign),
    lineOf([], { hosts: ['gate2'] }),
    '',
    'x'.repeat(1e6),
  ])
    assert.equal((await fleet.take(line)).kind, 'refused');
  assert.deepEqual(targets(), ['dave']);
  assert.equal(logged.filter((event) => event === 'fleet-lock-refused').length, 1);
  // Its end comes by itself, and the line that made it is no news then, by whatever clock.
  await clock.advance(3_600_001);
  clock.leap(-3_600_000);
  assert.equal((await fleet.take(again)).kind, 'taken');
  assert.deepEqual(targets(), []);
});

void test('what is over, what is early, and what can never be locked', async () => {
  const { engine, fleet, clock, lockOf, lineOf, targets } = open();
  const late = { nowMs: clock.wallMs() - 7_200_000 };
  const over = lockOf('dave', { until: formatTime(clock.wallMs() - 1) });
  assert.equal((await fleet.take(lineOf([over], late))).kind, 'taken');
  const early = lineOf([lockOf('dave')], { nowMs: clock.wallMs() + bounds.fleetLockAheadMs + 1 });
  assert.equal((await fleet.take(early)).kind, 'later');
  assert.deepEqual(targets(), []);
  // Root, and the last person who operates on the page, as for a lock of the gate itself. Others that it does not know are locked by name.
  const line = lineOf(
    ['root', 'boss', 'carol', 'user:*', 'erin', 'key:x', 'listener:y', 'backend:z'].map((each) =>
      lockOf(each),
    ),
  );
  assert.equal((await fleet.take(line)).kind, 'taken');
  assert.deepEqual(targets(), ['erin', 'key:x', 'listener:y', 'backend:z']);
  const { text = '' } = engine.recordsOf('lock').findLast(({ action }) => action === 'taken') ?? {};
  assert.match(
    text,
    /4 locked, 0 lifted; root: root is not locked.*; boss: .*; carol: that is the last person.*; user:\*: /,
  );
});

void test('a journal that refuses: what locks is in force, what lifts waits, and the line is taken once both are recorded', async () => {
  const { engine, fleet, lockOf, lineOf, targets, locks } = open();
  assert.equal((await fleet.take(lineOf([lockOf('dave')]))).kind, 'taken');
  const [before] = locks.numbers.values();
  const old = lineOf([]);
  const line = lineOf([lockOf('user:bob@example.org')]);
  engine.setJournal('refuse');
  assert.equal((await fleet.take(line)).kind, 'later');
  assert.deepEqual(targets(), ['dave', 'user:bob@example.org']);
  engine.setJournal('take');
  // Meanwhile no older one counts.
  await fleet.take(old);
  assert.deepEqual(targets(), ['dave', 'user:bob@example.org']);
  assert.equal((await fleet.take(line)).kind, 'taken');
  assert.deepEqual(targets(), ['user:bob@example.org']);
  assert.ok((locks.numbers.get(markOf(ours.key)) ?? 0) > (before ?? 0));
});

void test('nobody at the gate lifts it; taking the key out ends its locks, and putting it back brings its last line back', async () => {
  const { fleet, turn, lockOf, lineOf, targets, parts } = open({ security: ours.key, other: second.key });
  const old = lineOf([]);
  const line = lineOf([lockOf('dave')]);
  await fleet.take(line);
  await fleet.take(lineOf([lockOf('dave', { id: 'b' }), lockOf('key:x')], {}, second));
  const act = withLocks(async () => ({ kind: 'done', text: '' }), parts);
  const root = { by: 'root', uid: 0, user: 'root', loginUid: 0 };
  for (const target of ['dave', 'key:x', `${markOf(ours.key)}:dave`]) {
    const result = await act({ kind: 'unlock', target, reason: 'found' }, root);
    assert.equal(result.kind, 'refused');
    assert.match(
      result.text,
      /it is of the fleet, and is lifted by `dovegate audit fleet unlock \w+ --reason TEXT`, where the key of fleet:/,
    );
  }
  // Under another name it is the same key.
  await turn({ renamed: ours.key });
  assert.deepEqual(targets(), ['dave']);
  await turn({ security: foreign.key });
  assert.deepEqual(targets(), []);
  assert.equal((await fleet.take(line)).kind, 'refused');
  await turn({ security: ours.key });
  await fleet.take(line);
  await fleet.take(old);
  assert.deepEqual(targets(), ['dave']);
});

void test('the fleet takes no place of the gate, nor the gate one of the fleet', async () => {
  const { fleet, clock, lockOf, lineOf, locks } = open({
    security: ours.key,
    other: second.key,
    third: foreign.key,
  });
  const many = (name: string): readonly SignedLock[] =>
    Array.from({ length: bounds.fleetLineLocks }, (_, at) => lockOf(`key:${name}${at}`));
  for (let left = bounds.locks; left > 0; left -= 1)
    assert.ok(
      locks.lock({ to: 'key:p', identities: ['key:p'], forMs: 60_000 }, bounds.locks, () => undefined),
    );
  assert.equal((await fleet.take(lineOf(many('a')))).kind, 'taken');
  assert.equal((await fleet.take(lineOf(many('b'), {}, second))).kind, 'taken');
  assert.equal(locks.size, bounds.locks + bounds.fleetLocks);
  const third = lineOf(many('c'), { nowMs: clock.wallMs() }, foreign);
  assert.equal((await fleet.take(third)).kind, 'later');
  assert.equal((await fleet.take(lineOf([], {}, second))).kind, 'taken');
  assert.equal((await fleet.take(third)).kind, 'taken');
});

test('the number survives a head, and unproven records only raise it', () => {
  const taken = (number: number, time = 1_000) => ({
    time,
    event: 'lock' as const,
    action: 'taken',
    lock: 'mark',
    number,
    by: 'fleet:security',
  });
  const book = new LockBook();
  book.follow(taken(5));
  const next = new LockBook();
  for (const record of book.carried(2_000)) next.follow(record);
  assert.equal(next.numberOf('mark'), 5);
  assert.equal(next.copy().numberOf('mark'), 5);
  next.followUnproven(taken(4));
  assert.equal(next.numberOf('mark'), 5);
  next.followUnproven(taken(6));
  assert.equal(next.numberOf('mark'), 6);
  // With the key of this host: it counts again.
  next.follow(taken(5));
  assert.equal(next.numberOf('mark'), 5);
  for (let left = 100; left > 0; left -= 1) next.follow({ ...taken(1), lock: `m${left}` });
  assert.equal(next.numbers.size, 4 * bounds.fleetLockKeys);
});
