// The admin endpoints over HTTP: a server for each socket, and what of HTTP it takes.
// The rules: what is asked for is a GET, what is changed a POST; one request a connection, small, and soon over, whatever the other
// side does; nothing that is asked here can delay a session, fail one, or end the daemon.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  type AccessRefusal,
  type Act,
  actionAt,
  actionPaths,
  type Door,
  type Operator,
  type OperatorAction,
  refuseAccess,
  statusOf,
} from './access.js';
import { createConnections } from './connections.js';
import { type Answer, createPages, type Page, type PageSources } from './pages.js';

/** Puts a server on its socket. What it returns stops accepting and takes the socket away. */
export type Bind = (server: Server) => Promise<{ close(): Promise<void> }>;

/** A socket on which the endpoints are to be had. */
export interface AdminDoor {
  readonly door: Door;
  readonly bind: Bind;
}

/** A connection of HTTP. */
export type AdminConnection = IncomingMessage['socket'];

/** What the endpoints need. */
export interface AdminOptions extends PageSources {
  readonly doors: readonly AdminDoor[];
  readonly act: Act;
  /** Who is at the other end of a connection; undefined: nobody knows, and then nothing is changed. */
  readonly whoIs: (connection: AdminConnection, door: Door) => Promise<Operator | undefined>;
  /** Told of an endpoint that failed; a bug of ours. */
  readonly onError: (text: string) => void;
}

/** Endpoints that are served. */
export interface Admin {
  /** Ends all of it at once. */
  close(): Promise<void>;
}

/** Of the request line and all headers. */
const headerBytesMax = 8 * 1024;
const headersMax = 64;

/** Serves on every door; rejects with what `bind` rejects with, and then none is left open. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  const pages = createPages(options);
  const open: { close(): Promise<void> }[] = [];
  const admin: Admin = {
    async close() {
      await Promise.all(open.map((each) => each.close()));
    },
  };
  for (const { door, bind } of options.doors) {
    const server = serverOf(door, pages, options);
    try {
      const bound = await bind(server);
      open.push({
        async close() {
          await bound.close();
          server.closeAllConnections();
        },
      });
    } catch (fault) {
      await admin.close();
      throw fault;
    }
  }
  return admin;
}

function serverOf(door: Door, pages: ReadonlyMap<string, Page>, options: AdminOptions): Server {
  const connections = createConnections<AdminConnection>(options.clock);
  // Times are watched there: Node's own would watch a request, but not a client that does not read the answer.
  const limits = { maxHeaderSize: headerBytesMax, requestTimeout: 0, headersTimeout: 0 };
  const server = createServer(limits, (request, response) => {
    connections.asked(request.socket);
    const answer = (reply: Reply): void => {
      send(response, reply);
      connections.answered(request.socket);
    };
    // Not awaited by anybody: both ways end in an answer.
    void respond(door, pages, request, options).then(answer, (fault: unknown) => {
      options.onError(`${pathOf(request)}: ${fault instanceof Error ? fault.message : String(fault)}`);
      answer(refusal(500, 'this failed; the log says why'));
    });
  });
  server.maxHeadersCount = headersMax;
  server.maxRequestsPerSocket = 1;
  server.on('connection', (socket) => connections.accepted(socket));
  return server;
}

interface Reply extends Answer {
  readonly headers?: Readonly<Record<string, string>>;
}

async function respond(
  door: Door,
  pages: ReadonlyMap<string, Page>,
  request: IncomingMessage,
  options: AdminOptions,
): Promise<Reply> {
  const { host, authorization, origin } = request.headers;
  const path = pathOf(request);
  const page = pages.get(path);
  const action = actionAt(path);
  const refused = refuseAccess(
    door,
    { host, authorization, origin },
    page?.isHarmless ?? action === undefined,
  );
  if (refused === 'wrong-host' || refused === 'wrong-origin') return refusalOf(refused);
  if (action !== undefined) {
    if (request.method !== 'POST') return { ...refusal(405, 'POST only'), headers: { Allow: 'POST' } };
    return refused === undefined ? change(action, door, request, options) : refusalOf(refused);
  }
  if (page === undefined) return refusal(404, `there is ${[...pages.keys(), ...actionPaths].join(' ')}`);
  if (request.method !== 'GET') return { ...refusal(405, 'GET only'), headers: { Allow: 'GET' } };
  if (refused !== undefined) return refusalOf(refused);
  return page.answer();
}

async function change(
  action: OperatorAction,
  door: Door,
  request: IncomingMessage,
  { act, whoIs, onError }: AdminOptions,
): Promise<Reply> {
  const operator = await whoIs(request.socket, door);
  if (operator === undefined) return refusal(403, 'the kernel does not say who asks');
  try {
    const result = await act(action, operator);
    return refusal(statusOf(result), result.text);
  } catch (fault) {
    onError(`${pathOf(request)}: ${fault instanceof Error ? fault.message : String(fault)}`);
    return refusal(503, 'not done, or not recorded; the log says why');
  }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1).join('');
}

function refusalOf(refused: AccessRefusal): Reply {
  switch (refused) {
    case 'wrong-host':
      return refusal(421, 'the Host is not a name of this server');
    case 'wrong-origin':
      return refusal(403, 'not from a page of another origin');
    case 'no-token-set':
      return refusal(403, 'only over the UNIX socket, since no token is configured');
    case 'token-needed':
      return {
        ...refusal(401, 'Authorization: Bearer and the token are needed'),
        headers: { 'WWW-Authenticate': 'Bearer' },
      };
    default:
      return refused satisfies never;
  }
}

function refusal(status: number, text: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` };
}

function send(response: ServerResponse, reply: Reply): void {
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, {
    'Content-Type': reply.type,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
    ...reply.headers,
  });
  response.end(body);
}

/** Where the admin endpoints are; at least one of `unix` and `tcp`. */
export interface AdminSettings {
  /** Path of the UNIX socket. */
  readonly unix?: string;
  /** Permission bits of that socket, as 0o600: they say who may use it. */
  readonly mode: number;
  /** A loopback address; `host` without brackets. */
  readonly tcp?: { readonly host: string; readonly port: number };
  /** A file that holds the token with which everything is to be had over TCP; absent: only what is harmless is. */
  readonly tokenFile?: string;
}
