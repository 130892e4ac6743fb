// A forwarder on loopback in front of a real server, whose bytes a test holds or changes on their way.
import net from 'node:net';
import type { Owner } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';

/** Both sides of one connection; whoever gets them passes their bytes on. */
export interface Forwarded {
  readonly client: net.Socket;
  readonly backend: net.Socket;
}

/** Forwards from a free port of 127.0.0.1, until the owner ends. Resolves to the port. */
export async function openForwarder(
  owner: Owner,
  target: net.NetConnectOpts,
  pass: (forwarded: Forwarded) => void,
): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const backend = net.connect(target);
    for (const [socket, other] of [
      [client, backend],
      [backend, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.once('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    pass({ client, backend });
  });
  const port = await listenHere(server);
  owner.after(async () => {
    const closed = new Promise((resolve) => {
      server.close(resolve);
    });
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return port;
}
