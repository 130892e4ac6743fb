// An HTTP server by hand for the library's tests: shows each request as it came, and answers with exact bytes.
import net from 'node:net';
import type { Owner } from '../kit/plain/folder.js';
import { listenHere } from '../kit/plain/free-ports.js';

export interface SeenRequest {
  readonly line: string;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  /** Chunks joined. */
  readonly body: string;
  /** Which connection it came on, from 1. */
  readonly connection: number;
}

/** What the server does with a request: these bytes, and then it stays, closes or resets. */
export interface ScriptedAnswer {
  readonly bytes: string | Buffer;
  readonly next?: 'stay' | 'close' | 'reset';
}

export interface HttpServer {
  readonly url: string;
  readonly port: number;
  /** Whole ones. */
  readonly requests: readonly SeenRequest[];
  /** Requests that began, whole or not. */
  readonly heads: () => number;
}

/** JSON with its length. */
export function json(value: unknown, status = '200 OK'): ScriptedAnswer {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return { bytes: `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}` };
}

/** `early` answers a request that expects 100 before its body; undefined: it gets 100. */
export async function openHttpServer(
  owner: Owner,
  answer: (request: SeenRequest) => ScriptedAnswer | undefined,
  early: (line: string) => ScriptedAnswer | undefined = () => undefined,
): Promise<HttpServer> {
  const requests: SeenRequest[] = [];
  let connections = 0;
  let heads = 0;
  const server = net.createServer((socket) => {
    const connection = ++connections;
    let held = Buffer.alloc(0);
    let hasGreeted = false;
    socket.on('error', () => undefined);
    const reply = ({ bytes, next = 'stay' }: ScriptedAnswer): void => {
      socket.write(bytes, () => {
        if (next === 'close') socket.end();
        if (next === 'reset') setImmediate(() => socket.resetAndDestroy());
      });
    };
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      const end = held.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [line = '', ...fields] = held.subarray(0, end).toString('latin1').split('\r\n');
      const headers = new Map(
        fields.map((field) => [field.replace(/:.*/, '').toLowerCase(), field.replace(/^.*?: */, '')]),
      );
      if (!hasGreeted) {
        hasGreeted = true;
        heads += 1;
        if (headers.has('expect')) {
          const refused = early(line);
          if (refused !== undefined) return reply(refused);
          socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        }
      }
      const body = bodyOf(held.subarray(end + 4), headers);
      if (body === undefined) return;
      held = Buffer.alloc(0);
      hasGreeted = false;
      const request = { line, headers, body, connection };
      requests.push(request);
      const said = answer(request);
      if (said !== undefined) reply(said);
    });
  });
  const port = await listenHere(server);
  owner.after(() => void server.close());
  return { url: `http://127.0.0.1:${port}`, port, requests, heads: () => heads };
}

/** Undefined: not whole yet. */
function bodyOf(bytes: Buffer, headers: ReadonlyMap<string, string>): string | undefined {
  const length = Number(headers.get('content-length') ?? 0);
  if (headers.get('transfer-encoding') !== 'chunked')
    return bytes.length < length ? undefined : bytes.subarray(0, length).toString();
  const chunks: Buffer[] = [];
  for (let from = 0; ; ) {
    const end = bytes.indexOf('\r\n', from);
    if (end < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(from, end).toString(), 16);
    if (bytes.length < end + 2 + size + 2) return undefined;
    if (size === 0) return Buffer.concat(chunks).toString();
    chunks.push(bytes.subarray(end + 2, end + 2 + size));
    from = end + 2 + size + 2;
  }
}
