// Who gets what of the page: the whole table of roles and endpoints, the ways in, and the record of what was refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DoorRefused } from '../../src/gate/door/calls.js';
import { DoorFault } from '../../src/gate/door/door-client.js';
import { createLoginGuard } from '../../src/gate/login/logins.js';
import { bounds } from '../../src/host/bounds/bounds.js';
import type { TlsOffer, TlsPeer } from '../../src/host/ports/transport.js';
import { type Endpoint, endpoints } from '../../src/page/answers/endpoints.js';
import { type BrowserParts, createBrowserAnswers } from '../../src/page/browser-answers.js';
import type { Note } from '../../src/page/daemon.js';
import {
  jsonReply,
  type PageHandler,
  type PageHandlers,
  type PageReply,
  type PageRequest,
  refusedReply,
} from '../../src/page/http/page-request.js';
import type { PageCall } from '../../src/page/http/page-server.js';
import type { PagePerson } from '../../src/rules/config/settings.js';
import { hashPassword } from '../../src/rules/identity/credentials.js';
import type { PageRole } from '../../src/rules/identity/roles.js';
import { createFakeClock, settle } from '../kit/plain/fake-clock.js';

const roles: readonly PageRole[] = ['view', 'operate', 'audit'];
const all: readonly Endpoint[] = Object.keys(endpoints).flatMap((name) => (isEndpoint(name) ? [name] : []));
const opener = { uid: 1001, loginUid: 1001 };
const stranger = { address: '192.0.2.9', certificate: undefined };

function isEndpoint(name: string): name is Endpoint {
  return Object.hasOwn(endpoints, name);
}

interface DeskOptions {
  readonly people?: readonly PagePerson[];
  readonly handlers?: PageHandlers;
  readonly append?: () => Promise<void>;
  readonly authorities?: readonly string[];
  /** What the daemon answers to a refusal that it is told. */
  readonly told?: Promise<void>;
}

/** A person of each role, named after it. */
const usual = roles.map((role): PagePerson => ({ name: role, user: role, roles: [role] }));

function desk({ people = usual, handlers = {}, append, authorities, told }: DeskOptions = {}) {
  const clock = createFakeClock();
  const records: (Note & { readonly by: string; readonly from: readonly string[] })[] = [];
  const refusals: DoorRefused[] = [];
  const logged: (string | undefined)[] = [];
  const acted: unknown[][] = [];
  const now = {
    people,
    locked: new Map<string, string>(),
    offer: { clientCa: authorities } as Pick<TlsOffer, 'clientCa'>,
  };
  const settings = { page: { approve: false, people } };
  const parts: BrowserParts = {
    clock,
    log: { report: ({ text }: { readonly text?: string | undefined }) => void logged.push(text) },
    daemon: {
      async record({ name: by, from }, note) {
        await append?.();
        records.push({ by, from, ...note });
      },
      refused(refused) {
        refusals.push(refused);
        return told ?? Promise.resolve();
      },
      operate(person, ...action) {
        const [kind, what, more = {}] = action;
        acted.push([person.name, kind, what, person.from, more]);
        return Promise.resolve({ kind: 'done', text: `did ${action[0]}` });
      },
    },
    people: {
      get page() {
        return settings.page;
      },
      byName: (name) => settings.page.people.find((each) => each.name === name),
      whyLocked: ({ identities }) => now.locked.get(identities[0]?.replace('page:', '') ?? ''),
    },
    guard: createLoginGuard(clock),
    offer: () => ({ certificate: { chain: '', key: '' }, protocols: [], ...now.offer }),
    handlers,
    host: 'gate',
    version: '1.2.3',
  };
  const door = createBrowserAnswers(parts);
  const gone: AbortController[] = [];
  const ask = (endpoint: Endpoint, more: Partial<PageCall> & { readonly body?: unknown } = {}) => {
    const leaving = new AbortController();
    gone.push(leaving);
    const reply = door.answer({
      endpoint,
      params: endpoints[endpoint].route.includes(':') ? ['THING'] : [],
      token: undefined,
      origin: 'https://gate.example.com',
      peer: stranger,
      readBody: () => Promise.resolve(more.body === undefined ? '' : JSON.stringify(more.body)),
      known: () => undefined,
      signal: leaving.signal,
      ...more,
    });
    return reply.finally(() => leaving.abort());
  };
  const linkOf = (name: string): string => door.link(parts.people.byName(name) ?? assert.fail(name), opener);
  return {
    door,
    clock,
    ask,
    records,
    logged,
    acted,
    now,
    refusals,
    /** Whom the daemon was told of, and why. */
    refused: () => refusals.map(({ person, why }) => [person, why]),
    replace: (next: readonly PagePerson[]): void => {
      settings.page = { approve: false, people: next };
      door.review();
    },
    linkOf,
    enter: async (name: string) => tokenOf(await ask('redeem', { body: { link: linkOf(name) } })),
  };
}

function bodyOf(reply: PageReply): string {
  return 'body' in reply ? reply.body : assert.fail('in pieces');
}

function tokenOf(reply: PageReply): string {
  assert.equal(reply.status, 200, bodyOf(reply));
  const { token } = JSON.parse(bodyOf(reply));
  return typeof token === 'string' ? token : assert.fail('no token');
}

const answering: PageHandlers = Object.fromEntries(
  all.map((endpoint): [Endpoint, PageHandler] => [
    endpoint,
    ({ who }) => Promise.resolve(jsonReply(200, { endpoint, who })),
  ]),
);

void test('role by endpoint: what the table has, of several roles what one of them may; each refusal is a record', async () => {
  const both: PagePerson = { name: 'both', user: 'both', roles: ['operate', 'audit'] };
  for (const person of [...usual, both]) {
    const { ask, enter, refusals, acted } = desk({ handlers: answering, people: [person] });
    const allowed: Endpoint[] = [];
    for (const endpoint of all) {
      if (endpoints[endpoint].roles === 'nobody-yet') continue;
      const token = await enter(person.name);
      await settle();
      const before = refusals.length;
      const lock = { target: 'carol', reason: 'lost', kills: false, isHold: true };
      const reply = await ask(endpoint, { token, body: lock });
      // Of a body that is none of this endpoint it is told behind the role.
      const isPast = [200, 400].includes(reply.status);
      if (isPast) allowed.push(endpoint);
      else {
        assert.equal(reply.status, 403, `${person.name} ${endpoint}: ${bodyOf(reply)}`);
        assert.match(bodyOf(reply), /which may not ask for/);
      }
      const told = refusals.slice(before).map(({ person: who, address, why }) => [who, address, why]);
      const refusal = [person.name, stranger.address, 'wrong-role'];
      assert.deepEqual(told, isPast ? [] : [refusal], `${person.name} ${endpoint}`);
    }
    const either = new Set(person.roles.flatMap((role) => expected[role]));
    assert.deepEqual(new Set(allowed), either);
    assert.equal(acted.length, person.roles.includes('operate') ? 6 : 0);
  }
});

void test('a refusal names all roles that somebody has', async () => {
  const people = [{ name: 'desk', user: 'desk', roles: ['view', 'operate'] }] as const;
  const { ask, enter } = desk({ handlers: answering, people });
  const reply = await ask('search', { token: await enter('desk') });
  assert.deepEqual(JSON.parse(bodyOf(reply)), {
    text: 'desk has the roles "view" and "operate", which may not ask for search: that needs "audit"',
  });
});

void test('a limited view gets nothing of policies and keys, which name others; each try is a record', async () => {
  const people = [{ name: 'alice', user: 'alice', roles: ['audit'], users: ['*@example.com'] }] as const;
  const { ask, enter, refusals } = desk({ handlers: answering, people });
  const token = await enter('alice');
  const refused: Endpoint[] = [];
  for (const endpoint of expected.audit) {
    if (endpoint === 'logout') continue;
    const reply = await ask(endpoint, { token });
    if ([200, 400].includes(reply.status)) continue;
    assert.match(bodyOf(reply), /alice sees the records of \*@example\.com only/);
    refused.push(endpoint);
  }
  await settle();
  assert.deepEqual(refused, endpointsOf(`${ofPolicies} keys`));
  const told = refusals.map(({ why, what }) => [why, what]);
  const wrongViews = refused.map((endpoint) => ['wrong-view', endpoint]);
  assert.deepEqual(told, wrongViews);
});

const endpointsOf = (names: string): readonly Endpoint[] =>
  names.split(' ').map((name) => (isEndpoint(name) ? name : assert.fail(name)));
const everybody = 'logout me now history incidents backends-csv proof verify';
const ofPolicies = 'explain suggest check replay policies access mailbox prove';
const expected: Readonly<Record<PageRole, readonly Endpoint[]>> = {
  view: endpointsOf(everybody),
  operate: endpointsOf(`${everybody} drain enable acknowledge kill lock unlock keys`),
  audit: endpointsOf(
    `${everybody} search histogram export extract report survey requests show ${ofPolicies} keys`,
  ),
  approve: endpointsOf(`${everybody} approvals uses approve refuse revoke review`),
};

void test('without a session: nothing but signing in; each refusal is told to the daemon', async () => {
  const { ask, refusals } = desk({ handlers: answering });
  let asked = 0;
  for (const endpoint of all) {
    const [none, wrong] = [await ask(endpoint), await ask(endpoint, { token: 'A'.repeat(43) })];
    await settle();
    if (endpoints[endpoint].roles === 'nobody-yet') continue;
    asked += 2;
    assert.deepEqual([none.status, wrong.status], [401, 401], endpoint);
    assert.equal('headers' in none && none.headers?.['WWW-Authenticate'], 'Bearer');
  }
  const told = refusals.filter(({ why }) => why.endsWith('-token'));
  assert.equal(told.length, asked);
  assert.ok(told.every(({ person, more }) => person === undefined && more === 0));
});

void test('of many refusals at once the daemon is told some, and how many more there were', async () => {
  let answer = (): void => undefined;
  const told = new Promise<void>((resolve) => (answer = resolve));
  const { ask, refusals } = desk({ handlers: answering, told });
  for (let at = 0; at < 40; at += 1) await ask('me');
  await settle();
  assert.equal(refusals.length, 1, 'one after another');
  answer();
  await settle();
  assert.equal(refusals.length, 16);
  await ask('me');
  await settle();
  assert.equal(refusals.at(-1)?.more, 24);
});

void test('a link signs in its person once; sign-ins and sign-outs are records', async () => {
  const { ask, linkOf, records, refusals } = desk();
  const link = linkOf('view');
  const token = tokenOf(await ask('redeem', { body: { link } }));
  const me = await ask('me', { token });
  assert.deepEqual(JSON.parse(bodyOf(me)), {
    name: 'view',
    roles: ['view'],
    isByIssuer: false,
    ends: '2026-01-02T11:04:05.000Z',
    host: 'gate',
    version: '1.2.3',
  });
  assert.equal((await ask('logout', { token })).status, 200);
  assert.equal((await ask('me', { token })).status, 401);
  const noted = records.map(({ action, by, from, args }) => [action, by, from, args?.[0]]);
  assert.deepEqual(noted, [
    ['page-sign-in', 'view', ['address=192.0.2.9'], 'how=link'],
    ['page-sign-out', 'view', ['address=192.0.2.9'], undefined],
  ]);
  const told = refusals.map(({ person, address, why }) => [person, address, why]);
  assert.deepEqual(told, [['view', stranger.address, 'session-ended']]);
  assert.ok(!JSON.stringify(records).includes(token), 'no token in a record');
  assert.ok(!JSON.stringify(records).includes(link), 'no link in a record');
});

void test('a stolen link: the second one to use it is refused, and the first one is out', async () => {
  const { ask, linkOf, refused } = desk();
  const link = linkOf('view');
  const token = tokenOf(await ask('redeem', { body: { link } }));
  const again = await ask('redeem', { body: { link }, token });
  assert.equal(again.status, 409, 'the window that has the session may open it again');
  assert.equal((await ask('me', { token })).status, 200);
  assert.equal((await ask('redeem', { body: { link } })).status, 401);
  assert.equal((await ask('me', { token })).status, 401);
  assert.equal((await ask('redeem', { body: { link }, token })).status, 401, 'nor is it its own any more');
  await settle();
  assert.deepEqual(refused(), [
    ['view', 'used-link'],
    ['view', 'session-ended'],
    ['view', 'late-link'],
  ]);
});

void test('links that nobody was given, and late ones', async () => {
  const { ask, linkOf, refused, clock } = desk();
  const link = linkOf('view');
  await clock.advance(60_000);
  for (const text of [link, 'x', 'A'.repeat(43)])
    assert.equal((await ask('redeem', { body: { link: text } })).status, 401);
  for (const body of [{}, { link: 5 }, { link: '' }, { link: 'x'.repeat(257) }, { link: ['x'] }, [], 5])
    assert.equal((await ask('redeem', { body })).status, 400);
  assert.deepEqual(refused(), [
    ['view', 'late-link'],
    [undefined, 'wrong-link'],
    [undefined, 'wrong-link'],
  ]);
});

void test('a person who is gone, or not the same any more, is out at once; streams end', async () => {
  let ended = 0;
  let isStill: PageRequest['isStill'] | undefined;
  async function* forever(request: PageRequest): AsyncGenerator<string> {
    yield 'first';
    await new Promise((resolve) => request.signal.addEventListener('abort', resolve, { once: true }));
    ended += 1;
  }
  const handlers: PageHandlers = {
    now(request) {
      ({ isStill } = request);
      return Promise.resolve({ status: 200, type: 'text/event-stream', pieces: forever(request) });
    },
  };
  const changes: readonly ((person: PagePerson) => PagePerson[])[] = [
    () => [],
    (person) => [{ ...person, roles: ['view'] }],
    (person) => [{ ...person, users: ['*@example.com'] }],
    (person) => [{ ...person, user: 'somebody' }],
    ({ user: _user, ...person }) => [{ ...person, certificateName: 'a' }],
  ];
  for (const [index, change] of changes.entries()) {
    const { ask, enter, replace, refused } = desk({ handlers });
    const token = await enter('audit');
    const reply = await ask('now', { token, signal: new AbortController().signal });
    assert.ok('pieces' in reply);
    const pieces = reply.pieces[Symbol.asyncIterator]();
    assert.equal((await pieces.next()).value, 'first');
    const next = pieces.next();
    replace(usual.flatMap((person) => (person.name === 'audit' ? change(person) : [person])));
    assert.equal(isStill?.(), false);
    assert.equal((await next).done, true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(ended, index + 1, 'whoever makes the pieces is told');
    assert.equal((await ask('me', { token })).status, 401);
    assert.deepEqual(refused(), [['audit', 'session-ended']]);
  }
  const { ask, enter, replace } = desk();
  const token = await enter('audit');
  replace(usual.map((person) => ({ ...person })));
  assert.equal((await ask('me', { token })).status, 200, 'a reload without a change for this person');
});

void test('a person who is locked is out, and reads why; a refusal by the daemon has its own words', async () => {
  const { ask, enter, door, now } = desk();
  const token = await enter('audit');
  const why = 'audit is locked by root until 2026-11-20T10:00:00.000Z: a stolen laptop';
  now.locked.set('audit', why);
  door.review();
  const out = await ask('me', { token });
  assert.deepEqual([out.status, bodyOf(out).includes(why)], [401, true], bodyOf(out));
  now.locked.clear();
  for (const [code, status, said] of [
    ['person', 403, why],
    ['stale', 409, 'the configuration was changed meanwhile; ask again'],
  ] as const) {
    const late = desk({ append: () => Promise.reject(new DoorFault(code, said)) });
    const reply = await late.ask('redeem', { body: { link: late.linkOf('view') } });
    assert.equal(reply.status, status, bodyOf(reply));
    assert.equal(JSON.parse(bodyOf(reply)).text, said);
  }
});

void test('a password: right, wrong, of nobody; the hash that is replaced ends the session', async () => {
  const carol = async (password: string): Promise<PagePerson> => ({
    name: 'carol',
    roles: ['view'],
    passwordHash: await hashPassword(Buffer.from(password), 14),
  });
  const { ask, replace, refusals, clock } = desk({ people: [await carol('right'), ...usual] });
  const login = (name: string, password: string) => ask('login', { body: { name, password } });
  const token = tokenOf(await login('carol', 'right'));
  assert.equal((await ask('me', { token })).status, 200);
  const wrong = login('carol', 'wrong');
  await clock.advance(10_000);
  assert.equal((await wrong).status, 401);
  const nobody = login('zoe', 'right');
  await clock.advance(10_000);
  const texts = [bodyOf(await wrong), bodyOf(await nobody)];
  assert.equal(texts[0], texts[1], 'whether the name is there is not told');
  const noPassword = login('view', 'right');
  await clock.advance(10_000);
  assert.equal((await noPassword).status, 401, 'somebody without a password');
  const told = refusals.map(({ person, why, what }) => [person, why, what].join(' '));
  const wrongPasswords = ['carol', 'zoe', 'view'].map((name) => ` wrong-password login: ${name}`);
  assert.deepEqual(told, wrongPasswords);
  for (const body of [{ name: 'carol' }, { password: 'right' }, { name: 'carol', password: 5 }])
    assert.equal((await ask('login', { body })).status, 400);
  replace([await carol('another'), ...usual]);
  assert.equal((await ask('me', { token })).status, 401);
});

void test('a certificate: of one person, while its authority counts', async () => {
  const authorities = ['CA'];
  const dave: PagePerson = { name: 'dave', roles: ['operate'], certificateName: 'dave.example.com' };
  const { ask, now, refused, records } = desk({ people: [dave, ...usual], authorities });
  const certificate = (...names: string[]): TlsPeer => ({ names, fingerprint: '00', authorities });
  const login = (shown: TlsPeer | undefined) =>
    ask('login', { body: {}, peer: { address: '192.0.2.3', certificate: shown } });
  assert.equal((await login(undefined)).status, 401);
  assert.equal((await login(certificate('eve.example.com'))).status, 401);
  const token = tokenOf(await login(certificate('x', 'dave.example.com')));
  assert.equal((await ask('me', { token })).status, 200);
  now.offer = { clientCa: ['another CA'] };
  assert.equal((await ask('me', { token })).status, 401);
  assert.equal((await login(certificate('dave.example.com'))).status, 401, 'a connection from before');
  assert.equal(records.filter(({ action }) => action === 'page-sign-in').length, 1);
  const wrong = [undefined, 'wrong-certificate'];
  assert.deepEqual(refused(), [wrong, wrong, ['dave', 'session-ended'], wrong]);
});

void test('actions are done in the name of the person, with the address', async () => {
  const { ask, enter, acted } = desk();
  const token = await enter('operate');
  const peer = { address: '192.0.2.4', certificate: undefined };
  for (const endpoint of ['drain', 'enable', 'kill'] as const)
    assert.equal((await ask(endpoint, { token, peer, params: ['X'] })).status, 200);
  const from = ['address=192.0.2.4'];
  assert.deepEqual(acted, [
    ['operate', 'drain', 'X', from, {}],
    ['operate', 'enable', 'X', from, {}],
    ['operate', 'kill', 'X', from, {}],
  ]);
  await ask('drain', { token, peer, params: ['X'], body: { reason: 'new disk' } });
  assert.deepEqual(acted.at(-1), ['operate', 'drain', 'X', from, { reason: 'new disk' }]);
});

void test('no record, no sign-in of an auditor; on call may look while the disk is full', async () => {
  const { ask, linkOf, logged } = desk({ append: () => Promise.reject(new Error('no space')) });
  for (const { name } of usual) {
    const reply = await ask('redeem', { body: { link: linkOf(name) } });
    assert.equal(reply.status, name === 'audit' ? 503 : 200);
    assert.equal(bodyOf(reply).includes('"token"'), name !== 'audit');
  }
  assert.equal(logged.filter((text) => text?.includes('no space')).length, usual.length);
});

void test('requests of one session at once have a limit, and a long body has one', async () => {
  const waiting: (() => void)[] = [];
  const handlers: PageHandlers = {
    now: () => new Promise((resolve) => waiting.push(() => resolve(jsonReply(200, {})))),
  };
  const { ask, enter } = desk({ handlers });
  const token = await enter('view');
  const operator = await enter('operate');
  const begun = [token, operator].flatMap((each) =>
    Array.from({ length: 12 }, () => ask('now', { token: each })),
  );
  assert.equal((await ask('me', { token })).status, 429);
  assert.equal((await ask('enable', { token: operator, params: ['X'] })).status, 429);
  for (const end of ['kill', 'drain'] as const)
    assert.equal((await ask(end, { token: operator, params: ['X'] })).status, 200, end);
  for (const end of waiting) end();
  await Promise.all(begun);
  assert.equal((await ask('me', { token })).status, 200);
  const long = await ask('now', { token, readBody: () => Promise.resolve(undefined) });
  assert.equal(long.status, 413);
  assert.equal((await ask('proof', { token })).status, 404, 'an endpoint that nobody answers');
});

void test('what was being made when the session ended is not told', async () => {
  let finish = (): void => undefined;
  const handlers: PageHandlers = {
    search: async () => {
      await new Promise<void>((resolve) => (finish = resolve));
      return jsonReply(200, { rows: ['a secret'] });
    },
  };
  const endings: readonly ((one: ReturnType<typeof desk>, token: string) => unknown)[] = [
    ({ ask }, token) => ask('logout', { token }),
    ({ clock }) => clock.advance(8 * 3_600_000),
    ({ replace }) => replace([]),
    ({ replace }) => replace(usual.map((person) => ({ ...person, users: ['*@example.org'] }))),
  ];
  for (const end of endings) {
    const one = desk({ handlers });
    const token = await one.enter('audit');
    const asking = one.ask('search', { token, body: {} });
    await one.clock.nextTurn();
    await end(one, token);
    finish();
    const reply = await asking;
    assert.equal(reply.status, 401);
    assert.ok(!bodyOf(reply).includes('secret'));
  }
});

void test('what is refused to a limited view is a record', async () => {
  const limited: PagePerson = { name: 'limited', user: 'l', roles: ['audit'], users: ['*@example.org'] };
  const handlers: PageHandlers = { search: () => Promise.resolve(refusedReply(403, 'it names others')) };
  const { ask, enter, refusals } = desk({ people: [limited], handlers });
  assert.equal((await ask('search', { token: await enter('limited') })).status, 403);
  assert.deepEqual(refusals, [
    { why: 'wrong-view', address: stranger.address, person: 'limited', what: 'search', more: 0 },
  ]);
});

void test('after four wrong passwords a login waits for a second, and no longer', async () => {
  const passwordHash = await hashPassword(Buffer.from('right'), 14);
  const { ask, clock } = desk({ people: [{ name: 'carol', roles: ['view'], passwordHash }] });
  let tries = 0;
  const login = () => {
    tries += 1;
    return ask('login', { body: { name: 'carol', password: `wrong ${tries}` } });
  };
  for (let at = 0; at < bounds.loginFailures; at += 1) assert.equal((await login()).status, 401);
  const next = login();
  await settle();
  assert.equal(clock.timers, 1, 'it waits');
  await clock.advance(bounds.loginPauseMs - 1);
  assert.equal(clock.timers, 1);
  await clock.advance(1);
  assert.equal(clock.timers, 0);
  assert.equal((await next).status, 401);
});

void test('a stranger is told the ways in that somebody has, and no name', async () => {
  const person = { name: 'zoe', roles: ['view'] } as const;
  const { ask, replace, refusals } = desk({ people: [{ ...person, passwordHash: 'x' }] });
  const ways = async (): Promise<unknown> => JSON.parse(bodyOf(await ask('ways')));
  assert.deepEqual(await ways(), { link: false, password: true, certificate: false });
  replace([
    { ...person, user: 'zoe' },
    { ...person, name: 'bob', certificateName: 'bob.example.org' },
  ]);
  assert.deepEqual(await ways(), { link: true, password: false, certificate: true });
  assert.deepEqual(refusals, []);
});
