// Makes a UNIX socket on which clients are accepted. It does not know what is spoken there.
// The rules: nobody can reach the socket before it has its mode and owner; a live socket of somebody else is never
// replaced; on the way out only our own socket is removed.
//
// The socket is bound in a directory that only we can enter, gets mode and owner there, and is then linked to its
// place, in one step. (A umask around `listen` would do the same, but it holds for the whole
// process, and the journal's thread makes files meanwhile.)

import { chmodSync, chownSync, linkSync, lstatSync, mkdtempSync, rmdirSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../ports/clock.js';
import type { Native } from '../ports/native.js';
import type { Transport } from '../ports/transport.js';
import { wrapSocket } from './transport.js';

/** Where a socket is made, and who may connect. */
export interface UnixPlace {
  readonly path: string;
  /** Permission bits, such as 0o660. */
  readonly mode: number;
  /** Numeric owner and group; undefined: the daemon's own. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** A bound socket that accepts. */
export interface BoundListener {
  /**
   * Gives the socket another mode and owner: at no moment can somebody connect who may neither before nor after. Throws
   * what the system says.
   */
  change(place: Omit<UnixPlace, 'path'>): void;
  /** Stops accepting and removes the socket; accepted transports live on. */
  close(): Promise<void>;
}

/** Why a listener could not be made; the message is a sentence that names the path. */
export class ListenFault extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ListenFault';
  }
}

/** How many may wait to be accepted; the kernel cuts it to its own limit (net.core.somaxconn). */
export const backlog = 4096;

/** What sockaddr_un of Linux holds. */
const pathBytesMax = 107;
/** `./` at most, then `.dg-XXXXXX/s`. */
const hiddenNameBytes = 14;

/** What is at a path: nothing, a socket that answers, a socket that nobody holds any more, or something else. */
async function inspect(path: string): Promise<'nothing' | 'live' | 'stale' | 'other'> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 'nothing';
  if (!found.isSocket()) return 'other';
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve('live');
    });
    // ECONNREFUSED: no process listens. Anything else (EACCES, EAGAIN: a full backlog) may be somebody who is alive.
    probe.once('error', (cause) => {
      const code = 'code' in cause ? cause.code : '';
      resolve(code === 'ECONNREFUSED' ? 'stale' : code === 'ENOENT' ? 'nothing' : 'live');
    });
  });
}

/** The file descriptor below an accepted socket; Node has it, but does not promise it (there on 20, 22 and 24). */
export function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  const descriptor: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined;
}

/** What is asked of the kernel about a connected socket. */
export type SocketQuestions = Pick<Native, 'hasHungUp' | 'queuedBytes'>;

/** Takes what was accepted: the transport, the descriptor below it, and the address of a TCP peer. */
export type Accept = (
  transport: Transport,
  descriptor: number | undefined,
  address: string | undefined,
) => void;

/** How a server of transports accepts: a peer may end its side first, and one that vanishes is noticed within two minutes. */
const acceptOptions = {
  allowHalfOpen: true,
  pauseOnConnect: false,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
} as const;

/** A server that does not listen yet and hands what it accepts to `accept`. What is no TCP socket has no use for its options. */
export function createAcceptor(clock: Clock, accept: Accept, kernel: SocketQuestions | undefined): Server {
  return createServer(acceptOptions, (socket) =>
    accept(wrapAccepted(socket, clock, kernel), descriptorOf(socket), addressOf(socket)),
  );
}

/** Of a peer, without the clothes that an IPv4 address has on a socket for both. */
function addressOf({ remoteAddress }: Socket): string | undefined {
  return remoteAddress?.replace(/^::ffff:(?=\d+\.)/i, '');
}

/** A transport over an accepted socket that notices a peer that is gone also while nothing is read from it. */
export function wrapAccepted(socket: Socket, clock: Clock, kernel: SocketQuestions | undefined): Transport {
  if (kernel === undefined) return wrapSocket(socket, clock);
  return wrapSocket(socket, clock, {
    hasHungUp() {
      const descriptor = descriptorOf(socket);
      return descriptor !== undefined && kernel.hasHungUp(descriptor);
    },
    queuedBytes() {
      const descriptor = descriptorOf(socket);
      return descriptor === undefined ? undefined : kernel.queuedBytes(descriptor);
    },
  });
}

function listenAt(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * Binds `place` and hands each accepted transport to `accept`, with the descriptor below it. Rejects with a ListenFault.
 * Where there is `kernel`, a peer that is gone is noticed within 250 ms while somebody asks for it (`Transport.onGone`).
 * `onError` is told of errors of the listening socket; accepting goes on. (Running out of descriptors is none: the library
 * below Node then drops clients in silence.)
 */
export function listenUnix(
  place: UnixPlace,
  clock: Clock,
  accept: Accept,
  onError: (text: string) => void,
  kernel?: SocketQuestions,
): Promise<BoundListener> {
  return bindUnix(createAcceptor(clock, accept, kernel), place, onError);
}

/** Binds `place` for a server that takes what it accepts itself, as one of HTTP does. The rest is as with `listenUnix`. */
export async function bindUnix(
  server: Server,
  place: UnixPlace,
  onError: (text: string) => void,
): Promise<BoundListener> {
  const { path } = place;
  // Longer ones are cut off in silence by the library below Node, and something else is bound.
  const slash = path.lastIndexOf('/');
  const hiddenBytes = Buffer.byteLength(path.slice(0, slash + 1)) + hiddenNameBytes;
  const tooMany = Math.max(Buffer.byteLength(path), hiddenBytes) - pathBytesMax;
  if (tooMany > 0) throw new ListenFault(`${path}: the path is too long by ${tooMany} bytes`);
  const found = await inspect(path).catch((cause: unknown) => {
    throw new ListenFault(`${path}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  });
  if (found === 'live') throw new ListenFault(`${path}: another process listens there; stop it first`);
  if (found === 'other')
    throw new ListenFault(`${path}: is there already and is not a socket; remove it first`);

  let inode: bigint;
  try {
    const directory = mkdtempSync(`${slash < 0 ? './' : path.slice(0, slash + 1)}.dg-`);
    const hidden = `${directory}/s`;
    try {
      await listenAt(server, hidden);
      chmodSync(hidden, place.mode);
      if (place.uid !== undefined || place.gid !== undefined) {
        const own = lstatSync(hidden);
        chownSync(hidden, place.uid ?? own.uid, place.gid ?? own.gid);
      }
      inode = lstatSync(hidden, { bigint: true }).ino;
      if (found === 'stale') unlinkSync(path);
      // Fails when somebody else was faster; a rename would take the place from under him.
      linkSync(hidden, path);
      unlinkSync(hidden);
    } catch (cause) {
      server.close();
      if (lstatSync(hidden, { throwIfNoEntry: false }) !== undefined) unlinkSync(hidden);
      throw cause;
    } finally {
      rmdirSync(directory);
    }
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new ListenFault(`${path}: the socket cannot be made: ${text}`, cause);
  }
  server.on('error', (cause) => onError(`${path}: ${cause.message}`));

  const isOurs = (): boolean => lstatSync(path, { throwIfNoEntry: false, bigint: true })?.ino === inode;
  return {
    change({ mode, uid, gid }) {
      if (!isOurs()) throw new ListenFault(`${path}: is no longer the socket that was made there`);
      const now = lstatSync(path);
      chmodSync(path, now.mode & mode & 0o777);
      chownSync(path, uid ?? process.geteuid?.() ?? now.uid, gid ?? process.getegid?.() ?? now.gid);
      chmodSync(path, mode);
    },
    close: () =>
      new Promise((resolve) => {
        if (isOurs()) unlinkSync(path);
        // Resolves when the last accepted transport ended as well; who waits for those waits on its own.
        server.close();
        resolve();
      }),
  };
}
