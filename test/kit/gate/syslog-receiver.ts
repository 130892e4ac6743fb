// A receiver of syslog over TLS, as the RFCs have it, in the hands of a test.
import { createServer, type TLSSocket } from 'node:tls';
import { readFrames } from '../../ship/shipping/rfc5424.js';
import type { Owner } from '../plain/folder.js';
import { listenHere } from '../plain/free-ports.js';
import type { Authority } from './certificates.js';

export interface SyslogReceiver {
  readonly port: number;
  /** The seqs of whole messages, by connection, in the order of the connections. */
  readonly seqs: () => readonly (readonly number[])[];
  /** The records that came, each once. */
  readonly lines: () => ReadonlySet<string>;
  /** Connections that are open. */
  readonly open: number;
  /** Ends the connections, and listens no more. */
  leave(): Promise<void>;
  /** At the same port. */
  comeBack(): Promise<void>;
}

interface Taken {
  rest: Buffer;
  readonly seqs: number[];
}

/** Ends with the test. */
export async function openSyslogReceiver(owner: Owner, authority: Authority): Promise<SyslogReceiver> {
  const { certificatePem: cert, keyPem: key } = authority.issue({ names: ['127.0.0.1', 'localhost'] });
  const all: Taken[] = [];
  const lines = new Set<string>();
  const sockets = new Set<TLSSocket>();
  const server = createServer({ cert, key }, (socket) => {
    const taken: Taken = { rest: Buffer.alloc(0), seqs: [] };
    all.push(taken);
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const { messages, rest } = readFrames(Buffer.concat([taken.rest, chunk]));
      taken.rest = rest;
      for (const { text } of messages) {
        const { seq } = JSON.parse(String(text));
        taken.seqs.push(Number(seq));
        lines.add(String(text));
      }
    });
  });
  const port = await listenHere(server);
  const leave = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  owner.after(() => void leave());
  return {
    port,
    seqs: () => all.map(({ seqs }) => seqs),
    lines: () => lines,
    get open() {
      return sockets.size;
    },
    leave,
    comeBack: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject).listen(port, '127.0.0.1', resolve);
      }),
  };
}
