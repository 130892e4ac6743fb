// Makes the sockets that accept clients: UNIX, TCP, or inherited from systemd. Path, mode, owner and queue of an inherited socket stay as
// they are. The configuration ensures that a TCP address belongs to this machine only.

import { once } from 'node:events';
import { type AddressInfo, createServer, isIP, type Server } from 'node:net';
import { messageOf, systemCodeOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import type { Transport } from '../ports/transport.js';
import { makeSocketFile, PlaceTaken, type SocketAccess, type SocketFile } from './socket-file.js';
import { descriptorOf, type SocketQuestions, wrapSocket } from './transport.js';

export interface UnixPlace extends SocketAccess {
  readonly path: string;
}

export interface BoundListener {
  /** Changes mode and owner. At no moment can a client connect that neither the old nor the new access permits. Throws a ListenFault. */
  change(access: SocketAccess): void;
  /** Stops accepting and removes the socket; accepted transports stay open. */
  close(): Promise<void>;
}

/** Why a listener could not be made; the message is a sentence that names the path. */
export class ListenFault extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ListenFault';
  }
}

/** Length of the accept queue; the kernel cuts it to its own limit (net.core.somaxconn). */
export const backlog = 4096;

/** The size of sockaddr_un on Linux. */
const pathBytesMax = 107;

/** Receives an accepted transport, the descriptor below it, and the address of a TCP peer. */
export type Accept = (
  transport: Transport,
  descriptor: number | undefined,
  address: string | undefined,
) => void;

/** Options of a server of transports: a peer may end its side first, and the loss of a peer is noticed within two minutes. */
const acceptOptions = {
  allowHalfOpen: true,
  pauseOnConnect: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
} as const;

/** When to take a connection; undefined: at once. Nothing is read before: of a thousand clients at once, each would wait for all others. */
export type Turn = (address: string | undefined) => Promise<void> | undefined;

/**
 * A server that does not listen yet; it passes each accepted transport to `accept` in its turn, with the descriptor below it. Its options
 * apply to TCP sockets only. With `kernel`, the loss of a peer is noticed within 250 ms if there is a callback for it (`Transport.onGone`).
 */
export function createAcceptor(
  clock: Clock,
  accept: Accept,
  kernel?: SocketQuestions,
  turnOf: Turn = () => undefined,
): Server {
  return createServer(acceptOptions, (socket) => {
    const address = socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/i, '');
    const take = (): void => {
      accept(wrapSocket(socket, clock, kernel), descriptorOf(socket), address);
      socket.resume();
    };
    const turn = turnOf(address);
    if (turn === undefined) return take();
    // Without a listener, an error would end the process.
    socket.on('error', ignore);
    return void turn.then(() => {
      socket.off('error', ignore);
      if (!socket.destroyed) take();
    });
  });
}

function ignore(): void {
  // The transport reports the fault, or the peer is not awaited any more.
}

/**
 * Binds `place` for a server that does not listen yet. Rejects with a ListenFault. `onError` gets errors of the listening socket; accepting
 * goes on. (Running out of descriptors gives no error: libuv then drops clients silently.)
 */
export async function bindUnix(
  server: Server,
  place: UnixPlace,
  onError: (text: string) => void,
): Promise<BoundListener> {
  const { path } = place;
  // libuv silently cuts longer paths and binds another one.
  const tooMany = Buffer.byteLength(path) - pathBytesMax;
  if (tooMany > 0) throw new ListenFault(`${path}: the path is too long by ${tooMany} bytes`);
  let file: SocketFile;
  try {
    file = await makeSocketFile(path, place, (bound) =>
      once(server.listen({ path: bound, backlog }), 'listening'),
    );
  } catch (cause) {
    server.close();
    const text = messageOf(cause);
    throw new ListenFault(
      cause instanceof PlaceTaken ? `${path}: ${text}` : `${path}: the socket cannot be made: ${text}`,
      cause,
    );
  }
  server.on('error', (cause) => onError(`${path}: ${cause.message}`));
  return {
    change(access) {
      try {
        file.change(access);
      } catch (cause) {
        throw new ListenFault(`${path}: ${messageOf(cause)}`, cause);
      }
    },
    close: () =>
      new Promise((resolve) => {
        file.remove();
        // This resolves when the last accepted transport ends, too; waiting for those is up to the caller.
        server.close();
        resolve();
      }),
  };
}

export interface TcpPlace {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

export interface BoundTcp extends Pick<BoundListener, 'close'> {
  readonly port: number;
}

/** Binds `place`, as `bindUnix`. */
export async function bindTcp(
  server: Server,
  place: TcpPlace,
  onError: (text: string) => void,
): Promise<BoundTcp> {
  const { host, port } = place;
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  try {
    await once(server.listen({ host, port, backlog, exclusive: true }), 'listening');
  } catch (cause) {
    const isTaken = systemCodeOf(cause) === 'EADDRINUSE';
    const text = isTaken ? 'another process listens there; stop it, or take another port' : messageOf(cause);
    throw new ListenFault(`${where}: the socket cannot be made: ${text}`, cause);
  }
  server.on('error', (cause) => onError(`${where}: ${cause.message}`));
  const address = server.address();
  return {
    port: isAddress(address) ? address.port : port,
    close() {
      // As with UNIX sockets: waiting for accepted transports is up to the caller.
      server.close();
      return Promise.resolve();
    },
  };
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}

export interface InheritedSocket {
  readonly name: string;
  /** Owned by the listener from now on, and closed with it. */
  readonly descriptor: number;
}

export interface InheritedListener extends Pick<BoundListener, 'close'> {
  readonly address: string | undefined;
}

/** Takes over the socket, as `bindUnix`. */
export async function bindInherited(
  server: Server,
  { name, descriptor }: InheritedSocket,
  onError: (text: string) => void,
): Promise<InheritedListener> {
  try {
    // Node calls listen(2) again, which sets the length of the queue: so it is passed here, as an argument, because the option is ignored
    // beside `fd`.
    await once(server.listen({ fd: descriptor }, backlog), 'listening');
  } catch (cause) {
    throw new ListenFault(`${name}: the inherited socket cannot be used: ${messageOf(cause)}`, cause);
  }
  server.on('error', (cause) => onError(`${name}: ${cause.message}`));
  return {
    address: boundAddress(server.address()),
    close() {
      server.close();
      return Promise.resolve();
    },
  };
}

function boundAddress(address: AddressInfo | string | null): string | undefined {
  return typeof address === 'object' && isIP(address?.address ?? '') !== 0 ? address?.address : undefined;
}
