// A TCP forwarder that counts: put before a real Dovecot it tells how many connections were made and how many of them began TLS.
// It hands bytes through in both directions with their back-pressure and their ends, and looks only at the first few from the client.
import { once } from 'node:events';
import net from 'node:net';
import { listenHere } from './free-ports.js';

export interface TcpCounter {
  readonly host: string;
  readonly port: number;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Connections that their clients have not ended. */
  readonly openConnections: number;
  /** Connections on which the client sent a ClientHello: at once, or behind STARTTLS. */
  readonly tlsHandshakes: number;
  /** Stops listening and cuts what is open. */
  close(): Promise<void>;
}

/** A TLS record of type handshake, version 3.x. */
const clientHello = Buffer.from([0x16, 0x03]);
const helloBehindStartTls = Buffer.concat([Buffer.from('STARTTLS\n'), clientHello]);
const lookedAtBytes = 4096;

/** Listens on a free port of 127.0.0.1, or of another loopback address, and forwards each connection to the target. */
export async function openTcpCounter(target: {
  host?: string;
  port: number;
  listen?: string;
}): Promise<TcpCounter> {
  const sockets = new Set<net.Socket>();
  let connections = 0;
  let openConnections = 0;
  let tlsHandshakes = 0;

  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    connections += 1;
    openConnections += 1;
    const backend = net.connect({
      host: target.host ?? '127.0.0.1',
      port: target.port,
      allowHalfOpen: true,
      noDelay: true,
    });
    let seen = Buffer.alloc(0);
    const look = (chunk: Buffer): void => {
      seen = Buffer.concat([seen, chunk]).subarray(0, lookedAtBytes);
      const isHello = seen.subarray(0, 2).equals(clientHello) || seen.includes(helloBehindStartTls);
      if (isHello) tlsHandshakes += 1;
      if (isHello || seen.length >= lookedAtBytes) client.off('data', look);
    };
    client.on('data', look);
    client.pipe(backend);
    backend.pipe(client);
    // The target may take its time to end too.
    let isOpen = true;
    for (const event of ['end', 'close']) {
      client.once(event, () => {
        if (isOpen) openConnections -= 1;
        isOpen = false;
      });
    }
    for (const [socket, other] of [
      [client, backend],
      [backend, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.once('close', () => {
        sockets.delete(socket);
        // An end was passed on by pipe; a loss is passed on here.
        if (!socket.readableEnded) other.destroy();
      });
    }
  });
  const port = await listenHere(server, target.listen);
  return {
    host: target.listen ?? '127.0.0.1',
    port,
    get connections() {
      return connections;
    },
    get openConnections() {
      return openConnections;
    },
    get tlsHandshakes() {
      return tlsHandshakes;
    },
    async close() {
      const closed = once(server.close(), 'close');
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
