// Goal: the first route counts, and what a route says is all that is known without asking.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUserNames, defaultCharacters } from '../../../src/domain/identity/user-name.js';
import { GlobList } from '../../../src/domain/names/glob.js';
import { formatTarget, type Route, type RouteTarget, reachable } from '../../../src/domain/policy/policy.js';
import { createRoutingTable, homeOf, nothingAsked, nothingKnown } from '../../../src/domain/policy/route.js';

const to = (pattern: string, target: RouteTarget): Route => ({ users: new GlobList([pattern]), target });
const passdb = { kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1000 } as const;
const routes = [
  to('ceo@example.org', { kind: 'backend', backend: 'mail3' }),
  to('*@example.org', { kind: 'spread', backends: ['mail1', 'mail2'] }),
  to('*@example.net', passdb),
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

void test('for people', () => {
  assert.deepEqual(
    routes.map(({ target }) => formatTarget(target)),
    ['mail3', "one of mail1, mail2 by the user's name", 'what the passdb at /run/auth says'],
  );
});
