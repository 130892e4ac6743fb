// Sockets of the programs: their places, those that systemd handed over, and TLS over what was accepted.

import { localUserName, type NameNumbers, ourselves } from '../../host/machine/accounts.js';
import { type PassedSocket, socketUnitCommands } from '../../host/machine/process.js';
import { ListenFault, type UnixPlace } from '../../host/net/listen.js';
import { acceptTls } from '../../host/net/tls-accept.js';
import { systemCodeOf } from '../../host/ports/faults.js';
import type { Native } from '../../host/ports/machine.js';
import type { TlsOffer } from '../../host/ports/transport.js';
import type { UnixSocket } from '../config/settings.js';
import { folderCommand } from './unit.js';

export type SocketFamily = 'unix' | 'tcp';

/** Throws a ListenFault for an owner or a group that the system does not have. `what`: what the socket is for, for the message. */
export function placeOf(
  what: string,
  { path, mode, owner, group }: UnixSocket,
  numbers: NameNumbers,
): UnixPlace {
  const uid = owner === undefined ? undefined : numbers.uidOf(owner);
  const gid = group === undefined ? undefined : numbers.gidOf(group);
  if (owner !== undefined && uid === undefined) {
    throw new ListenFault(`${what}: the system has no user ${owner}`);
  }
  if (group !== undefined && gid === undefined) {
    throw new ListenFault(`${what}: the system has no group ${group}`);
  }
  return { path, mode, uid, gid };
}

/** Makes a socket for a group; where only a member of the group may, the ListenFault says so and how to become one. */
export async function withGroup<Made>(
  what: string,
  group: string | undefined,
  make: () => Promise<Made>,
): Promise<Made> {
  try {
    return await make();
  } catch (fault) {
    const cause = fault instanceof ListenFault ? fault.cause : undefined;
    if (cause instanceof Error && 'path' in cause && systemCodeOf(cause) === 'ENOENT') {
      const folder = String(cause.path);
      const run = folderCommand(folder, localUserName(ourselves().uid) ?? String(ourselves().uid));
      throw new ListenFault(`${what}: ${folder}, the folder of its socket, is not there. Run: ${run}`, fault);
    }
    const isChown = cause instanceof Error && 'syscall' in cause && cause.syscall === 'chown';
    if (group === undefined || !isChown || !('code' in cause) || cause.code !== 'EPERM') throw fault;
    const { uid } = ourselves();
    const user = localUserName(uid) ?? `uid ${uid}`;
    throw new ListenFault(
      `${what}: its socket cannot be given to group ${group}, because the daemon's user ${user} is not in it. ` +
        `Run: usermod --append --groups ${group} ${user}; systemctl restart dovegate.service`,
      fault,
    );
  }
}

/** Said of a socket that is not of this family. */
export const wrongFamily: Readonly<Record<SocketFamily, string>> = {
  unix: 'is a TCP socket: its listener needs tls, and accounts or keys',
  tcp: 'is a UNIX socket (ListenStream= is a path): its listener has no tls, accounts or keys',
};

export class PassedSockets {
  readonly #passed: readonly PassedSocket[];
  readonly #native: Pick<Native, 'socketKind' | 'duplicate'>;
  readonly #taken = new Set<string>();

  constructor(passed: readonly PassedSocket[], native: Pick<Native, 'socketKind' | 'duplicate'>) {
    this.#passed = passed;
    this.#native = native;
  }

  has(name: string): boolean {
    return this.#passed.some((each) => each.name === name);
  }

  /** A new descriptor of the listening socket of that name for `listener`, which closes it. Throws a ListenFault. */
  take(name: string, family: SocketFamily, listener: string): number {
    const [found, ...more] = this.#passed.filter((each) => each.name === name);
    if (found === undefined) {
      const there = this.#passed.map((each) => each.name).join(', ') || 'none';
      throw new ListenFault(
        `listener ${listener}: systemd handed over no socket named ${name} (handed over: ${there}). ` +
          `Run: ${socketUnitCommands(name).join('; ')}. If it is still missing: journalctl -u dovegate@${name}.socket`,
      );
    }
    if (more.length > 0) {
      throw new ListenFault(
        `systemd handed over ${more.length + 1} sockets named ${name}; each needs a FileDescriptorName= of its own`,
      );
    }
    const kind = this.#native.socketKind(found.descriptor);
    const not = kind.kind === 'other' ? `is ${kind.text}` : wrongFamily[family];
    if (kind.kind === 'other' || kind.family !== family)
      throw new ListenFault(`what systemd handed over as ${name} ${not}`);
    this.#taken.add(name);
    return this.#native.duplicate(found.descriptor);
  }

  /** Names of passed sockets that were not taken, each once. */
  unused(): readonly string[] {
    return [...new Set(this.#passed.map((each) => each.name))].filter((name) => !this.#taken.has(name));
  }
}

/** The TLS offer of the endpoints at present; undefined: none (any more). */
export type OfferOf = () => TlsOffer | undefined;

/** A reload may remove the setting, which has effect at the next start only: until then the last certificate is shown. */
export function acceptWith(
  offerNow: OfferOf,
): (plain: Parameters<typeof acceptTls>[0]) => ReturnType<typeof acceptTls> {
  let last: TlsOffer | undefined;
  return async (socket) => {
    last = offerNow() ?? last;
    if (last === undefined) {
      socket.destroy();
      throw new Error('no certificate');
    }
    return acceptTls(socket, last, Buffer.alloc(0));
  };
}
