// The sockets of the listeners, made and taken away as a configuration says, and those that systemd handed over.
// The rules: a change is prepared first, all of it or nothing, and then comes into force without a wait; a socket that stays is never
// closed in between, so no client that connects meanwhile is refused. Sockets of systemd are never closed, unlinked or changed: a listener
// gets a descriptor of its own, so that it can be removed and come back.

import type { NameNumbers } from '../adapters/host/accounts.js';
import type { PassedSocket } from '../adapters/host/systemd.js';
import {
  type Accept,
  type BoundListener,
  ListenFault,
  listenInherited,
  listenTcp,
  listenUnix,
  type TcpPlace,
  type UnixPlace,
} from '../adapters/net/listen.js';
import {
  formatListenerSocket,
  type ListenerSettings,
  type ListenerSocket,
} from '../domain/config/settings.js';
import { isLoopback } from '../domain/identity/peer.js';
import type { Clock, Native } from '../ports/machine.js';
import type { Transport } from '../ports/transport.js';

/** Takes what a listener accepted. */
export type TakeAccepted = (
  listener: string,
  transport: Transport,
  descriptor: number | undefined,
  address: string | undefined,
) => void;

/** Sockets that are made ready. One of the two is called, once. */
export interface PreparedListeners {
  /** New sockets are there already; from now on the others have their new mode and owner, and those that are gone are closed. */
  commit(): Promise<void>;
  /** Takes the new sockets away again. */
  cancel(): Promise<void>;
}

/** All sockets of listeners. */
export interface Listeners {
  /** Makes the sockets that are new. Rejects with a ListenFault, and then nothing has changed. */
  prepare(listeners: readonly ListenerSettings[], numbers: NameNumbers): Promise<PreparedListeners>;
  /** Stops accepting and removes all sockets. */
  close(): Promise<void>;
}

/** What sockets are made with. */
export interface ListenerParts {
  readonly clock: Clock;
  readonly native: Native;
  readonly sockets: PassedSockets;
}

/** Where a socket comes from: a place of our own, an address, or systemd. */
type Source =
  | { readonly kind: 'unix'; readonly place: UnixPlace }
  | { readonly kind: 'systemd'; readonly name: string; readonly family: SocketFamily }
  | (TcpPlace & { readonly kind: 'tcp' });

interface Wanted {
  readonly name: string;
  readonly key: string;
  readonly source: Source;
  /** Passwords come in clear: at an address of this machine only. */
  readonly isLocalOnly: boolean;
}

interface Socket {
  readonly named: { name: string };
  readonly key: string;
  /** Absent: made by systemd, who says who may connect, or TCP. */
  place?: UnixPlace;
  /** Of one that systemd made. */
  readonly family?: SocketFamily;
  readonly address?: string | undefined;
  readonly bound: Pick<BoundListener, 'close'> & Partial<Pick<BoundListener, 'change'>>;
}

/** No socket yet. `onError` is told of errors of a listening socket. */
export function createListeners(
  { clock, native, sockets: passed }: ListenerParts,
  take: TakeAccepted,
  onError: (listener: string, text: string) => void,
): Listeners {
  /** By where they come from. */
  const sockets = new Map<string, Socket>();

  async function open({ name, key, source }: Wanted): Promise<Socket> {
    // A reload may give the socket to a listener of another name.
    const named = { name };
    const accept: Accept = (...accepted) => take(named.name, ...accepted);
    const fail = (text: string): void => onError(named.name, text);
    if (source.kind === 'unix') {
      const bound = await listenUnix(source.place, clock, accept, fail, native);
      return { named, key, place: source.place, bound };
    }
    if (source.kind === 'tcp') {
      return { named, key, bound: await listenTcp(source, clock, accept, fail, native) };
    }
    const { family } = source;
    const inherited = { name: source.name, descriptor: passed.take(source.name, family) };
    const bound = await listenInherited(inherited, clock, accept, fail, native);
    return { named, key, bound, family, address: bound.address };
  }

  return {
    async prepare(listeners, numbers) {
      const wanted = listeners.map((listener) => wantedBy(listener, numbers));
      const made: Socket[] = [];
      const cancel = async (): Promise<void> => {
        await Promise.all(made.map(({ bound }) => bound.close()));
      };
      try {
        for (const each of wanted) {
          let socket = sockets.get(each.key);
          if (socket === undefined) {
            socket = await open(each);
            made.push(socket);
          }
          checkInherited(socket, each);
        }
      } catch (fault) {
        await cancel();
        throw fault;
      }
      return {
        cancel,
        async commit() {
          for (const socket of made) sockets.set(socket.key, socket);
          const keys = new Set(wanted.map(({ key }) => key));
          const gone = [...sockets.values()].filter(({ key }) => !keys.has(key));
          for (const { key } of gone) sockets.delete(key);
          for (const each of wanted) {
            const socket = sockets.get(each.key);
            if (socket !== undefined) adopt(socket, each);
          }
          await Promise.all(gone.map(({ bound }) => bound.close()));
        },
      };
    },
    async close() {
      const all = [...sockets.values()];
      sockets.clear();
      await Promise.all(all.map(({ bound }) => bound.close()));
    },
  };

  function adopt(socket: Socket, { name, source }: Wanted): void {
    socket.named.name = name;
    const { place: before } = socket;
    if (source.kind !== 'unix' || before === undefined) return;
    const { mode, uid, gid } = source.place;
    if (before.mode === mode && before.uid === uid && before.gid === gid) return;
    try {
      socket.bound.change?.(source.place);
      socket.place = source.place;
    } catch (fault) {
      onError(name, fault instanceof Error ? fault.message : String(fault));
    }
  }
}

/** What systemd handed over is not known to whoever reads the configuration. */
function checkInherited({ family, address }: Socket, { name, source, isLocalOnly }: Wanted): void {
  if (source.kind !== 'systemd') return;
  if (family !== source.family)
    throw new ListenFault(`what systemd handed over to listener ${name} ${wrongFamily[source.family]}`);
  if (!isLocalOnly || isLoopback((address ?? '').replace(/^::ffff:/, ''))) return;
  throw new ListenFault(
    `listener ${name}: tls off is for loopback addresses, and systemd handed over one at ${address ?? 'no address'}`,
  );
}

function wantedBy({ name, socket, tls }: ListenerSettings, numbers: NameNumbers): Wanted {
  const key = formatListenerSocket(socket);
  const common = { name, key, isLocalOnly: tls?.mode === 'off' };
  switch (socket.kind) {
    case 'unix':
      return { ...common, source: { kind: 'unix', place: placeOf(name, socket, numbers) } };
    case 'systemd':
      return { ...common, source: { ...socket, family: tls === undefined ? 'unix' : 'tcp' } };
    case 'tcp':
      return { ...common, source: socket };
    default:
      return socket satisfies never;
  }
}

function placeOf(
  name: string,
  { path, mode, owner, group }: ListenerSocket & { readonly kind: 'unix' },
  numbers: NameNumbers,
): UnixPlace {
  const uid = owner === undefined ? undefined : numbers.uidOf(owner);
  const gid = group === undefined ? undefined : numbers.gidOf(group);
  if (owner !== undefined && uid === undefined) {
    throw new ListenFault(`listener ${name}: the system has no user ${owner}`);
  }
  if (group !== undefined && gid === undefined) {
    throw new ListenFault(`listener ${name}: the system has no group ${group}`);
  }
  return { path, mode, uid, gid };
}

/** What a listener is made for. */
export type SocketFamily = 'unix' | 'tcp';

/** Said of a socket that is not of this family. */
export const wrongFamily: Readonly<Record<SocketFamily, string>> = {
  unix: 'is a TCP socket: its listener needs tls and accounts',
  tcp: 'is a UNIX socket (ListenStream= is a path): its listener has neither tls nor accounts',
};

/** What was handed over. */
export interface PassedSockets {
  /** A new descriptor of the listening socket of that name; its taker closes it. Throws a ListenFault. */
  take(name: string, family: SocketFamily): number;
  /** Names of those that nobody took, each once. */
  unused(): readonly string[];
}

/** All that was handed over at start. */
export function createPassedSockets(
  passed: readonly PassedSocket[],
  native: Pick<Native, 'socketKind' | 'duplicate'>,
): PassedSockets {
  const taken = new Set<string>();
  return {
    take(name, family) {
      const [found, ...more] = passed.filter((each) => each.name === name);
      if (found === undefined) {
        const names = passed.map((each) => each.name).join(', ');
        const there = passed.length === 0 ? 'none' : names;
        throw new ListenFault(
          `systemd handed over no socket named ${name} (handed over: ${there}); is its socket unit started?`,
        );
      }
      if (more.length > 0) {
        throw new ListenFault(
          `systemd handed over ${more.length + 1} sockets named ${name}; each needs a FileDescriptorName= of its own`,
        );
      }
      const kind = native.socketKind(found.descriptor);
      if (kind.kind === 'other') throw new ListenFault(`what systemd handed over as ${name} is ${kind.text}`);
      if (kind.family !== family)
        throw new ListenFault(`what systemd handed over as ${name} ${wrongFamily[family]}`);
      taken.add(name);
      return native.duplicate(found.descriptor);
    },
    unused: () => [...new Set(passed.map((each) => each.name))].filter((name) => !taken.has(name)),
  };
}
