// Goal: the first route counts, and what a route says is all that is known without asking.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GlobList } from '../../../src/domain/commands/glob.js';
import {
  formatTarget,
  type Route,
  type RouteTarget,
  reachable,
  reachableFor,
  routeUser,
} from '../../../src/domain/policy/route.js';

const to = (pattern: string, target: RouteTarget): Route => ({ users: new GlobList([pattern]), target });
const passdb = { kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1000 } as const;
const routes = [
  to('ceo@example.org', { kind: 'backend', backend: 'mail3' }),
  to('*@example.org', { kind: 'spread', backends: ['mail1', 'mail2'] }),
  to('*@example.net', passdb),
];

void test('the first that matches', () => {
  assert.deepEqual(routeUser(routes, 'ceo@example.org'), { kind: 'backend', backend: 'mail3' });
  const spread = routeUser(routes, 'alice@example.org');
  assert.ok(spread.kind === 'backend' && ['mail1', 'mail2'].includes(spread.backend));
  assert.deepEqual(routeUser(routes, 'bob@example.net'), {
    kind: 'ask',
    socket: '/run/auth',
    cacheTtlMs: 1000,
  });
  assert.deepEqual(routeUser(routes, 'eve@example.com'), { kind: 'none' });
  assert.deepEqual(routeUser(routes, ''), { kind: 'none' });
});

void test('where routes can lead', () => {
  const all = ['mail1', 'mail2', 'mail3', 'mail4'];
  assert.deepEqual(reachable(routes.slice(0, 2), all), ['mail1', 'mail2', 'mail3']);
  assert.deepEqual(reachable(routes, all), all);
  assert.deepEqual(reachable([], all), []);
});

void test('where the routes can lead a user', () => {
  const all = ['mail1', 'mail2', 'mail3', 'mail4'];
  assert.deepEqual(reachableFor(routes, 'ceo@example.org', all), ['mail3']);
  const spread = routeUser(routes, 'alice@example.org');
  assert.ok(spread.kind === 'backend');
  assert.deepEqual(reachableFor(routes, 'alice@example.org', all), [spread.backend]);
  // The passdb may name any of them.
  assert.deepEqual(reachableFor(routes, 'bob@example.net', all), all);
  assert.deepEqual(reachableFor(routes, 'eve@example.com', all), []);
  // A backend that is not among them is nowhere.
  assert.deepEqual(reachableFor(routes, 'ceo@example.org', ['mail1']), []);
});

void test('for people', () => {
  assert.deepEqual(
    routes.map(({ target }) => formatTarget(target)),
    ['mail3', "one of mail1, mail2 by the user's name", 'what the passdb at /run/auth says'],
  );
});
