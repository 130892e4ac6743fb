// What clients written by hand share below their protocols: TLS on a connected socket, and waits that end. It imports nothing from src/.
import net from 'node:net';
import tls from 'node:tls';

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
