// Opens a transport to an address.

import { connect as connectSocket, type Socket } from 'node:net';
import { systemCodeOf, UpstreamFault } from '../../ports/faults.js';
import type { Clock } from '../../ports/machine.js';
import type { Transport } from '../../ports/transport.js';
import { wrapSocket } from './transport.js';

type Target =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

function sentenceOf(cause: Error): string {
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

/** Returns the dialer: it opens a transport, or rejects with UpstreamFault `dial-refused` or with the signal's reason. */
export function createConnect(clock: Clock): (target: Target, signal: AbortSignal) => Promise<Transport> {
  return (target, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const socket: Socket =
        target.kind === 'unix'
          ? connectSocket({ path: target.path, allowHalfOpen: true })
          : connectSocket({
              host: target.host,
              port: target.port,
              allowHalfOpen: true,
              noDelay: true,
              keepAlive: true,
            });
      const place = target.kind === 'unix' ? target.path : `${target.host}:${target.port}`;
      const settle = (): void => signal.removeEventListener('abort', onAbort);
      const onAbort = (): void => {
        socket.off('connect', onConnect);
        socket.destroy();
        reject(signal.reason);
      };
      const onError = (cause: Error): void => {
        settle();
        reject(new UpstreamFault('dial-refused', `cannot connect to ${place}: ${sentenceOf(cause)}`, cause));
      };
      const onConnect = (): void => {
        settle();
        const transport = wrapSocket(socket, clock);
        socket.off('error', onError);
        resolve(transport);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      socket.on('error', onError);
      socket.once('connect', onConnect);
    });
}
