// Requests to the issuer of OpenID Connect, for the library: Node's own `fetch` cannot be given authorities. They use TLS with the
// authorities of `ca`, or the system's, and plain HTTP on loopback only. No redirect is followed, and every answer is bounded.

import { type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import { bounds } from '../../bounds/bounds.js';
import { isOfThisMachine } from '../../domain/identity/peer.js';
import { messageOf, systemCodeOf } from '../../ports/faults.js';
import { systemContext } from '../host/system-trust.js';

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
  return (address: string, { method, headers, body, signal }: IssuerRequest): Promise<Response> => {
    const url = new URL(address);
    const { host } = url;
    const text = body instanceof URLSearchParams ? body.toString() : '';
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => reject(faultOf(host, cause, signal));
      if (!isSafeAddress(url)) return fail(new IssuerAwayFault(host, 'its address is without https'));
      try {
        const options = {
          method,
          headers: { ...headers, ...(text !== '' && { 'content-length': Buffer.byteLength(text) }) },
          agent: false,
          maxHeaderSize: bounds.oidcHeadBytes,
          ...(signal !== undefined && { signal }),
        } as const;
        // In a list: for an empty text alone, Node would use its own authorities.
        const trust = ca === undefined ? { secureContext: systemContext() } : { ca: [ca] };
        const asked =
          url.protocol === 'http:'
            ? requestPlain(url, options)
            : requestSecure(url, { ...options, minVersion: 'TLSv1.2', ...trust });
        asked.once('error', fail);
        // There is neither an answer nor an error then.
        asked.once('upgrade', (_answer, socket) => {
          fail(new IssuerAwayFault(host, 'it switches to another protocol'));
          socket.destroy();
        });
        let informed = 0;
        asked.on('information', () => {
          informed += 1;
          if (informed > bounds.informationalAnswers)
            asked.destroy(new IssuerAwayFault(host, 'it sends no answer, only notes before it'));
        });
        asked.once('response', (answer) => {
          const pieces: Buffer[] = [];
          let bytes = 0;
          answer.on('data', (piece: Buffer) => {
            bytes += piece.length;
            if (bytes <= bounds.oidcReplyBytes) {
              pieces.push(piece);
              return;
            }
            fail(new IssuerAwayFault(host, `an answer has more than ${bounds.oidcReplyBytes} bytes`));
            asked.destroy();
          });
          answer.once('error', fail);
          answer.once('end', () => {
            try {
              resolve(responseOf(answer, Buffer.concat(pieces)));
            } catch (cause) {
              fail(cause);
            }
          });
        });
        asked.end(text);
      } catch (cause) {
        fail(cause);
      }
    });
  };
}

function responseOf({ statusCode = 500, headers }: IncomingMessage, body: Buffer): Response {
  // Those of these numbers have no body.
  const isEmpty = [204, 205, 304].includes(statusCode);
  return new Response(isEmpty ? null : body, {
    status: statusCode,
    headers: { 'content-type': headers['content-type'] ?? '' },
  });
}

function faultOf(host: string, cause: unknown, signal: AbortSignal | undefined): IssuerAwayFault {
  if (cause instanceof IssuerAwayFault) return cause;
  if (signal?.aborted === true)
    return new IssuerAwayFault(host, `no answer within ${bounds.oidcRequestMs / 1000} s`, cause);
  // Of several addresses that were tried, Node has no message.
  return new IssuerAwayFault(host, messageOf(cause) || systemCodeOf(cause) || 'no connection', cause);
}
