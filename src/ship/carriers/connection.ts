// What both ways of sending share: how a name is looked up, who is trusted in TLS, the files of a receiver, and errors as codes.

import { type LookupAddress, type LookupAllOptions, lookup as lookUpName } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { bounds } from '../../host/bounds/bounds.js';
import { readRegularFile } from '../../host/machine/regular-file.js';
import { systemContext } from '../../host/machine/system-trust.js';
import { systemCodeOf, UpstreamFault } from '../../host/ports/faults.js';
import type { NoticeFaultCode } from '../../rules/config/fault.js';
import { NoticeFault } from '../notices/notice-fault.js';

type Resolve = (
  name: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void;

/** Each takes a thread of four that files need, too, and a name server that does not answer holds it for seconds. */
export function createLookup(resolve: Resolve = lookUpName): LookupFunction {
  let running = 0;
  const waiting: (() => void)[] = [];
  const next = (): void => {
    if (running >= 2) return;
    const run = waiting.shift();
    if (run === undefined) return;
    running += 1;
    run();
  };
  return (hostname, options, callback) => {
    const all = { ...options, all: true } as const;
    waiting.push(() =>
      resolve(hostname, all, (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => {
        running -= 1;
        next();
        const [first] = found ?? [];
        if (options.all === true) callback(error, found);
        else callback(error, first?.address ?? '', first?.family ?? 0);
      }),
    );
    next();
  };
}

/** Read at each attempt, so that a renewed file counts. Rejects with a NoticeFault. */
export async function trustOf(
  caFile: string | undefined,
): Promise<SecureContextOptions | { secureContext: ReturnType<typeof systemContext> }> {
  try {
    if (caFile === undefined) return { secureContext: systemContext() };
    // In a list: for an empty text alone, Node would use its own authorities.
    return { ca: [await readText(caFile, bounds.certificateFileBytes)], minVersion: 'TLSv1.2' };
  } catch (cause) {
    throw new NoticeFault('ca-file', undefined, cause);
  }
}

export async function readText(path: string, bytesMax: number): Promise<string> {
  return (await readRegularFile(path, bytesMax)).toString('utf8');
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
