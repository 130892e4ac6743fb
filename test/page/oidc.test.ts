// Sign-in at an issuer of OpenID Connect, as the page's process does it: who somebody is, for how long, and what a stranger gets with what
// it took from others. The issuer is a real one; the clock is turned.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { DoorRefused } from '../../src/gate/door/calls.js';
import { createLoginGuard } from '../../src/gate/login/logins.js';
import { bounds } from '../../src/host/bounds/bounds.js';
import type { Me, OidcBegun, OidcFinish, Ways } from '../../src/page/answers/api.js';
import type { Endpoint } from '../../src/page/answers/endpoints.js';
import { createBrowserAnswers } from '../../src/page/browser-answers.js';
import type { Note } from '../../src/page/daemon.js';
import type { PageReply } from '../../src/page/http/page-request.js';
import type { PagePerson, PageSettings } from '../../src/rules/config/settings.js';
import {
  type IssuerPerson,
  type OidcIssuer,
  type OidcIssuerOptions,
  openOidcIssuer,
} from '../kit/gate/oidc-issuer.js';
import { createFakeClock } from '../kit/plain/fake-clock.js';
import { openFolder } from '../kit/plain/folder.js';
import { until } from '../kit/plain/until.js';

const client = { clientId: 'dovegate', clientSecret: 'a secret of the client' };
const origin = 'https://gate.example.com:9147';
const carol: IssuerPerson = { sub: 'id-carol', email: 'Carol@example.com', email_verified: true };
const dave: IssuerPerson = { sub: 'id-dave', groups: ['others', 'mail-leads'] };

const people: readonly PagePerson[] = [
  { name: 'leads', oidc: { group: 'mail-leads' }, roles: ['view'] },
  { name: 'carol', oidc: { email: 'carol@Example.com' }, roles: ['operate'] },
  { name: 'erin', oidc: { sub: 'id-erin' }, roles: ['operate'] },
];

const secret = (letter: string): string => letter.repeat(43);
const secrets = { state: secret('a'), nonce: secret('a'), challenge: secret('a') };
const digestOf = (verifier: string): string => createHash('sha256').update(verifier).digest('base64url');

interface DeskOptions {
  readonly people?: readonly PagePerson[];
  readonly issuer?: Partial<OidcIssuerOptions>;
}

async function desk(t: TestContext, options: DeskOptions = {}) {
  const issuer = await openOidcIssuer(t, { ...client, ...options.issuer });
  issuer.person = carol;
  const clock = createFakeClock();
  const folder = openFolder(t);
  const clientSecretFile = join(folder, 'secret');
  writeFileSync(clientSecretFile, `${client.clientSecret}\n`);
  const oidc = { issuer: issuer.address, clientId: client.clientId, clientSecretFile };
  let page: PageSettings = { people: options.people ?? people, approve: false, oidc };
  const records: (Note & { readonly by: string; readonly from: readonly string[] })[] = [];
  const refusals: DoorRefused[] = [];
  const logged: string[] = [];
  const door = createBrowserAnswers({
    clock,
    log: { report: (event) => void logged.push(JSON.stringify(event)) },
    daemon: {
      record: ({ name: by, from }, note) => Promise.resolve(void records.push({ by, from, ...note })),
      refused: (refused) => Promise.resolve(void refusals.push(refused)),
      operate: () => Promise.resolve({ kind: 'done', text: '' }),
    },
    people: {
      get page() {
        return page;
      },
      byName: (name) => page.people.find((each) => each.name === name),
      whyLocked: () => undefined,
    },
    guard: createLoginGuard(clock),
    offer: () => undefined,
    handlers: {},
    host: 'gate',
    version: '1.2.3',
  });
  t.after(() => door.close());
  const ask = (endpoint: Endpoint, body?: unknown, more: { token?: string; address?: string } = {}) => {
    const leaving = new AbortController();
    const reply = door.answer({
      endpoint,
      params: [],
      token: more.token,
      origin,
      peer: { address: more.address ?? '192.0.2.9', certificate: undefined },
      readBody: () => Promise.resolve(body === undefined ? '' : JSON.stringify(body)),
      known: () => undefined,
      signal: leaving.signal,
    });
    return reply.finally(() => leaving.abort());
  };
  /** In a browser, until it is back; `finish` is what its script posts then. */
  const visit = async (letter = 'a'): Promise<OidcFinish> => {
    const state = secret(letter);
    const [nonce = '', verifier = ''] = ['nonce', 'verifier'].map((what) => digestOf(`${what} ${letter}`));
    const begun = await ask('oidc-begin', { state, nonce, challenge: digestOf(verifier) });
    const { address, issuer: at }: OidcBegun = JSON.parse(textOf(begun, 200));
    const { headers } = await fetch(address, { redirect: 'manual' });
    const back = new URL(headers.get('location') ?? '');
    assert.equal(`${back.origin}${back.pathname}`, `${origin}/sign-in`);
    assert.equal(back.search, '');
    return { response: back.hash.slice(1), state, nonce, verifier, issuer: at };
  };
  const finish = (body: object, address?: string) =>
    ask('oidc-finish', body, address === undefined ? {} : { address });
  const enter = async (address?: string): Promise<string> => {
    const reply = await finish(await visit(), address);
    const { token }: { readonly token: string } = JSON.parse(textOf(reply, 200));
    return token;
  };
  const isIn = async (token: string): Promise<boolean> =>
    (await ask('me', undefined, { token })).status === 200;
  return {
    issuer,
    clock,
    ask,
    visit,
    finish,
    enter,
    records,
    refusals,
    logged,
    clientSecretFile,
    isIn,
    me: async (token: string): Promise<Me> => JSON.parse(textOf(await ask('me', undefined, { token }), 200)),
    asked: (line: string): number => issuer.requests.filter((each) => each === line).length,
    logs: (code: string): number => logged.filter((each) => each.includes(code)).length,
    /** Lets half a minute pass so often, with time for the issuer to answer. */
    wait: async (count: number, isOver: () => boolean | Promise<boolean> = () => false): Promise<void> => {
      for (let left = count; left > 0 && !(await isOver()); left -= 1) {
        await new Promise((resolve) => void setTimeout(resolve, 50));
        await clock.advance(30_000);
      }
    },
    /** Until the sign-in is renewed. */
    untilRenewal: () => clock.advance(hourMs - 300_000),
    ended: (token: string): Promise<void> =>
      until(async () => !(await isIn(token)), 'the end of the session'),
    change: (next: Partial<PageSettings>): void => {
      page = { ...page, ...next };
      door.review();
    },
    page: () => page,
    ways: async (): Promise<Ways> => JSON.parse(textOf(await ask('ways'), 200)),
  };
}

function textOf(reply: PageReply, status: number): string {
  const text = 'body' in reply ? reply.body : assert.fail('in pieces');
  assert.equal(reply.status, status, text);
  return text;
}

const hourMs = bounds.oidcRenewMs;

void test('a person by the verified address: the session, its record, and no token anywhere', async (t) => {
  const { enter, ask, me, issuer, records, logged, ways } = await desk(t);
  assert.deepEqual((await ways()).oidc, { at: new URL(issuer.address).host });
  const token = await enter();
  const { name, roles } = await me(token);
  assert.deepEqual([name, roles], ['carol', ['operate']]);
  assert.deepEqual(records, [
    {
      by: 'carol',
      action: 'page-sign-in',
      from: ['address=192.0.2.9', 'oidc=Carol@example.com', 'oidc=id-carol'],
      args: ['how=oidc', `issuer=${issuer.address}`, 'sub=id-carol'],
    },
  ]);
  textOf(await ask('logout', undefined, { token }), 200);
  const written = JSON.stringify([records, logged]);
  for (const each of [...issuer.secrets, secret('a'), digestOf('nonce a'), digestOf('verifier a'), token])
    assert.ok(!written.includes(each), each);
});

void test('an id comes before an address, and both before a group; of several groups the first person counts', async (t) => {
  const others: PagePerson = { name: 'others', oidc: { group: 'others' }, roles: ['view'] };
  const { enter, me, issuer, records } = await desk(t, { people: [...people, others] });
  const name = async (person: IssuerPerson): Promise<string> => {
    issuer.person = person;
    return (await me(await enter())).name;
  };
  assert.equal(await name({ ...carol, sub: 'id-erin', groups: ['mail-leads'] }), 'erin');
  assert.equal(await name({ ...carol, groups: ['mail-leads'] }), 'carol');
  assert.equal(await name(dave), 'leads');
  const { from, args } = records.at(-1) ?? {};
  assert.deepEqual(from, ['address=192.0.2.9', 'oidc=id-dave']);
  assert.deepEqual(args, ['how=oidc-group', `issuer=${issuer.address}`, 'sub=id-dave', 'group=mail-leads']);
});

void test('claims that are not in the ID token are asked for, of the same id', async (t) => {
  const { visit, finish, issuer, records, enter, asked, untilRenewal, isIn } = await desk(t, {
    issuer: { isTerse: true },
  });
  for (const [person, name] of [
    [carol, 'carol'],
    [dave, 'leads'],
  ] as const) {
    issuer.person = person;
    await enter();
    assert.equal(records.at(-1)?.by, name);
  }
  issuer.person = carol;
  for (const [userInfo, text] of [
    [{ sub: 'id-erin' }, /what it says of the person is of another one than its ID token/],
    [{ email_verified: false }, /has nobody with your verified address/],
    [{ email_verified: undefined }, /has nobody with your verified address/],
  ] as const) {
    issuer.faults = { userInfo };
    assert.match(textOf(await finish(await visit()), 401), text);
  }
  // An address of the ID token is not verified by another source.
  issuer.faults = { claims: { email: 'erin@example.com' } };
  const erin = [{ name: 'erin', oidc: { email: 'erin@example.com' }, roles: ['operate' as const] }];
  const other = await desk(t, { issuer: { isTerse: true }, people: erin });
  other.issuer.faults = issuer.faults;
  assert.match(textOf(await other.finish(await other.visit()), 401), /has nobody/);
  // A renewal asks, too.
  issuer.faults = {};
  const token = await enter();
  const before = asked('GET /userinfo');
  await untilRenewal();
  await until(() => asked('GET /userinfo') > before, 'the renewal');
  assert.ok(await isIn(token));
});

// bounds.oidcRenewMs
void test('a sign-in is renewed before the hour is over, and again, for as long as a session lasts', async (t) => {
  const { enter, asked, clock, untilRenewal, isIn } = await desk(t);
  const token = await enter();
  assert.equal(asked('POST /token'), 1);
  for (const times of [2, 3, 4]) {
    await untilRenewal();
    await until(() => asked('POST /token') === times, `renewal ${times}`);
    await until(() => clock.timers > 1, 'the next timer');
    assert.ok(await isIn(token));
  }
  await clock.advance(bounds.pageSessionMs);
  assert.equal(await isIn(token), false);
});

void test('somebody who is removed at the issuer, or is not the same there any more, is out within the hour', async (t) => {
  const changes: readonly ((issuer: OidcIssuer) => void)[] = [
    (issuer) => issuer.remove(carol.sub),
    (issuer) => void (issuer.faults = { claims: { email_verified: false } }),
    (issuer) => void (issuer.faults = { claims: { sub: 'another' } }),
    (issuer) => void (issuer.faults = { claims: { aud: 'another' } }),
    (issuer) => void (issuer.faults = { signature: 'none' }),
  ];
  for (const change of changes) {
    const { enter, issuer, untilRenewal, wait, ended, isIn, records } = await desk(t);
    const token = await enter();
    change(issuer);
    assert.ok(await isIn(token));
    await untilRenewal();
    // A token that is wrong may be a fault of the issuer that passes: it is asked again until the hour is over.
    await wait(12, async () => !(await isIn(token)));
    await ended(token);
    await until(() => records.length === 2, 'a record of the end');
    assert.deepEqual([records[1]?.action, records[1]?.args], ['page-sign-out', ['how=not-renewed']]);
  }
});

void test('whose sign-in the issuer ended reads why', async (t) => {
  const { enter, issuer, untilRenewal, ended, ask } = await desk(t);
  const token = await enter();
  issuer.remove(carol.sub);
  await untilRenewal();
  await ended(token);
  const why = /the sign-in was not renewed: 127.* refused the sign-in: invalid_grant, .*; sign in: run/;
  assert.match(textOf(await ask('me', undefined, { token }), 401), why);
});

void test('a key that the issuer changed costs one sign-in, and at most one', async (t) => {
  const { enter, issuer, asked, visit, finish } = await desk(t);
  await enter();
  const before = asked('GET /jwks');
  issuer.changeKey();
  assert.match(textOf(await finish(await visit()), 401), /by a key that it did not publish/);
  assert.equal(asked('GET /jwks'), before, 'what was read counts for a moment');
  await enter();
  assert.equal(asked('GET /jwks'), before + 1);
});

void test('after a sign-out the issuer asks who comes, and where to sign out there is said', async (t) => {
  const end = 'https://sso.example.com/end';
  for (const [metadata, prompt, signOut] of [
    [{}, 'login', undefined],
    [{ prompt_values_supported: ['none', 'select_account'] }, 'select_account', undefined],
    [{ end_session_endpoint: 'http://other.example.com/end' }, 'login', undefined],
    [{ end_session_endpoint: end }, 'login', `${end}?client_id=dovegate`],
  ] as const) {
    const { ask, ways, enter, me } = await desk(t, { issuer: { metadata } });
    const promptOf = async (asksWho: boolean): Promise<string | null> => {
      const begun: OidcBegun = JSON.parse(textOf(await ask('oidc-begin', { ...secrets, asksWho }), 200));
      return new URL(begun.address).searchParams.get('prompt');
    };
    assert.deepEqual([await promptOf(false), await promptOf(true)], [null, prompt]);
    assert.equal((await ways()).oidc?.signOut, signOut);
    assert.equal((await me(await enter())).isByIssuer, true);
  }
});

void test('somebody who leaves a group loses what it gave', async (t) => {
  const { enter, issuer, untilRenewal, ended } = await desk(t);
  issuer.person = dave;
  const token = await enter();
  issuer.faults = { claims: { groups: [] } };
  await untilRenewal();
  await ended(token);
});

void test('an issuer that is down for a moment ends no session; one that stays down ends it after the hour', async (t) => {
  const { enter, issuer, asked, wait, untilRenewal, isIn } = await desk(t);
  const token = await enter();
  let start = await issuer.stop();
  await untilRenewal();
  await start();
  await wait(20, () => asked('POST /token') === 2);
  assert.equal(asked('POST /token'), 2);
  assert.ok(await isIn(token));
  start = await issuer.stop();
  await new Promise((resolve) => void setTimeout(resolve, 50));
  await untilRenewal();
  assert.ok(await isIn(token));
  await wait(12);
  assert.equal(await isIn(token), false);
  await start();
});

void test('without a refresh token a session ends after an hour', async (t) => {
  const { enter, clock, isIn, me } = await desk(t, { issuer: { hasRefresh: false } });
  const token = await enter();
  assert.equal(Date.parse((await me(token)).ends) - clock.wallMs(), hourMs);
  await clock.advance(hourMs - 1000);
  assert.ok(await isIn(token));
  await clock.advance(1000);
  assert.equal(await isIn(token), false);
});

void test('what was taken from others opens nothing, and each try is a record', async (t) => {
  const { visit, finish, enter, issuer, refusals, isIn } = await desk(t);
  const theirs = await visit('a');
  const own = await visit('b');
  const tries: readonly (readonly [string, object])[] = [
    ['the address of the way back alone', { response: theirs.response }],
    ['it, in a tab that began a sign-in of its own', { ...own, response: theirs.response }],
    ['it, with its state', { ...own, response: theirs.response, state: theirs.state }],
    ['without a state', { ...theirs, response: theirs.response.replace(/state=[^&]*&?/, ''), state: '' }],
    ['of an issuer that was here before', { ...theirs, issuer: 'https://other.example.com' }],
    ['of another issuer', { ...theirs, response: theirs.response.replace(/iss=[^&]*/, 'iss=x') }],
    ['with a state twice', { ...theirs, response: `${theirs.response}&state=${secret('b')}` }],
    ['too long', { ...theirs, response: 'x'.repeat(bounds.oidcTokenChars + 1) }],
  ];
  for (const [at, [what, body]] of tries.entries())
    assert.equal((await finish(body, `192.0.2.${at + 1}`)).status, 401, what);
  await until(() => refusals.length === tries.length, 'records');
  assert.deepEqual(new Set(refusals.map(({ why }) => why)), new Set(['wrong-oidc']));
  const written = JSON.stringify(refusals);
  for (const each of [...issuer.secrets, secret('a'), secret('b'), digestOf('verifier a')])
    assert.ok(!written.includes(each));
  // Its code went to the issuer with another verifier, and is used up.
  textOf(await finish(theirs, '192.0.2.100'), 401);
  assert.ok(await isIn(await enter('192.0.2.101')));
});

void test('nobody of the page: an address that is not verified, and somebody who is not named', async (t) => {
  const { visit, finish, issuer, refusals, logged } = await desk(t);
  for (const person of [
    { ...carol, email_verified: false },
    { sub: 'carol@example.com' },
    { sub: 'x', email: 'CAROL@EXAMPLE.COM.', email_verified: true },
    // A Kelvin sign is no k, and none of other scripts is a letter of ours.
    { sub: 'y', email: 'c\u0430rol@example.com', email_verified: true },
    { sub: 'z', groups: ['mail-lead', 'MAIL-LEADS'] },
  ]) {
    issuer.person = person;
    assert.match(textOf(await finish(await visit()), 401), /admin\.page\.people has nobody/);
  }
  await until(() => refusals.length === 5, 'records');
  assert.match(refusals[0]?.what ?? '', /nobody: sub=id-carol, address: none that is verified/);
  issuer.person = { ...carol, email: `${'x'.repeat(100_000)}@example.com` };
  textOf(await finish(await visit(), '198.51.100.9'), 401);
  await until(() => refusals.length === 6, 'the last record');
  const text = logged.find((each) => each.includes('xxxx')) ?? '';
  assert.ok(text.includes('wrong-oidc') && text.length < 1200, `${text.length} characters`);
  assert.equal(refusals[5]?.what.length, 900);
});

void test('the other ways in work while the issuer is down, and the page says why this one does not', async (t) => {
  const { issuer, ways, ask, clock, enter, logs } = await desk(t);
  const start = await issuer.stop();
  const { oidc } = await ways();
  assert.match(oidc?.text ?? '', /the issuer cannot be asked: 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  const begun = await ask('oidc-begin', secrets);
  assert.match(textOf(begun, 503), /ECONNREFUSED/);
  assert.equal(logs('issuer-away'), 1);
  await start();
  // A fault is remembered for a moment.
  await clock.advance(5000);
  await enter();
  assert.equal((await ways()).oidc?.text, undefined);
  await clock.advance(5000);
  await enter();
  assert.deepEqual([logs('issuer-away'), logs('issuer-back')], [1, 1]);
});

void test('a secret that is missing, empty or too long is said without its place', async (t) => {
  const { ways, clock, clientSecretFile, change, page, enter } = await desk(t);
  for (const [text, why] of [
    ['', /is empty/],
    ['x'.repeat(1024 ** 2 + 1), /is too-large/],
  ] as const) {
    writeFileSync(clientSecretFile, text);
    await clock.advance(5000);
    await ways();
    await until(async () => why.test((await ways()).oidc?.text ?? ''), String(why));
  }
  writeFileSync(clientSecretFile, client.clientSecret);
  await clock.advance(5000);
  await enter();
  const { oidc } = page();
  assert.ok(oidc !== undefined);
  change({ oidc: { ...oidc, clientSecretFile: `${clientSecretFile}.gone` } });
  const { text = '' } = (await ways()).oidc ?? {};
  assert.match(text, /client_secret_file cannot be used: it is absent/);
  assert.ok(!text.includes(clientSecretFile));
});

void test('a reload that changes the person, or the issuer, ends the session', async (t) => {
  for (const next of [
    { people: people.filter(({ name }) => name !== 'carol') },
    { people: people.map((each) => (each.name === 'carol' ? { ...each, oidc: { sub: 'x' } } : each)) },
    { oidc: { issuer: 'https://other.example.com', clientId: 'x', clientSecretFile: '/x' } },
  ]) {
    const { enter, change, isIn, clock } = await desk(t);
    const token = await enter();
    change({ people: [...people] });
    assert.ok(await isIn(token));
    change(next);
    assert.equal(await isIn(token), false);
    assert.equal(clock.timers, 0, 'nothing is renewed any more');
  }
});

void test('sign-ins of one network are paced', async (t) => {
  const { finish, visit, clock } = await desk(t);
  for (let left = 20; left > 0; left -= 1) textOf(await finish({}, '192.0.2.9'), 401);
  const body = await visit();
  textOf(await finish(body, '192.0.2.9'), 429);
  textOf(await finish(body, '198.51.100.9'), 200);
  await clock.advance(3_000);
  textOf(await finish(await visit(), '192.0.2.9'), 200);
  textOf(await finish(await visit(), '192.0.2.9'), 429);
  // Many networks at once: those that are not known yet wait for a place.
  for (let number = 0; number < 1000; number += 1) await finish({}, `10.${number >> 8}.${number & 255}.1`);
  textOf(await finish(await visit(), '203.0.113.9'), 429);
});

void test('so many wait for the issuer at once, and no more', async (t) => {
  const { finish, visit, issuer } = await desk(t);
  const bodies = await Promise.all(Array.from({ length: 8 + 1 }, () => visit()));
  const open: (() => void)[] = [];
  issuer.faults = {
    reply: { path: '/token', send: (response) => void open.push(() => response.writeHead(500).end()) },
  };
  const waiting = bodies.slice(1).map((body, index) => finish(body, `198.51.${index}.9`));
  await until(() => open.length === 8, 'requests to the issuer');
  textOf(await finish(bodies[0] ?? {}, '192.0.2.9'), 503);
  for (const each of open) each();
  for (const reply of await Promise.all(waiting)) textOf(reply, 503);
  issuer.faults = {};
  textOf(await finish(bodies[0] ?? {}, '192.0.2.9'), 200);
});

void test('a session keeps no claims, neither of its sign-in nor of a renewal', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  const { enter, issuer, asked, untilRenewal, clock } = await desk(t);
  /** Without what the issuer of the test keeps. */
  const used = async (): Promise<number> => {
    await new Promise((resolve) => void setTimeout(resolve, 50));
    if (typeof collect === 'function') collect();
    return process.memoryUsage().heapUsed - issuer.secrets.reduce((sum, each) => sum + each.length, 0);
  };
  const enterAs = async (number: number): Promise<void> => {
    issuer.person = { sub: `member-${number}` };
    await enter(`198.51.${number}.9`);
    await clock.advance(5000);
  };
  // Of 4 bytes each: 160 KB of text, and 320 KB as a list.
  issuer.faults = { claims: { groups: ['mail-leads', ...Array<string>(40_000).fill('a')] } };
  await enterAs(0);
  const before = await used();
  const count = 20;
  let held = 0;
  /** When the last answer was read. */
  const isFree = async (): Promise<boolean> => {
    held = (await used()) - before;
    return held < count * 100_000;
  };
  for (let number = 1; number <= count; number += 1) await enterAs(number);
  await until(isFree, () => `${held} bytes after the sign-ins`);
  await untilRenewal();
  await until(() => asked('POST /token') === 2 * (count + 1), 'the renewals');
  await until(isFree, () => `${held} bytes after the renewals`);
});

void test('members of a group have sessions up to a number; one more ends the one that was used least lately', async (t) => {
  const { enter, issuer, clock, isIn } = await desk(t);
  const tokens: string[] = [];
  for (let number = 0; number <= 100; number += 1) {
    issuer.person = { ...dave, sub: `member-${number}` };
    tokens.push(await enter(`198.51.${number}.9`));
    // Who is not there any more takes no place of twenty.
    await clock.advance(10_000);
  }
  const [first = '', second = ''] = tokens;
  assert.equal(await isIn(first), false);
  assert.ok(await isIn(second));
});
