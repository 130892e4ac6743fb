// A gate in front of a real Dovecot with an HTTP listener on loopback, as panels find it: a key, a policy.
import { randomBytes } from 'node:crypto';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRealGateway, type RealGateway, type RealGatewayOptions } from './real-gateway.js';

export interface HttpGateway {
  readonly gateway: RealGateway;
  readonly port: number;
  /** The text of the key `panel`. */
  readonly key: string;
}

/** `policy`: its lines, as YAML. */
export async function openHttpGateway(
  owner: Owner,
  lab: Lab,
  policy: string,
  options: RealGatewayOptions = {},
): Promise<HttpGateway> {
  const { gateway, port, keys } = await openKeysGateway(owner, lab, new Map([['panel', policy]]), options);
  return { gateway, port, key: keys.get('panel') ?? '' };
}

/** A key for each policy, both of one name; `keys` are their texts. */
export async function openKeysGateway(
  owner: Owner,
  lab: Lab,
  policies: ReadonlyMap<string, string>,
  options: RealGatewayOptions = {},
): Promise<{ gateway: RealGateway; port: number; keys: ReadonlyMap<string, string> }> {
  const keys = new Map([...policies.keys()].map((name) => [name, makeKey(randomBytes(keyBytes))]));
  const keyLines = [...keys].map(
    ([name, key]) => `      ${name}: { hash: "${hashKey(key)}", policy: ${name}, expires: 2099-01-01 }`,
  );
  const [port = 0] = await freePorts(1);
  const gateway = await openRealGateway(owner, lab, {
    way: 'unix',
    password: lab.password,
    ...options,
    listeners: `  panel:
    tcp: 127.0.0.1:${port}
    protocol: http
    tls: { mode: off }
    keys:
${keyLines.join('\n')}`,
    policies: [...policies].map(([name, policy]) => `  ${name}:${policy}`).join('\n'),
    more: `server_commands: { default: all }\n${options.more ?? ''}`,
  });
  return { gateway, port, keys };
}
