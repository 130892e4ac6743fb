// The requests of one HTTP client, one after the other: the client is identified before a body is read, a body is read and checked to its
// end before a command runs, and its commands run in order, each an exchange with records of its own. No command of a request that ends in
// 400 ran. An answer that breaks off is reset, never ended. A browser is refused before anything else. Dovecot's own implementation:
// src/doveadm/client-connection-http.c.

import { type Code, sentenceOf } from '../../doveadm/codes/codes.js';
import { readNamedCommand, userMaskOf } from '../../doveadm/commands/named.js';
import { isProxyHeader } from '../../doveadm/handshake/accept.js';
import { type DecodedRequest, RequestDecoder, SpanReader } from '../../doveadm/http-api/request.js';
import type { CommandLine } from '../../doveadm/protocol/command.js';
import { bounds } from '../../host/bounds/bounds.js';
import { RoomFault, TransportFault, WireFault } from '../../host/ports/faults.js';
import type { HeldBytes } from '../../host/ports/machine.js';
import type { Peer } from '../../host/ports/peer.js';
import type { CloseReason, HttpHead, HttpRequest, Transport } from '../../host/ports/transport.js';
import { listCommands, mayTakeText } from '../../rules/answers/command-list.js';
import type { Login } from '../../rules/identity/credentials.js';
import { isAuthorization, readAuthorization } from '../../rules/keys/authorization.js';
import { plainLine } from '../../rules/policy/assess.js';
import type { Policy } from '../../rules/policy/policy.js';
import type { Exchange, ExchangeWish } from '../command/exchange.js';
import { cutReason, type Stated } from '../command/stated.js';
import { type ClientInput, closeUntaken, type TextPiece } from '../relay/relay.js';
import {
  acceptImplicitTls,
  type Greeting,
  limitHandshake,
  proxyHeader,
  readInTurn,
  reportLogin,
  type SessionContext,
  strangerPiecesMax,
  strangerTurn,
} from './greet-peer.js';
import {
  type AccessPath,
  accessBytesMax,
  accessPaths,
  isAccessPath,
  readAccess,
  reportPath,
} from './http-access.js';
import { type BareForm, codeHeader, HttpAnswer, plain } from './http-answer.js';
import type { RunningSession } from './roster.js';

/** Bytes of a body that are parsed at once: with words of one letter these take some 3 ms. */
const pieceBytes = 8 * 1024;
const ofJson: HttpHead['headers'] = [['Content-Type', 'application/json; charset=utf-8']];
const entries = `[
{"method":"OPTIONS","path":"*"},
{"method":"GET","path":"/"},
{"method":"GET","path":"/doveadm/v1"},
{"method":"POST","path":"/doveadm/v1"}
]
`;

export interface HttpHost {
  readonly transport: Transport;
  readonly context: SessionContext;
  readonly running: Exchange | undefined;
  readonly origin: string;
  readonly standing: RunningSession['standing'];
  readonly endsFor: 'draining' | 'revoked' | undefined;
  readonly isAborted: boolean;
  isBusy: boolean;
  isPermitted(): boolean;
  policyNow(): Policy | undefined;
  logIn(peer: Peer, login: Login | undefined, certificate: string | undefined): string | undefined;
  /** Runs a piece of work in the turn of this session: reading and judging requests shares the processor with all other lines. */
  work<T>(run: () => T): Promise<T>;
  runNamed(
    line: CommandLine,
    stated: Stated,
    answer: HttpAnswer,
    input: ClientInput | undefined,
    wish: ExchangeWish | undefined,
  ): Promise<{ readonly id: string; readonly closeFor: CloseReason | undefined } | 'revoked'>;
}

/** Resolves to why the session must end; rejects with a TransportFault if the client is gone. No `greeting`: the listener is gone. */
export async function serveRequests(
  host: HttpHost,
  greeting: Greeting | undefined,
  peer: Peer,
): Promise<CloseReason> {
  if (greeting === undefined) return 'revoked';
  const { transport, context } = host;
  const { access } = greeting;
  const client = new HttpClient(host, greeting, peer);
  let timer = limitHandshake(greeting);
  try {
    if (access.tls === 'implicit') {
      const certified = await acceptImplicitTls(greeting);
      if (typeof certified === 'string') return certified;
      client.certified = certified;
    }
    let first: Buffer | undefined;
    if (access.tls !== 'implicit') {
      client.isInTurn = !access.isPreauthenticated;
      // Even reading a head costs more than accepting a connection.
      const chunk = client.isInTurn ? await readInTurn(greeting) : await transport.read();
      if (chunk === null) return 'peer-ended';
      if (isProxyHeader(chunk)) throw proxyHeader();
      first = chunk;
    }
    let pieces = 1;
    const requests = context.readHttp(transport, first, async (run) => {
      if (host.standing !== 'known') {
        pieces += 1;
        if (pieces > strangerPiecesMax) await strangerTurn(greeting, pieces);
      }
      await host.work(run);
    });
    for (;;) {
      const request = await requests.next();
      timer.cancel();
      if (request === null) return 'peer-ended';
      if ('malformed' in request) {
        client.count(request.malformed);
        return 'wire-fault';
      }
      host.isBusy = true;
      const closeFor = await client.serve(request);
      host.isBusy = false;
      if (closeFor !== undefined) return closeFor;
      if (host.endsFor !== undefined) return host.endsFor;
      timer = greeting.context.clock.setTimer(bounds.httpIdleMs, () => transport.close('idle-timeout'));
    }
  } finally {
    timer.cancel();
    host.isBusy = false;
  }
}

interface ReadCommand {
  readonly line: CommandLine;
  readonly input: Span | undefined;
  readonly tag: string;
}

type ReadRequest =
  | { readonly commands: readonly ReadCommand[] }
  | { readonly code: RequestCode; readonly text: string };

class HttpClient {
  certified: { readonly login: Login; readonly certificate: string } | undefined;
  isInTurn = false;
  readonly #host: HttpHost;
  readonly #greeting: Greeting;
  readonly #peer: Peer;
  /** The header of its last successful login. */
  #authorization: string | undefined;
  #isGone = false;

  constructor(host: HttpHost, greeting: Greeting, peer: Peer) {
    this.#host = host;
    this.#greeting = greeting;
    this.#peer = peer;
    if (greeting.access.isPreauthenticated) host.logIn(peer, undefined, undefined);
  }

  count(status: number): void {
    const { listener } = this.#peer;
    this.#host.context.exchanges().observe({ kind: 'http-request', level: undefined, listener, status });
  }

  /** Answers a request; returns why the session must end, if it must. */
  async serve(request: HttpRequest): Promise<CloseReason | undefined> {
    const { method, target } = request;
    const [path = ''] = target.split('?', 1);
    if (isOfBrowser(request)) return this.#end(request, 'cross-origin');
    if (method === 'OPTIONS') return this.#respond(request, 200, '', []);
    const route = routes.get(`${method} ${path}`);
    if (route === undefined) {
      const code = 'unknown-path';
      const text = sentenceOf(code);
      return this.#respond(request, 404, text, [...plain, codeHeader(code)], text);
    }
    const refused = await this.#admit(request);
    if (refused !== undefined) return refused;
    if (route === reportPath || isAccessPath(route)) return this.#access(request, route);
    switch (route) {
      case 'entries':
        return this.#respond(request, 200, entries, ofJson);
      case 'commands':
        return this.#respond(request, 200, await this.#host.work(() => this.#commands()), ofJson);
      case 'can': {
        const can = { line: plainLine('', ['dovegate', 'can']), input: undefined, tag: '' };
        return this.#answer(request, [can], route);
      }
      case 'run':
      case 'dry-run':
        return this.#run(request, route);
      default:
        return route satisfies never;
    }
  }

  /** Identifies the client; returns why the session ends if it may not do anything. */
  async #admit(request: HttpRequest): Promise<CloseReason | undefined> {
    const host = this.#host;
    const { access, waiting, onChecking } = this.#greeting;
    const { address } = this.#peer;
    if (access.isPreauthenticated) return host.isPermitted() ? undefined : 'revoked';
    const header = fieldOf(request, 'authorization');
    const asked = readAuthorization(header);
    if (isAuthorization(asked, 'none') && this.certified !== undefined) {
      const { login, certificate } = this.certified;
      if (this.#authorization !== certificate) reportLogin(this.#greeting, 'certificate', login.account);
      this.#authorization = certificate;
      return this.#logIn(request, login, certificate);
    }
    const logins = host.context.access(this.#peer.listener)?.logins;
    if (isAuthorization(asked, 'none') || logins === undefined) return this.#refuse(request);
    host.transport.onGone(() => waiting.abort(new TransportFault('peer-gone', 'the other side is gone')));
    const isKnown = header === this.#authorization;
    if (isAuthorization(asked, 'malformed')) {
      reportLogin(this.#greeting, 'malformed', undefined);
      return this.#refuse(request);
    }
    if (isAuthorization(asked, 'password') && isKnown && host.isPermitted()) return undefined;
    onChecking();
    if (!isKnown && !this.isInTurn) await logins.turnOf(address, waiting.signal);
    this.isInTurn = false;
    const tried = { address, signal: waiting.signal };
    const answer = isAuthorization(asked, 'key')
      ? await logins.byKey({ ...tried, text: asked.text, name: asked.name })
      : await logins.byPassword({
          ...tried,
          user: asked.user,
          password: asked.password,
          certified: undefined,
        });
    const name = isAuthorization(asked, 'key') ? undefined : asked.user;
    if (!('login' in answer)) {
      reportLogin(this.#greeting, answer.result, name, { key: answer.key });
      return this.#refuse(request);
    }
    if (!isKnown) reportLogin(this.#greeting, answer.result, name ?? answer.login.account);
    this.#authorization = header;
    return this.#logIn(request, answer.login, undefined);
  }

  async #logIn(
    request: HttpRequest,
    ...as: [login: Login, certificate: string | undefined]
  ): Promise<CloseReason | undefined> {
    const full = this.#host.logIn(this.#peer, ...as);
    if (full !== undefined) return this.#end(request, 'sessions-limit', full);
    return this.#host.isPermitted() ? undefined : this.#refuse(request);
  }

  async #refuse(request: HttpRequest): Promise<CloseReason> {
    const challenge = [
      ['WWW-Authenticate', 'X-Dovecot-API'],
      ['WWW-Authenticate', 'Basic Realm="doveadm"'],
      codeHeader('unauthenticated'),
    ] as const;
    this.count(401);
    const head = { status: 401, reason: 'Authentication required', headers: challenge, isLast: true };
    await this.#taken(request.answer(head, Buffer.alloc(0)));
    await this.#linger(request);
    return 'login-failed';
  }

  /** The commands that the client may ever run, in the form in which Dovecot lists all commands. */
  #commands(): string {
    const policy = this.#host.policyNow();
    const { clock } = this.#greeting.context;
    const listed = policy === undefined ? [] : listCommands(policy, clock.wallMs());
    return `[${listed.map((command) => JSON.stringify(command)).join(',\n')}]\n`;
  }

  async #run(request: HttpRequest, route: 'run' | 'dry-run'): Promise<CloseReason | undefined> {
    const { origin } = this.#host;
    const body = this.#host.context.holdBody(origin);
    try {
      const read = await this.#read(request, body);
      if ('code' in read) return await this.#end(request, read.code, read.text);
      return await this.#answer(request, read.commands, route, body);
    } finally {
      this.#greeting.context.buffered.give(body.memoryBytes, origin);
      body.close();
    }
  }

  async #access(request: HttpRequest, path: OwnPath): Promise<CloseReason | undefined> {
    const { transport, context } = this.#host;
    const chunks: Buffer[] = [];
    let bytes = Number(fieldOf(request, 'content-length') ?? 0);
    const { clock } = this.#greeting.context;
    const timer = clock.setTimer(context.limits().inputTimeMs, () => transport.close('input-limit'));
    try {
      for (let chunk: Buffer | null = null; bytes <= accessBytesMax; chunks.push(chunk)) {
        chunk = await request.read();
        if (chunk === null) break;
        bytes = Math.max(
          bytes,
          chunks.reduce((sum, each) => sum + each.length, chunk.length),
        );
      }
    } catch (fault) {
      if (fault instanceof WireFault) return await this.#end(request, 'bad-request', 'Bad Request');
      throw fault;
    } finally {
      timer.cancel();
    }
    if (bytes > accessBytesMax)
      return this.#end(request, 'request-too-long', `The request is longer than ${accessBytesMax} bytes`);
    const read = await this.#host.work(() => readAccess(path, Buffer.concat(chunks)));
    if ('bad' in read) return this.#end(request, 'bad-request', read.bad);
    return this.#answer(request, [{ ...read, input: undefined }], path);
  }

  async #read(request: HttpRequest, body: HeldBytes): Promise<ReadRequest> {
    const host = this.#host;
    const { transport, context } = host;
    const { httpCommandsMax, inputTimeMs } = context.limits();
    const { bytesMax, why } = this.#bodyLimit();
    const limit = `The request is longer than ${bytesMax} bytes${why}`;
    const tooLong = { code: 'request-too-long', text: limit } as const;
    const declaredBytes = Number(fieldOf(request, 'content-length') ?? 0);
    if (declaredBytes > bytesMax) return tooLong;
    const { clock, buffered } = this.#greeting.context;
    const decoder = new RequestDecoder({ commandsMax: httpCommandsMax });
    const timer = clock.setTimer(inputTimeMs, () => transport.close('input-limit'));
    try {
      // Reserves room before the client gets `100 Continue`.
      await body.expect(declaredBytes);
      for (let chunk = await request.read(); chunk !== null; chunk = await request.read()) {
        if (body.length + chunk.length > bytesMax) return tooLong;
        for (let at = 0; at < chunk.length; at += pieceBytes) {
          const text = await host.work(() => decoder.push(chunk.subarray(at, at + pieceBytes)));
          if (text !== undefined) return { code: 'bad-request', text };
        }
        const before = body.memoryBytes;
        try {
          await body.append(chunk);
        } finally {
          // Also after a failed write to a file. This wakes clients that wait for room.
          buffered.give(before - body.memoryBytes, host.origin);
        }
      }
    } catch (fault) {
      if (fault instanceof TransportFault) throw fault;
      if (fault instanceof WireFault) return { code: 'bad-request', text: 'Bad Request' };
      if (fault instanceof RoomFault)
        return {
          code: 'no-room',
          text: `There is no room for the request: ${fault.message}; try again later`,
        };
      return { code: 'not-kept', text: sentenceOf('not-kept') };
    } finally {
      timer.cancel();
    }
    if (request.hasTrailers) return { code: 'bad-request', text: 'Trailers are not taken' };
    return this.#commandsOf(decoder.end());
  }

  /** The longest body that the policy allows, and why it is shorter than usual, if it is. */
  #bodyLimit(): { readonly bytesMax: number; readonly why: string } {
    const { httpBodyBytesMax } = this.#host.context.limits();
    const policy = this.#host.policyNow();
    const mayBeLong =
      httpBodyBytesMax <= bounds.httpCommandsBytes ||
      (policy !== undefined && mayTakeText(policy, this.#greeting.context.clock.wallMs()));
    if (mayBeLong) return { bytesMax: httpBodyBytesMax, why: '' };
    return { bytesMax: bounds.httpCommandsBytes, why: `: no command with a "file" is permitted here` };
  }

  async #commandsOf(decoded: DecodedRequest): Promise<ReadRequest> {
    if (decoded.kind === 'bad') return { code: 'bad-request', text: decoded.text };
    const commands: ReadCommand[] = [];
    const added = this.#host.policyNow()?.added;
    for (const command of decoded.commands) {
      const read = await this.#host.work(() => readNamedCommand(command, added));
      if (read.kind === 'bad') return { code: 'bad-request', text: read.text };
      commands.push({ line: read.line, input: read.input, tag: command.tag });
    }
    return { commands };
  }

  async #answer(
    request: HttpRequest,
    commands: readonly ReadCommand[],
    route: AnswerRoute,
    body?: HeldBytes,
  ): Promise<CloseReason | undefined> {
    const host = this.#host;
    const { transport } = host;
    const isLast = host.endsFor !== undefined;
    const head = headOf(200, ofJson, isLast);
    const { buffered } = this.#greeting.context;
    const answer = new HttpAnswer(request, transport, head, buffered, this.#host.origin, bareFormOf(route));
    try {
      return await this.#runAll(request, commands, route, answer, body);
    } finally {
      answer.close();
    }
  }

  async #runAll(
    request: HttpRequest,
    commands: readonly ReadCommand[],
    route: AnswerRoute,
    answer: HttpAnswer,
    body: HeldBytes | undefined,
  ): Promise<CloseReason | undefined> {
    const host = this.#host;
    const { transport, context } = host;
    const reason = reasonOf(request);
    let wish: ExchangeWish | undefined = route === 'dry-run' ? 'dry-run' : undefined;
    let closeFor: CloseReason | undefined;
    transport.onGone(() => {
      this.#isGone = true;
      host.running?.abort('client-gone');
    });
    for (const { line, input: span, tag } of commands) {
      if (this.#isGone) wish = 'client-gone';
      else if (host.isAborted) wish = 'draining';
      const { inputBytesMax, inputTimeMs } = context.limits();
      const input = span && body && spanInput(body, span, inputBytesMax, inputTimeMs);
      answer.startCommand(userMaskOf(line));
      const end = await host.runNamed(line, { reason, tag }, answer, input, wish);
      if (end === 'revoked') {
        transport.close('revoked', true);
        return 'revoked';
      }
      answer.endCommand(tag, end.id);
      if (answer.isBroken) closeFor ??= 'cut-reply';
      if (end.closeFor !== undefined && end.closeFor !== 'input-limit') closeFor ??= end.closeFor;
      if (closeFor !== undefined) wish = 'client-gone';
    }
    if (this.#isGone) closeFor ??= 'peer-gone';
    if (closeFor !== undefined) {
      this.count(200);
      // A part must not be taken for the whole answer.
      transport.close(closeFor, true);
      return closeFor;
    }
    this.count(answer.status);
    return this.#taken(answer.finish());
  }

  /** Waits until the client has taken its answer; returns why the session must end, if it must. */
  async #taken(drained: Promise<void> | undefined): Promise<CloseReason | undefined> {
    if (drained === undefined) return undefined;
    const { clock, limits } = this.#host.context.exchanges();
    return closeUntaken(drained, clock, limits.clientStallMs);
  }

  /** Reads and drops the rest of a request: a client that still sends when we close may never read its answer. */
  async #linger(request: HttpRequest): Promise<void> {
    const { clock } = this.#greeting.context;
    const timer = clock.setTimer(bounds.httpLingerMs, () => this.#host.transport.close('aborted'));
    try {
      while ((await request.read()) !== null);
    } catch (fault) {
      if (!(fault instanceof TransportFault || fault instanceof WireFault)) throw fault;
    } finally {
      timer.cancel();
    }
  }

  /** Sends the last answer of the connection. */
  async #end(request: HttpRequest, code: RequestCode, text = sentenceOf(code)): Promise<CloseReason> {
    const [status, closeFor] = requestEnds[code];
    this.count(status);
    const head = headOf(status, [...plain, codeHeader(code)], true);
    await this.#taken(request.answer(head, Buffer.from(text)));
    await this.#linger(request);
    return closeFor;
  }

  /**
   * In turn: such answers run no command and need no login, so a client can request them as fast as it writes. An unauthenticated client
   * gets only one of them and must connect again.
   */
  async #respond(
    request: HttpRequest,
    status: number,
    text: string,
    headers: HttpHead['headers'],
    reason?: string,
  ): Promise<CloseReason | undefined> {
    const host = this.#host;
    const isStranger = host.standing !== 'known';
    const { drained } = await host.work(() => {
      this.count(status);
      const head = headOf(status, headers, isStranger || host.endsFor !== undefined, reason);
      return { drained: request.answer(head, Buffer.from(text)) };
    });
    const closeFor = await this.#taken(drained);
    if (closeFor !== undefined || !isStranger) return closeFor;
    await this.#linger(request);
    return 'peer-ended';
  }
}

/** The HTTP status for a request that is refused as a whole, and why the session is closed. */
const requestEnds = {
  'bad-request': [400, 'wire-fault'],
  'cross-origin': [403, 'peer-refused'],
  'no-room': [503, 'sessions-limit'],
  'not-kept': [500, 'wire-fault'],
  'request-too-long': [413, 'wire-fault'],
  'sessions-limit': [503, 'sessions-limit'],
} as const satisfies Partial<Record<Code, readonly [number, CloseReason]>>;
type RequestCode = keyof typeof requestEnds;

/** Paths with a body of their own form. */
type OwnPath = AccessPath | typeof reportPath;

type AnswerRoute = 'can' | 'run' | 'dry-run' | OwnPath;
type Route = 'entries' | 'commands' | AnswerRoute;

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['GET /', 'entries'],
  ['GET /doveadm/v1', 'commands'],
  ['POST /doveadm/v1', 'run'],
  ['GET /dovegate/v1/can', 'can'],
  ['POST /dovegate/v1/dry-run', 'dry-run'],
  [`POST /dovegate/v1/${reportPath}`, reportPath],
  ...accessPaths.map((path) => [`POST /dovegate/v1/${path}`, path] as const),
]);

/** Undefined for an array around the answers of several commands. */
function bareFormOf(route: AnswerRoute): BareForm | undefined {
  if (route === 'run' || route === 'dry-run') return undefined;
  if (route === 'can') return 'rows';
  return route === 'requests' ? 'objects' : 'object';
}

function headOf(status: number, headers: HttpHead['headers'], isLast: boolean, reason?: string): HttpHead {
  return reason === undefined ? { status, headers, isLast } : { status, reason, headers, isLast };
}

function fieldOf({ headers }: HttpRequest, name: string): string | undefined {
  return headers.find(([each]) => each === name)?.[1];
}

/** A foreign page in a browser: it would use its visitor's rights without consent. */
function isOfBrowser(request: HttpRequest): boolean {
  const origin = fieldOf(request, 'origin');
  if (fieldOf(request, 'sec-fetch-site') === 'cross-site') return true;
  if (origin === undefined) return false;
  return origin.replace(/^https?:\/\//i, '').toLowerCase() !== fieldOf(request, 'host')?.toLowerCase();
}

function reasonOf(request: HttpRequest): string | undefined {
  const field = fieldOf(request, 'dovegate-reason');
  // HTTP fields have one character for each byte.
  return field === undefined ? undefined : cutReason(Buffer.from(field, 'latin1').toString());
}

const textPieceBytes = 64 * 1024;

/** Where a text lies in a body, in bytes. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** Reads the text again from the complete body. `bytesMax`: `limits.input`. */
function spanInput(body: HeldBytes, { from, to }: Span, bytesMax: number, timeMs: number): ClientInput {
  const reader = new SpanReader();
  let at = from;
  let length = 0;
  return {
    timeMs,
    isHere: true,
    async nextText(): Promise<TextPiece> {
      const parts: Buffer[] = [];
      if (at < to) {
        const bytes = await body.read(at, Math.min(textPieceBytes, to - at));
        at += bytes.length;
        parts.push(reader.push(bytes));
      }
      if (at === to) reader.end();
      for (const part of parts) length += part.length;
      if (length > bytesMax) throw new WireFault('line-too-long', 'the text is longer than its limit');
      return { kind: 'piece', parts, isLast: at === to };
    },
    // The text was read with the body, and nothing follows it.
    skipText: () => Promise.resolve('skipped'),
    readRaw: () => Promise.resolve(null),
  };
}
