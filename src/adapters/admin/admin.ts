// The admin endpoints over HTTP: a server for each socket, and what of HTTP it takes.
// The rules: what is asked for is a GET, what is changed a POST; one request a connection, small, and soon over, whatever the other
// side does; nothing that is asked here can delay a session, fail one, or end the daemon.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Server as Acceptor, createServer as createAcceptor, type Socket } from 'node:net';
import { bounds } from '../../bounds/bounds.js';
import { TokenBuckets } from '../../concurrency/limits.js';
import { networkOf } from '../../domain/identity/peer.js';
import { messageOf } from '../../ports/faults.js';
import type { Clock, Timer } from '../../ports/machine.js';
import { createRoutes, pathOf } from '../http/routes.js';
import {
  type AccessRefusal,
  type Act,
  actionRoutes,
  type Door,
  type Operator,
  type OperatorAction,
  refuseAccess,
} from './access.js';
import { type Answer, createPages, type Page, type PageSources, plainAnswer } from './pages.js';

export { createPageDoor, type PageDoorOptions, type PersonalRequest } from './page-door.js';

interface Closable {
  close(): Promise<void>;
}

/** A socket on which the endpoints are to be had. */
export interface AdminDoor {
  readonly door: Door;
  /** Puts a server on its socket. What it returns stops accepting and takes the socket away. */
  readonly bind: (server: Acceptor) => Promise<Closable>;
  /** Runs the TLS handshake over what was accepted. Rejects, and has destroyed the socket, where it fails. */
  readonly secure?: (socket: Socket) => Promise<Socket>;
  /** Answers here instead of the pages and actions; tells when it has read the body. */
  readonly answer?: (request: IncomingMessage, onWhole: () => void) => Promise<Answer>;
  /** How long a client may take to send its request, and again to read the answer. Default 10 s. */
  readonly connectionMs?: number;
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
  /** Told of requests without the token, or with a wrong one, at most ten at once of one address and then one a second. */
  readonly onRefused: (address: string) => void;
}

/** Endpoints that are served; `close` ends all of it at once. */
export type Admin = Closable;

/** Requests without the right token, of one network. Above it they are not told, and answered with 429. */
const refusals = { burst: bounds.adminRefusals, refillMs: 1_000, sourcesMax: bounds.adminRefusalSources };

/** Of the request line and all headers. */
const headerBytesMax = bounds.adminHeadBytes;
const headersMax = bounds.adminHeadFields;

/** The endpoints, and what a client is told that asks for another one. */
function endpointsOf(options: AdminOptions) {
  const pages = [...createPages(options)].map(([path, page]) => [`GET ${path}`, page] as const);
  const actions = actionRoutes.map(([route, of]) => [route, { isHarmless: false, of }] as const);
  const paths = [...pages, ...actions].map(([route]) =>
    route.replace(/^\w+ /, '').replace(/:\w+/, (word) => word.slice(1).toUpperCase()),
  );
  return {
    find: createRoutes<Page | (typeof actions)[number][1]>([...pages, ...actions]),
    told: `there is ${paths.join(' ')}`,
  };
}

type Endpoints = ReturnType<typeof endpointsOf>;

/** Serves on every door; rejects with what `bind` rejects with, and then none is left open. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  const endpoints = endpointsOf(options);
  const open: Closable[] = [];
  const admin: Admin = {
    async close() {
      await Promise.all(open.map((each) => each.close()));
    },
  };
  for (const each of options.doors) {
    const { bind } = each;
    const connections = new Connections(options.clock, each.connectionMs);
    const server = serverOf(each, endpoints, options, connections);
    try {
      const bound = await bind(server);
      open.push({
        async close() {
          await bound.close();
          connections.end();
        },
      });
    } catch (fault) {
      await admin.close();
      throw fault;
    }
  }
  return admin;
}

/** Without `secure` the server of HTTP accepts by itself; else it gets what came through the handshake. */
function serverOf(
  { door, secure, answer: own }: AdminDoor,
  endpoints: Endpoints,
  options: AdminOptions,
  connections: Connections,
): Acceptor {
  const failures = new TokenBuckets(refusals);
  /** What TLS runs over: the connection that is counted. */
  const below = new WeakMap<Socket, Socket>();
  // Times are watched there: Node's own would watch a request, but not a client that does not read the answer.
  const limits = { maxHeaderSize: headerBytesMax, requestTimeout: 0, headersTimeout: 0 };
  const server = createServer(limits, (request, response) => {
    const connection = below.get(request.socket) ?? request.socket;
    const onWhole = (): void => connections.become(connection, 'working');
    // The pages and actions look at no body.
    if (own === undefined) onWhole();
    const answer = (reply: Answer): void => {
      if (reply.pieces === undefined) send(response, reply);
      else {
        connections.prolong(connection);
        void sendPieces(response, reply, reply.pieces, options).catch((fault: unknown) => {
          options.onError(`${pathOf(request)}: ${messageOf(fault)}`);
          response.destroy();
        });
      }
      connections.become(connection, 'answered');
    };
    if (request.rawHeaders.length > 2 * headersMax) {
      onWhole();
      return answer(plainAnswer(431, `at most ${headersMax} headers`));
    }
    // Not awaited by anybody: both ways end in an answer.
    void (own?.(request, onWhole) ?? respond(door, endpoints, request, options, failures)).then(
      answer,
      (fault: unknown) => {
        options.onError(`${pathOf(request)}: ${messageOf(fault)}`);
        answer(plainAnswer(500, 'this failed; the log says why'));
      },
    );
  });
  // Node leaves out in silence what is beyond its maximum: one more is read, and refused.
  server.maxHeadersCount = headersMax + 1;
  server.maxRequestsPerSocket = 1;
  if (secure === undefined) return server.on('connection', (socket) => connections.accepted(socket));
  return createAcceptor((plain) => {
    connections.accepted(plain);
    // Unheard, an error would end the process; what TLS makes of it is told above.
    plain.on('error', () => undefined);
    // Strangers fail here all the time; the socket is gone then.
    void secure(plain).then(
      (socket) => {
        below.set(socket, plain);
        server.emit('connection', socket);
      },
      () => undefined,
    );
  });
}

async function respond(
  door: Door,
  { find, told }: Endpoints,
  request: IncomingMessage,
  options: AdminOptions,
  failures: TokenBuckets,
): Promise<Answer> {
  const { host, authorization, origin } = request.headers;
  const found = find(request.method ?? '', pathOf(request));
  const isHarmless = found === undefined || found.endpoint.isHarmless;
  const refused = refuseAccess(door, { host, authorization, origin }, isHarmless);
  if (refused === 'wrong-host' || refused === 'wrong-origin') return refusalAnswers[refused];
  if (refused === 'token-needed') return refuse(request, options, failures);
  if (found === undefined) return plainAnswer(404, told);
  if (found.kind === 'method')
    return { ...plainAnswer(405, `${found.method} only`), headers: { Allow: found.method } };
  if (refused !== undefined) return refusalAnswers[refused];
  const { endpoint, params } = found;
  if ('answer' in endpoint) return endpoint.answer();
  return change(endpoint.of(params.join()), door, request, options);
}

/** The right token never waits: whoever shares an address with somebody who guesses must still be able to scrape. */
function refuse(
  request: IncomingMessage,
  { clock, onRefused }: AdminOptions,
  failures: TokenBuckets,
): Answer {
  const address = request.socket.remoteAddress ?? 'an unknown address';
  const waitMs = failures.take(networkOf(address), clock.now());
  if (waitMs !== undefined)
    return {
      ...plainAnswer(429, 'too many requests without the token'),
      headers: { 'Retry-After': String(Math.ceil(waitMs / 1_000)) },
    };
  onRefused(address);
  return refusalAnswers['token-needed'];
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
    return plainAnswer(503, 'this failed; the log says why');
  }
}

const refusalAnswers: Readonly<Record<AccessRefusal, Answer>> = {
  'wrong-host': plainAnswer(421, 'the Host is not a name of this server'),
  'wrong-origin': plainAnswer(403, 'not from a page of another origin'),
  'no-token-set': plainAnswer(403, 'only over the UNIX socket, since no token is configured'),
  'token-needed': {
    ...plainAnswer(401, 'Authorization: Bearer and the token are needed'),
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
};

const statusOfResult = { done: 200, unknown: 404, failed: 409, unrecorded: 503, undone: 503 } as const;

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

/** A client that takes nothing for so long gets no more. */
const unreadMs = bounds.adminUnreadMs;

/** Without the last piece the answer has no end, so it never looks whole. */
async function sendPieces(
  response: ServerResponse,
  { status, type, body }: Answer,
  pieces: AsyncIterable<string>,
  { clock }: AdminOptions,
): Promise<void> {
  const closed = new Promise<false>((resolve) => {
    response.once('close', () => resolve(false));
  });
  response.writeHead(status, {
    'Content-Type': type,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
  });
  response.write(body);
  for await (const piece of pieces) {
    if (response.write(piece)) continue;
    const timer = clock.setTimer(unreadMs, () => response.destroy());
    const drained = new Promise<true>((resolve) => {
      response.once('drain', () => resolve(true));
    });
    const goesOn = await Promise.race([drained, closed]);
    timer.cancel();
    if (!goesOn) break;
  }
  response.end();
}

/** What is needed of a connection; a socket of Node has it. */
export interface Connection {
  /** None on a UNIX socket. */
  readonly remoteAddress?: string | undefined;
  readonly bytesRead: number;
  destroy(): unknown;
  once(event: 'close', run: () => void): unknown;
}

/** Of one socket, at once. A scraper, a probe and an operator need three; the others leave a slow client time to send its request. */
export const connectionsMax = bounds.adminConnections;
/** From accept to the first byte. Clients connect in order to send. */
const firstByteMs = bounds.adminFirstByteMs;
/** For the request, from accept to its end; and again for the client to read the answer. */
const usualConnectionMs = bounds.adminConnectionMs;
/** From the request to the answer. This is our own time: a reload takes long on a loaded machine, and its client waits 30 s. */
const workingMs = 60_000;

/**
 * Waiting for the request, making the answer, or waiting for the client to read it. Silent connections and half requests are one
 * stage: if silent ones went first, one byte from each of a stranger's connections would make all probes go first.
 */
type Stage = 'waiting' | 'working' | 'answered';

interface Open {
  readonly network: string;
  stage: Stage;
  /** Closes the connection when the time of its stage is over. */
  timer: Timer;
}

/**
 * The connections of one socket: how many there are at once, how long each may take, and which one is closed for a new one. Connections
 * that only occupy a place never keep a new one out. The network with the most connections loses one, so a client has time to send its
 * request, however fast a stranger connects. All clients of a UNIX socket count as one network.
 */
export class Connections {
  readonly #clock: Clock;
  readonly #connectionMs: number;
  /** In the order of their accept. */
  readonly #open = new Map<Connection, Open>();

  constructor(clock: Clock, connectionMs = usualConnectionMs) {
    this.#clock = clock;
    this.#connectionMs = connectionMs;
  }

  /** The connection is closed when its time is over, and another one when there are too many. */
  accepted(connection: Connection): void {
    const { remoteAddress } = connection;
    const network = remoteAddress === undefined ? '' : networkOf(remoteAddress);
    if (this.#open.size >= connectionsMax) {
      // Of 64 answers that are being made at once, none is given up: then the new one is closed.
      const going = this.#leastWanted(network) ?? connection;
      this.#open.delete(going);
      going.destroy();
      if (going === connection) return;
    }
    const open: Open = {
      network,
      stage: 'waiting',
      timer: this.#clock.setTimer(firstByteMs, () => void this.#firstByteDue(connection, open)),
    };
    this.#open.set(connection, open);
    connection.once('close', () => {
      open.timer.cancel();
      this.#open.delete(connection);
    });
  }

  /** Its answer may take any time. When there are too many connections, it may still be closed for a new one. */
  prolong(connection: Connection): void {
    this.become(connection, 'answered');
    this.#open.get(connection)?.timer.cancel();
  }

  /** `working`: its request has come whole; `answered`: its answer was written. An answer may come before the whole request. */
  become(connection: Connection, stage: 'working' | 'answered'): void {
    const open = this.#open.get(connection);
    if (open === undefined || open.stage === 'answered') return;
    open.stage = stage;
    open.timer.cancel();
    const ms = stage === 'working' ? workingMs : this.#connectionMs;
    open.timer = this.#clock.setTimer(ms, () => void connection.destroy());
  }

  /** Looks one turn later: after a stall, timers fire before the bytes that have arrived are read. */
  async #firstByteDue(connection: Connection, open: Open): Promise<void> {
    await this.#clock.nextTurn();
    if (this.#open.get(connection) !== open || open.stage !== 'waiting') return;
    if (connection.bytesRead === 0) connection.destroy();
    else open.timer = this.#clock.setTimer(this.#connectionMs - firstByteMs, () => void connection.destroy());
  }

  /** Closes all of them. */
  end(): void {
    for (const connection of this.#open.keys()) connection.destroy();
  }

  /** Of the network with the most connections (`added` gets one more): the oldest that waits, else the oldest that was answered. */
  #leastWanted(added: string): Connection | undefined {
    const counts = new Map([[added, 1]]);
    for (const { network } of this.#open.values()) counts.set(network, (counts.get(network) ?? 0) + 1);
    let found: { connection: Connection; count: number; stage: Stage } | undefined;
    for (const [connection, { network, stage }] of this.#open) {
      if (stage === 'working') continue;
      const count = counts.get(network) ?? 0;
      const isLessWanted =
        found === undefined ||
        count > found.count ||
        (count === found.count && stage === 'waiting' && found.stage === 'answered');
      if (isLessWanted) found = { connection, count, stage };
    }
    return found?.connection;
  }
}
