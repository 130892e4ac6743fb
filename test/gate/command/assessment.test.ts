// Goal: a line that is known is told apart from every other, and comes to the same as one that is not: sent, counted, recorded. What
// must not happen: an answer for somebody else, one from before an upgrade, a remembered secret, somebody who should be asked again and
// is not.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { createUserNames, defaultCharacters } from '../../../src/doveadm/names/user-name.js';
import {
  createRouter,
  Destination,
  knownLineOf,
  lineKey,
  lineScope,
  type Router,
} from '../../../src/gate/command/assessment.js';
import type { LookupAnswer } from '../../../src/gate/lookup/lookup.js';
import { assess, fateOf, plainLine } from '../../../src/rules/policy/assess.js';
import { type GrantsAtHand, underAnyGrant } from '../../../src/rules/policy/grant.js';
import type { Route, RouteTarget } from '../../../src/rules/policy/policy.js';
import {
  type Answers,
  nothingAsked,
  nothingKnown,
  type RoutingTable,
} from '../../../src/rules/policy/route.js';
import { memoryTarget } from '../../kit/gate/memory-backend.js';
import {
  type MemoryEngineOptions,
  memorySettings,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';
import { column } from '../../kit/plain/columns.js';
import { openPool } from '../pool/pooled.js';

const line = '|alice@example.org|quota get';

/** The same line from one client again and again: what was sent of it, what was recorded, what the client heard. */
async function repeat(text: string, times: number, options: MemoryEngineOptions = {}) {
  const { engine, client } = await openWithClient(2, options);
  for (let n = 0; n < times; n += 1) await client.line(text);
  const { knownLines } = engine.context.exchanges();
  return {
    engine,
    client,
    sent: engine.commands.map((command) => command.line.replaceAll('\t', '|')),
    admissions: engine.recordsOf('admission'),
    completions: engine.recordsOf('completion'),
    known: knownLines.size,
  };
}

void test('what is known of a line comes to the same: the line that is sent, both records', async () => {
  const { sent, admissions, completions, known } = await repeat(line, 4);
  assert.equal(known, 1);
  assert.deepEqual(sent, Array<string>(4).fill('|alice@example.org|quota get|--'));
  assert.equal(new Set(admissions.map(({ id }) => id)).size, 4);
  for (const records of [admissions, completions]) {
    // The first one came before the series of the backend was known, the second one before the line was.
    const [, second, ...others] = records.map((record) => ({ ...record, id: '' }));
    assert.equal(others.length, 2);
    for (const other of others) assert.deepEqual(other, second);
  }
});

void test('what a grant allows is not remembered: the next time the grant is looked at again', async () => {
  const settings = memorySettings.replace(/^( +)allow: /m, '$1on_request: [mailbox delete]\n$1allow: ');
  const { engine } = await repeat(line, 2, { settings });
  const { router } = engine.context.exchanges();
  const policy = engine.context.policy({ listener: 'support', uid: 1000 }, undefined) ?? assert.fail();
  const found = (grants: GrantsAtHand | undefined, ...words: string[]) => {
    const subject = { listener: 'support', principal: 'x@support', clientMinor: 2, policy, grants };
    const asked = plainLine('alice@example.org', words);
    const assessed = assess(asked, subject, router.table, nothingAsked, 0);
    const remembered = knownLineOf(asked, { ...assessed, obstacle: undefined }, (value) => ({ hmac: value }));
    return [fateOf(assessed), remembered !== undefined];
  };
  assert.deepEqual(found(underAnyGrant, 'mailbox delete', 'Old'), ['allow', false]);
  assert.deepEqual(found(undefined, 'mailbox delete', 'Old'), ['deny', false]);
  assert.deepEqual(found(underAnyGrant, 'quota', 'get'), ['allow', true]);
});

void test('its limits are counted each time, and a reason is for one command', async () => {
  const limited = memorySettings.replace('[quota get,', '[{ command: quota get, limit: 2/hour },');
  const { sent, completions } = await repeat(line, 3, { settings: limited });
  assert.deepEqual([sent.length, completions.at(-1)?.outcome], [2, 'limited']);
  const { engine, client } = await openWithClient(2);
  await client.line(line);
  await client.line('||OPTION|dovegate-reason=ticket 7');
  await client.line(line);
  await client.line(line);
  const reasons = engine.recordsOf('admission').map(({ reason }) => reason);
  assert.deepEqual(reasons, [undefined, 'ticket 7', undefined]);
  assert.ok(engine.commands.every((each) => !each.line.includes('ticket')));
});

void test('what is not settled by the line is not remembered', async () => {
  const refused = await repeat('|alice@example.net|quota get', 2);
  assert.deepEqual([refused.known, refused.completions.at(-1)?.outcome], [0, 'denied']);
  assert.equal((await repeat('|alice@example.org|search|text|invoice', 2)).known, 0);
  assert.equal((await repeat('||who', 2)).known, 0);
  assert.equal((await repeat(`${line}|${'x'.repeat(600)}`, 1)).known, 0);
  const settings = `${memorySettings}mail_users: { resolve: /run/dovecot/dovegate-userdb }\n`;
  let asked = 0;
  const auth = (_kind: string, user: string): string => {
    asked += 1;
    return `USER|${user}`;
  };
  const resolved = await repeat(line, 1, { settings, auth });
  assert.deepEqual([resolved.known, asked], [0, 1]);
});

void test('every part of who asks, and every byte, makes another key', () => {
  const policy = openMemoryEngine().settings.policies.get('support') ?? assert.fail('no policy');
  const other = openMemoryEngine({ settings: memorySettings.replace('quota get, ', '') });
  const changed = other.settings.policies.get('support') ?? assert.fail('no policy');
  const subject = { listener: 'support', principal: 'a@support', clientMinor: 2, policy };
  const bytes = Buffer.from('\ta\tquota get');
  const keys = [
    lineKey(lineScope(subject), bytes),
    lineKey(lineScope({ ...subject, clientMinor: 3 }), bytes),
    lineKey(lineScope({ ...subject, policy: changed }), bytes),
    lineKey(lineScope({ ...subject, policy: { ...policy, name: 'other' } }), bytes),
    lineKey(lineScope({ ...subject, listener: 'other' }), bytes),
    lineKey(lineScope({ ...subject, principal: 'b@support' }), bytes),
    lineKey(lineScope(subject), Buffer.from('v\ta\tquota get')),
    lineKey(lineScope(subject), Buffer.from('\ta\tquota\tget')),
    lineKey(lineScope(subject), Buffer.from([0x09, 0xc3, 0xa9])),
    lineKey(lineScope(subject), Buffer.from([0x09, 0xe9])),
  ];
  assert.equal(new Set(keys).size, keys.length);
  assert.ok(!keys.includes(undefined));
});

// Goal: what is remembered of lines is bounded in its length and in its number.
void test('a longer line is not remembered', () => {
  assert.ok(lineKey('1\0', Buffer.alloc(512)) !== undefined);
  assert.equal(lineKey('1\0', Buffer.alloc(512 + 1)), undefined);
});

void test('so many principals are told apart; one more, and all of them get a new number', () => {
  const policy = openMemoryEngine().context.policy({ listener: 'support', uid: 1000 }, undefined);
  assert.ok(policy !== undefined);
  const scopeOf = (at: number): string =>
    lineScope({ listener: 'support', principal: `p${at}@support`, clientMinor: 2, policy });
  const first = scopeOf(0);
  assert.equal(scopeOf(0), first);
  const scopes = new Set(Array.from({ length: 1000 + 1 }, (_, at) => scopeOf(at)));
  assert.equal(scopes.size, 1000 + 1);
  assert.notEqual(scopeOf(0), first);
});

// Goal: a command goes where its route says, or nowhere; what the auth service could not say is never taken for an answer.

/** Only the name of a pool counts here. */
function destination(backend: string, host: string, port = 24245): Destination {
  const { pool } = openPool(
    {},
    {
      target: memoryTarget({ name: backend }),
      configured: { series: '2.3', release: undefined, newer: 'reads' },
    },
  );
  return new Destination(pool, { kind: 'tcp', host, port }, []);
}

const backends = [
  destination('mail1', '192.0.2.1'),
  destination('mail2', 'Mail2.example.com'),
  destination('mail3', '192.0.2.3', 1),
  destination('mail4', '192.0.2.3', 2),
  destination('mail5', '2001:db8::5'),
];

function routerOf(target: RouteTarget, answer?: (user: string) => LookupAnswer): Router {
  const route: Route = { users: new GlobList(['*@example.org']), target };
  return createRouter({
    routes: [route],
    serverCommands: { default: { kind: 'all' }, byCommand: new Map([['kick', { kind: 'by-user' }]]) },
    backends,
    lookup: () => ({ pass: (user) => Promise.resolve(answer?.(user) ?? { kind: 'not-found' }) }),
    userNames: createUserNames({ characters: defaultCharacters, defaultRealm: 'example.org' }),
  });
}

const everything = openMemoryEngine({
  settings: memorySettings
    .replace('"*@example.org"', '"*"')
    .replace(
      /allow: .*/,
      'allow: [quota get, who, { command: reload, root_equivalent: true }, { command: kick, masks: true }]',
    ),
}).settings.policies.get('support');

/** Where a line goes, by its answers: the backends, and other names of its users; or why nowhere. */
function placeOf(table: RoutingTable, user: string, words: readonly string[], answers: Answers) {
  assert.ok(everything);
  const subject = { listener: 'support', principal: '-@support', clientMinor: 4, policy: everything };
  const found = assess(plainLine(user, words), subject, table, answers, 0);
  if (found.judgement === undefined) return found.questions;
  const { obstacle, destinations, aliases } = found;
  if (obstacle?.kind === 'unroutable') return `nowhere: ${obstacle.reason}`;
  if (obstacle !== undefined) return `${obstacle.kind}: ${obstacle.code}`;
  assert.equal(fateOf(found), 'allow', JSON.stringify(found.judgement));
  return [...destinations.map(({ name }) => name), ...aliases].join(' ');
}

/** The same, when everything was asked. */
async function routed(router: Router, user: string, words: readonly string[] = ['quota', 'get']) {
  for (let answers: Answers = nothingKnown; ; ) {
    const place = placeOf(router.table, user, words, answers);
    if (typeof place === 'string') return place;
    answers = await router.ask(place, answers, { principal: 'desk@support', origin: 'uid 1000' });
  }
}

void test('a route to a backend, to one of several, to none', async () => {
  assert.equal(await routed(routerOf({ kind: 'backend', backend: 'mail2' }), 'a@example.org'), 'mail2');
  const spread = routerOf({ kind: 'spread', backends: ['mail1', 'mail2'] });
  assert.match(await routed(spread, 'a@example.org'), /^mail[12]$/);
  assert.match(await routed(spread, 'a@example.net'), /^nowhere/);
  assert.deepEqual(column(spread.table.everywhere, 'name'), ['mail1', 'mail2']);
  assert.equal(spread.table.backends.length, 5);
});

void test('what is supposed asks nobody: a passdb may name any of them', () => {
  const asked = routerOf({ kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1 }, () =>
    assert.fail('the auth service was asked'),
  );
  const supposed = (router: Router, user: string, ...words: string[]): string => {
    const place = placeOf(router.table, user, words, nothingAsked);
    assert.ok(typeof place === 'string');
    return place;
  };
  const all = 'mail1 mail2 mail3 mail4 mail5';
  assert.equal(supposed(asked, 'a@example.org', 'quota', 'get'), all);
  const spread = routerOf({ kind: 'spread', backends: ['mail1', 'mail2'] });
  assert.match(supposed(spread, 'a@example.org', 'quota', 'get'), /^mail[12]$/);
  assert.match(supposed(spread, 'a@example.net', 'quota', 'get'), /^nowhere/);
  assert.equal(supposed(spread, '', 'who', 'a@example.org'), all);
  assert.match(supposed(spread, '', 'kick', 'a@example.org'), /^mail[12]$/);
  assert.match(supposed(spread, '', 'kick', 'a@example.net'), /no route/);
  const many = Array.from({ length: 20 }, (_, at) => `user${at}@example.org`);
  assert.equal(supposed(spread, '', 'kick', ...many), 'unparsable: several-backends');
  assert.equal(supposed(spread, '', 'reload'), 'unparsable: no-server-route');
  assert.equal(supposed(asked, '', 'kick', ...many), all);
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
    ['no answer', { kind: 'failed', code: 'auth-failed' }, 'unresolved: auth-failed'],
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
      'unresolved: alias-unnamable',
    ],
  ];
  for (const [name, answer, expected] of cases) {
    void test(name, async () => {
      const target = { kind: 'passdb', socket: '/run/auth', cacheTtlMs: 1 } as const;
      const text = await routed(
        routerOf(target, () => answer),
        'a@example.org',
      );
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
  const kick = (...users: string[]) => routed(router, '', ['kick', ...users]);

  void test('goes where all its users live', async () => {
    assert.equal(await kick('1@example.org', '1b@example.org'), 'mail1');
  });

  void test('or nowhere', async () => {
    assert.match(await kick('1@example.org', '9@example.org'), /^nowhere/);
    assert.equal(await kick('*'), 'unparsable: no-single-user');
    const many = Array.from({ length: 20 }, (_, index) => `u${index}@example.org`);
    const spread = routerOf({ kind: 'spread', backends: ['mail1', 'mail2'] });
    assert.equal(await routed(spread, '', ['kick', ...many]), 'unparsable: several-backends');
  });

  void test('goes to all when it reads', async () => {
    assert.equal(await routed(router, '', ['who', '1@example.org']), 'mail1 mail2 mail3 mail4 mail5');
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
