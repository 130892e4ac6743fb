// JWTs of NATS (github.com/nats-io/jwt, version 2), by which its servers know operators, accounts and users, and files of credentials.
// Nothing is verified here: the servers do.

import { createHash } from 'node:crypto';
import { asObject, asText, parseLine } from '../../host/values/values.js';
import { type NatsKey, readKey } from './nkeys.js';

export interface Claims {
  readonly issuer: NatsKey;
  /** The public key that the claims are about. */
  readonly subject: string;
  readonly name: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  /** Unix seconds; undefined: no end. */
  readonly expires?: number | undefined;
  readonly nats: Readonly<Record<string, unknown>>;
}

export function signJwt({ issuer, subject, name, issuedAt, expires, nats }: Claims): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    ...(expires !== undefined && { exp: expires }),
    iat: issuedAt,
    iss: issuer.id,
    name,
    sub: subject,
    nats: { ...nats, version: 2 },
  };
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('hex');
  const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode({ jti, ...claims })}`;
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
}

export interface ReadClaims {
  readonly subject: string;
  readonly name: string;
  readonly issuedAt: number;
  readonly nats: Readonly<Record<string, unknown>>;
}

const jwtForm = /^[\w-]+\.([\w-]+)\.[\w-]+$/;

/** The claims of a JWT; its signature is not checked. Undefined: the text is no JWT. */
export function readJwt(jwt: string): ReadClaims | undefined {
  const body = jwtForm.exec(jwt.trim())?.[1];
  const claims = body === undefined ? undefined : parseLine(Buffer.from(body, 'base64url').toString());
  const { sub, name, iat, nats } = claims ?? {};
  const [subject, named, natsClaims] = [asText(sub), asText(name), asObject(nats)];
  if (subject === undefined || named === undefined || natsClaims === undefined) return undefined;
  return { subject, name: named, issuedAt: Number(iat) || 0, nats: natsClaims };
}

/** The text of a `.creds` file: a user's JWT and the seed of its key, as `nsc` writes them. */
export function formatCredentials(jwt: string, seed: string): string {
  return [
    '-----BEGIN NATS USER JWT-----',
    jwt,
    '------END NATS USER JWT------',
    '',
    '-----BEGIN USER NKEY SEED-----',
    seed,
    '------END USER NKEY SEED------',
    '',
  ].join('\n');
}

/** Undefined: it is no such text. */
export function readCredentials(text: string): { readonly jwt: string; readonly seed: string } | undefined {
  const jwt = /^-+BEGIN NATS USER JWT-+\s+(\S+)\s+-+END NATS USER JWT-+$/m.exec(text)?.[1];
  const seed = /^-+BEGIN USER NKEY SEED-+\s+(SU[A-Z2-7]+)\s+-+END USER NKEY SEED-+$/m.exec(text)?.[1];
  return jwt === undefined || seed === undefined ? undefined : { jwt, seed };
}

/** Why these credentials are not those of a user of this name; undefined: they are. Whether a server knows them is not asked. */
export function whyNotOfUser(name: string, text: string): string | undefined {
  const found = readCredentials(text);
  const claims = found && readJwt(found.jwt);
  if (found === undefined || claims === undefined) return 'the credentials are no JWT and seed';
  if (claims.name !== name) return `the credentials are those of "${claims.name}"`;
  return readKey(found.seed)?.id === claims.subject ? undefined : 'the seed is not that of the JWT';
}
