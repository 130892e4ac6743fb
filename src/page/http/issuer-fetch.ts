// Requests to the issuer of OpenID Connect, for the library: Node's own `fetch` cannot be given authorities. They use TLS with the
// authorities of `ca`, or the system's, and plain HTTP on loopback only. No redirect is followed, and every answer is bounded.

import { urlToHttpOptions } from 'node:url';
import { bounds } from '../../host/bounds/bounds.js';
import { ask } from '../../host/http/ask.js';
import { systemClock } from '../../host/machine/clock.js';
import { systemContext } from '../../host/machine/system-trust.js';
import { messageOf, systemCodeOf } from '../../host/ports/faults.js';
import { isOfThisMachine } from '../../host/ports/peer.js';

export interface IssuerRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** No answer of the issuer; the message is a sentence for people. */
export class IssuerAwayFault extends Error {
  constructor(host: string, why: string, cause?: unknown) {
    super(`${host}: ${why}`, { cause });
  }
}

/** Whether requests may go to this address: `https`, or `http` on loopback. */
export function isSafeAddress({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isOfThisMachine(hostname.replace(/^\[|\]$/g, '')));
}

/** `ca`: PEM; undefined: the system's list. */
export function createIssuerFetch(ca: string | undefined) {
  return async (address: string, { method, headers, body, signal }: IssuerRequest): Promise<Response> => {
    const url = new URL(address);
    const text = body instanceof URLSearchParams ? body.toString() : '';
    if (!isSafeAddress(url)) throw new IssuerAwayFault(url.host, 'its address is without https');
    try {
      const options = {
        ...urlToHttpOptions(url),
        method,
        headers: { ...headers, ...(text !== '' && { 'content-length': Buffer.byteLength(text) }) },
        agent: false,
        maxHeaderSize: 16 * 1024,
        ...(signal !== undefined && { signal }),
        minVersion: 'TLSv1.2',
        // In a list: for an empty text alone, Node would use its own authorities.
        ...(url.protocol === 'http:'
          ? {}
          : ca === undefined
            ? { secureContext: systemContext() }
            : { ca: [ca] }),
      } as const;
      const limits = { clock: systemClock, bytesMax: 256 * 1024 };
      const { status, type, body: read } = await ask(options, text, limits);
      // Responses with these statuses have no body.
      const isEmpty = [204, 205, 304].includes(status);
      return new Response(isEmpty ? null : read, { status, headers: { 'content-type': type } });
    } catch (cause) {
      throw faultOf(url.host, cause, signal);
    }
  };
}

function faultOf(host: string, cause: unknown, signal: AbortSignal | undefined): IssuerAwayFault {
  if (cause instanceof IssuerAwayFault) return cause;
  if (signal?.aborted === true)
    return new IssuerAwayFault(host, `no answer within ${bounds.oidcRequestMs / 1000} s`, cause);
  // If several addresses were tried, Node's error has no message.
  return new IssuerAwayFault(host, messageOf(cause) || systemCodeOf(cause) || 'no connection', cause);
}
