// A TCP forwarder whose way back can be shut: what the server answers is held then, as if it had not answered yet.
import net from 'node:net';
import type { Owner } from '../kit/folder.js';
import { listenHere } from '../kit/free-ports.js';

export interface Sluice {
  readonly port: number;
  /** Shuts the way back. Resolves when the first bytes that are held have come. */
  shut(): Promise<void>;
  /** What comes from now on goes through again; what is held stays so. */
  open(): void;
}

/** Forwards from a free port of 127.0.0.1, until the owner ends. */
export async function openSluice(owner: Owner, target: { host: string; port: number }): Promise<Sluice> {
  const sockets = new Set<net.Socket>();
  let held: (() => void) | undefined;
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
    client.on('data', (chunk) => backend.write(chunk));
    backend.on('data', (chunk) => {
      if (held === undefined) client.write(chunk);
      else held();
    });
  });
  const port = await listenHere(server);
  owner.after(async () => {
    const closed = new Promise((resolve) => {
      server.close(resolve);
    });
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return {
    port,
    shut: () =>
      new Promise((resolve) => {
        held = resolve;
      }),
    open() {
      held = undefined;
    },
  };
}
