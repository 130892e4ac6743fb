// An issuer of OpenID Connect, asked by the library over our own requests: what counts of its answers, and what none of them can do.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type Challenge, IssuerFault, openIssuer } from '../../../src/page/http/issuer.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { type IssuerFaults, type OidcIssuer, openOidcIssuer } from '../../kit/gate/oidc-issuer.js';

const client = { clientId: 'dove gate', clientSecret: 'a secret: 50 % +' };
const redirect = 'https://gate.example.com:9147/sign-in';
const carol = { sub: 'id-carol', email: 'carol@example.com', email_verified: true, groups: ['mail-leads'] };

async function at(t: TestContext, options: Partial<Parameters<typeof openOidcIssuer>[1]> = {}) {
  const issuer = await openOidcIssuer(t, { ...client, ...options });
  issuer.person = carol;
  return issuer;
}

const open = (issuer: Pick<OidcIssuer, 'address'>, more: Partial<Parameters<typeof openIssuer>[0]> = {}) =>
  openIssuer({ issuer: issuer.address, ...client, ca: undefined, needsGroups: true, ...more });

const secret = (letter: string): string => letter.repeat(43);
const verifier = secret('v');
const challenge: Challenge = {
  state: secret('s'),
  nonce: secret('n'),
  challenge: createHash('sha256').update(verifier).digest('base64url'),
};

/** As the browser goes; `by`: what comes back. */
async function visit(address: string): Promise<string> {
  const { headers } = await fetch(address, { redirect: 'manual' });
  const back = headers.get('location') ?? '';
  assert.ok(back.startsWith(redirect), back);
  return back.slice(redirect.length + 1);
}

async function signIn(issuer: OidcIssuer, more: Partial<Challenge & { verifier: string }> = {}) {
  const opened = await open(issuer);
  const response = await visit(opened.address(challenge, redirect));
  return opened.redeem({ response, ...challenge, verifier, ...more }, redirect);
}

const refusal = (kind: IssuerFault['kind'], text: RegExp) => (fault: unknown) => {
  assert.ok(fault instanceof IssuerFault, String(fault));
  assert.match(fault.message, text);
  assert.equal(fault.kind, kind, fault.message);
  return true;
};

void test('a sign-in by https with a `ca` of its own, and its renewal', async (t) => {
  const authority = makeAuthority({ name: 'issuers' });
  const issuer = await at(t, { certificate: authority.issue({ names: ['127.0.0.1'] }) });
  await assert.rejects(open(issuer), refusal('away', /cannot be asked/));
  const others = makeAuthority({ name: 'others' }).certificatePem;
  await assert.rejects(open(issuer, { ca: others }), refusal('away', /certificate/));
  const opened = await open(issuer, { ca: authority.certificatePem });
  const address = new URL(opened.address(challenge, redirect));
  const asked = ['response_mode', 'scope', 'code_challenge_method'].map((key) =>
    address.searchParams.get(key),
  );
  assert.deepEqual(asked, ['fragment', 'openid email groups', 'S256']);
  assert.equal(address.href.includes(verifier), false);
});

void test('who somebody is, and who it is an hour later; an end at the issuer', async (t) => {
  const issuer = await at(t);
  const opened = await open(issuer);
  const response = await visit(opened.address(challenge, redirect));
  const { refreshToken = '', ...who } = await opened.redeem({ response, ...challenge, verifier }, redirect);
  assert.deepEqual(who, { sub: carol.sub, email: carol.email, groups: carol.groups });
  const renewed = await opened.renew(refreshToken);
  assert.equal(renewed.sub, carol.sub);
  assert.ok(renewed.refreshToken !== undefined && renewed.refreshToken !== refreshToken);
  issuer.remove(carol.sub);
  const ended = refusal('ended', /invalid_grant, not good any more/);
  await assert.rejects(opened.renew(renewed.refreshToken), ended);
});

void test('an address counts only when it is verified, and no claim of another form does', async (t) => {
  const issuer = await at(t);
  for (const email_verified of [false, undefined, 'true', 1]) {
    issuer.faults = { claims: { email_verified } };
    assert.equal((await signIn(issuer)).email, undefined);
  }
  issuer.faults = { claims: { email: ['carol@example.com'], groups: 'mail-leads' } };
  assert.deepEqual(await signIn(issuer).then(({ email, groups }) => [email, groups]), [undefined, []]);
});

// bounds.oidcSubChars
void test('what does not count: tokens, answers by the browser, and what the browser shows', async (t) => {
  const issuer = await at(t);
  const now = Math.floor(Date.now() / 1000);
  type Case = readonly [string, IssuerFaults, Parameters<typeof signIn>[1], IssuerFault['kind']];
  const claims = Object.entries({
    'wrong audience': { aud: 'another' },
    'several audiences': { aud: [client.clientId, 'another'] },
    'made for another client': { azp: 'another' },
    'made for no client': { azp: [client.clientId] },
    'an id that is too long': { sub: 'x'.repeat(bounds.oidcSubChars + 1) },
    expired: { iat: now - 600, exp: now - 60 },
    'without an end': { exp: undefined },
    'not valid yet': { nbf: now + 600 },
    'of another issuer': { iss: 'https://other.example.com' },
    'of another sign-in': { nonce: secret('x') },
  });
  const cases: readonly Case[] = [
    ...claims.map(([what, each]): Case => [what, { claims: each }, {}, 'refused']),
    ['unsigned', { signature: 'none' }, {}, 'refused'],
    ['signed by a foreign key', { signature: 'foreign' }, {}, 'refused'],
    ['signed by a key of no name', { header: { kid: 'two' }, signature: 'foreign' }, {}, 'new-key'],
    ['signed with the secret of the client', { header: { alg: 'HS256' } }, {}, 'refused'],
    ['the answer of another issuer', { response: { iss: 'https://other.example.com' } }, {}, 'refused'],
    ['the answer of nobody', { response: { iss: undefined } }, {}, 'refused'],
    ['another state', {}, { state: secret('x') }, 'refused'],
    ['another nonce', {}, { nonce: secret('x') }, 'refused'],
    ['another verifier', {}, { verifier: secret('x') }, 'ended'],
    ['another code', { response: { code: 'x' } }, {}, 'ended'],
  ];
  const texts: Readonly<Record<string, RegExp>> = {
    'wrong audience': /for another client, nonce or issuer/,
    'of another issuer': /for another client, nonce or issuer/,
    expired: /has expired/,
    unsigned: /unexpected JWT "alg" header/,
    'signed by a foreign key': /JWT signature verification failed/,
    'the answer of another issuer': /does not belong to this sign-in/,
  };
  for (const [what, faults, shown, kind] of cases) {
    issuer.faults = faults;
    const { secrets } = issuer;
    await assert.rejects(signIn(issuer, shown), (fault) => {
      assert.ok(fault instanceof IssuerFault, `${what}: ${String(fault)}`);
      assert.equal(fault.kind, kind, `${what}: ${fault.message}`);
      assert.match(fault.message, texts[what] ?? /./);
      assert.ok(!secrets.some((each) => fault.message.includes(each)), what);
      return true;
    });
  }
});

void test('a token for this client by its `azp`, and an id of full length', async (t) => {
  const issuer = await at(t);
  const sub = 'x'.repeat(bounds.oidcSubChars);
  issuer.faults = { claims: { azp: client.clientId, sub } };
  assert.equal((await signIn(issuer)).sub, sub);
});

void test('a token type that is not supported is named', async (t) => {
  const issuer = await at(t);
  issuer.faults = { tokenType: 'mac' };
  await assert.rejects(signIn(issuer), refusal('refused', /a type or a signature .*`token_type`/));
});

void test('errors of the issuer are short text', async (t) => {
  const issuer = await at(t);
  issuer.person = undefined;
  const denied = refusal('refused', /refused the sign-in: access_denied, no <b>thanks<\/b> $/);
  await assert.rejects(signIn(issuer), denied);
  issuer.faults = { response: { error_description: 'x'.repeat(10_000) } };
  await assert.rejects(signIn(issuer), (fault: Error) => fault.message.length < 200 + 100);
});

// bounds.oidcTokenChars
void test('answers without an end, redirects, and metadata that lead elsewhere', async (t) => {
  const path = '/.well-known/openid-configuration';
  const issuer = await at(t);
  const isRefused = async (text: RegExp, send: NonNullable<IssuerFaults['reply']>['send']) => {
    issuer.faults = { reply: { path, send } };
    await assert.rejects(open(issuer), refusal('away', text));
  };
  const json = { 'content-type': 'application/json' };
  await isRefused(new RegExp(`more than ${256 * 1024} bytes`), (response) => {
    response.writeHead(200, json);
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  });
  const headers = { 'x-long': 'x'.repeat(16 * 1024) };
  await isRefused(/cannot be asked/, (response) => response.writeHead(200, headers).end('{}'));
  const elsewhere = { location: 'http://127.0.0.1:1/' };
  const isNone = /not answer as an issuer does/;
  await isRefused(isNone, (response) => response.writeHead(302, elsewhere).end());
  for (const text of ['{}', '[]', '{"issuer":7}', 'no json'])
    await isRefused(isNone, (response) => response.writeHead(200, json).end(text));
  // Nothing else comes on such a connection.
  for (const more of ['', 'x'.repeat(1000)]) {
    const words = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n${more}`;
    await isRefused(/another protocol/, (response) => response.socket?.write(words));
  }
  for (const [more, why] of [isNone, /only notes before it/].entries()) {
    const notes = 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(4 + more);
    const answer = 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n';
    await isRefused(why, (response) => response.socket?.end(notes + answer));
  }
  const wrong = refusal('away', /another issuer|does not match|without https/);
  for (const metadata of [
    { issuer: 'https://other.example.com' },
    { token_endpoint: 'http://mail.example.com/token' },
    { authorization_endpoint: 'javascript:alert(1)' },
    { jwks_uri: undefined },
  ])
    await assert.rejects(open(await at(t, { metadata })), wrong);
  const without = await at(t, { hasRefresh: false });
  assert.equal((await signIn(without)).refreshToken, undefined);
  const long = await at(t);
  for (const more of [0, 1]) {
    long.faults = { refreshToken: 'x'.repeat(bounds.oidcTokenChars + more) };
    assert.equal((await signIn(long)).refreshToken !== undefined, more === 0);
  }
});

void test('a wrong secret is no fault of the person', async (t) => {
  const issuer = await at(t);
  const opened = await open(issuer, { clientSecret: 'another' });
  const response = await visit(opened.address(challenge, redirect));
  const redeemed = opened.redeem({ response, ...challenge, verifier }, redirect);
  await assert.rejects(redeemed, refusal('away', /invalid_client, another secret/));
});

// bounds.oidcRequestMs
void test('an issuer that does not answer is given up', async (t) => {
  const issuer = await at(t);
  issuer.faults = { reply: { path: '/.well-known/openid-configuration', send: () => undefined } };
  const startMs = performance.now();
  await assert.rejects(open(issuer), refusal('away', /no answer within 5 s/));
  assert.ok(performance.now() - startMs < bounds.oidcRequestMs + 60_000);
  await (await issuer.stop())();
  const again = await issuer.stop();
  await assert.rejects(open(issuer), refusal('away', /ECONNREFUSED/));
  await again();
});
