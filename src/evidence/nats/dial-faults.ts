// Why a connection to a server failed, in words for operators.

import { systemCodeOf } from '../../host/ports/faults.js';
import { NatsFault } from './fault.js';

const unknownAuthority = 'its certificate comes from an authority that is not in `ca`';

const causes: ReadonlyMap<string, string> = new Map([
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is signed by itself and not in `ca`'],
  ['SELF_SIGNED_CERT_IN_CHAIN', unknownAuthority],
  ['UNABLE_TO_GET_ISSUER_CERT', unknownAuthority],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', unknownAuthority],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', unknownAuthority],
  ['CERT_SIGNATURE_FAILURE', 'its certificate is not signed by the authority that it names'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another name'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'what came is not TLS'],
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'it demands a client certificate: set `certificate` and `key`',
  ],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'it does not accept our client certificate'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'it does not know the authority of our client certificate'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'our client certificate has expired'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', 'it does not accept our client certificate'],
]);
const refusals: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nobody listens there'],
  ['ENOTFOUND', 'the name cannot be resolved'],
  ['EAI_AGAIN', 'the name cannot be resolved at the moment'],
  ['EHOSTUNREACH', 'no route'],
  ['ENETUNREACH', 'no route'],
  ['ECONNRESET', 'it ended the connection'],
]);
/** The alert with the reason may be lost when the server closes. */
const ended = 'it ended the handshake, as a server does that does not accept our client certificate';

export function refusalOf(cause: Error): string {
  return refusals.get(systemCodeOf(cause)) ?? systemCodeOf(cause);
}

/** For faults of TLS, or before the answer to the login. `isOwnCa`: false: the chain was checked against the system's list. */
export function faultOfHandshake(thrown: unknown, place: string, isOwnCa: boolean): NatsFault {
  const code = systemCodeOf(thrown) || systemCodeOf(thrown instanceof Error ? thrown.cause : undefined);
  const isEnd = code === '' || code === 'ECONNRESET' || code === 'EPIPE';
  const why = isEnd ? ended : (causes.get(code) ?? `the handshake failed (${code})`);
  const said = isOwnCa ? why : why.replace('in `ca`', "in the system's list of authorities");
  return new NatsFault('tls-failed', `no TLS with ${place}: ${said}`, thrown);
}
