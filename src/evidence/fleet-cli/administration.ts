// The administrator's folder of a fleet, `fleet/admin`, and what is done with it at the server: `trust.json` signs, `USER.creds` log
// in, and `accounts/HOST.jwt` is the last account that was signed for each gate, also for one that was removed. The server gets the
// same accounts, so together they are what it must know.

import { basename, join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { listFiles, ownerOf, readIfThere, trustedByUs, whyUnsafe } from '../../host/machine/files.js';
import { CommandFault } from '../../host/output/output.js';
import { messageOf } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import { printable } from '../../host/words/text.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import { readJwt } from '../nats/jwt.js';
import { useNats } from '../nats/link.js';
import { parseTrust, systemName, type Trust } from './fleet-trust.js';
import { natsOf, placesOf } from './open-settings.js';

export const trustName = 'trust.json';
const accountsName = 'accounts';
const pushesAtOnce = 16;

export function accountsIn(admin: string): string {
  return join(admin, accountsName);
}

export function accountFileOf(host: string): string {
  return `${host}.jwt`;
}

/** Throws a CommandFault. */
export function readTrust(admin: string): Trust {
  const path = join(admin, trustName);
  const trust = parseTrust(readOwn(path) ?? '');
  if (trust !== undefined) return trust;
  throw new CommandFault(
    exitCodes.configuration,
    `${path} cannot be read; "dovegate audit fleet prepare" makes it, and it may be kept elsewhere`,
  );
}

/** Undefined: this host never had one. Throws a CommandFault. */
export function readAccount(admin: string, host: string): string | undefined {
  return readOwn(join(accountsIn(admin), accountFileOf(host)))?.trim();
}

/** By host; empty without the folder. Throws a CommandFault. */
export function readAccounts(admin: string): ReadonlyMap<string, string> {
  if (ownerOf(accountsIn(admin)) === undefined) return new Map();
  const hosts = listFiles(join(accountsIn(admin), accountFileOf('*'))).map((path) => basename(path, '.jwt'));
  return new Map(hosts.map((host) => [host, readAccount(admin, host) ?? '']));
}

function readOwn(path: string): string | undefined {
  try {
    return readIfThere(path, bounds.fleetTrustBytes);
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read: ${messageOf(cause)}`);
  }
}

/** With the credentials of a user from `prepare`; undefined: they are not here, or no longer. Throws a CommandFault. */
export function asUser(settings: FleetSettings, config: string, user: string): FleetSettings | undefined {
  const credentialsFile = join(placesOf(config).admin, `${user}.creds`);
  if (ownerOf(credentialsFile) === undefined) return undefined;
  const unsafe = whyUnsafe(credentialsFile, true, trustedByUs());
  if (unsafe !== undefined) throw new CommandFault(exitCodes.configuration, unsafe.text);
  return { ...settings, credentialsFile, client: undefined };
}

/**
 * The running server knows these accounts when it resolves. It would take an older one, too, and with it credentials that were ended: so it
 * is asked first. Rejects with a CommandFault or a NatsFault.
 */
export async function pushAccounts(
  settings: FleetSettings,
  config: string,
  accounts: Iterable<string>,
): Promise<void> {
  const own = asUser(settings, config, systemName);
  if (own === undefined)
    throw new CommandFault(
      exitCodes.configuration,
      `${placesOf(config).admin} has no ${systemName}.creds, without which the server takes no account`,
    );
  const target = { ...natsOf(own, 'accounts'), inbox: `_INBOX.${systemName}` };
  const all = [...accounts];
  await useNats(target, new AbortController().signal, async (link) => {
    const known = new Set(await link.accounts());
    const left = all.values();
    const push = async (): Promise<void> => {
      for (const account of left) {
        const { subject = '', name = '', issuedAt = 0 } = readJwt(account) ?? {};
        const there = known.has(subject) ? await link.accountOf(subject) : undefined;
        if (there === account) continue;
        if ((there === undefined ? 0 : (readJwt(there)?.issuedAt ?? 0)) > issuedAt)
          throw new CommandFault(
            exitCodes.configuration,
            `the server has a newer account ${printable(name)}: ${placesOf(config).admin} is an older copy, and would give credentials back that were ended; take the newest one, or "issue" or "remove" this gate again`,
          );
        await link.pushAccount(account);
      }
    };
    await Promise.all(Array.from({ length: pushesAtOnce }, push));
  });
}
