// TLS on the accepting side: a handshake over an accepted socket. The client's certificate is checked before any byte inside TLS is read.
// TLS is 1.2 at least, without renegotiation and without resumption: a resumed session keeps the verdict of its first handshake, although
// the certificate may have expired, or its authority been removed.

import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { systemCodeOf, TransportFault } from '../ports/faults.js';
import type { TlsOffer, TlsPeer } from '../ports/transport.js';
import { foldAscii } from '../words/text.js';

export interface AcceptedTls {
  readonly socket: TLSSocket;
  readonly peer: TlsPeer | undefined;
}

/** Built once for each offer: parsing keys and certificates for each client would cost more than the handshake. */
const contexts = new WeakMap<TlsOffer, SecureContext>();

/** Prepares an offer. Throws OpenSSL's error for an unusable certificate, key or authority. */
export function prepareOffer(offer: TlsOffer): SecureContext {
  const known = contexts.get(offer);
  if (known !== undefined) return known;
  const context = createSecureContext({
    cert: offer.certificate.chain,
    key: offer.certificate.key,
    ...(offer.clientCa === undefined ? {} : { ca: [...offer.clientCa] }),
    minVersion: 'TLSv1.2',
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  });
  contexts.set(offer, context);
  return context;
}

const causes: ReadonlyMap<string, string> = new Map([
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'the client has no TLS version from 1.2 on'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'what came is not TLS'],
  ['ERR_SSL_HTTP_REQUEST', 'what came is HTTP'],
  ['ERR_SSL_HTTPS_PROXY_REQUEST', 'what came is HTTP'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'what came is not TLS'],
  ['ERR_SSL_NO_SHARED_CIPHER', 'the client has no cipher that is accepted here'],
  ['ERR_SSL_NO_APPLICATION_PROTOCOL', 'the client wants to speak another protocol (ALPN)'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'the client does not accept our certificate: unknown authority'],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'the client does not accept our certificate'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', 'the client does not accept our certificate'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'the client does not accept our certificate: expired'],
  ['ECONNRESET', 'the client ended the transport within the handshake'],
]);

function sentenceOf(cause: Error): string {
  const code = systemCodeOf(cause);
  return causes.get(code) ?? (code === '' ? 'the handshake failed' : `the handshake failed (${code})`);
}

/** Owns `plain`, of which `early` was read. Rejects with a TransportFault `tls-failed` that names the cause; destroys the socket. */
export function acceptTls(plain: Socket, offer: TlsOffer, early: Buffer): Promise<AcceptedTls> {
  return new Promise((resolve, reject) => {
    let tls: TLSSocket;
    const refuse = (text: string, cause?: unknown): void => {
      // The TLS socket above ends with it: destroying both in one turn is a segmentation fault of Node 20 while TLS still writes.
      plain.destroy();
      reject(new TransportFault('tls-failed', `TLS failed: ${text}`, cause));
    };
    try {
      const secureContext = prepareOffer(offer);
      if (early.length > 0) plain.unshift(early);
      tls = new TLSSocket(plain, {
        isServer: true,
        secureContext,
        requestCert: offer.clientCa !== undefined,
        // Checked below: this option works only within Node's own TLS server.
        rejectUnauthorized: false,
        ALPNProtocols: [...offer.protocols],
      });
    } catch (cause) {
      return refuse('our certificate, its key or the authorities of clients cannot be used', cause);
    }
    const onError = (cause: Error): void => refuse(sentenceOf(cause), cause);
    const onEnd = (): void => refuse('the client ended the transport within the handshake');
    // The error listener stays until the caller owns the socket: a second error of a closing socket must not end the process.
    tls.on('error', onError);
    // Half open, it would wait forever.
    tls.on('end', onEnd);
    tls.on('close', onEnd);
    tls.once('secure', () => {
      tls.off('end', onEnd);
      tls.off('close', onEnd);
      let peer: TlsPeer | undefined;
      try {
        peer = offer.clientCa === undefined ? undefined : peerOf(tls, offer.clientCa);
      } catch (cause) {
        return refuse(cause instanceof Error ? cause.message : String(cause), cause);
      }
      tls.off('error', onError);
      // Node reports a fault within TLS only to its own server: without this listener the socket would stay open forever without an event.
      tls.on('_tlsError', () => plain.destroy());
      resolve({ socket: tls, peer });
    });
  });
}

/** The client's certificate; undefined: it showed none. Throws if the certificate is not valid here. */
function peerOf(tls: TLSSocket, authorities: readonly string[]): TlsPeer | undefined {
  const certificate = tls.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const why = verifyFault(tls);
  if (why !== undefined) throw new Error(`the client's certificate does not count (${why})`);
  const { fingerprint256: fingerprint } = certificate;
  return { names: namesIn(certificate), fingerprint, authorities };
}

/** Undefined: valid. Node keeps the result in the handle for its own server (20, 22 and 24); without the handle nothing is valid. */
function verifyFault(tls: TLSSocket): string | undefined {
  const handle: unknown = Reflect.get(tls, '_handle');
  const verify: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'verifyError') : undefined;
  if (typeof verify !== 'function') return 'this version of Node does not say whether it does';
  const fault: unknown = Reflect.apply(verify, handle, []);
  if (fault === null || fault === undefined) return undefined;
  return fault instanceof Error && 'code' in fault ? String(fault.code) : 'it does not verify';
}

type PeerCertificate = NonNullable<ReturnType<TLSSocket['getPeerX509Certificate']>>;

/** Each kind of name has its own prefix, so that kinds cannot be confused. */
const nameShapes: readonly (readonly [prefix: string, shape: RegExp])[] = [
  ['DNS:', /^[A-Za-z0-9*._-]+$/],
  ['email:', /^[^@"]+@[A-Za-z0-9._-]+$/],
  ['URI:', /^[a-z][a-z0-9+.-]*:[^"]+$/],
];

/** One entry of subjectAltName as Node prints it, `DNS:mail.example.com` or `DNS:"..."`, and all of them. */
const altName = /[^", ][^",]*(?:"(?:[^"\\]|\\.)*")?/g;
const altNames = /^[^",]+(?:"(?:[^"\\]|\\.)*")?(?:, [^",]+(?:"(?:[^"\\]|\\.)*")?)*$/;

/** The names of a certificate, in the form of an account list. */
export function namesIn({
  subjectAltName,
  subject,
}: Pick<PeerCertificate, 'subjectAltName' | 'subject'>): string[] {
  if (subjectAltName === undefined) {
    const names = subject.split('\n').flatMap((line) => (line.startsWith('CN=') ? [line.slice(3)] : []));
    // Several names, or an escaped one, are not clearly one name.
    return names.length === 1 && !/[\\"+]/.test(names[0] ?? '') ? names.map(foldAscii) : [];
  }
  // Node quotes names with a comma or a quote, which are not accepted here. A text of another form has no names.
  if (!altNames.test(subjectAltName)) return [];
  return (subjectAltName.match(altName) ?? []).flatMap((entry) => {
    for (const [prefix, shape] of nameShapes) {
      if (!entry.startsWith(prefix)) continue;
      const name = entry.slice(prefix.length);
      return shape.test(name) ? [prefix === 'URI:' ? name : foldAscii(name)] : [];
    }
    return [];
  });
}
