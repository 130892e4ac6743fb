// The admin endpoints over HTTP: a server for each socket, and what of HTTP it takes.
// The rules: what is asked for is a GET, what is changed a POST; one request a connection, small, and soon over, whatever the other
// side does; nothing that is asked here can delay a session, fail one, or end the daemon.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../../ports/faults.js';
import type { Clock } from '../../ports/machine.js';
import {
  type AccessRefusal,
  type Act,
  actionAt,
  actionPaths,
  type Door,
  type Operator,
  type OperatorAction,
  refuseAccess,
} from './access.js';
import { type Answer, createPages, type Page, type PageSources, plainAnswer } from './pages.js';

interface Closable {
  close(): Promise<void>;
}

/** A socket on which the endpoints are to be had. */
export interface AdminDoor {
  readonly door: Door;
  /** Puts a server on its socket. What it returns stops accepting and takes the socket away. */
  readonly bind: (server: Server) => Promise<Closable>;
}

/** A connection of HTTP. */
export type AdminConnection = IncomingMessage['socket'];

export interface AdminOptions extends PageSources {
  readonly doors: readonly AdminDoor[];
  readonly act: Act;
  /** Who is at the other end of a connection; undefined: not known, and then nothing is changed. */
  readonly whoIs: (connection: AdminConnection, door: Door) => Promise<Operator | undefined>;
  /** Told of an endpoint that failed; a bug of ours. */
  readonly onError: (text: string) => void;
}

/** Endpoints that are served; `close` ends all of it at once. */
export type Admin = Closable;

/** Of the request line and all headers. */
const headerBytesMax = 8 * 1024;
const headersMax = 64;

/** Serves on every door; rejects with what `bind` rejects with, and then none is left open. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  const pages = createPages(options);
  const open: Closable[] = [];
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
  const connections = new Connections(options.clock);
  // Times are watched there: Node's own would watch a request, but not a client that does not read the answer.
  const limits = { maxHeaderSize: headerBytesMax, requestTimeout: 0, headersTimeout: 0 };
  const server = createServer(limits, (request, response) => {
    connections.become(request.socket, 'working');
    const answer = (reply: Answer): void => {
      send(response, reply);
      connections.become(request.socket, 'answered');
    };
    // Not awaited by anybody: both ways end in an answer.
    void respond(door, pages, request, options).then(answer, (fault: unknown) => {
      options.onError(`${pathOf(request)}: ${messageOf(fault)}`);
      answer(plainAnswer(500, 'this failed; the log says why'));
    });
  });
  server.maxHeadersCount = headersMax;
  server.maxRequestsPerSocket = 1;
  server.on('connection', (socket) => connections.accepted(socket));
  return server;
}

async function respond(
  door: Door,
  pages: ReadonlyMap<string, Page>,
  request: IncomingMessage,
  options: AdminOptions,
): Promise<Answer> {
  const { host, authorization, origin } = request.headers;
  const path = pathOf(request);
  const page = pages.get(path);
  const action = actionAt(path);
  const refused = refuseAccess(
    door,
    { host, authorization, origin },
    page?.isHarmless ?? action === undefined,
  );
  if (refused === 'wrong-host' || refused === 'wrong-origin') return refusals[refused];
  if (action !== undefined) {
    if (request.method !== 'POST') return { ...plainAnswer(405, 'POST only'), headers: { Allow: 'POST' } };
    return refused === undefined ? change(action, door, request, options) : refusals[refused];
  }
  if (page === undefined) return plainAnswer(404, `there is ${[...pages.keys(), ...actionPaths].join(' ')}`);
  if (request.method !== 'GET') return { ...plainAnswer(405, 'GET only'), headers: { Allow: 'GET' } };
  if (refused !== undefined) return refusals[refused];
  return page.answer();
}

async function change(
  action: OperatorAction,
  door: Door,
  request: IncomingMessage,
  { act, whoIs, onError }: AdminOptions,
): Promise<Answer> {
  const operator = await whoIs(request.socket, door);
  if (operator === undefined) return plainAnswer(403, 'the kernel does not say who asks');
  try {
    const result = await act(action, operator);
    return plainAnswer(statusOfResult[result.kind], result.text);
  } catch (fault) {
    onError(`${pathOf(request)}: ${messageOf(fault)}`);
    return plainAnswer(503, 'not done, or not recorded; the log says why');
  }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1).join('');
}

const refusals: Readonly<Record<AccessRefusal, Answer>> = {
  'wrong-host': plainAnswer(421, 'the Host is not a name of this server'),
  'wrong-origin': plainAnswer(403, 'not from a page of another origin'),
  'no-token-set': plainAnswer(403, 'only over the UNIX socket, since no token is configured'),
  'token-needed': {
    ...plainAnswer(401, 'Authorization: Bearer and the token are needed'),
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
};

const statusOfResult = { done: 200, unknown: 404, failed: 409 } as const;

function send(response: ServerResponse, reply: Answer): void {
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

/** What is needed of a connection; a socket of Node has it. */
export interface Connection {
  readonly bytesRead: number;
  destroy(): unknown;
  once(event: 'close', run: () => void): unknown;
}

/** Of one socket, at once. A scraper, a probe and an operator need three; the others leave a slow client time to send its request. */
export const connectionsMax = 64;
/** From accept to the first byte. Clients connect in order to send. */
const firstByteMs = 1_000;
/** From accept to the last byte of the answer: a client that is slow on purpose holds a place no longer than that. */
const connectionMs = 10_000;

/**
 * Waiting for the request, making the answer, or waiting for the client to read it. Silent connections and half requests are one
 * stage: if silent ones went first, one byte from each of a stranger's connections would make all probes go first.
 */
type Stage = 'waiting' | 'working' | 'answered';

/**
 * The connections of one socket: how many there are at once, how long each may take, and which one is closed for a new one. Connections
 * that only occupy a place never keep a new one out, so a probe is answered whatever strangers do.
 */
export class Connections {
  readonly #clock: Clock;
  /** In the order of their accept. */
  readonly #open = new Map<Connection, Stage>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The connection is closed when its time is over, and another one when there are too many. */
  accepted(connection: Connection): void {
    if (this.#open.size >= connectionsMax) {
      // Of 64 answers that are being made at once, none is given up: then the new one is closed.
      const going = this.#oldest('waiting') ?? this.#oldest('answered') ?? connection;
      this.#open.delete(going);
      going.destroy();
      if (going === connection) return;
    }
    this.#open.set(connection, 'waiting');
    let timer = this.#clock.setTimer(firstByteMs, () => {
      if (connection.bytesRead === 0) connection.destroy();
      else timer = this.#clock.setTimer(connectionMs - firstByteMs, () => connection.destroy());
    });
    connection.once('close', () => {
      timer.cancel();
      this.#open.delete(connection);
    });
  }

  /** `working`: its request has come whole; `answered`: its answer was written. */
  become(connection: Connection, stage: 'working' | 'answered'): void {
    if (this.#open.has(connection)) this.#open.set(connection, stage);
  }

  #oldest(stage: Stage): Connection | undefined {
    return [...this.#open].find(([, its]) => its === stage)?.[0];
  }
}
