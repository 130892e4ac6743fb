// Users of a nats-server that prove themselves by a JWT: an operator, one account with JetStream, and a file of credentials for each user,
// as `nsc` makes them (github.com/nats-io/jwt, version 2).
import { createHash } from 'node:crypto';
import { nkeys } from '@nats-io/transport-node';
import type { Rights } from './nats.js';

type Key = ReturnType<typeof nkeys.createUser>;

interface Trust {
  /** A part of the server's configuration. */
  readonly configuration: string;
  /** By the user's name: the text of a file. */
  readonly credentials: ReadonlyMap<string, string>;
}

const noLimit = { subs: -1, data: -1, payload: -1 };

export function makeTrust(users: ReadonlyMap<string, Rights>): Trust {
  const operator = nkeys.createOperator();
  const account = nkeys.createAccount();
  const system = nkeys.createAccount();
  const accountJwt = (key: Key, name: string, hasStreams: boolean): string =>
    signJwt(operator, key, name, {
      type: 'account',
      limits: {
        ...noLimit,
        imports: -1,
        exports: -1,
        wildcards: true,
        conn: -1,
        leaf: -1,
        ...(hasStreams && { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }),
      },
    });
  const credentials = [...users].map(([name, rights]): [string, string] => {
    const key = nkeys.createUser();
    const jwt = signJwt(account, key, name, {
      type: 'user',
      ...noLimit,
      ...(rights.publish !== undefined && { pub: rights.publish }),
      ...(rights.subscribe !== undefined && { sub: rights.subscribe }),
    });
    const seed = new TextDecoder().decode(key.getSeed());
    const text = `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n
-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
    return [name, text];
  });
  const configuration = `operator: ${signJwt(operator, operator, 'fleet', { type: 'operator' })}
resolver: MEMORY
system_account: ${system.getPublicKey()}
resolver_preload: {
  ${system.getPublicKey()}: ${accountJwt(system, 'SYS', false)}
  ${account.getPublicKey()}: ${accountJwt(account, 'AUDIT', true)}
}`;
  return { configuration, credentials: new Map(credentials) };
}

function signJwt(by: Key, key: Key, name: string, nats: Readonly<Record<string, unknown>>): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iat: Math.floor(Date.now() / 1000),
    iss: by.getPublicKey(),
    name,
    sub: key.getPublicKey(),
    nats: { ...nats, version: 2 },
  };
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('hex');
  const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode({ jti, ...claims })}`;
  return `${text}.${Buffer.from(by.sign(Buffer.from(text))).toString('base64url')}`;
}
