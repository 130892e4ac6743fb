// Users of a nats-server that prove themselves by a JWT: an operator, one account with JetStream, one for each gate, and a file of
// credentials for each user, as `nsc` makes them (github.com/nats-io/jwt, version 2).
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
const limits = { ...noLimit, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };

/** `ownOf`: the subjects that an account of a gate's own imports from the one with the stream; empty: this user is of that one itself. */
export function makeTrust(
  users: ReadonlyMap<string, Rights>,
  ownOf: (user: string) => readonly string[],
): Trust {
  const operator = nkeys.createOperator();
  const audit = nkeys.createAccount();
  const system = nkeys.createAccount();
  const accountJwt = (key: Key, name: string, more: object): string =>
    signJwt(operator, key, name, {
      type: 'account',
      limits,
      ...more,
    });
  const accounts = new Map<Key, string>();
  const exported: object[] = [];
  const credentials = [...users].map(([name, rights]): [string, string] => {
    const own = ownOf(name);
    let account = audit;
    if (own.length > 0) {
      const gate = nkeys.createAccount();
      account = gate;
      const imports = own.map((subject) => {
        const service = { subject, type: 'service' };
        exported.push({ ...service, name: subject, token_req: true });
        // Only the account that the stream's account signed this for may import it.
        const granted = { type: 'activation', kind: 'service', subject };
        const token = signJwt(audit, gate, subject, granted);
        return { ...service, name: subject, account: audit.getPublicKey(), token };
      });
      accounts.set(gate, accountJwt(gate, `GATE_${name}`, { imports }));
    }
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
  const streams = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  accounts.set(audit, accountJwt(audit, 'AUDIT', { limits: { ...limits, ...streams }, exports: exported }));
  accounts.set(system, accountJwt(system, 'SYS', {}));
  const preload = [...accounts].map(([key, jwt]) => `${key.getPublicKey()}: ${jwt}`);
  const configuration = `operator: ${signJwt(operator, operator, 'fleet', { type: 'operator' })}
resolver: MEMORY
system_account: ${system.getPublicKey()}
resolver_preload: {
  ${preload.join('\n  ')}
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
