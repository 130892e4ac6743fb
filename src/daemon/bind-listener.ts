// From the settings of a listener to a socket that accepts for the service: one of our own, or one of systemd's, with the
// kernel's word on who connected. It does not know when listeners begin or end.

import type { ListenerSettings, ListenerSocket } from '../config/settings.js';
import type { ServedListener, Service } from '../frontend/service.js';
import { gidOf, uidOf, userNameOf } from '../host/accounts.js';
import { systemClock } from '../host/clock.js';
import type { Peer } from '../identity/peer.js';
import { listenInherited } from '../net/inherited.js';
import { type BoundListener, ListenFault, listenUnix, type UnixPlace } from '../net/listen.js';
import type { Log } from '../observe/log.js';
import type { Native } from '../ports/native.js';
import type { Transport } from '../ports/transport.js';
import type { PassedSockets } from './passed-sockets.js';

/** What all listeners share. */
export interface ListenerParts {
  readonly service: Service;
  readonly native: Native;
  readonly sockets: PassedSockets;
  readonly log: Log;
}

/** Binds it; from then on the service serves who connects. Rejects with a ListenFault. */
export async function bindListener(
  listener: ListenerSettings,
  served: ServedListener,
  { service, native, sockets, log }: ListenerParts,
): Promise<BoundListener> {
  const { name, socket } = listener;
  const accept = (transport: Transport, descriptor: number | undefined): void =>
    service.serve(served, transport, peerAt(name, descriptor, native));
  const onError = (text: string): void =>
    log.report({ event: 'accept-failed', level: 'error', listener: name, text });
  const hasHungUp = (descriptor: number): boolean => native.hasHungUp(descriptor);
  if (socket.kind === 'unix') {
    return listenUnix(placeOf(name, socket), systemClock, accept, onError, hasHungUp);
  }
  return listenInherited(
    { name: socket.name, descriptor: sockets.take(socket.name) },
    systemClock,
    accept,
    onError,
    hasHungUp,
  );
}

function placeOf(name: string, socket: ListenerSocket & { readonly kind: 'unix' }): UnixPlace {
  const { path, mode, owner, group } = socket;
  const uid = owner === undefined ? undefined : uidOf(owner);
  const gid = group === undefined ? undefined : gidOf(group);
  if (owner !== undefined && uid === undefined) {
    throw new ListenFault(`listener ${name}: the system has no user ${owner}`);
  }
  if (group !== undefined && gid === undefined) {
    throw new ListenFault(`listener ${name}: the system has no group ${group}`);
  }
  return { path, mode, uid, gid };
}

/** What the kernel says of who connected. */
function peerAt(listener: string, descriptor: number | undefined, native: Native): Peer {
  const credentials = descriptor === undefined ? undefined : native.peerCredentials(descriptor);
  if (credentials === undefined) return { listener };
  const user = userNameOf(credentials.uid, systemClock.now());
  return { listener, ...credentials, ...(user === undefined ? {} : { user }) };
}
