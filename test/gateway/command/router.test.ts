// Goal: a command goes where its route says, or nowhere; what the auth service could not say is never taken for an answer.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createGlobList } from '../../../src/domain/commands/glob.js';
import { createUserNames, defaultCharacters } from '../../../src/domain/identity/user-name.js';
import type { Route, RouteTarget } from '../../../src/domain/policy/route.js';
import {
  createRouter,
  type Destination,
  type Routed,
  type Router,
} from '../../../src/gateway/command/router.js';
import type { LookupAnswer } from '../../../src/gateway/lookup/lookup.js';
import type { Pool } from '../../../src/gateway/pool/pool.js';

/** Only the name of a pool counts here. */
function destination(backend: string, host: string, port = 24245): Destination {
  const pool: Pool = {
    backend,
    series: '2.4',
    withLease: () => assert.fail('a router leased an upstream'),
    start: () => undefined,
    setDrained: () => undefined,
    isBacklogged: () => false,
    drain: () => undefined,
    snapshot: () => assert.fail('a router looked into a pool'),
  };
  return { pool, sharedNamespaces: [], address: { kind: 'tcp', host, port } };
}

const destinations = new Map([
  ['mail1', destination('mail1', '192.0.2.1')],
  ['mail2', destination('mail2', 'Mail2.example.com')],
  ['mail3', destination('mail3', '192.0.2.3', 1)],
  ['mail4', destination('mail4', '192.0.2.3', 2)],
  ['mail5', destination('mail5', '2001:db8::5')],
]);

function routerOf(target: RouteTarget, answer?: (user: string) => LookupAnswer): Router {
  const route: Route = { users: createGlobList(['*@example.org']), target };
  return createRouter({
    routes: [route],
    serverCommands: { default: { kind: 'all' }, byCommand: new Map([['kick', { kind: 'by-user' }]]) },
    destinations,
    lookup: () => ({ pass: (user) => Promise.resolve(answer?.(user) ?? { kind: 'not-found' }) }),
    userNames: createUserNames({ characters: defaultCharacters, defaultRealm: 'example.org' }),
  });
}

function shown(routed: Routed): string {
  if (routed.kind !== 'to') return `${routed.kind}: ${'reason' in routed ? routed.reason : routed.code}`;
  return [routed.destination.pool.backend, ...routed.aliases].join(' ');
}

void test('a route to a backend, to one of several, to none', async () => {
  assert.equal(shown(await routerOf({ kind: 'backend', backend: 'mail2' }).ofUser('a@example.org')), 'mail2');
  const spread = routerOf({ kind: 'spread', backends: ['mail1', 'mail2'] });
  assert.match(shown(await spread.ofUser('a@example.org')), /^mail[12]$/);
  assert.match(shown(await spread.ofUser('a@example.net')), /^nowhere/);
  assert.deepEqual(
    spread.everywhere.map(({ pool }) => pool.backend),
    ['mail1', 'mail2'],
  );
  assert.equal(spread.all.length, 5);
});

void test('what is foreseen asks nobody: a passdb may name any of them', () => {
  const names = (found: readonly Destination[]): string[] => found.map(({ pool }) => pool.backend);
  const asked = routerOf({ kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1 }, () =>
    assert.fail('the auth service was asked'),
  );
  assert.deepEqual(names(asked.foreseeUser('a@example.org')), ['mail1', 'mail2', 'mail3', 'mail4', 'mail5']);
  const spread = routerOf({ kind: 'spread', backends: ['mail1', 'mail2'] });
  assert.equal(spread.foreseeUser('a@example.org').length, 1);
  assert.deepEqual(spread.foreseeUser('a@example.net'), []);
  const server = (name: string, users: readonly string[], effect: 'read' | 'session' = 'read'): string => {
    const command = { command: { name }, effect, users, masks: [], everybody: 'none' } as const;
    const found = spread.foreseeServerCommand(command);
    return found.kind === 'to' ? names(found.destinations).join(' ') : found.message;
  };
  const all = 'mail1 mail2 mail3 mail4 mail5';
  assert.equal(server('who', ['a@example.org']), all);
  assert.match(server('kick', ['a@example.org'], 'session'), /^mail[12]$/);
  assert.match(server('kick', ['a@example.net'], 'session'), /no route/);
  const many = Array.from({ length: 20 }, (_, at) => `user${at}@example.org`);
  assert.match(server('kick', many, 'session'), /several backends/);
  assert.match(server('reload', [], 'session'), /server_commands/);
  const kick = {
    command: { name: 'kick' },
    effect: 'session',
    users: many,
    masks: [],
    everybody: 'none',
  } as const;
  const found = asked.foreseeServerCommand(kick);
  assert.equal(found.kind === 'to' && names(found.destinations).join(' '), all);
});

void describe('a route by passdb', () => {
  const found = (fields: Record<string, string>, user = 'a@example.org'): LookupAnswer => ({
    kind: 'found',
    user,
    fields: new Map(Object.entries(fields)),
  });
  // [what it says, where the command goes]
  const cases: readonly (readonly [string, LookupAnswer, string | RegExp])[] = [
    ['proxy to an address', found({ proxy: 'y', host: '192.0.2.1' }), 'mail1'],
    ['proxy without a value', found({ proxy: '', host: '192.0.2.1' }), 'mail1'],
    ['nologin and a host', found({ nologin: 'y', host: '192.0.2.1' }), 'mail1'],
    [
      'a name, resolved by the service',
      found({ proxy: 'y', host: 'mail2.EXAMPLE.com', hostip: '203.0.113.9' }),
      'mail2',
    ],
    ['a port that tells them apart', found({ proxy: 'y', host: '192.0.2.3', port: '2' }), 'mail4'],
    ['an IPv6 address', found({ proxy: 'y', host: '2001:db8::5' }), 'mail5'],
    ['no port where there are two', found({ proxy: 'y', host: '192.0.2.3' }), /^nowhere/],
    ['another port', found({ proxy: 'y', host: '192.0.2.1', port: '143' }), /^nowhere/],
    ['a host of somebody else', found({ proxy: 'y', host: '198.51.100.1' }), /^nowhere/],
    ['a host alone', found({ host: '192.0.2.1' }), /^nowhere/],
    ['nothing', found({}), /^nowhere/],
    ['nobody', { kind: 'not-found' }, /^nowhere/],
    ['no answer', { kind: 'failed', code: 'auth-failed' }, 'unasked: auth-failed'],
    ['the same user in another case', found({ proxy: 'y', host: '192.0.2.1' }, 'A@Example.ORG'), 'mail1'],
    ['another name', found({ proxy: 'y', host: '192.0.2.1' }, 'ceo'), 'mail1 ceo@example.org'],
    [
      'another name there',
      found({ proxy: 'y', host: '192.0.2.1', destuser: 'x@example.net' }),
      'mail1 x@example.net',
    ],
    [
      'a name that cannot be one',
      found({ proxy: 'y', host: '192.0.2.1' }, 'a b'),
      'unasked: alias-unnamable',
    ],
  ];
  for (const [name, answer, expected] of cases) {
    void test(name, async () => {
      const target = { kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1 } as const;
      const text = shown(await routerOf(target, () => answer).ofUser('a@example.org'));
      if (typeof expected === 'string') assert.equal(text, expected);
      else assert.match(text, expected);
    });
  }
});

void describe('a command that names no mailbox user', () => {
  const byDigit: RouteTarget = { kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1 };
  const router = routerOf(byDigit, (user) => {
    const host = `192.0.2.${user[0] ?? ''}`;
    return {
      kind: 'found',
      user,
      fields: new Map([
        ['proxy', 'y'],
        ['host', host],
      ]),
    };
  });
  const kick = (...users: string[]) =>
    router.ofServerCommand({
      command: { name: 'kick' },
      effect: 'session',
      users,
      masks: [],
      everybody: 'none',
    });

  void test('goes where all its users live', async () => {
    const routed = await kick('1@example.org', '1b@example.org');
    assert.ok(routed.kind === 'to');
    assert.deepEqual(
      routed.destinations.map(({ pool }) => pool.backend),
      ['mail1'],
    );
  });

  void test('or nowhere', async () => {
    assert.equal((await kick('1@example.org', '9@example.org')).kind, 'nowhere');
    assert.equal((await kick()).kind, 'refused');
    const apart = await routerOf({ kind: 'spread', backends: ['mail1', 'mail2'] }).ofServerCommand({
      command: { name: 'kick' },
      effect: 'session',
      users: Array.from({ length: 20 }, (_, index) => `u${index}@example.org`),
      masks: [],
      everybody: 'none',
    });
    assert.ok(apart.kind === 'refused' && apart.code === 'several-backends');
  });

  void test('goes to all when it reads', async () => {
    const who = {
      command: { name: 'who' },
      effect: 'read',
      users: [],
      masks: [],
      everybody: 'listing',
    } as const;
    const routed = await router.ofServerCommand(who);
    assert.ok(routed.kind === 'to' && routed.destinations.length === 5);
  });
});

void test('a host as a referral writes it', () => {
  const router = routerOf({ kind: 'backend', backend: 'mail1' });
  const at = (host: string): string | undefined => router.atHost(host)?.pool.backend;
  assert.equal(at('192.0.2.1'), 'mail1');
  assert.equal(at('192.0.2.1:24245'), 'mail1');
  assert.equal(at('192.0.2.1:1'), undefined);
  assert.equal(at('mail2.example.com:24245'), 'mail2');
  assert.equal(at('192.0.2.3:1'), 'mail3');
  assert.equal(at('192.0.2.3'), undefined);
  assert.equal(at('[2001:db8::5]:24245'), 'mail5');
  assert.equal(at('2001:db8::5'), 'mail5');
  assert.equal(at(''), undefined);
});
