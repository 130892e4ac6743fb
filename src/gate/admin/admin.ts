// The admin endpoints over HTTP: a server for each socket, with the access rules of each path. A GET reads, and a POST changes something.
// Each connection serves one request, with limits on its size and time.

import { bounds } from '../../host/bounds/bounds.js';
import { TokenBuckets } from '../../host/concurrency/limits.js';
import { createRoutes } from '../../host/http/routes.js';
import {
  type HttpCall,
  type HttpServerOptions,
  openHttpServer,
  plainAnswer,
  shortLimits,
  type TextAnswer,
} from '../../host/http/server.js';
import { messageOf } from '../../host/ports/faults.js';
import { networkOf } from '../../host/ports/peer.js';
import {
  type AccessRefusal,
  type Act,
  actionRoutes,
  type Door,
  type Operator,
  type OperatorAction,
  refuseAccess,
} from './access.js';
import { createPages, type Page, type PageSources } from './pages.js';

export interface AdminDoor extends Pick<HttpServerOptions, 'bind' | 'secure'> {
  readonly door: Door;
}

export type AdminConnection = HttpCall['request']['socket'];

export interface AdminOptions extends PageSources {
  readonly doors: readonly AdminDoor[];
  readonly act: Act;
  /** The operator at the other end of a connection; undefined: not known, so changes are refused. */
  readonly whoIs: (connection: AdminConnection, door: Door) => Promise<Operator | undefined>;
  /** Why an operator sees only health and metrics. Returns undefined while nobody is locked, so that no operator is looked up. */
  readonly whyNotShown?: (() => ((operator: Operator) => string | undefined) | undefined) | undefined;
  readonly onError: (text: string) => void;
  /** Called for requests without the token or with a wrong one: for one address ten at once, then one a second. */
  readonly onRefused: (address: string) => void;
}

export interface Admin {
  close(): Promise<void>;
}

/** Limits requests of one network without the right token. Above the limit they are answered with 429 and not reported. */
const refusals = { burst: bounds.adminRefusals, refillMs: 1_000, sourcesMax: 1024 };

export const adminLimits = shortLimits(bounds.adminConnectionMs);

function endpointsOf(options: AdminOptions) {
  const pages = [...createPages(options)].map(([path, page]) => [`GET ${path}`, page] as const);
  const actions = actionRoutes.map(([route, of]) => [route, { isHarmless: false, of }] as const);
  const paths = [...pages, ...actions].map(([route]) =>
    route.replace(/^\w+ /, '').replace(/:\w+/g, (word) => word.slice(1).toUpperCase()),
  );
  return {
    find: createRoutes<Page | (typeof actions)[number][1]>([...pages, ...actions]),
    told: `there is ${paths.join(' ')}`,
  };
}

type Endpoints = ReturnType<typeof endpointsOf>;

/** Serves on every socket. Rejects as `bind` does; none is left open then. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  const endpoints = endpointsOf(options);
  const open: Admin[] = [];
  const admin: Admin = {
    async close() {
      await Promise.all(open.map((each) => each.close()));
    },
  };
  for (const { door, bind, secure } of options.doors) {
    const failures = new TokenBuckets(refusals);
    const answer = (call: HttpCall): Promise<TextAnswer> => {
      // The pages and actions look at no body.
      call.work();
      return respond(door, endpoints, call, options, failures);
    };
    const server = openHttpServer({
      clock: options.clock,
      limits: adminLimits,
      bind,
      ...(secure && { secure }),
      headers: { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' },
      refusal: plainAnswer,
      answer,
      onError: options.onError,
    });
    try {
      open.push(await server);
    } catch (fault) {
      await admin.close();
      throw fault;
    }
  }
  return admin;
}

async function respond(
  door: Door,
  { find, told }: Endpoints,
  { request, path }: HttpCall,
  options: AdminOptions,
  failures: TokenBuckets,
): Promise<TextAnswer> {
  const { host, authorization, origin } = request.headers;
  const found = find(request.method ?? '', path);
  const isHarmless = found === undefined || found.endpoint.isHarmless;
  const refused = refuseAccess(door, { host, authorization, origin }, isHarmless);
  if (refused === 'wrong-host' || refused === 'wrong-origin') return refusalAnswers[refused];
  if (refused === 'token-needed') return refuse(request.socket, options, failures);
  if (found === undefined) return plainAnswer(404, told);
  if (found.kind === 'method')
    return { ...plainAnswer(405, `${found.method} only`), headers: { Allow: found.method } };
  if (refused !== undefined) return refusalAnswers[refused];
  const { endpoint, params } = found;
  if ('answer' in endpoint) {
    const why = isHarmless ? undefined : await whyNotShown(door, request.socket, options);
    return why === undefined ? endpoint.answer() : plainAnswer(403, why);
  }
  const [word = '', more, last] = params;
  return change(endpoint.of(word, more, last), door, request.socket, path, options);
}

async function whyNotShown(
  door: Door,
  connection: AdminConnection,
  { whoIs, whyNotShown: ask }: AdminOptions,
): Promise<string | undefined> {
  if (ask?.() === undefined) return undefined;
  const operator = await whoIs(connection, door);
  return operator && ask()?.(operator);
}

/** The right token is never delayed: a scraper that shares its address with a guesser must still be served. */
function refuse(
  { remoteAddress: address = 'an unknown address' }: AdminConnection,
  { clock, onRefused }: AdminOptions,
  failures: TokenBuckets,
): TextAnswer {
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
  connection: AdminConnection,
  path: string,
  { act, whoIs, onError }: AdminOptions,
): Promise<TextAnswer> {
  const operator = await whoIs(connection, door);
  if (operator === undefined) return plainAnswer(403, 'the kernel does not say who asks');
  try {
    const result = await act(action, operator);
    return plainAnswer(statusOfResult[result.kind], result.text);
  } catch (fault) {
    onError(`${path}: ${messageOf(fault)}`);
    return plainAnswer(503, 'this failed; the log says why');
  }
}

const refusalAnswers: Readonly<Record<AccessRefusal, TextAnswer>> = {
  'wrong-host': plainAnswer(421, 'the Host is not a name of this server'),
  'wrong-origin': plainAnswer(403, 'not from a page of another origin'),
  'no-token-set': plainAnswer(403, 'only over the UNIX socket, since no token is configured'),
  'token-needed': {
    ...plainAnswer(401, 'Authorization: Bearer and the token are needed'),
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
};

const statusOfResult = {
  done: 200,
  already: 200,
  unknown: 404,
  refused: 403,
  failed: 409,
  unrecorded: 503,
  undone: 503,
} as const;
