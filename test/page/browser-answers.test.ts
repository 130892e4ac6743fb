// Who gets what of the page: the whole table of roles and endpoints, the ways in, and the record of what was refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DoorRefused } from '../../src/gate/door/calls.js';
import { DoorFault } from '../../src/gate/door/door-client.js';
import { createLoginGuard } from '../../src/gate/login/logins.js';
import { bounds } from '../../src/host/bounds/bounds.js';
import type { TlsOffer } from '../../src/host/ports/transport.js';
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
import { compareStories } from '../kit/plain/approved.js';
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
      operate(person, action) {
        acted.push([person.name, action, person.from]);
        return Promise.resolve({ kind: 'done', text: `did ${action.kind}` });
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

/** Of a person in words of browser-answers.txt; `password`: kept as its hash. */
async function personOf(json: string): Promise<PagePerson> {
  const { password, ...person } = JSON.parse(json);
  return password === undefined
    ? person
    : { ...person, passwordHash: await hashPassword(Buffer.from(password), 14) };
}

async function optionsOf(withs: readonly string[]): Promise<DeskOptions> {
  const of = (kind: RegExp) => withs.flatMap((each) => kind.exec(each)?.slice(1) ?? []);
  const people = await Promise.all(of(/^person (.*)/).map(personOf));
  const [fault] = of(/^records fail: (.*)/);
  const code = (['person', 'stale'] as const).find((each) => fault?.startsWith(each));
  const failing = code === undefined ? new Error(fault) : new DoorFault(code, fault ?? '');
  const refusing: PageHandlers = { search: () => Promise.resolve(refusedReply(403, 'it names others')) };
  return {
    people: people.length === 0 ? usual : people,
    handlers: withs.includes('answers')
      ? answering
      : withs.includes('a search that names others')
        ? refusing
        : {},
    authorities: of(/^authorities (.*)/),
    ...(fault !== undefined && { append: () => Promise.reject(failing) }),
  };
}

/** What each endpoint answers to somebody, with a body that is one of a lock; each in a session of its own, or in none. */
async function everyEndpoint(
  { ask, enter, refusals, acted }: ReturnType<typeof desk>,
  name: string,
): Promise<string> {
  const answers = new Map<string, string[]>();
  const body = { target: 'carol', reason: 'lost', kills: false, isHold: true };
  for (const endpoint of all) {
    if (endpoints[endpoint].roles === 'nobody-yet') continue;
    const token = name === 'nobody' ? undefined : name === 'a stranger' ? 'A'.repeat(43) : await enter(name);
    const before = refusals.length;
    const reply = await ask(endpoint, { token, body });
    await settle();
    const told = refusals
      .slice(before)
      .map(({ person, why, what, more }) => `${person} ${why} ${what.replace(endpoint, 'ENDPOINT')} ${more}`);
    const { text = '' } = reply.status === 200 ? {} : JSON.parse(bodyOf(reply));
    const asks = 'headers' in reply ? reply.headers?.['WWW-Authenticate'] : undefined;
    const said = [reply.status, asks, told.join(), text.replace(`ask for ${endpoint}:`, 'ask for ENDPOINT:')]
      .filter(Boolean)
      .join(' | ');
    answers.set(said, [...(answers.get(said) ?? []), endpoint]);
  }
  const lines = [...answers].map(([said, names]) => `${said}: ${names.join(' ')}`);
  return [...lines, `${acted.length} actions`].join('\n');
}

// A step: `T1 ENDPOINT BODY`, with the first token or with none (`-`), from an address (`@`) and with a certificate (`cert=`); or `* ` and
// what happens. Below: the answer, and what was recorded, told to the daemon, done and logged.
void test('what each request gets, as browser-answers.txt has it', () =>
  compareStories('test/page/browser-answers.txt', async (withs) => {
    const options = await optionsOf(withs);
    const one = desk(options);
    let { people = usual } = options;
    const tokens: string[] = [];
    const links: string[] = [];
    const named = (text: string): string =>
      Object.entries({ T: tokens, L: links }).reduce(
        (shown, [letter, each]) =>
          each.reduce((so, value, at) => so.replaceAll(value, `${letter}${at + 1}`), shown),
        text,
      );
    const happen = async (what: string, rest: string): Promise<unknown> => {
      switch (what) {
        case 'link':
          return void links.push(one.linkOf(rest));
        case 'enter':
          return void tokens.push(await one.enter(rest));
        case 'person': {
          const person = await personOf(rest);
          people = [...people.filter(({ name }) => name !== person.name), person];
          return one.replace(people);
        }
        case 'lock':
          one.now.locked.set('audit', rest);
          return one.door.review();
        case 'authority':
          return void (one.now.offer = { clientCa: [rest] });
        case 'every':
          return everyEndpoint(one, rest);
        default:
          return one.clock.advance(Number(what) * 1000);
      }
    };
    const request = async (who: string, rest: string): Promise<string> => {
      const [, name = '', address = stranger.address, names, body] =
        /^(\S+)(?: @(\S+))?(?: cert=(\S+))?(?: (.*))?$/.exec(rest) ?? [];
      const endpoint = isEndpoint(name) ? name : assert.fail(name);
      const certificate =
        names === undefined ? undefined : { names: names.split(','), fingerprint: '00', authorities: ['CA'] };
      const text = body
        ?.replace(/L(\d)/, (_, at) => links[at - 1] ?? '')
        .replace(/(\w)\*(\d+)/, (_, sign, count) => sign.repeat(count));
      const asking = one.ask(endpoint, {
        token: /^T(\d)$/.test(who) ? tokens[Number(who.slice(1)) - 1] : undefined,
        peer: { address, certificate },
        ...(text !== undefined && { body: JSON.parse(text) }),
      });
      // A wrong password costs time.
      if (endpoint === 'login') await one.clock.advance(10_000);
      const reply = await asking;
      const { token } = JSON.parse(bodyOf(reply));
      if (typeof token === 'string') tokens.push(token);
      return `${reply.status} ${bodyOf(reply).trimEnd()}`;
    };
    return async (step) => {
      const lists = [one.records, one.refusals, one.acted, one.logged] as const;
      const before = lists.map(({ length }) => length);
      const [, who = '', what = '', rest = ''] = /^(\S+) (\S+) ?(.*)$/.exec(step) ?? [];
      const said = who === '*' ? await happen(what, rest) : await request(who, `${what} ${rest}`.trim());
      await settle();
      const news =
        what === 'every'
          ? []
          : lists.flatMap((list, at) => list.slice(before[at]).map((each) => JSON.stringify(each)));
      return named([...(typeof said === 'string' ? [said] : []), ...news].join('\n'));
    };
  }));

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
