// TLS on the dialing side: a handshake over a connected socket, with chain, name and key pins checked before any of our bytes is sent
// inside. No check can be switched off. A mere inspection of the certificate yields no connection.

import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { systemContext } from '../machine/system-trust.js';
import { systemCodeOf, type TlsCause, UpstreamFault } from '../ports/faults.js';
import type { SeenCertificate, TlsDemand } from '../ports/transport.js';
import { sha256Hex } from '../values/digest.js';

const otherName = 'the certificate is for another name than `server_name`';

const otherIssuer = 'the certificate comes from an authority that is not in `ca`';
const notTls = 'what came is not TLS';
const oldTls = 'it has no TLS version from 1.2 on';

/** Sentences by the code of OpenSSL or Node, and the cause where it has a code of its own. */
const causes: ReadonlyMap<string, readonly [sentence: string, cause?: TlsCause]> = new Map([
  ['CERT_HAS_EXPIRED', ['the certificate has expired', 'expired']],
  ['CERT_NOT_YET_VALID', ['the certificate is not valid yet', 'not-valid-yet']],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', ['the certificate is signed by itself and not in `ca`', 'issuer']],
  ['SELF_SIGNED_CERT_IN_CHAIN', [otherIssuer, 'issuer']],
  ['UNABLE_TO_GET_ISSUER_CERT', [otherIssuer, 'issuer']],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', [otherIssuer, 'issuer']],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', [otherIssuer, 'issuer']],
  ['CERT_SIGNATURE_FAILURE', ['the certificate is not signed by the authority that it names', 'issuer']],
  ['ERR_TLS_CERT_ALTNAME_INVALID', [otherName, 'name']],
  ['ERR_SSL_WRONG_VERSION_NUMBER', [notTls]],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', [notTls]],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', [oldTls]],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', [oldTls]],
  [
    'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    ['it speaks another protocol, as an HTTP listener does (dovegate send --http https://HOST:PORT)'],
  ],
  ['ECONNRESET', ['the transport ended within the handshake']],
]);

/** `ca`: from the demand; absent: the chain was checked against the system's list. */
function sentenceOf(cause: unknown, ca: string | undefined): string {
  const code = systemCodeOf(cause);
  const [sentence] = causes.get(code) ?? [];
  if (sentence === undefined) return code === '' ? 'the handshake failed' : `the handshake failed (${code})`;
  return ca === undefined ? sentence.replace('in `ca`', "in the system's list of authorities") : sentence;
}

/** Lower-case hex SHA-256 over the SubjectPublicKeyInfo of a certificate, as in `key_pins`. */
export function keyPinOf(certificate: PeerCertificate): string {
  return sha256Hex(certificate.publicKey.export({ type: 'spki', format: 'der' }));
}

/** An address with a zone is in no certificate. */
function isForAddress(certificate: PeerCertificate, address: string): boolean {
  try {
    return certificate.checkIP(address) !== undefined;
  } catch {
    return false;
  }
}

function seenOf(certificate: PeerCertificate): SeenCertificate {
  const { subject, subjectAltName, issuer, validTo } = certificate;
  return { names: subjectAltName ?? subject, issuer, validTo };
}

type PeerCertificate = NonNullable<ReturnType<TLSSocket['getPeerX509Certificate']>>;

/** The trusted authorities, and our certificate. Throws an UpstreamFault if the system has no list of authorities. */
function trustOf({ ca, certificate, onlyLooks }: TlsDemand): ConnectionOptions {
  if (ca === undefined && onlyLooks === undefined) return { secureContext: systemContext(certificate) };
  return {
    // In a list: for an empty text alone, Node would use its own authorities.
    ...(ca !== undefined && { ca: [ca] }),
    ...(certificate !== undefined && { cert: certificate.chain, key: certificate.key }),
  };
}

/**
 * Runs the handshake over `plain` and checks the other end, TLS 1.2 at least. An offered protocol need not be selected (real doveadm
 * servers select none and continue). Rejects with an UpstreamFault `tls-failed` whose message names the cause; the socket is destroyed
 * then.
 */
export function connectTls(plain: Socket, demand: TlsDemand): Promise<TLSSocket> {
  const isAddress = isIP(demand.serverName) !== 0;
  const options: ConnectionOptions = {
    socket: plain,
    // Without both, a certificate dialed by address is checked against "localhost". SNI does not support addresses.
    host: demand.serverName,
    servername: isAddress ? '' : demand.serverName,
    // Addresses are compared below: Node 22.23 does not recognize IPv6 addresses here.
    checkServerIdentity: (_host, certificate) =>
      isAddress ? undefined : checkServerIdentity(demand.serverName, certificate),
    rejectUnauthorized: demand.onlyLooks === undefined,
    minVersion: 'TLSv1.2',
  };
  if (demand.protocols !== undefined) options.ALPNProtocols = [...demand.protocols];
  return new Promise((resolve, reject) => {
    let tls: TLSSocket;
    try {
      tls = connect({ ...options, ...trustOf(demand) });
    } catch (cause) {
      plain.destroy();
      if (cause instanceof UpstreamFault) return reject(cause);
      const text = 'TLS failed: `ca`, or the certificate and key to show, cannot be used';
      return reject(new UpstreamFault('tls-failed', text, cause));
    }
    const onError = (cause: Error): void =>
      refuse(sentenceOf(cause, demand.ca), causes.get(systemCodeOf(cause))?.[1], cause);
    const onClose = (): void => refuse('the transport ended within the handshake');
    const refuse = (text: string, tlsCause?: TlsCause, cause?: unknown): void => {
      tls.off('close', onClose);
      // The error listener stays: a second error of a dying socket must not end the process.
      tls.destroy();
      plain.destroy();
      reject(new UpstreamFault('tls-failed', `TLS failed: ${text}`, cause, undefined, tlsCause));
    };
    tls.on('error', onError);
    tls.on('close', onClose);
    // Before Node's own check, which destroys the socket if it refuses the certificate. On a client, getPeerX509Certificate removes the
    // certificate from the chain (Node 20), and the check would find none.
    tls.prependOnceListener('secure', () => {
      const { valid_to: validTo } = tls.getPeerCertificate();
      if (typeof validTo === 'string') demand.onShown?.(validTo);
    });
    tls.once('secureConnect', () => {
      const certificate = tls.getPeerX509Certificate();
      if (demand.onlyLooks !== undefined) {
        if (certificate !== undefined) demand.onlyLooks(seenOf(certificate));
        return refuse('the certificate was only looked at');
      }
      if (!tls.authorized || certificate === undefined) return refuse('the certificate was not accepted');
      if (isAddress && !isForAddress(certificate, demand.serverName)) return refuse(otherName, 'name');
      if (demand.keyPins.length > 0 && !demand.keyPins.includes(keyPinOf(certificate))) {
        return refuse('the key of the certificate is none of `key_pins`', 'key');
      }
      tls.off('error', onError);
      tls.off('close', onClose);
      resolve(tls);
    });
  });
}
