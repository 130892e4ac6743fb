// An issuer of OpenID Connect on loopback that signs real tokens (RS256), checks PKCE and the client's secret, and can do what a broken or
// hostile one does. Whoever comes signs in at once as `person`.

import assert from 'node:assert/strict';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSign,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomUUID,
} from 'node:crypto';
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Owner } from '../plain/folder.js';
import type { KeyPairPem } from './certificates.js';

/** The claims of somebody there. */
export interface IssuerPerson {
  readonly sub: string;
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly groups?: readonly string[];
}

export interface OidcIssuerOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  /** Absent: plain HTTP. */
  readonly certificate?: KeyPairPem;
  /** Added to the metadata, or taken out with undefined. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** The ID token has `sub` alone, and the rest must be asked for. */
  readonly isTerse?: boolean;
  /** Default true. */
  readonly hasRefresh?: boolean;
  /** A place where browsers sign out. */
  readonly hasSignOut?: boolean;
}

/** What is wrong from now on; nothing of it: {}. */
export interface IssuerFaults {
  /** Of ID tokens. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  /** `none`: without a signature; `foreign`: by a key that it does not publish. */
  readonly signature?: 'none' | 'foreign';
  /** Of the answer to who somebody is. */
  readonly userInfo?: Readonly<Record<string, unknown>>;
  /** Default `Bearer`. */
  readonly tokenType?: string;
  /** In the place of one that can be used. */
  readonly refreshToken?: string;
  /** Of the answer by the browser. */
  readonly response?: Readonly<Record<string, string | undefined>>;
  /** Browsers stay here; where they would go is in `answers`. */
  readonly holdsBrowsers?: true;
  /** In the place of every answer to the page's process at this path. */
  readonly reply?: { readonly path: string; readonly send: (response: ServerResponse) => void };
}

export interface OidcIssuer {
  readonly address: string;
  /** Who signs in next; undefined: somebody who cancels. */
  person: IssuerPerson | undefined;
  faults: IssuerFaults;
  /** Codes, tokens and secrets that it gave to anybody, or was shown. */
  readonly secrets: readonly string[];
  /** Where browsers were sent, or would have been. */
  readonly answers: readonly string[];
  /** Requests so far, as `METHOD /path`. */
  readonly requests: readonly string[];
  /** Signs by another key from now on, and publishes it alone. */
  changeKey(): void;
  /** Ends the account of a person: nothing of theirs is renewed. */
  remove(sub: string): void;
  /** Nobody listens; resolves to what starts it again. */
  stop(): Promise<() => Promise<void>>;
}

interface Grant {
  readonly sub: string;
  readonly nonce: string;
  readonly challenge: string;
  readonly redirect: string;
}

/**
 * A pair that was made as objects shares its lock with the job that made it: when that is collected while a JWK is written, Node 20 waits
 * for itself. 2,000 pairs with 200 JWKs each do not come to an end, from PEM they do.
 */
const makePair = (): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { publicKey: createPublicKey(publicKey), privateKey: createPrivateKey(privateKey) };
};
// For all issuers of this process: to make a pair is dear. The first one is published by none.
const [foreign, first, second] = [makePair(), makePair(), makePair()];

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export async function openOidcIssuer(owner: Owner, options: OidcIssuerOptions): Promise<OidcIssuer> {
  const {
    clientId,
    clientSecret,
    certificate,
    metadata = {},
    isTerse = false,
    hasRefresh = true,
    hasSignOut = false,
  } = options;
  let keys = first;
  let kid = 'one';
  const people = new Map<string, IssuerPerson>();
  const codes = new Map<string, Grant>();
  const refreshing = new Map<string, Grant>();
  const accesses = new Map<string, string>();
  const secrets: string[] = [];
  const answers: string[] = [];
  const requests: string[] = [];
  let address = '';

  const remember = (secret: string): string => {
    secrets.push(secret);
    return secret;
  };

  function idToken({ sub, nonce }: Grant, isFirst: boolean): string {
    const { claims, header, signature } = issuer.faults;
    const now = Math.floor(Date.now() / 1000);
    const head = { alg: signature === 'none' ? 'none' : 'RS256', kid, ...header };
    const body = {
      iss: address,
      aud: clientId,
      iat: now,
      exp: now + 300,
      ...(isTerse ? { sub } : people.get(sub)),
      ...(isFirst && { nonce }),
      ...claims,
    };
    const text = `${base64url(head)}.${base64url(body)}`;
    const key = signature === 'foreign' ? foreign.privateKey : keys.privateKey;
    return remember(`${text}.${signature === 'none' ? '' : sign(text, key)}`);
  }

  function tokens(grant: Grant, isFirst: boolean): object {
    const refresh = issuer.faults.refreshToken ?? remember(randomBytes(32).toString('base64url'));
    if (hasRefresh) refreshing.set(refresh, grant);
    const access = remember(randomBytes(32).toString('base64url'));
    accesses.set(access, grant.sub);
    return {
      access_token: access,
      token_type: issuer.faults.tokenType ?? 'Bearer',
      expires_in: 300,
      id_token: idToken(grant, isFirst),
      ...(hasRefresh && { refresh_token: refresh }),
    };
  }

  function authorize(asked: URLSearchParams, response: ServerResponse): void {
    const redirect = asked.get('redirect_uri') ?? '';
    assert.equal(asked.get('client_id'), clientId);
    assert.equal(asked.get('response_type'), 'code');
    assert.equal(asked.get('code_challenge_method'), 'S256');
    const { person } = issuer;
    const answer = new URLSearchParams({ state: asked.get('state') ?? '', iss: address });
    if (person === undefined) {
      answer.set('error', 'access_denied');
      answer.set('error_description', 'no <b>thanks</b>\u202E');
    } else {
      people.set(person.sub, person);
      const code = remember(randomUUID());
      answer.set('code', code);
      const [nonce, challenge] = [asked.get('nonce') ?? '', asked.get('code_challenge') ?? ''];
      codes.set(code, { sub: person.sub, nonce, challenge, redirect });
    }
    for (const [key, value] of Object.entries(issuer.faults.response ?? {})) {
      if (value === undefined) answer.delete(key);
      else answer.set(key, value);
    }
    const by = asked.get('response_mode') === 'fragment' ? '#' : '?';
    const location = `${redirect}${by}${answer.toString()}`;
    answers.push(location);
    if (issuer.faults.holdsBrowsers !== true) response.writeHead(302, { location }).end();
    else response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>held</title>');
  }

  function token(asked: URLSearchParams, authorization: string, response: ServerResponse): void {
    // Both are form-encoded first (RFC 6749, 2.3.1).
    const [name = '', secret = ''] = Buffer.from(authorization.replace(/^Basic /, ''), 'base64')
      .toString()
      .split(':')
      .map((each) => new URLSearchParams(`text=${each}`).get('text') ?? '');
    if (name !== clientId || secret !== clientSecret)
      return json(response, 401, { error: 'invalid_client', error_description: 'another secret' });
    const [code, refresh] = [asked.get('code') ?? '', asked.get('refresh_token') ?? ''];
    const isFirst = asked.get('grant_type') === 'authorization_code';
    const grant = isFirst ? codes.get(code) : refreshing.get(refresh);
    codes.delete(code);
    refreshing.delete(refresh);
    const verified = createHash('sha256')
      .update(asked.get('code_verifier') ?? '')
      .digest('base64url');
    const isGood =
      !isFirst || (grant?.challenge === verified && grant.redirect === asked.get('redirect_uri'));
    if (grant === undefined || !isGood || !people.has(grant.sub))
      return json(response, 400, { error: 'invalid_grant', error_description: 'not good any more' });
    return json(response, 200, tokens(grant, isFirst));
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', address);
    requests.push(`${request.method} ${pathname}`);
    const { reply } = issuer.faults;
    if (reply?.path === pathname) return reply.send(response);
    if (pathname === '/.well-known/openid-configuration')
      return json(response, 200, {
        issuer: address,
        authorization_endpoint: `${address}/authorize`,
        token_endpoint: `${address}/token`,
        jwks_uri: `${address}/jwks`,
        response_types_supported: ['code'],
        response_modes_supported: ['query', 'fragment'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
        scopes_supported: ['openid', 'email', 'groups'],
        authorization_response_iss_parameter_supported: true,
        ...(isTerse && { userinfo_endpoint: `${address}/userinfo` }),
        ...(hasSignOut && { end_session_endpoint: `${address}/end` }),
        ...metadata,
      });
    if (pathname === '/jwks')
      return json(response, 200, {
        keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }],
      });
    if (pathname === '/userinfo') {
      const sub = accesses.get((request.headers.authorization ?? '').replace(/^Bearer /, ''));
      const person = people.get(sub ?? '');
      if (person === undefined) return json(response, 401, { error: 'invalid_token' });
      return json(response, 200, { ...person, ...issuer.faults.userInfo });
    }
    if (pathname === '/authorize') return authorize(searchParams, response);
    if (pathname !== '/token') return json(response, 404, {});
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const asked = new URLSearchParams(Buffer.concat(pieces).toString());
    return token(asked, request.headers.authorization ?? '', response);
  }

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    respond(request, response).catch((fault: unknown) => response.writeHead(500).end(String(fault)));
  };
  let port = 0;
  let server = make();

  function make() {
    return certificate === undefined
      ? createPlainServer(serve)
      : createSecureServer({ cert: certificate.certificatePem, key: certificate.keyPem }, serve);
  }

  async function listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    const bound = server.address();
    port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  }

  function close(): Promise<void> {
    return new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  const issuer: OidcIssuer = {
    get address() {
      return address;
    },
    person: undefined,
    faults: {},
    secrets,
    answers,
    requests,
    changeKey() {
      keys = second;
      kid = 'two';
    },
    remove: (sub) => void people.delete(sub),
    async stop() {
      await close();
      return async () => {
        server = make();
        await listen();
      };
    },
  };
  await listen();
  address = `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  owner.after(close);
  return issuer;
}

function sign(text: string, key: KeyObject): string {
  return createSign('RSA-SHA256').update(text).sign(key).toString('base64url');
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
