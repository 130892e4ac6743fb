// A server of HTTP on one socket, with or without TLS: for the admin endpoints, the socket of the page, and the page. It owns what of a
// request is the same for all of them: the connections, the bounds of a head and a body, the times, and how an answer is written. Nothing
// that a stranger sends takes memory or a place for long. A client that does not read what it asked for is closed. An answer that is not
// ended is never whole. Nothing that is asked here can delay a session, fail one, or end the daemon. To add a server: hand in limits,
// headers and `answer`, which says who may ask for what (routes.ts, source.ts).

import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { type Server as Acceptor, createServer as createAcceptor, type Socket } from 'node:net';
import { bounds } from '../../bounds/bounds.js';
import { unlessAborted } from '../../concurrency/abortable.js';
import { messageOf } from '../../ports/faults.js';
import type { Clock } from '../../ports/machine.js';
import type { TlsPeer } from '../../ports/transport.js';
import { type ConnectionLimits, Connections, type HttpPeer } from './connections.js';
import { pathOf } from './routes.js';

export interface HttpCall {
  readonly request: IncomingMessage;
  readonly path: string;
  readonly peer: HttpPeer;
  /** Undefined: it is longer. Rejects where the other side has gone. */
  readonly readBody: (bytesMax: number) => Promise<string | undefined>;
  /** Call it as soon as this may be answered: from then on the connection is not closed for a new one. `person`: whose it is. */
  readonly work: (person?: string) => void;
  /** Aborted when the other side has gone, and at the end of the answer. */
  readonly signal: AbortSignal;
}

/** One answer. Without `type` its headers have that. */
export interface HttpAnswer {
  readonly status: number;
  readonly type?: string;
  readonly body?: string | Buffer;
  /** After the body, each when the one before it has left; they end when the client has gone or reads nothing for too long. */
  readonly pieces?: AsyncIterable<string>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpLimits extends ConnectionLimits {
  /** Of the request line and all headers; and the number of headers. */
  readonly headBytesMax: number;
  readonly headFieldsMax: number;
  /** TLS, from accept to its end. */
  readonly handshakeMs: number;
  /** From the first byte on, or from accept; and between two requests. Of connections without `oneRequestMs`. */
  readonly kept?: { readonly headMs: number; readonly requestMs: number; readonly idleMs: number };
  /** How long a client may leave 64 KiB of an answer, or a piece of it, unread. */
  readonly unreadMs: number;
}

export type TextAnswer = HttpAnswer & { readonly type: string; readonly body: string };

export function plainAnswer(status: number, text: string): TextAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` };
}

/**
 * One request a connection, small, and soon over. Times are watched here: Node would watch a request, but not a client that does not read
 * the answer.
 */
export function shortLimits(oneRequestMs: number): HttpLimits {
  return {
    connectionsMax: bounds.adminConnections,
    pipelinedMax: 1,
    oneRequestMs,
    handshakeMs: oneRequestMs,
    headBytesMax: bounds.adminHeadBytes,
    headFieldsMax: bounds.adminHeadFields,
    unreadMs: bounds.adminUnreadMs,
  };
}

export interface HttpServerOptions {
  readonly clock: Clock;
  readonly limits: HttpLimits;
  /** Puts the server on its socket. What it returns stops accepting. */
  readonly bind: (server: Acceptor) => Promise<{ close(): Promise<void> }>;
  /** Runs the TLS handshake over what was accepted. Rejects, and has destroyed the socket, where it fails. */
  readonly secure?: (
    plain: Socket,
  ) => Promise<{ readonly socket: Socket; readonly peer: TlsPeer | undefined }>;
  /** On every answer. */
  readonly headers: Readonly<Record<string, string>>;
  readonly refusal: (status: number, text: string) => HttpAnswer;
  readonly answer: (call: HttpCall) => Promise<HttpAnswer>;
  readonly onMalformed?: (call: HttpCall) => void;
  readonly onError: (text: string) => void;
}

/** Serves until it is closed, which ends all of it at once. Rejects with what `bind` rejects with. */
export async function openHttpServer(options: HttpServerOptions): Promise<{ close(): Promise<void> }> {
  const connections = new Connections(options.clock, options.limits);
  const bound = await options.bind(serverOf(options, connections));
  return {
    async close() {
      await bound.close();
      connections.end();
    },
  };
}

/** Without `secure` the server of HTTP accepts by itself; else it gets what came through the handshake. */
function serverOf(options: HttpServerOptions, connections: Connections): Acceptor {
  const { clock, limits, secure } = options;
  const { headBytesMax, headFieldsMax, handshakeMs, kept, oneRequestMs } = limits;
  /** What TLS runs over: the connection that is counted. */
  const below = new WeakMap<Socket, Socket>();
  const answering = new WeakSet<object>();
  const server = createServer(
    {
      maxHeaderSize: headBytesMax,
      headersTimeout: kept?.headMs ?? 0,
      requestTimeout: kept?.requestMs ?? 0,
      keepAliveTimeout: kept?.idleMs ?? 0,
      connectionsCheckingInterval: 1_000,
      // Whatever the process was started with.
      insecureHTTPParser: false,
    },
    (request, response) => {
      const { socket } = request;
      answering.add(socket);
      response.once('close', () => answering.delete(socket));
      // Not awaited by anybody: it never rejects.
      void serve(request, response, below.get(socket) ?? socket, options, connections);
    },
  );
  // Node leaves out in silence what is beyond its maximum: one more is read, and refused.
  server.maxHeadersCount = headFieldsMax + 1;
  if (oneRequestMs !== undefined) server.maxRequestsPerSocket = 1;
  server.on('clientError', (fault, socket) => {
    // In the middle of another answer it would be taken for a part of that.
    if (socket.writable && !answering.has(socket)) socket.write(unreadText(fault, options));
    socket.destroy();
  });
  // Unheard, an error would end the process; the socket is gone then.
  server.on('connection', (socket) => socket.on('error', () => undefined));
  if (secure === undefined) return server.on('connection', (socket) => connections.accepted(socket));
  // It listens nowhere, and Node watches over the times of requests from this event on only.
  server.emit('listening');
  const acceptor = createAcceptor((plain) => {
    plain.on('error', () => undefined);
    const timer = clock.setTimer(handshakeMs, () => plain.destroy());
    connections.accepted(plain);
    // Strangers fail here all the time; the socket is gone then.
    void secure(plain).then(
      ({ socket, peer }) => {
        timer.cancel();
        below.set(socket, plain);
        if (connections.secured(plain, peer)) server.emit('connection', socket);
        else plain.destroy();
      },
      () => timer.cancel(),
    );
  });
  return acceptor.once('close', () => server.close());
}

/** For what is no request: Node's parser did not take it, or it did not come in time. */
function unreadText(fault: NodeJS.ErrnoException, { headers, refusal, limits }: HttpServerOptions): string {
  const texts = {
    400: 'this is no request of HTTP/1.1 as this server takes it',
    408: 'the request did not come in time; send it again',
    431: `address and headers of this request are longer than ${limits.headBytesMax / 1024} KiB; ask for less at once`,
  };
  const status = statusOfUnread(fault);
  const { type, body, ...more } = refusal(status, texts[status]);
  return lastAnswer(status, { ...headers, ...more.headers, 'Content-Type': type }, body?.toString());
}

/** By the code of Node. */
export function statusOfUnread({ code }: NodeJS.ErrnoException): 400 | 408 | 431 {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}

/** A whole answer as bytes, for a connection that ends with it. */
export function lastAnswer(
  status: number,
  headers: Readonly<Record<string, string | undefined>>,
  body = '',
): string {
  const fields = { ...headers, 'Content-Length': Buffer.byteLength(body), Connection: 'close' };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`;
}

/** Where Node hands on more of them than a server takes. */
export function hasManyFields({ rawHeaders }: IncomingMessage, fieldsMax: number): boolean {
  return rawHeaders.length > 2 * fieldsMax;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  connection: Socket,
  options: HttpServerOptions,
  connections: Connections,
): Promise<void> {
  const gone = new AbortController();
  const { signal } = gone;
  const done = connections.began(connection, gone);
  const path = pathOf(request);
  response.on('error', () => undefined);
  response.once('close', () => {
    done();
    gone.abort(new Error('the client has gone'));
  });
  const come = (): void => connections.become(connection, 'asked');
  if (!hasBody(request)) come();
  const call: HttpCall = {
    request,
    path,
    peer: connections.peerOf(connection),
    readBody: (bytesMax) => readBody(request, bytesMax, signal).finally(come),
    work(person) {
      if (person !== undefined) connections.known(connection, person);
      connections.become(connection, 'working');
    },
    signal,
  };
  const send = async (answer: HttpAnswer): Promise<void> => {
    setHead(request, response, answer, options);
    if (options.limits.oneRequestMs !== undefined && answer.pieces === undefined) {
      response.end(answer.body);
      return connections.become(connection, 'answered');
    }
    connections.prolong(connection);
    if (answer.pieces !== undefined) response.flushHeaders();
    await sendPieces(response, piecesOf(answer, signal), options, signal);
  };
  try {
    const { headFieldsMax } = options.limits;
    if (hasManyFields(request, headFieldsMax)) {
      options.onMalformed?.(call);
      return await send(options.refusal(431, `a request has at most ${headFieldsMax} headers`));
    }
    await send(await options.answer(call));
  } catch (fault) {
    if (signal.aborted) return;
    options.onError(`${path.slice(0, 200)}: ${messageOf(fault)}`);
    if (response.headersSent) request.socket.destroy();
    else await send(options.refusal(500, 'this failed; the log of dovegate says why'));
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Undefined: it is longer. Rejects where the client has gone. */
function readBody(
  request: IncomingMessage,
  bytesMax: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onGone = (): void => reject(signal.reason);
    signal.addEventListener('abort', onGone, { once: true });
    // What is too much is read on, and forgotten.
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) chunks.push(chunk);
      else resolve(undefined);
    });
    request.once('error', reject);
    request.once('end', () => {
      signal.removeEventListener('abort', onGone);
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
  });
}

/** Later headers of a name count. */
function setHead(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body = '', pieces, headers }: HttpAnswer,
  options: HttpServerOptions,
): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries({ ...options.headers, ...headers }))
    response.setHeader(name, value);
  if (type !== undefined) response.setHeader('Content-Type', type);
  if (pieces === undefined) response.setHeader('Content-Length', Buffer.byteLength(body));
  // What is left of a request that was refused early is not read: the connection ends with the answer.
  if (options.limits.oneRequestMs !== undefined || (!request.complete && hasBody(request)))
    response.shouldKeepAlive = false;
}

const sliceBytes = 64 * 1024;

/** Of a long body, slices: a client gets its time for each of them, so that a slow line is no reason to cut it. */
async function* piecesOf(
  { body = '', pieces }: HttpAnswer,
  signal: AbortSignal,
): AsyncGenerator<string | Buffer> {
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    // Each is asked for when the one before it has left.
    yield await Promise.resolve(bytes.subarray(at, at + sliceBytes));
  }
  if (pieces !== undefined) yield* piecesUntil(signal, pieces);
}

/** The pieces until the signal is aborted, whatever makes them. */
export async function* piecesUntil(
  signal: AbortSignal,
  pieces: AsyncIterable<string>,
): AsyncGenerator<string> {
  const iterator = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await unlessAborted(iterator.next(), signal);
      if (next === undefined || next.done === true) return;
      yield next.value;
    }
  } finally {
    // It may be in the middle of something; its end is its own matter.
    void iterator.return?.().catch(() => undefined);
  }
}

/** Each piece is written when the one before it has left, so no more than one of them waits here. */
async function sendPieces(
  response: ServerResponse,
  pieces: AsyncIterable<string | Buffer>,
  { clock, limits }: HttpServerOptions,
  signal: AbortSignal,
): Promise<void> {
  for await (const piece of pieces) {
    if (response.write(piece) || (await drained(response, clock, limits.unreadMs, signal))) continue;
    response.destroy();
    return;
  }
  if (!signal.aborted) response.end();
}

/** False: the client did not read for too long, or has gone. */
function drained(
  response: ServerResponse,
  clock: Clock,
  unreadMs: number,
  signal: AbortSignal,
): Promise<boolean> {
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
