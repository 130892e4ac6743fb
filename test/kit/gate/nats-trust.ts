// Users of a nats-server that prove themselves by a JWT, as `fleet prepare` and `fleet issue` make them: the trust, one account for each
// gate, and a file of credentials for each user.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  administratorUser,
  formatServerTrust,
  issueGate,
  makeTrust,
  type Rights,
  renewUser,
  systemUser,
  type Trust,
  verifierUser,
} from '../../../src/evidence/fleet-cli/fleet-trust.js';
import { readJwt } from '../../../src/evidence/nats/jwt.js';

export interface TestTrust {
  readonly trust: Trust;
  /** By the user's name: the text of a file. */
  readonly credentials: ReadonlyMap<string, string>;
  /** The JWT of each gate's account, by its host. */
  readonly accounts: ReadonlyMap<string, string>;
  /** A part of the server's configuration. The accounts of the gates are in the folder of its resolver, as if they had been pushed. */
  configurationIn(folder: string, name?: string): string;
}

/** `gates`: the subjects of each. `others`: more users of the account with the streams. */
export function makeTestTrust(
  gates: ReadonlyMap<string, readonly string[]>,
  others: ReadonlyMap<string, Rights> = new Map(),
): TestTrust {
  const nowMs = Date.now();
  const credentials = new Map<string, string>();
  const accounts = new Map<string, string>();
  let trust = makeTrust(nowMs);
  for (const [name, user] of [
    ['verifier', verifierUser],
    ['admin', administratorUser],
    ['system', systemUser],
    ...[...others].map(([other, rights]) => [other, { name: other, account: 'audit', rights }] as const),
  ] as const) {
    const renewed = renewUser(trust, user, nowMs);
    ({ trust } = renewed);
    credentials.set(name, renewed.credentials);
  }
  for (const [host, subjects] of gates) {
    const gate = issueGate(trust, { host, subjects }, undefined, nowMs);
    credentials.set(host, gate.credentials);
    accounts.set(host, gate.account);
  }
  return {
    trust,
    credentials,
    accounts,
    configurationIn(folder, name = 'accounts') {
      const place = join(folder, name);
      mkdirSync(place);
      for (const account of accounts.values())
        writeFileSync(join(place, `${readJwt(account)?.subject}.jwt`), account);
      return `${formatServerTrust(trust)}resolver { type: full, dir: "${place}", allow_delete: false, interval: "10s" }`;
    },
  };
}
