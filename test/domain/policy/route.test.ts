// Goal: the first route counts, and what a route says is all that is known without asking.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUserNames, defaultCharacters } from '../../../src/domain/identity/user-name.js';
import { GlobList } from '../../../src/domain/names/glob.js';
import {
  type Route,
  type RouteTarget,
  reachable,
  type ServerCommandRules,
} from '../../../src/domain/policy/policy.js';
import {
  chooseByRendezvous,
  createRoutingTable,
  homeOf,
  homeOfServerCommand,
  nothingAsked,
  nothingKnown,
  type ObstacleCode,
  type ServerCommand,
} from '../../../src/domain/policy/route.js';

const routeTo = (pattern: string, target: RouteTarget): Route => ({
  users: new GlobList([pattern]),
  target,
});
const passdb = { kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1000 } as const;
const routes = [
  routeTo('ceo@example.org', { kind: 'backend', backend: 'mail3' }),
  routeTo('*@example.org', { kind: 'spread', backends: ['mail1', 'mail2'] }),
  routeTo('*@example.net', passdb),
];

const all = ['mail1', 'mail2', 'mail3', 'mail4'];

/** The names of the backends that a user's commands may go to, where nobody is asked. */
function homesOf(user: string, names: readonly string[] = all): readonly string[] | string {
  const table = createRoutingTable({
    routes,
    serverCommands: { default: { kind: 'all' }, byCommand: new Map() },
    backends: names.map((name) => ({ name, series: undefined, sharedNamespaces: undefined })),
    userNames: createUserNames({ characters: defaultCharacters }),
    asksUserdb: false,
  });
  const home = homeOf(user, table, nothingAsked);
  const asked = homeOf(user, table, nothingKnown);
  if (home.kind === 'to' && home.questions.length > 0) {
    const question = { kind: 'passdb', user, socket: '/run/auth', cacheTtlMs: 1000 };
    assert.deepEqual([home.isByRoute, asked], [false, { kind: 'open', questions: [question] }]);
  } else assert.deepEqual(asked, home);
  if (home.kind === 'to') return home.backends.map(({ name }) => name);
  return home.kind === 'nowhere' && home.obstacle.kind === 'unroutable' ? home.obstacle.reason : home.kind;
}

void test('the first that matches', () => {
  assert.deepEqual(homesOf('ceo@example.org'), ['mail3']);
  const spread = homesOf('alice@example.org');
  assert.ok(spread.length === 1 && ['mail1', 'mail2'].includes(spread[0] ?? ''));
  // The passdb may name any of them.
  assert.deepEqual(homesOf('bob@example.net'), all);
  assert.equal(homesOf('eve@example.com'), 'no route matches this user');
  assert.equal(homesOf(''), 'no route matches this user');
  assert.equal(homesOf('ceo@example.org', ['mail1']), 'there is no backend mail3');
});

void test('where routes can lead', () => {
  assert.deepEqual(reachable(routes.slice(0, 2), all), ['mail1', 'mail2', 'mail3']);
  assert.deepEqual(reachable(routes, all), all);
  assert.deepEqual(reachable([], all), []);
});

// Goal: a command that names no mailbox user never goes to a backend by chance.
const rules: ServerCommandRules = {
  default: { kind: 'all' },
  byCommand: new Map([
    ['kick', { kind: 'by-user' }],
    ['auth cache flush', { kind: 'by-user' }],
    ['reload', { kind: 'all' }],
    ['process status', { kind: 'backend', backend: 'mail2' }],
  ]),
};
const three = ['mail1', 'mail2', 'mail3'];

function askedOfServerCommands(name: string, more: Partial<ServerCommand> = {}): ServerCommand {
  return {
    command: { name, isAdded: false },
    effect: 'read',
    users: [],
    masks: [],
    everybody: 'none',
    ...more,
  };
}

/** Of a refusal, its code and the command that its message names. */
type Expected = readonly string[] | readonly [ObstacleCode, string];

// [what, command, the backends that it goes to; or the refusal]
const cases: readonly (readonly [string, ServerCommand, Expected])[] = [
  ['reading: to all', askedOfServerCommands('who', { everybody: 'listing' }), three],
  ['a line for one backend', askedOfServerCommands('process status'), ['mail2']],
  ['a change with a line', askedOfServerCommands('reload', { effect: 'admin' }), three],
  ['a change without one', askedOfServerCommands('stop', { effect: 'admin' }), ['no-server-route', 'stop']],
  [
    'reading that a parameter makes a change of',
    askedOfServerCommands('stats dump', { effect: 'destroy' }),
    ['no-server-route', 'stats dump'],
  ],
  ['by the users', askedOfServerCommands('kick', { effect: 'session', users: ['a@x', 'b@x'] }), ['mail3']],
  ['by a mask', askedOfServerCommands('kick', { users: ['a@x'], masks: ['*'] }), ['no-single-user', 'kick']],
  [
    'by nobody',
    askedOfServerCommands('auth cache flush', { everybody: 'listing' }),
    ['no-single-user', 'auth cache flush'],
  ],
  [
    'by a user and everybody',
    askedOfServerCommands('kick', { users: ['a@x'], everybody: 'listing' }),
    ['no-single-user', 'kick'],
  ],
  ['user, by itself', askedOfServerCommands('user', { users: ['a@x'] }), ['mail3']],
  ['user with a mask', askedOfServerCommands('user', { masks: ['*'] }), ['no-single-user', 'user']],
];

function homesOfServerCommand(command: ServerCommand, names: readonly string[]): Expected | string {
  const table = createRoutingTable({
    routes: [{ users: new GlobList(['*']), target: { kind: 'backend', backend: 'mail3' } }],
    serverCommands: rules,
    backends: names.map((name) => ({ name, series: undefined, sharedNamespaces: undefined })),
    userNames: createUserNames({ characters: defaultCharacters }),
    asksUserdb: false,
  });
  const home = homeOfServerCommand(command, table, nothingAsked);
  if (home.kind === 'to') return home.backends.map(({ name }) => name);
  if (home.kind !== 'nowhere' || home.obstacle.kind !== 'unparsable') return home.kind;
  const { code, reason } = home.obstacle;
  return [code, /no line "(.*): BACKEND"$/.exec(reason)?.[1] ?? reason];
}

for (const [what, command, expected] of cases) {
  void test(what, () => assert.deepEqual(homesOfServerCommand(command, three), expected));
}

void test('with one backend there is no question', () => {
  for (const [, command] of cases) assert.deepEqual(homesOfServerCommand(command, ['mail1']), ['mail1']);
});

// Goal: users are spread evenly, and only those move who must when the list of backends changes.
const users = Array.from({ length: 20_000 }, (_, index) => `user${index}@example${index % 7}.org`);

function countsOf(backends: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const user of users) {
    const backend = chooseByRendezvous(user, backends);
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  return counts;
}

void test('each backend has its share', () => {
  for (const backends of [
    ['mail1', 'mail2'],
    ['mail1', 'mail2', 'mail3'],
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'],
  ]) {
    const fair = users.length / backends.length;
    for (const [backend, count] of countsOf(backends)) {
      assert.ok(Math.abs(count - fair) < fair * 0.06, `${backend} has ${count} of ${fair}`);
    }
  }
});

void test('who is added takes a share from everybody, and nobody else moves', () => {
  const before = ['mail1', 'mail2', 'mail3'];
  const after = [...before, 'mail4'];
  let moved = 0;
  for (const user of users) {
    const to = chooseByRendezvous(user, after);
    if (to === chooseByRendezvous(user, before)) continue;
    assert.equal(to, 'mail4', `${user} moved between backends that stayed`);
    moved += 1;
  }
  assert.ok(Math.abs(moved - users.length / 4) < users.length * 0.015, `${moved} moved`);
});

void test('the order of the list does not matter, and the choice is for ever', () => {
  assert.equal(
    chooseByRendezvous('alice@example.org', ['mail1', 'mail2', 'mail3']),
    chooseByRendezvous('alice@example.org', ['mail3', 'mail1', 'mail2']),
  );
  // Two names with one score for every user: the smaller one has them.
  for (const two of [
    ['mail-1sflfj', 'mail-8rxo8k'],
    ['mail-8rxo8k', 'mail-1sflfj'],
  ])
    assert.equal(chooseByRendezvous('alice', two), 'mail-1sflfj');
  assert.throws(() => chooseByRendezvous('alice', []), { message: 'a choice of no backend' });
  // Other values here would move the users of everybody who upgrades.
  const choices = ['alice', 'bob', 'carol', 'dave', 'eve', 'bücher'].map((name) =>
    chooseByRendezvous(`${name}@example.org`, ['mail1', 'mail2', 'mail3', 'mail4']),
  );
  assert.deepEqual(choices, ['mail1', 'mail2', 'mail1', 'mail4', 'mail2', 'mail2']);
});
