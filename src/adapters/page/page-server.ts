// The page over HTTP: a server on one socket, what of HTTP it takes, and how long it waits for whom.
// The rules: nothing that a stranger sends takes memory or a place for long; a client that does not read what it asked for is closed;
// nobody is asked who they are before the request may come at all; nothing that is asked here can delay a session, or end the daemon.

import { X509Certificate } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { type Server as Acceptor, createServer as createAcceptor, type Socket } from 'node:net';
import { bounds } from '../../bounds/bounds.js';
import type { Endpoint } from '../../domain/page/api.js';
import { messageOf } from '../../ports/faults.js';
import type { Clock } from '../../ports/machine.js';
import type { TlsPeer } from '../../ports/transport.js';
import { pathOf } from '../http/routes.js';
import type { SourcePlace } from '../http/source.js';
import { bearerOf, endpointAt, refuseSource, type SourceRefusal } from './page-access.js';
import { PageConnections, type PagePeer } from './page-connections.js';
import { type PageReply, piecesUntil, refusedReply } from './page-request.js';

export { type PagePeer, pageConnectionsMax } from './page-connections.js';
export { createPageSessions, type PageSession, type PageSessions } from './page-sessions.js';

/** A request for an endpoint; who asks is not known yet. */
export interface PageCall {
  readonly endpoint: Endpoint;
  readonly params: readonly string[];
  readonly token: string | undefined;
  readonly peer: PagePeer;
  /** Undefined: it is too long. Rejects where the other side has gone. */
  readonly readBody: () => Promise<string | undefined>;
  /** To be called as soon as it is known who asks: strangers give way to people, and who has many connections to who has few. */
  readonly known: (person: string) => void;
  /** Aborted when the other side has gone. */
  readonly signal: AbortSignal;
}

/** A file of the page. */
export interface ServedFile {
  readonly body: Buffer;
  readonly gzip?: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

export interface PageServerOptions {
  readonly clock: Clock;
  readonly place: SourcePlace;
  /** Puts the server on its socket. What it returns stops accepting. */
  readonly bind: (server: Acceptor) => Promise<{ close(): Promise<void> }>;
  /** Runs the TLS handshake over what was accepted. Rejects, and has destroyed the socket, where it fails. */
  readonly secure?: (
    plain: Socket,
  ) => Promise<{ readonly socket: Socket; readonly peer: TlsPeer | undefined }>;
  readonly files: { find(path: string): ServedFile | undefined };
  readonly bodyBytesMax: number;
  readonly answer: (call: PageCall) => Promise<PageReply>;
  /** Told of requests that may not come; `what` has what was wrong, as it was sent. */
  readonly onRefused: (why: SourceRefusal, peer: PagePeer, what: string) => void;
  /** Told of a bug of ours. */
  readonly onError: (text: string) => void;
}

/** Of the request line and all headers. */
const headerBytesMax = bounds.pageHeadBytes;
const headersMax = bounds.pageHeadFields;
/** TLS, from accept to its end. */
const handshakeMs = bounds.pageHandshakeMs;
/** From the first byte on, or from accept. */
const headersMs = bounds.pageHeadMs;
const requestMs = bounds.pageRequestMs;
/** Between two requests. */
const idleMs = bounds.pageIdleMs;
/** How long a client may leave an answer, or a piece of one, unread. */
const unreadMs = bounds.pageUnreadMs;
const sliceBytes = 64 * 1024;

/** On every answer. */
const safeHeaders: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};
/** Of an answer that is no file of the page: nothing in it is ever run or shown in a frame. */
const dataHeaders: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
};

const refusalReplies: Readonly<Record<SourceRefusal, PageReply>> = {
  malformed: refusedReply(400, 'a header of this request came twice'),
  'wrong-host': refusedReply(
    421,
    'the name in the address bar is not a name of this server; take the one in admin.page.tcp or in its certificate',
  ),
  'wrong-origin': refusedReply(403, 'not from a page of another origin'),
  'cross-site': refusedReply(403, 'not from a page of another site'),
};

/** `OPTIONS *`, or the address of another server, as a proxy gets it. */
const noPathReply = refusedReply(400, 'what is asked for must be a path, as /trail');
/** By the codes of Node, of what has no request: its parser did not take it, or it did not come in time. */
const unreadReplies: Readonly<Record<string, PageReply>> = {
  HPE_HEADER_OVERFLOW: refusedReply(
    431,
    'address and headers of this request are longer than 8 KiB; search for a shorter value',
  ),
  ERR_HTTP_REQUEST_TIMEOUT: refusedReply(408, 'the request did not come in time; send it again'),
};
const manyHeadersReply = refusedReply(431, `a request has at most ${headersMax} headers`);
const unreadReply = refusedReply(400, 'this is no request of HTTP/1.1 as this server takes it');

/**
 * Where the page is: the names of the socket and of the certificate are ours. A certificate answers for its names, so with TLS no page can make
 * a name of its own point here; without TLS there is loopback only.
 */
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

/** The address that a browser is told: of a socket at all addresses, the name of this host. */
export function pageAddress(
  { host, port }: { readonly host: string; readonly port: number },
  hasTls: boolean,
  hostName: string,
): string {
  const isAny = host === '::' || /^0(\.0){0,3}$/.test(host);
  const name = isAny ? hostName : host.includes(':') ? `[${host}]` : host;
  return `${hasTls ? 'https' : 'http'}://${name}:${port}`;
}

/** Serves until it is closed. Rejects with what `bind` rejects with. */
export async function openPageServer(options: PageServerOptions): Promise<{ close(): Promise<void> }> {
  const connections = new PageConnections();
  const bound = await options.bind(serverOf(options, connections));
  return {
    async close() {
      await bound.close();
      connections.end();
    },
  };
}

function serverOf(options: PageServerOptions, connections: PageConnections): Acceptor {
  const { secure } = options;
  const limits = {
    maxHeaderSize: headerBytesMax,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: 1_000,
    insecureHTTPParser: false,
  };
  const answering = new WeakSet<object>();
  const server = createServer(limits, (request, response) => {
    answering.add(request.socket);
    response.once('close', () => answering.delete(request.socket));
    // Not awaited by anybody: it never rejects.
    void serveRequest(request, response, options, connections);
  });
  // Node leaves out in silence what is beyond its maximum: one more is read, and refused.
  server.maxHeadersCount = headersMax + 1;
  server.on('clientError', (fault: NodeJS.ErrnoException, socket) => {
    // In the middle of another answer it would be taken for a part of that.
    if (socket.writable && !answering.has(socket))
      socket.write(unreadText(unreadReplies[fault.code ?? ''] ?? unreadReply));
    socket.destroy();
  });
  // Unheard, an error would end the process; the socket is gone then.
  server.on('connection', (socket) => socket.on('error', () => undefined));
  if (secure === undefined) return server.on('connection', (socket) => connections.accepted(socket, socket));
  // It listens nowhere, and Node watches over the times of requests from this event on only.
  server.emit('listening');
  const acceptor = createAcceptor((plain) => {
    plain.on('error', () => undefined);
    const timer = options.clock.setTimer(handshakeMs, () => plain.destroy());
    connections.accepted(plain, plain);
    void secure(plain).then(
      ({ socket, peer }) => {
        timer.cancel();
        connections.secured(plain, socket, peer);
        server.emit('connection', socket);
      },
      () => timer.cancel(),
    );
  });
  return acceptor.once('close', () => server.close());
}

/** A whole answer as bytes, for a connection that ends with it. */
function unreadText(reply: PageReply): string {
  const body = 'body' in reply ? reply.body : '';
  const headers = { 'Content-Type': reply.type, ...safeHeaders, ...dataHeaders, Connection: 'close' };
  const lines = Object.entries({ ...headers, 'Content-Length': String(Buffer.byteLength(body)) });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status]}\r\n${head}\r\n${body}`;
}

async function serveRequest(
  request: IncomingMessage,
  response: ServerResponse,
  options: PageServerOptions,
  connections: PageConnections,
): Promise<void> {
  const gone = new AbortController();
  const done = connections.asked(request.socket, gone);
  response.once('close', () => {
    done();
    gone.abort(new Error('the client has gone'));
  });
  response.on('error', () => undefined);
  const path = pathOf(request);
  try {
    const peer = connections.peerOf(request.socket);
    const isApi = path === '/api' || path.startsWith('/api/');
    const isOurs = path.startsWith('/');
    const refused = isOurs ? refuseSource(options.place, request.headersDistinct, isApi) : 'malformed';
    if (request.rawHeaders.length > 2 * headersMax) {
      options.onRefused('malformed', peer, toldOf(request));
      return await send(request, response, manyHeadersReply, options.clock, gone.signal);
    }
    if (refused !== undefined) {
      options.onRefused(refused, peer, toldOf(request));
      const reply = isOurs ? refusalReplies[refused] : noPathReply;
      return await send(request, response, reply, options.clock, gone.signal);
    }
    if (!isApi)
      return await sendFile(request, response, options.files.find(path), options.clock, gone.signal);
    const reply = await answerCall(request, path, peer, options, connections, gone.signal);
    await send(request, response, reply, options.clock, gone.signal);
  } catch (fault) {
    if (gone.signal.aborted) return;
    options.onError(`${path.slice(0, 200)}: ${messageOf(fault)}`);
    if (response.headersSent) request.socket.destroy();
    else
      await send(
        request,
        response,
        refusedReply(500, 'this failed; the log of dovegate says why'),
        options.clock,
        gone.signal,
      );
  }
}

function answerCall(
  request: IncomingMessage,
  path: string,
  peer: PagePeer,
  options: PageServerOptions,
  connections: PageConnections,
  signal: AbortSignal,
): Promise<PageReply> {
  const found = endpointAt(request.method ?? '', path);
  if (found === undefined) return Promise.resolve(refusedReply(404, 'there is nothing here'));
  if (found.kind === 'method')
    return Promise.resolve({
      ...refusedReply(405, `${found.method} only`),
      headers: { Allow: found.method },
    });
  return options.answer({
    endpoint: found.endpoint,
    params: found.params,
    token: bearerOf(request.headersDistinct),
    peer,
    readBody: () => readBody(request, options.bodyBytesMax, signal),
    known: (person) => connections.known(request.socket, person),
    signal,
  });
}

/** The headers that say where a request comes from, cut short. */
function toldOf({ headersDistinct, method = '' }: IncomingMessage): string {
  const told = ['host', 'origin', 'sec-fetch-site'].flatMap((name) =>
    (headersDistinct[name] ?? []).map((value) => `${name}=${value.slice(0, 100)}`),
  );
  return [method, ...told].join(' ');
}

/** Undefined: it is longer. Rejects where the client has gone. */
function readBody(
  request: IncomingMessage,
  bytesMax: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onGone = (): void => reject(signal.reason);
    signal.addEventListener('abort', onGone, { once: true });
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) chunks.push(chunk);
      else resolve(undefined);
    });
    request.once('error', reject);
    request.once('end', () => {
      signal.removeEventListener('abort', onGone);
      resolve(bytes > bytesMax ? undefined : Buffer.concat(chunks).toString('utf8'));
    });
  });
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  reply: PageReply,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  // What is left of a request that was refused early is not read: the connection ends with the answer.
  const close = request.complete || !hasBody(request) ? {} : { Connection: 'close' };
  const headers = { 'Content-Type': reply.type, ...safeHeaders, ...dataHeaders, ...close };
  if ('pieces' in reply) {
    response.writeHead(reply.status, { ...headers, 'Cache-Control': 'no-store, no-transform' });
    response.flushHeaders();
    return sendPieces(response, piecesUntil(signal, reply.pieces), clock, signal);
  }
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, { ...headers, 'Content-Length': body.length, ...reply.headers });
  await sendPieces(response, slicesOf(body), clock, signal);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Each piece is written when the one before it has left, so no more than one of them waits here. */
async function sendPieces(
  response: ServerResponse,
  pieces: AsyncIterable<string | Buffer>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for await (const piece of pieces) {
    if (response.write(piece) || (await drained(response, clock, signal))) continue;
    response.destroy();
    return;
  }
  if (!signal.aborted) response.end();
}

/** Of a long answer: a client gets its time for each of them, so that a slow line is no reason to cut it. */
async function* slicesOf(body: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += sliceBytes) {
    // Each is asked for when the one before it has left.
    yield await Promise.resolve(body.subarray(at, at + sliceBytes));
  }
}

/** False: the client did not read for too long, or has gone. */
function drained(response: ServerResponse, clock: Clock, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(unreadMs, () => settle(false));
    const onDrain = (): void => settle(true);
    const onAbort = (): void => settle(false);
    function settle(isDrained: boolean): void {
      timer.cancel();
      response.off('drain', onDrain);
      signal.removeEventListener('abort', onAbort);
      resolve(isDrained);
    }
    response.once('drain', onDrain);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) settle(false);
  });
}

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  file: ServedFile | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const reply = { ...refusedReply(405, 'GET only'), headers: { Allow: 'GET, HEAD' } };
    return send(request, response, reply, clock, signal);
  }
  if (file === undefined)
    return send(request, response, refusedReply(404, 'there is nothing here'), clock, signal);
  const accepts = request.headersDistinct['accept-encoding']?.join() ?? '';
  const isZipped = file.gzip !== undefined && /\bgzip\b(?!\s*;\s*q=0)/.test(accepts);
  const body = isZipped ? (file.gzip ?? file.body) : file.body;
  response.writeHead(200, {
    ...safeHeaders,
    ...file.headers,
    Vary: 'Accept-Encoding',
    ...(isZipped && { 'Content-Encoding': 'gzip' }),
    'Content-Length': body.length,
  });
  if (request.method === 'HEAD') response.end();
  else await sendPieces(response, slicesOf(body), clock, signal);
}
