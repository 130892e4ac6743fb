// Asks a time stamp authority over HTTP, as RFC 3161 says in section 3.4. It gets a hash and a number, and nothing else. Plain http: is
// permitted, since nobody without its key can make a stamp: whoever is on the way can hold it back.

import type { LookupFunction } from 'node:net';
import { bounds } from '../../bounds/bounds.js';
import type { NoticeFaultCode } from '../../domain/admin/notices/fault.js';
import { StampFault, type StampFaultCode } from '../../domain/records/stamps/fault.js';
import type { Clock } from '../../ports/machine.js';
import { AskFault, post } from '../http/ask.js';
import { noticeFaultOf, trustOf } from '../notices/connection.js';

export interface StampAuthority {
  readonly url: string;
  /** Of its server, over https:. */
  readonly caFile?: string | undefined;
}

/** Resolves to its answer, whatever it is. Rejects with a StampFault, or with the reason of the abort. */
export async function askAuthority(
  { url, caFile }: StampAuthority,
  request: Buffer,
  { clock, lookup }: { readonly clock: Pick<Clock, 'setTimer'>; readonly lookup: LookupFunction },
  signal: AbortSignal,
): Promise<Buffer> {
  try {
    const { status, body } = await post(
      url,
      { type: 'application/timestamp-query', body: request, lookup, trust: () => trustOf(caFile), signal },
      { clock, ms: bounds.stampMs, bytesMax: bounds.stampAnswerBytes, encoding: 'latin1' },
    );
    if (status === 200) return Buffer.from(body, 'latin1');
    throw new StampFault(status >= 300 && status < 400 ? 'redirected' : 'status', String(status));
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw cause instanceof StampFault ? cause : faultOf(cause);
  }
}

function faultOf(cause: unknown): StampFault {
  if (cause instanceof AskFault)
    return new StampFault(cause.code === 'late' ? 'timeout' : 'not-http', '', cause);
  const { code } = noticeFaultOf(cause);
  return new StampFault(ofConnection.find((each) => each === code) ?? 'internal', '', cause);
}

/** The same connection as that of a notice. */
const ofConnection = [
  'unknown-host',
  'connection-refused',
  'unreachable',
  'timeout',
  'tls-failed',
  'not-http',
  'ca-file',
] as const satisfies readonly (NoticeFaultCode & StampFaultCode)[];
