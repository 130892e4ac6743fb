// Goal: a command that names no mailbox user never goes to a backend by chance, and users keep theirs. More: answers/routes.txt.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { createUserNames, defaultCharacters } from '../../../src/doveadm/names/user-name.js';
import { type RouteTarget, reachable } from '../../../src/rules/policy/policy.js';
import {
  chooseByRendezvous,
  createRoutingTable,
  homeOfServerCommand,
  nothingAsked,
  type ServerCommand,
} from '../../../src/rules/policy/route.js';

const routeTo = (pattern: string, target: RouteTarget) => ({ users: new GlobList([pattern]), target });

void test('where routes can lead', () => {
  const all = ['mail1', 'mail2', 'mail3', 'mail4'];
  const routes = [
    routeTo('ceo@example.org', { kind: 'backend', backend: 'mail3' }),
    routeTo('*@example.org', { kind: 'spread', backends: ['mail1', 'mail2'] }),
    routeTo('*@example.net', { kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1000 }),
  ];
  assert.deepEqual(reachable(routes.slice(0, 2), all), ['mail1', 'mail2', 'mail3']);
  assert.deepEqual(reachable(routes, all), all);
  assert.deepEqual(reachable([], all), []);
});

const cases: readonly (readonly [what: string, code: string, name: string, more: Partial<ServerCommand>])[] =
  [
    ['reading that a parameter makes a change of', 'no-server-route', 'stats dump', { effect: 'destroy' }],
    ['by nobody', 'no-single-user', 'auth cache flush', { everybody: 'listing' }],
    ['by a user and everybody', 'no-single-user', 'kick', { users: ['a@x'], everybody: 'listing' }],
  ];

for (const [what, code, name, more] of cases) {
  void test(`${what}: refused among several backends, and no question with one`, () => {
    const homeAmong = (...names: readonly string[]) => {
      const table = createRoutingTable({
        routes: [routeTo('*', { kind: 'backend', backend: 'mail3' })],
        serverCommands: {
          default: { kind: 'all' },
          byCommand: new Map([
            ['kick', { kind: 'by-user' }],
            ['auth cache flush', { kind: 'by-user' }],
          ]),
        },
        backends: names.map((each) => ({ name: each, series: undefined, sharedNamespaces: undefined })),
        userNames: createUserNames({ characters: defaultCharacters }),
        asksUserdb: false,
      });
      const command = { name, isAdded: false };
      const plain = { command, effect: 'read', users: [], masks: [], everybody: 'none' } as const;
      return homeOfServerCommand({ ...plain, ...more }, table, nothingAsked);
    };
    const refused = homeAmong('mail1', 'mail2', 'mail3');
    assert.ok(refused.kind === 'nowhere' && refused.obstacle.kind === 'unparsable');
    assert.equal(refused.obstacle.code, code);
    assert.ok(refused.obstacle.reason.endsWith(`server_commands has no line "${name}: BACKEND"`));
    const only = homeAmong('mail1');
    assert.deepEqual(only.kind === 'to' && only.backends.map((backend) => backend.name), ['mail1']);
  });
}

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
  for (const backends of [['mail1', 'mail2'], ['mail1', 'mail2', 'mail3'], 'a b c d e f g'.split(' ')]) {
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
  const homeOfAlice = (backends: string[]) => chooseByRendezvous('alice@example.org', backends);
  assert.equal(homeOfAlice(['mail1', 'mail2', 'mail3']), homeOfAlice(['mail3', 'mail1', 'mail2']));
  // Two names with one score for every user: the smaller one has them.
  const two = ['mail-1sflfj', 'mail-8rxo8k'];
  for (const each of [two, two.toReversed()]) assert.equal(chooseByRendezvous('alice', each), 'mail-1sflfj');
  assert.throws(() => chooseByRendezvous('alice', []), { message: 'a choice of no backend' });
  // Other values here would move the users of everybody who upgrades.
  const choices = ['alice', 'bob', 'carol', 'dave', 'eve', 'bücher'].map((name) =>
    chooseByRendezvous(`${name}@example.org`, ['mail1', 'mail2', 'mail3', 'mail4']),
  );
  assert.deepEqual(choices, ['mail1', 'mail2', 'mail1', 'mail4', 'mail2', 'mail2']);
});
