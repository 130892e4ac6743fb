// The sockets of the listeners, as the configuration says, and those from systemd. A change is prepared as a whole and then committed
// without a wait. A socket that stays is never closed in between, and systemd's sockets are never closed or changed: a listener gets a
// duplicate descriptor.

import type { NameNumbers } from '../../host/machine/accounts.js';
import {
  type Accept,
  type BoundListener,
  bindInherited,
  bindTcp,
  bindUnix,
  createAcceptor,
  ListenFault,
  type TcpPlace,
  type Turn,
  type UnixPlace,
} from '../../host/net/listen.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock, Native } from '../../host/ports/machine.js';
import { isLoopback } from '../../host/ports/peer.js';
import { formatListenerSocket, type ListenerSettings } from '../../rules/config/settings.js';
import {
  type PassedSockets,
  placeOf,
  type SocketFamily,
  withGroup,
  wrongFamily,
} from '../../rules/setup/sockets.js';

type Source =
  | { readonly kind: 'unix'; readonly place: UnixPlace; readonly group: string | undefined }
  | { readonly kind: 'systemd'; readonly name: string; readonly family: SocketFamily }
  | (TcpPlace & { readonly kind: 'tcp' });

interface Wanted {
  readonly name: string;
  readonly key: string;
  readonly source: Source;
  /** Passwords are sent in clear, so the address must be one of this machine. */
  readonly isLocalOnly: boolean;
}

interface Socket {
  /** A reload may give the socket to a listener of another name. */
  readonly named: { name: string };
  readonly key: string;
  /** Absent for TCP, and for systemd's sockets, whose unit sets the rights. */
  place?: UnixPlace;
  /** Only of a socket from systemd. */
  readonly family?: SocketFamily;
  readonly address?: string | undefined;
  readonly bound: Pick<BoundListener, 'close'> & Partial<Pick<BoundListener, 'change'>>;
}

export type Listeners = ReturnType<typeof createListeners>;

/** All listening sockets; none at first. `take` gets accepted transports, over TCP as `turnOf` allows; `onError` gets socket errors. */
export function createListeners(
  clock: Clock,
  native: Native,
  passed: PassedSockets,
  take: (listener: string, ...accepted: Parameters<Accept>) => void,
  turnOf: (listener: string, ...asked: Parameters<Turn>) => ReturnType<Turn>,
  onError: (listener: string, text: string) => void,
) {
  const sockets = new Map<string, Socket>();

  async function open({ name, key, source }: Wanted): Promise<Socket> {
    const named = { name };
    const accept: Accept = (...accepted) => take(named.name, ...accepted);
    const fail = (text: string): void => onError(named.name, text);
    if (source.kind === 'unix') {
      const { place, group } = source;
      const listen = () => bindUnix(createAcceptor(clock, accept, native), place, fail);
      return { named, key, place, bound: await withGroup(`listener ${name}`, group, listen) };
    }
    const turn: Turn = (address) => turnOf(named.name, address);
    const acceptor = createAcceptor(clock, accept, native, turn);
    if (source.kind === 'tcp') return { named, key, bound: await bindTcp(acceptor, source, fail) };
    const { family } = source;
    const inherited = { name: source.name, descriptor: passed.take(source.name, family, name) };
    const bound = await bindInherited(acceptor, inherited, fail);
    return { named, key, bound, family, address: bound.address };
  }

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
      onError(name, messageOf(fault));
    }
  }

  return {
    /** Makes the new sockets; either `commit` or `cancel` follows. Rejects with a ListenFault, and then nothing has changed. */
    async prepare(listeners: readonly ListenerSettings[], numbers: NameNumbers) {
      const wanted = listeners.map((listener) => wantedBy(listener, numbers));
      const made: Socket[] = [];
      const cancel = async (): Promise<void> => {
        await Promise.all(made.map(({ bound }) => bound.close()));
      };
      const commit = async (): Promise<void> => {
        for (const socket of made) sockets.set(socket.key, socket);
        const keys = new Set(wanted.map(({ key }) => key));
        const gone = [...sockets.values()].filter(({ key }) => !keys.has(key));
        for (const { key } of gone) sockets.delete(key);
        for (const each of wanted) {
          const socket = sockets.get(each.key);
          if (socket !== undefined) adopt(socket, each);
        }
        await Promise.all(gone.map(({ bound }) => bound.close()));
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
      return { commit, cancel };
    },
    async close(): Promise<void> {
      const all = [...sockets.values()];
      sockets.clear();
      await Promise.all(all.map(({ bound }) => bound.close()));
    },
  };
}

/** Checks a socket from systemd: the configuration contains neither its family nor its address. Throws a ListenFault. */
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
      return {
        ...common,
        source: { kind: 'unix', place: placeOf(`listener ${name}`, socket, numbers), group: socket.group },
      };
    case 'systemd':
      return { ...common, source: { ...socket, family: tls === undefined ? 'unix' : 'tcp' } };
    case 'tcp':
      return { ...common, source: socket };
    default:
      return socket satisfies never;
  }
}
