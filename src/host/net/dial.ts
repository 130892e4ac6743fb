// Opens a transport to an address: for a name with several addresses, to the first that answers; for a path, to the socket there.

import { promises as dns } from 'node:dns';
import { statSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { systemCodeOf, UpstreamFault } from '../ports/faults.js';
import type { Clock, Timer } from '../ports/machine.js';
import type { Connect } from '../ports/transport.js';
import { wrapSocket } from './transport.js';

/** After this time without an answer the next address of a name is dialled too, beside those before (RFC 8305). */
const nextAddressMs = 250;

function sentenceOf(cause: unknown): string {
  const code = systemCodeOf(cause);
  switch (code) {
    case 'ECONNREFUSED':
      return 'nobody listens there';
    case 'ENOENT':
      return 'there is no such socket';
    case 'EACCES':
      return 'permission denied';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name cannot be resolved';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'no route';
    default:
      return code === '' ? 'it failed' : code;
  }
}

/** All addresses of a name, the preferred one first. */
export type FindAddresses = (host: string) => Promise<Addresses>;
type Addresses = readonly { readonly address: string }[];

const findAll: FindAddresses = (host) => dns.lookup(host, { all: true });

/** Returns the dialer: it opens a transport, or rejects with UpstreamFault `dial-refused` or with the signal's reason. */
export function createConnect(clock: Clock, find = findAll): Connect {
  return async (target, signal) => {
    signal.throwIfAborted();
    if (target.kind === 'tcp') {
      const { host, port } = target;
      const open: Opening = (address) =>
        connectSocket({ host: address, port, allowHalfOpen: true, noDelay: true, keepAlive: true });
      return wrapSocket(await openFirst(`${host}:${port}`, find(host), open, clock, signal), clock);
    }
    const { path } = target;
    for (;;) {
      const file = fileAt(path);
      const open: Opening = () => connectSocket({ path, allowHalfOpen: true });
      const socket = await openFirst(path, [{ address: path }], open, clock, signal);
      const isLeft = (): boolean => file === undefined || fileAt(path) !== file;
      if (!isLeft()) return wrapSocket(socket, clock, undefined, isLeft);
      // The connection may lead to the previous socket or to the new one.
      socket.destroy();
    }
  };
}

/** Which file stands at a path. A new socket often gets the inode of the one before: only the time of its change (ns) differs then. */
function fileAt(path: string): string | undefined {
  try {
    const { dev, ino, ctimeNs } = statSync(path, { bigint: true });
    return `${dev} ${ino} ${ctimeNs}`;
  } catch {
    return undefined;
  }
}

type Opening = (address: string) => Socket;

/** The first socket that is connected; the others are closed. A slow address is not given up for the next one. */
function openFirst(
  place: string,
  found: Addresses | Promise<Addresses>,
  open: Opening,
  clock: Clock,
  signal: AbortSignal,
): Promise<Socket> {
  const left: string[] = [];
  const opening = new Set<Socket>();
  let timer: Timer | undefined;
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      left.length = 0;
      for (const socket of opening) socket.removeAllListeners('connect').destroy();
    };
    const onAbort = (): void => {
      settle();
      reject(signal.reason);
    };
    const fail = (cause: unknown): void => {
      settle();
      const text = `cannot connect to ${place}: ${sentenceOf(cause)}`;
      reject(new UpstreamFault('dial-refused', text, cause));
    };
    const next = (): void => {
      timer?.cancel();
      const address = left.shift();
      if (address === undefined) return;
      const socket = open(address);
      opening.add(socket);
      const onError = (cause: unknown): void => {
        opening.delete(socket);
        if (left.length > 0) next();
        else if (opening.size === 0) fail(cause);
      };
      socket.on('error', onError);
      socket.once('connect', () => {
        opening.delete(socket);
        socket.off('error', onError);
        settle();
        resolve(socket);
      });
      if (left.length > 0) timer = clock.setTimer(nextAddressMs, next);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const begin = (addresses: Addresses): void => {
      if (signal.aborted) return;
      left.push(...addresses.map(({ address }) => address));
      next();
    };
    if (found instanceof Promise) found.then(begin, fail);
    else begin(found);
  });
}
