// Requests of HTTP over a transport: Node's own parser and writer, fed by a stream over the transport, so that TLS, identity and accounting
// are those of every other client. A head that two readers could read differently is refused; Node refuses two lengths, both framings and
// bare LF itself. There is one request at a time, and an answer that is not ended is never whole.

import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { Duplex } from 'node:stream';
import { bounds } from '../bounds/bounds.js';
import { TransportFault, WireFault } from '../ports/faults.js';
import type { HttpHead, HttpRequest, HttpRequests, InTurn, ReadHttp, Transport } from '../ports/transport.js';
import { hasManyFields, lastAnswer, statusOfUnread } from './server.js';

/** Limits of a head: bytes of all fields, and their number. Above either: 431. */
const headBytesMax = bounds.httpHeadBytes;
const fieldsMax = 100;
/** How long a connection stays open for its next request; sent to clients. */
const keptMs = 15_000;
const writeAheadBytes = 64 * 1024;
/** Bytes parsed in one turn: if each byte is a chunk of HTTP, that takes some 2 ms. */
const pieceBytes = bounds.httpPieceBytes;

export function createReadHttp(): ReadHttp {
  const server = createServer({
    maxHeaderSize: headBytesMax,
    keepAliveTimeout: keptMs,
    // Also if the process was started with --insecure-http-parser.
    insecureHTTPParser: false,
    // Node would answer by itself, and go on with the next request.
    requireHostHeader: false,
  });
  // Node would drop fields above a maximum without an error.
  server.maxHeadersCount = 0;
  Reflect.set(server, 'httpAllowHalfOpen', true);
  const take = (message: IncomingMessage, response: ServerResponse): void =>
    streamOf(message).requests.take(message, response, false);
  server.on('request', take);
  server.on('checkExpectation', take);
  server.on('checkContinue', (message, response) => streamOf(message).requests.take(message, response, true));
  server.on('connect', (message) => streamOf(message).requests.refuse(400));
  server.on('clientError', (fault: NodeJS.ErrnoException, stream) => {
    // A fault of the transport gets no answer: the pending read or write reports it.
    if (stream instanceof TransportStream && !(fault instanceof TransportFault))
      stream.requests.refuse(statusOfUnread(fault));
  });
  return (transport, first, inTurn = atOnce) =>
    new TransportStream(transport, server, first, inTurn).requests;
}

function streamOf({ socket }: IncomingMessage): TransportStream {
  const stream: unknown = socket;
  if (!(stream instanceof TransportStream)) throw new Error('a request came from nowhere');
  return stream;
}

async function atOnce(run: () => void): Promise<void> {
  run();
}

/** A transport as the stream that Node's server expects. The owner closes the transport, not the end of this stream. */
class TransportStream extends Duplex {
  readonly requests: Requests;
  readonly #transport: Transport;
  readonly #drained: Reader<void>[] = [];
  readonly #inTurn: InTurn;
  #isReading = false;
  #isFirst = true;
  /** Bytes that were read and not parsed yet. */
  #rest: Buffer | undefined;

  constructor(transport: Transport, server: Server, first: Buffer | undefined, inTurn: InTurn) {
    super({
      readableHighWaterMark: pieceBytes,
      writableHighWaterMark: writeAheadBytes,
      allowHalfOpen: true,
    });
    this.#transport = transport;
    this.#inTurn = inTurn;
    this.#rest = first;
    this.requests = new Requests(this);
    // The pending read of a request or its body, or the wait for room, reports the error.
    this.on('error', () => undefined);
    server.emit('connection', this);
  }

  override _read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#readOn().catch((fault: unknown) => this.destroy(fault instanceof Error ? fault : undefined));
  }

  /** Node's server parses a piece while it is pushed. */
  async #readOn(): Promise<void> {
    const bytes = this.#rest ?? (await this.#transport.read());
    const piece = bytes && bytes.subarray(0, pieceBytes);
    this.#rest = bytes !== null && bytes.length > pieceBytes ? bytes.subarray(pieceBytes) : undefined;
    const parse = (): void => {
      this.#isReading = false;
      this.push(piece);
    };
    // A client that logs in has waited for the turn of its network already, and must not wait behind busy principals too.
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst) parse();
    else await this.#inTurn(parse);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (fault?: Error) => void): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { readonly chunk: Buffer }[], done: (fault?: Error) => void): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  get unsentBytes(): number {
    return this.writableLength + this.#transport.unsentBytes;
  }

  /** Undefined: everything written has left. Otherwise resolves when it has; rejects with a TransportFault if it never will. */
  room(): Promise<void> | undefined {
    if (this.destroyed) return Promise.reject(gone());
    if (this.writableLength === 0) return undefined;
    return new Promise((resolve, reject) => {
      this.#drained.push({ resolve, reject });
    });
  }

  #send(parts: Buffer[], done: (fault?: Error) => void): void {
    const drained = this.#transport.write(parts);
    if (drained === undefined) return this.#sent(done);
    drained.then(() => this.#sent(done), done);
  }

  #sent(done: () => void): void {
    done();
    if (this.writableLength > 0) return;
    for (const { resolve } of this.#drained.splice(0)) resolve();
  }

  override _destroy(fault: Error | null, done: (fault?: Error | null) => void): void {
    for (const { reject } of this.#drained.splice(0)) reject(gone());
    done(fault);
  }
}

/** A pending wait: for the next request, or for room. */
interface Reader<T> {
  readonly resolve: (value: T | Promise<T>) => void;
  readonly reject: (fault: unknown) => void;
}

type Next = Awaited<ReturnType<HttpRequests['next']>>;

class Requests implements HttpRequests {
  readonly #stream: TransportStream;
  readonly #waiting: Request[] = [];
  #reader: Reader<Next> | undefined;
  /** The request whose head came last. */
  #last: Request | undefined;
  #malformed: number | undefined;
  /** The malformed bytes belong to no request, and were not answered yet. */
  #isUntold = false;
  #isOver = false;
  /** Ignored requests after a refused one; Node keeps them until the answers before them are sent. */
  #ignored = 0;

  constructor(stream: TransportStream) {
    this.#stream = stream;
    stream.on('end', () => {
      // For a request with a field Upgrade, Node does not report that its body was cut, or is not HTTP.
      if (this.#last?.isWhole === false) this.#last.breakOff();
      this.#finish();
    });
    // Also if the answer to the last request announced the end: Node ends the stream then.
    stream.on('finish', () => this.#finish());
    stream.on('close', () => this.#finish());
  }

  next(): Promise<Next> {
    const request = this.#waiting.shift();
    if (request !== undefined) return Promise.resolve(request);
    if (this.#malformed !== undefined) return this.#tell(this.#malformed);
    if (this.#isOver) return this.#stream.errored === null ? Promise.resolve(null) : Promise.reject(gone());
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  take(message: IncomingMessage, response: ServerResponse, isWaitingForUs: boolean): void {
    // Requests after a refused one are ignored, and those after one that asks for another protocol: Node loses what came with its end.
    if (this.#malformed !== undefined || this.#last?.isLast === true) {
      this.#ignored += 1;
      if (this.#ignored > bounds.httpWaiting) this.#stream.destroy();
      return;
    }
    const request = new Request(this.#stream, message, response, isWaitingForUs);
    this.#last = request;
    const status = faultOfHead(message);
    if (status !== undefined) {
      response.shouldKeepAlive = false;
      const answered = request.answer(
        { status, headers: refusedHeaders, isLast: true },
        Buffer.from(`${STATUS_CODES[status] ?? ''}\n`),
      );
      answered?.catch(() => undefined);
      this.#refused(status);
      return;
    }
    if (this.#waiting.length >= bounds.httpWaiting) {
      this.#stream.destroy();
      return;
    }
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#waiting.push(request);
    else reader.resolve(request);
  }

  /** Node's parser stopped with an error. */
  refuse(status: number): void {
    const last = this.#last;
    if (last?.isWhole === false) last.breakOff();
    else if (this.#malformed === undefined) this.#isUntold = true;
    this.#refused(status);
  }

  #refused(status: number): void {
    this.#malformed ??= status;
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.resolve(this.#tell(this.#malformed));
  }

  /** Reports the malformed bytes, after the answers to all earlier requests. */
  async #tell(malformed: number): Promise<Next> {
    await this.#last?.answered();
    if (this.#isUntold && this.#stream.writable) {
      this.#isUntold = false;
      const text = `${STATUS_CODES[malformed] ?? ''}\n`;
      this.#stream.write(lastAnswer(malformed, Object.fromEntries(refusedHeaders), text));
    }
    return { malformed };
  }

  #finish(): void {
    this.#isOver = true;
    if (this.#stream.errored === null) this.#reader?.resolve(null);
    else this.#reader?.reject(gone());
    this.#reader = undefined;
  }
}

/** The code is one of doveadm/codes. */
const refusedHeaders = [
  ['Content-Type', 'text/plain; charset=utf-8'],
  ['Dovegate-Code', 'bad-request'],
] as const;

const single = new Set(['authorization', 'host', 'content-length', 'transfer-encoding', 'expect', 'origin']);

/** The status for a head that is ambiguous or not accepted here; undefined: it is accepted. */
function faultOfHead(message: IncomingMessage): number | undefined {
  if (hasManyFields(message, fieldsMax)) return 431;
  const { rawHeaders, httpVersion, url = '', method } = message;
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    if (single.has(name) && seen.has(name)) return 400;
    seen.add(name);
    // Node passes the head on before it finds that its body has no end.
    if (name === 'transfer-encoding' && rawHeaders[at + 1]?.toLowerCase() !== 'chunked') return 400;
  }
  if (seen.has('trailer') || (httpVersion === '1.1' && !seen.has('host'))) return 400;
  if (httpVersion !== '1.1' && (httpVersion !== '1.0' || seen.has('transfer-encoding'))) return 400;
  const isTaken = partsOf(url)[1].startsWith('/') || (url === '*' && method === 'OPTIONS');
  return isTaken ? undefined : 400;
}

/** The authority of an absolute target, which replaces the field Host (RFC 9112 3.2.2), and the rest of the target. */
function partsOf(url: string): readonly [authority: string | undefined, target: string] {
  const [, authority, rest = ''] = /^https?:\/\/([^/?#@]+)([/?].*)?$/i.exec(url) ?? [];
  return authority === undefined ? [undefined, url] : [authority, rest.startsWith('/') ? rest : `/${rest}`];
}

function noHttp(): WireFault {
  return new WireFault('bad-frame', 'the body is no HTTP');
}

function gone(): TransportFault {
  return new TransportFault('peer-gone', 'the client is gone');
}

class Request implements HttpRequest {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly #stream: TransportStream;
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  #isWaitingForUs: boolean;
  /** Answered while the client waited for `100 Continue`, so no body comes. */
  #hasNoBody = false;
  #isBroken = false;
  /** Makes a pending read check again. */
  #wake: (() => void) | undefined;

  constructor(
    stream: TransportStream,
    message: IncomingMessage,
    response: ServerResponse,
    isWaitingForUs: boolean,
  ) {
    this.#stream = stream;
    this.#message = message;
    this.#response = response;
    this.#isWaitingForUs = isWaitingForUs;
    this.method = message.method ?? '';
    const [authority, target] = partsOf(message.url ?? '');
    this.target = target;
    this.version = message.httpVersion;
    const { rawHeaders } = message;
    const headers: [string, string][] = authority === undefined ? [] : [['host', authority]];
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = (rawHeaders[at] ?? '').toLowerCase();
      if (name !== 'host' || authority === undefined) headers.push([name, rawHeaders[at + 1] ?? '']);
    }
    this.headers = headers;
    // `read` and writes report a fault of the connection.
    message.on('error', () => undefined);
    response.on('error', () => undefined);
  }

  read(): Promise<Buffer | null> {
    const message = this.#message;
    const stream = this.#stream;
    if (this.#hasNoBody) return Promise.resolve(null);
    if (this.#isWaitingForUs) {
      this.#isWaitingForUs = false;
      this.#response.writeContinue();
    }
    const chunk: unknown = message.read();
    if (Buffer.isBuffer(chunk)) return Promise.resolve(chunk);
    if (message.readableEnded) return Promise.resolve(null);
    if (this.#isBroken) return Promise.reject(noHttp());
    // Once a request was answered, Node does not end its message with the connection.
    const isGone = (): boolean => message.destroyed || stream.destroyed;
    if (isGone()) return Promise.reject(gone());
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        const next: unknown = message.read();
        const isEnd = next === null && message.readableEnded;
        if (next === null && !isEnd && !isGone() && !this.#isBroken) return;
        this.#wake = undefined;
        message.off('readable', settle).off('end', settle).off('close', settle);
        stream.off('close', settle);
        if (Buffer.isBuffer(next)) resolve(next);
        else if (isEnd) resolve(null);
        else reject(this.#isBroken ? noHttp() : gone());
      };
      this.#wake = settle;
      message.on('readable', settle).on('end', settle).on('close', settle);
      stream.on('close', settle);
    });
  }

  /** It asks for another protocol, which is not granted: nothing after it is read. */
  get isLast(): boolean {
    return this.#message.headers.upgrade !== undefined;
  }

  get isWhole(): boolean {
    return this.#message.complete;
  }

  /** What follows is not HTTP, so its body has no end: a pending read rejects. */
  breakOff(): void {
    this.#isBroken = true;
    this.#wake?.();
  }

  /** Resolves when all of its answer was written, or never will be. */
  answered(): Promise<void> {
    const response = this.#response;
    const stream = this.#stream;
    return new Promise((resolve) => {
      if (response.writableFinished || stream.destroyed) return resolve();
      response.once('finish', resolve);
      stream.once('close', resolve);
    });
  }

  get unsentBytes(): number {
    return this.#stream.unsentBytes;
  }

  get hasTrailers(): boolean {
    return this.#message.rawTrailers.length > 0;
  }

  answer(head: HttpHead, body: Buffer): Promise<void> | undefined {
    this.#head(head, [['Content-Length', String(body.length)]]);
    this.#response.end(body);
    return this.#stream.room();
  }

  begin(head: HttpHead): void {
    this.#head(head, []);
  }

  write(parts: readonly Buffer[]): Promise<void> | undefined {
    this.#response.cork();
    for (const part of parts) this.#response.write(part);
    this.#response.uncork();
    return this.#stream.room();
  }

  end(): Promise<void> | undefined {
    this.#response.end();
    return this.#stream.room();
  }

  #head({ status, reason, headers, isLast }: HttpHead, more: readonly (readonly [string, string])[]): void {
    const response = this.#response;
    this.#hasNoBody = this.#isWaitingForUs;
    if (isLast || this.isLast) response.shouldKeepAlive = false;
    const fields = [...headers, ...more].flat();
    response.writeHead(status, reason ?? STATUS_CODES[status] ?? '', fields);
  }
}
