// An HTTP client written by hand for tests, that sends exact bytes and shows exact bytes. It imports nothing from src/.
// It reads answers with Content-Length, chunked, or up to the end of the connection; an answer that is cut is an error that says how far it
// got, never an answer.
import type { ByteReader } from './byte-reader.js';
import { connectRaw, inTime, type RawConnection, type RawPlace, secureSocket } from './raw-socket.js';

export interface RawHttpOptions extends RawPlace {
  /** TLS from the first byte; the certificate is verified against `ca`. */
  tls?: {
    readonly ca: string;
    serverName?: string;
    certificate?: { certificatePem: string; keyPem: string };
  };
  /** How long each answer may take; default 30 s. */
  timeoutMs?: number;
}

export interface HttpAnswer {
  /** Without CR LF. */
  readonly statusLine: string;
  readonly status: number;
  readonly reason: string;
  /** In their order, names as sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Chunks joined. */
  readonly body: Buffer;
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
  /** Status codes of interim answers that came before: 100. */
  readonly interim: readonly number[];
  /** The first header of this name, in any case. */
  header(name: string): string | undefined;
}

/** How a connection ended: `closed` in order, `reset` otherwise. */
export type HttpEnd = 'closed' | 'reset';

/** The connection ended before the answer was whole. */
export class HttpCut extends Error {
  readonly end: HttpEnd;
  /** The bytes of this answer that came, head included. */
  readonly bytes: Buffer;
  constructor(end: HttpEnd, bytes: Buffer) {
    super(`${end} after ${bytes.length} bytes of an answer`);
    this.name = 'HttpCut';
    this.end = end;
    this.bytes = bytes;
  }
}

export interface RawHttp extends RawConnection {
  /** The next answer; `isHead`: to a HEAD, which has no body. Rejects with HttpCut when the connection ends first. */
  readAnswer(options?: { isHead?: boolean }): Promise<HttpAnswer>;
  /** Reads to the end of the connection; rejects when bytes come instead. */
  readEnd(): Promise<HttpEnd>;
}

/** Connects, and shakes hands for TLS. */
export async function openRawHttp(options: RawHttpOptions): Promise<RawHttp> {
  const { host = '127.0.0.1', timeoutMs = 30_000 } = options;
  const { tcp, isBroken, readerOn, connectionOn } = await connectRaw(options);
  const socket = options.tls === undefined ? tcp : await secureSocket(tcp, { host, ...options.tls });
  const reader = readerOn(socket);
  const endOf = (): HttpEnd => (isBroken() ? 'reset' : 'closed');

  return {
    ...connectionOn(socket, reader),
    readAnswer: ({ isHead = false } = {}) => inTime(timeoutMs, 'answer', readAnswer(reader, isHead, endOf)),
    async readEnd() {
      const bytes = await inTime(timeoutMs, 'end', reader.readSome());
      if (bytes !== null) throw new Error(`${bytes.length} bytes came instead of the end`);
      return endOf();
    },
  };
}

/** One request on a connection of its own: sends exactly these bytes, takes the answer, and closes. */
export async function askRaw(options: RawHttpOptions, bytes: string | Buffer): Promise<HttpAnswer> {
  const client = await openRawHttp(options);
  try {
    // A server that refuses early may close before it has read all of it.
    client.write(bytes).catch(() => undefined);
    return await client.readAnswer({ isHead: asBuffer(bytes.slice(0, 5)).toString() === 'HEAD ' });
  } finally {
    client.close();
  }
}

export interface PostOptions {
  readonly target?: string;
  /** The whole value of the header; none: no header. */
  readonly authorization?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
  readonly isChunked?: boolean;
  /** Default false: `Connection: close` is sent. */
  readonly keepsAlive?: boolean;
}

/** The bytes of a POST. */
export function encodePost(options: PostOptions): Buffer {
  const {
    target = '/doveadm/v1',
    authorization,
    headers = {},
    isChunked = false,
    keepsAlive = false,
  } = options;
  const body = asBuffer(options.body);
  const lines = [
    `POST ${target} HTTP/1.1`,
    'Host: x',
    ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`,
    ...(keepsAlive ? [] : ['Connection: close']),
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  if (!isChunked) return Buffer.concat([head, body]);
  const size = Buffer.from(body.length === 0 ? '' : `${body.length.toString(16)}\r\n`);
  return Buffer.concat([head, size, body, Buffer.from(body.length === 0 ? '0\r\n\r\n' : '\r\n0\r\n\r\n')]);
}

/** The value of Authorization for Dovecot's key, and for its password. */
export const authorizationOf = {
  key: (key: string): string => `X-Dovecot-API ${Buffer.from(key).toString('base64')}`,
  password: (password: string, user = 'doveadm'): string =>
    `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
};

function asBuffer(bytes: string | Buffer): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
}

async function readAnswer(reader: ByteReader, isHead: boolean, endOf: () => HttpEnd): Promise<HttpAnswer> {
  const taken: Buffer[] = [];
  const cut = (): HttpCut => new HttpCut(endOf(), Buffer.concat(taken));
  const line = async (): Promise<string> => {
    const bytes = await reader.readLine();
    if (bytes === null) throw cut();
    taken.push(bytes, Buffer.from('\r\n'));
    return bytes.toString('latin1');
  };
  const exactly = async (length: number): Promise<Buffer> => {
    const parts: Buffer[] = [];
    for (let left = length; left > 0; ) {
      const some = await reader.readSome();
      if (some === null) throw cut();
      reader.putBack(some.subarray(left));
      const part = some.subarray(0, left);
      taken.push(part);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  };
  const interim: number[] = [];
  for (;;) {
    const statusLine = await line();
    const match = /^HTTP\/1\.[01] (\d{3}) (.*)$/.exec(statusLine);
    if (match === null) throw new Error(`not a status line: ${statusLine}`);
    const status = Number(match[1]);
    const headers: [string, string][] = [];
    for (let text = await line(); text !== ''; text = await line()) {
      const field = /^([^:\s]+):[ \t]*(.*?)[ \t]*$/.exec(text);
      if (field === null) throw new Error(`not a header: ${text}`);
      headers.push([field[1] ?? '', field[2] ?? '']);
    }
    if (status >= 100 && status < 200) {
      interim.push(status);
      continue;
    }
    const header = (name: string): string | undefined =>
      headers.find(([each]) => each.toLowerCase() === name.toLowerCase())?.[1];
    const answer = { statusLine, status, reason: match[2] ?? '', headers, interim, header };
    if (isHead || status === 204 || status === 304)
      return { ...answer, body: Buffer.alloc(0), framing: 'none' };
    if (header('transfer-encoding')?.toLowerCase() === 'chunked') {
      const chunks: Buffer[] = [];
      for (;;) {
        const size = Number.parseInt(await line(), 16);
        if (Number.isNaN(size)) throw new Error('not the size of a chunk');
        if (size === 0) break;
        chunks.push(await exactly(size));
        if ((await line()) !== '') throw new Error('a chunk is longer than its size');
      }
      while ((await line()) !== '');
      return { ...answer, body: Buffer.concat(chunks), framing: 'chunked' };
    }
    const length = header('content-length');
    if (length !== undefined) return { ...answer, body: await exactly(Number(length)), framing: 'length' };
    const parts: Buffer[] = [];
    for (;;) {
      const some = await reader.readSome();
      if (some === null) break;
      taken.push(some);
      parts.push(some);
    }
    if (endOf() === 'reset') throw cut();
    return { ...answer, body: Buffer.concat(parts), framing: 'close' };
  }
}
