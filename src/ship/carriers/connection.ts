// Shared by connections to receivers: whom TLS trusts, when to ask again, and errors as codes.

import { type Trust, trustIn } from '../../host/net/receivers.js';
import { systemCodeOf, UpstreamFault } from '../../host/ports/faults.js';
import type { NoticeFaultCode } from '../../rules/config/fault.js';
import { NoticeFault } from '../notices/notice-fault.js';

/** As `trustIn`. Rejects with a NoticeFault. */
export async function trustOf(caFile: string | undefined): Promise<Trust> {
  try {
    return await trustIn(caFile);
  } catch (cause) {
    throw new NoticeFault('ca-file', undefined, cause);
  }
}

/** Milliseconds of `Retry-After`: seconds, or a date; 0: there is none. */
export function waitMsOf(text: string | undefined, nowMs: number): number {
  if (text === undefined) return 0;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Math.max(0, ms || 0);
}

const unreachable: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
]);

/** Total. The words of a receiver are in `cause` at most. `code`: of the system, OpenSSL or Node; default: the error's own. */
export function noticeFaultOf(cause: unknown, code: string = systemCodeOf(cause)): NoticeFault {
  if (cause instanceof NoticeFault) return cause;
  return new NoticeFault(cause instanceof UpstreamFault ? 'ca-file' : faultCodeOf(code), undefined, cause);
}

const ofTls =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|ERR_OSSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_|INVALID_|EPROTO$|ETLS$)/;

function faultCodeOf(code: string): NoticeFaultCode {
  if (code === 'ETIMEDOUT') return 'timeout';
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) return 'unknown-host';
  if (code === 'ECONNREFUSED') return 'connection-refused';
  if (unreachable.has(code)) return 'unreachable';
  if (code.startsWith('HPE_')) return 'not-http';
  return ofTls.test(code) ? 'tls-failed' : 'internal';
}
