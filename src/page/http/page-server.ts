// The page over HTTP: its files and endpoints, and which requests are accepted. Checks host and origin before it identifies the sender.

import { X509Certificate } from 'node:crypto';
import { askedBytesMax } from '../../evidence/views/look.js';
import { bounds } from '../../host/bounds/bounds.js';
import type { HttpPeer } from '../../host/http/connections.js';
import {
  type HttpAnswer,
  type HttpCall,
  type HttpLimits,
  type HttpServerOptions,
  openHttpServer,
} from '../../host/http/server.js';
import type { SourcePlace } from '../../host/http/source.js';
import { type Endpoint, endpointRow } from '../answers/endpoints.js';
import { bearerOf, endpointAt, refuseSource, type SourceRefusal } from './page-access.js';
import { type PageReply, refusedReply } from './page-request.js';
import { peopleMax } from './page-sessions.js';

/** A request for an endpoint; its sender is not identified yet. */
export interface PageCall {
  readonly endpoint: Endpoint;
  readonly params: readonly string[];
  readonly token: string | undefined;
  readonly origin: string;
  readonly peer: HttpPeer;
  /** Undefined: it is too long. Rejects if the client has gone. */
  readonly readBody: () => Promise<string | undefined>;
  /** Call as soon as the person is known: connections of strangers are closed before those of people. */
  readonly known: (person: string) => void;
  readonly signal: AbortSignal;
}

/** A request for the report of one mailbox, by the token for it. */
export interface OwnerCall extends Pick<PageCall, 'token' | 'peer' | 'known' | 'signal'> {
  /** The query of its target, as it was sent. */
  readonly query: string;
  readonly accept: string;
}

/** The same path as on the gate's own listeners, where the token for it is made. */
const ownerPath = '/dovegate/v1/mailbox-report';

export interface ServedFile {
  readonly body: Buffer;
  readonly gzip?: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

export interface PageServerOptions extends Pick<HttpServerOptions, 'clock' | 'bind' | 'secure' | 'onError'> {
  readonly place: SourcePlace;
  readonly files: { find(path: string): ServedFile | undefined };
  readonly answer: (call: PageCall) => Promise<PageReply>;
  readonly answerOwner: (call: OwnerCall) => Promise<PageReply>;
  /** Called for a refused request; `what`: the headers that say where it comes from. */
  readonly onRefused: (why: SourceRefusal, peer: HttpPeer, what: string) => void;
}

/** A browser opens some six connections at most; the rest is for people who are signing in. */
export const pageConnectionsMax = bounds.pageConnections;

const limits: HttpLimits = {
  connectionsMax: pageConnectionsMax,
  // The even share of one person.
  personConnectionsMax: pageConnectionsMax / peopleMax,
  pipelinedMax: 4,
  handshakeMs: 5_000,
  kept: { headMs: 5_000, requestMs: 15_000, idleMs: 15_000 },
  headBytesMax: 8 * 1024,
  headFieldsMax: bounds.pageHeadFields,
  unreadMs: bounds.pageUnreadMs,
};

/** Sent with every answer. */
const safeHeaders: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};
/** Sent with answers that are not files of the page: browsers run nothing in them, and show them in no frame. */
const dataHeaders: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
};

const refusals: Readonly<Record<SourceRefusal, readonly [status: number, text: string]>> = {
  malformed: [400, 'a header of this request came twice'],
  'wrong-host': [
    421,
    'the name in the address bar is not a name of this server; take the one in admin.page.tcp or in its certificate',
  ],
  'wrong-origin': [403, 'not from a page of another origin'],
  'cross-site': [403, 'not from a page of another site'],
};

/** With TLS, own names are those of the certificate, so DNS rebinding fails; without TLS, the page is on loopback only. */
export function pagePlace(
  host: string,
  hasTls: boolean,
  chain: () => string | undefined,
): Required<SourcePlace> {
  let read: { readonly chain: string; readonly certificate: X509Certificate } | undefined;
  return {
    hasTls,
    isOwnName(name) {
      if (name === host.toLowerCase()) return true;
      const now = hasTls ? chain() : undefined;
      if (now === undefined) return false;
      if (read?.chain !== now) read = { chain: now, certificate: new X509Certificate(now) };
      return read.certificate.checkHost(name) !== undefined;
    },
  };
}

/** The address for browsers; of a socket at all addresses, with the name of this host. */
export function pageAddress(
  { host, port }: { readonly host: string; readonly port: number },
  hasTls: boolean,
  hostName: string,
): string {
  const isAny = host === '::' || /^0(\.0){0,3}$/.test(host);
  const name = isAny ? hostName : host.includes(':') ? `[${host}]` : host;
  return `${hasTls ? 'https' : 'http'}://${name}:${port}`;
}

/** Serves until `close`. Rejects as `bind` does. */
export function openPageServer(options: PageServerOptions): Promise<{ close(): Promise<void> }> {
  const { clock, bind, secure, onError, onRefused } = options;
  return openHttpServer({
    clock,
    limits,
    bind,
    ...(secure && { secure }),
    headers: safeHeaders,
    refusal,
    answer: (call) => answerRequest(call, options),
    onMalformed: ({ request, peer }) => onRefused('malformed', peer, toldOf(request)),
    onError,
  });
}

/** An answer that is not a file of the page. */
function data(reply: PageReply): HttpAnswer {
  // A proxy must not transform a stream.
  const more = 'pieces' in reply ? { 'Cache-Control': 'no-store, no-transform' } : reply.headers;
  return { ...reply, headers: { ...dataHeaders, ...more } };
}

function refusal(status: number, text: string, headers = {}): HttpAnswer {
  return data({ ...refusedReply(status, text), headers });
}

async function answerRequest(call: HttpCall, options: PageServerOptions): Promise<HttpAnswer> {
  const { request, path, peer, signal } = call;
  const { method = '', headersDistinct } = request;
  const isOwners = path === ownerPath;
  const isApi = isOwners || path === '/api' || path.startsWith('/api/');
  const isPath = path.startsWith('/');
  const refused = isPath ? refuseSource(options.place, headersDistinct, isApi) : 'malformed';
  if (refused !== undefined) {
    options.onRefused(refused, peer, toldOf(request));
    // Not a path: `OPTIONS *`, or a full URL as sent to a proxy.
    return isPath
      ? refusal(...refusals[refused])
      : refusal(400, 'what is asked for must be a path, as /trail');
  }
  if (isOwners) {
    if (method !== 'GET') return refusal(405, 'GET only', { Allow: 'GET' });
    const query = (request.url ?? '').split('?').slice(1).join('?');
    const accept = headersDistinct['accept']?.join() ?? '';
    const asked = { query, accept, token: bearerOf(headersDistinct), peer, known: call.work, signal };
    return data(await options.answerOwner(asked));
  }
  if (!isApi) return fileAnswer(request, options.files.find(path));
  const found = endpointAt(method, path);
  if (found === undefined) return refusal(404, 'there is nothing here');
  if (found.kind === 'method') return refusal(405, `${found.method} only`, { Allow: found.method });
  const { endpoint, params } = found;
  const token = bearerOf(headersDistinct);
  const readBody = (): Promise<string | undefined> =>
    call.readBody(endpointRow(endpoint).bodyBytesMax ?? askedBytesMax);
  const origin = `${options.place.hasTls ? 'https' : 'http'}://${headersDistinct['host']?.[0] ?? ''}`;
  const asked = { endpoint, params, token, origin, peer, readBody, known: call.work, signal };
  return data(await options.answer(asked));
}

/** The headers that say where a request comes from, cut short. */
function toldOf({ headersDistinct, method = '' }: HttpCall['request']): string {
  const told = ['host', 'origin', 'sec-fetch-site'].flatMap((name) =>
    (headersDistinct[name] ?? []).map((value) => `${name}=${value.slice(0, 100)}`),
  );
  return [method, ...told].join(' ');
}

function fileAnswer(
  { method, headersDistinct }: HttpCall['request'],
  file: ServedFile | undefined,
): HttpAnswer {
  if (method !== 'GET' && method !== 'HEAD') return refusal(405, 'GET only', { Allow: 'GET, HEAD' });
  if (file === undefined) return refusal(404, 'there is nothing here');
  const accepts = headersDistinct['accept-encoding']?.join() ?? '';
  const isZipped = file.gzip !== undefined && /\bgzip\b(?!\s*;\s*q=0)/.test(accepts);
  const headers = {
    ...file.headers,
    Vary: 'Accept-Encoding',
    ...(isZipped && { 'Content-Encoding': 'gzip' }),
  };
  return { status: 200, body: isZipped ? (file.gzip ?? file.body) : file.body, headers };
}
