// What clients written by hand share below their protocols: a connection that shows its bytes, TLS on it, and waits that end. It imports
// nothing from src/.
import net from 'node:net';
import tls from 'node:tls';
import { type ByteReader, createByteReader } from './byte-reader.js';
import { resetSocket } from './reset-socket.js';

export interface RawPlace {
  /** Path of a UNIX socket; else TCP to `host` and `port`. */
  path?: string;
  host?: string;
  port?: number;
  /** Connects to `path` as this user. Only root can, and the user must reach the socket. */
  uid?: number | undefined;
}

/** What a test may do with a connection, whatever is spoken on it. */
export interface RawConnection {
  /** Everything received so far, decrypted, what opens a protocol included; the first 16 MiB. */
  received(): Buffer;
  /** Writes bytes as they are; resolves when the kernel took them, rejects when the connection is gone. */
  write(bytes: string | Buffer): Promise<void>;
  /** From here on nothing is read, until it is set to false. */
  setStopped(isStopped: boolean): void;
  /** Ends our sending side. */
  halfClose(): void;
  /** Ends both sides. */
  close(): void;
  /** Drops what is unsent and unread (TCP: RST). */
  reset(): void;
  /** Resolves when the socket is gone. */
  readonly closed: Promise<void>;
}

const keptBytesMax = 16 * 1024 * 1024;

/** Connects; a client goes on with `readerOn` the socket or TLS on it, and gives `connectionOn` both to its test. */
export async function connectRaw({ path, host = '127.0.0.1', port = 0, uid }: RawPlace) {
  const target = path === undefined ? { host, port, noDelay: true } : { path };
  // The kernel takes the effective uid of the moment of the connect.
  if (uid !== undefined) process.seteuid?.(uid);
  const tcp = net.connect({ ...target, allowHalfOpen: true });
  if (uid !== undefined) process.seteuid?.(0);
  const received: Buffer[] = [];
  let receivedBytes = 0;
  let isBroken = false;
  const onError = (): void => {
    isBroken = true;
  };
  const closed = new Promise<void>((resolve) => {
    tcp.once('close', () => resolve());
  });
  await new Promise<void>((resolve, reject) => {
    tcp.once('connect', resolve);
    tcp.once('error', reject);
  });
  tcp.on('error', onError);
  return {
    tcp,
    /** Whether it ended by an error. */
    isBroken: (): boolean => isBroken,
    readerOn: (socket: net.Socket): ByteReader => {
      socket.on('error', onError);
      return createByteReader(socket, (chunk) => {
        receivedBytes += chunk.length;
        if (receivedBytes <= keptBytesMax) received.push(chunk);
      });
    },
    connectionOn: (socket: net.Socket, reader: ByteReader): RawConnection => ({
      closed,
      received: () => Buffer.concat(received),
      write: (bytes) =>
        new Promise<void>((resolve, reject) => {
          socket.write(bytes, (error) => (error ? reject(error) : resolve()));
        }),
      setStopped: (isStopped) => reader.setStopped(isStopped),
      halfClose() {
        socket.end();
      },
      close: () => socket.destroy(),
      reset: () => resetSocket(tcp),
    }),
  };
}

export interface SecureOptions {
  host?: string;
  serverName?: string;
  ca?: string;
  certificate?: { certificatePem: string; keyPem: string };
  /** Offered by ALPN. */
  protocol?: string;
}

/** Shakes hands; the certificate is verified. */
export async function secureSocket(tcp: net.Socket, options: SecureOptions): Promise<tls.TLSSocket> {
  const { ca, certificate, protocol, host = '127.0.0.1', serverName = host } = options;
  const socket = tls.connect({
    socket: tcp,
    host: serverName,
    servername: net.isIP(serverName) === 0 ? serverName : '',
    ...(protocol !== undefined && { ALPNProtocols: [protocol] }),
    ...(ca !== undefined && { ca }),
    ...(certificate && { cert: certificate.certificatePem, key: certificate.keyPem }),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('ended in the TLS handshake')));
  });
  return socket;
}

/** Rejects when the work is not done within `ms`; what it would have given is lost then. */
export async function inTime<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
