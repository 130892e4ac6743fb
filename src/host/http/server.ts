// A server of HTTP on one socket, with or without TLS: for the admin endpoints, the socket of the page, and the page. It owns what is the
// same for all requests: connections, limits of head and body, times, and how an answer is written. A client that does not read its answer
// is disconnected, and an answer that is not ended is never whole. No request can delay or fail a session, or end the daemon. To add a
// server: pass limits, headers and `answer`, which decides who may ask for what (routes.ts, source.ts).

import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { type Server as Acceptor, createServer as createAcceptor, type Socket } from 'node:net';
import { bounds } from '../bounds/bounds.js';
import { unlessAborted } from '../concurrency/abortable.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import type { TlsPeer } from '../ports/transport.js';
import { type ConnectionLimits, Connections, type HttpPeer } from './connections.js';
import { pathOf } from './routes.js';

export interface HttpCall {
  readonly request: IncomingMessage;
  readonly path: string;
  readonly peer: HttpPeer;
  /** Undefined: it is too long. Rejects if the client has gone. */
  readonly readBody: (bytesMax: number) => Promise<string | undefined>;
  /** Call as soon as the request may be answered: from then on the connection is not closed for a new one. `person`: its owner. */
  readonly work: (person?: string) => void;
  /** Aborted when the client has gone, and at the end of the answer. */
  readonly signal: AbortSignal;
}

/** Without `type`, `headers` has the content type. */
export interface HttpAnswer {
  readonly status: number;
  readonly type?: string;
  readonly body?: string | Buffer;
  /** Sent after the body, one after the other, until the client has gone or reads nothing for too long. */
  readonly pieces?: AsyncIterable<string>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpLimits extends ConnectionLimits {
  /** Bytes of the request line and all headers, and the number of headers. */
  readonly headBytesMax: number;
  readonly headFieldsMax: number;
  /** From accept to the end of the TLS handshake. */
  readonly handshakeMs: number;
  /** For connections without `oneRequestMs`: from accept or the first byte, and between two requests. */
  readonly kept?: { readonly headMs: number; readonly requestMs: number; readonly idleMs: number };
  /** How long a client may leave 64 KiB of an answer, or a piece of it, unread. */
  readonly unreadMs: number;
}

export type TextAnswer = HttpAnswer & { readonly type: string; readonly body: string };

export function plainAnswer(status: number, text: string): TextAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` };
}

/** One small request per connection. Times are watched here: Node would not watch a client that does not read the answer. */
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
  /** Binds the server to its socket. `close` stops accepting. */
  readonly bind: (server: Acceptor) => Promise<{ close(): Promise<void> }>;
  /** Runs the TLS handshake over what was accepted. Rejects, and has destroyed the socket, where it fails. */
  readonly secure?: (
    plain: Socket,
  ) => Promise<{ readonly socket: Socket; readonly peer: TlsPeer | undefined }>;
  /** Sent with every answer. */
  readonly headers: Readonly<Record<string, string>>;
  readonly refusal: (status: number, text: string) => HttpAnswer;
  readonly answer: (call: HttpCall) => Promise<HttpAnswer>;
  readonly onMalformed?: (call: HttpCall) => void;
  readonly onError: (text: string) => void;
}

/** Serves until `close`, which ends all connections at once. Rejects as `bind` does. */
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

/** Without `secure` the HTTP server accepts itself; else it gets the connections whose TLS handshake succeeded. */
function serverOf(options: HttpServerOptions, connections: Connections): Acceptor {
  const { clock, limits, secure } = options;
  const { headBytesMax, headFieldsMax, handshakeMs, kept, oneRequestMs } = limits;
  /** The plain socket below each TLS socket: connections are counted by it. */
  const below = new WeakMap<Socket, Socket>();
  const answering = new WeakSet<object>();
  const server = createServer(
    {
      maxHeaderSize: headBytesMax,
      headersTimeout: kept?.headMs ?? 0,
      requestTimeout: kept?.requestMs ?? 0,
      keepAliveTimeout: kept?.idleMs ?? 0,
      connectionsCheckingInterval: 1_000,
      // Also if the process was started with --insecure-http-parser.
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
  // Node drops headers above its maximum without an error: one more is read, and refused.
  server.maxHeadersCount = headFieldsMax + 1;
  if (oneRequestMs !== undefined) server.maxRequestsPerSocket = 1;
  server.on('clientError', (fault, socket) => {
    // Within another answer, the client would take it for a part of that.
    if (socket.writable && !answering.has(socket)) socket.write(unreadText(fault, options));
    socket.destroy();
  });
  // Without a listener an error would end the process; the socket is gone then.
  server.on('connection', (socket) => socket.on('error', () => undefined));
  if (secure === undefined) return server.on('connection', (socket) => connections.accepted(socket));
  // It does not listen itself, and Node enforces the times of requests only after this event.
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

/** The answer to bytes that are no request: Node's parser refused them, or they did not come in time. */
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

export function statusOfUnread({ code }: NodeJS.ErrnoException): 400 | 408 | 431 {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}

/** A whole answer as text, for a connection that ends with it. */
export function lastAnswer(
  status: number,
  headers: Readonly<Record<string, string | undefined>>,
  body = '',
): string {
  const fields = { ...headers, 'Content-Length': Buffer.byteLength(body), Connection: 'close' };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`;
}

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

/** Undefined: it is too long. Rejects if the client has gone. */
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
    // Bytes above the limit are read and dropped.
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

/** Of several headers with one name, the last one counts. */
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

/** A long body in slices: the time for reading counts for each slice, so a client on a slow line is not disconnected. */
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

/** The pieces until the signal is aborted, even if their source never ends. */
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
    // The source may still be busy: its end is not awaited.
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
