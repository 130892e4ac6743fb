// An issuer of OpenID Connect, asked by the library over our own requests: what counts of its answers, and what none of them can do.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type Challenge, type Identity, IssuerFault, openIssuer } from '../../../src/page/http/issuer.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import {
  type IssuerFaults,
  type OidcIssuer,
  type OidcIssuerOptions,
  openOidcIssuer,
} from '../../kit/gate/oidc-issuer.js';

const client = { clientId: 'dove gate', clientSecret: 'a secret: 50 % +' };
const redirect = 'https://gate.example.com:9147/sign-in';
const carol = { sub: 'id-carol', email: 'carol@example.com', email_verified: true, groups: ['mail-leads'] };

async function at(t: TestContext, options: Partial<OidcIssuerOptions> = {}): Promise<OidcIssuer> {
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

async function signIn(
  issuer: OidcIssuer,
  more: Partial<Challenge & { verifier: string }> = {},
): Promise<Identity> {
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
  await assert.rejects(
    open(issuer, { ca: makeAuthority({ name: 'others' }).certificatePem }),
    refusal('away', /certificate/),
  );
  const opened = await open(issuer, { ca: authority.certificatePem });
  const address = new URL(opened.address(challenge, redirect));
  assert.deepEqual(
    ['response_mode', 'scope', 'code_challenge_method'].map((key) => address.searchParams.get(key)),
    ['fragment', 'openid email groups', 'S256'],
  );
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
  await assert.rejects(
    opened.renew(renewed.refreshToken),
    refusal('ended', /invalid_grant, not good any more/),
  );
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
  const cases: readonly (readonly [
    string,
    IssuerFaults,
    Parameters<typeof signIn>[1],
    IssuerFault['kind'],
  ])[] = [
    ['wrong audience', { claims: { aud: 'another' } }, {}, 'refused'],
    ['several audiences', { claims: { aud: [client.clientId, 'another'] } }, {}, 'refused'],
    ['made for another client', { claims: { azp: 'another' } }, {}, 'refused'],
    ['made for no client', { claims: { azp: [client.clientId] } }, {}, 'refused'],
    ['an id that is too long', { claims: { sub: 'x'.repeat(bounds.oidcSubChars + 1) } }, {}, 'refused'],
    ['expired', { claims: { iat: now - 600, exp: now - 60 } }, {}, 'refused'],
    ['without an end', { claims: { exp: undefined } }, {}, 'refused'],
    ['not valid yet', { claims: { nbf: now + 600 } }, {}, 'refused'],
    ['of another issuer', { claims: { iss: 'https://other.example.com' } }, {}, 'refused'],
    ['of another sign-in', { claims: { nonce: secret('x') } }, {}, 'refused'],
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
  for (const [what, faults, shown, kind] of cases) {
    issuer.faults = faults;
    const { secrets } = issuer;
    await assert.rejects(signIn(issuer, shown), (fault) => {
      assert.ok(fault instanceof IssuerFault, `${what}: ${String(fault)}`);
      assert.equal(fault.kind, kind, `${what}: ${fault.message}`);
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
  await assert.rejects(
    signIn(issuer),
    refusal('refused', /refused the sign-in: access_denied, no <b>thanks<\/b> $/),
  );
  issuer.faults = { response: { error_description: 'x'.repeat(10_000) } };
  await assert.rejects(signIn(issuer), (fault: Error) => fault.message.length < 200 + 100);
});

// bounds.oidcTokenChars
void test('answers without an end, redirects, and metadata that lead elsewhere', async (t) => {
  const path = '/.well-known/openid-configuration';
  const issuer = await at(t);
  issuer.faults = {
    reply: {
      path,
      send: (response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const more = (): void => {
          while (!response.destroyed && response.write('x'.repeat(65_536)));
          if (!response.destroyed) response.once('drain', more);
        };
        more();
      },
    },
  };
  await assert.rejects(open(issuer), refusal('away', new RegExp(`more than ${256 * 1024} bytes`)));
  const headers = { 'x-long': 'x'.repeat(16 * 1024) };
  issuer.faults = { reply: { path, send: (response) => response.writeHead(200, headers).end('{}') } };
  await assert.rejects(open(issuer), refusal('away', /cannot be asked/));
  issuer.faults = {
    reply: { path, send: (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end() },
  };
  await assert.rejects(open(issuer), refusal('away', /not answer as an issuer does/));
  for (const text of ['{}', '[]', '{"issuer":7}', 'no json']) {
    const json = { 'content-type': 'application/json' };
    issuer.faults = { reply: { path, send: (response) => response.writeHead(200, json).end(text) } };
    await assert.rejects(open(issuer), refusal('away', /not answer as an issuer does/));
  }
  // Nothing else comes on such a connection.
  for (const more of ['', 'x'.repeat(1000)]) {
    const words = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n${more}`;
    issuer.faults = { reply: { path, send: (response) => response.socket?.write(words) } };
    await assert.rejects(open(issuer), refusal('away', /another protocol/));
  }
  for (const [more, why] of [
    [0, /not answer as an issuer does/],
    [1, /only notes before it/],
  ] as const) {
    const notes = 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(4 + more);
    const answer = 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n';
    issuer.faults = { reply: { path, send: (response) => response.socket?.end(notes + answer) } };
    await assert.rejects(open(issuer), refusal('away', why));
  }
  for (const metadata of [
    { issuer: 'https://other.example.com' },
    { token_endpoint: 'http://mail.example.com/token' },
    { authorization_endpoint: 'javascript:alert(1)' },
    { jwks_uri: undefined },
  ])
    await assert.rejects(
      open(await at(t, { metadata })),
      refusal('away', /another issuer|does not match|without https/),
    );
  const without = await at(t, { hasRefresh: false });
  assert.equal((await signIn(without)).refreshToken, undefined);
  const long = await at(t);
  for (const [more, isKept] of [
    [0, true],
    [1, false],
  ] as const) {
    long.faults = { refreshToken: 'x'.repeat(bounds.oidcTokenChars + more) };
    assert.equal((await signIn(long)).refreshToken !== undefined, isKept);
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
