// A session over Dovecot's HTTP API, which dovegate's HTTP listeners and Dovecot offer: each command is one request, one at a
// time, on a kept connection. An answer counts only when it was read to its end, and the key is never part of a message.

import {
  type ClientRequest,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { formatSaid, type Said } from '../doveadm/codes/codes.js';
import { readSaidOfJson } from '../doveadm/codes/said.js';
import { minorForClients } from '../doveadm/protocol/minors.js';
import { exitCodes, type LogLine } from '../doveadm/reply/reply.js';
import { systemContext } from '../host/machine/system-trust.js';
import { messageOf } from '../host/ports/faults.js';
import type { Clock, Timer } from '../host/ports/machine.js';
import { isOfThisMachine } from '../host/ports/peer.js';
import { asList, isObject } from '../host/values/values.js';
import { type AccessCall, bodyOfCall, createAccess } from './access.js';
import {
  type Command,
  CommandFailed,
  type CommandInput,
  checkTypes,
  piecesOf,
  SessionFault,
  unexpectedReply,
  unsendable,
} from './client-command.js';
import { type CellPiece, namedRow, type Row } from './exchange.js';
import type { JsonCommand } from './json-command.js';
import type { Session, SessionOptions } from './session.js';

export interface HttpOptions extends SessionOptions {
  readonly url: string;
  readonly key?: string | Buffer;
  readonly ca?: string;
  readonly serverName?: string;
  readonly certificate?: { readonly certificate: string; readonly key: string };
  readonly allowPlaintext?: boolean;
  readonly connectTimeoutMs?: number;
}

type Headers = Record<string, string | number>;

interface Target {
  readonly isTls: boolean;
  /** The connection does not leave this machine. */
  readonly isLocal: boolean;
  /** The path of the API: `/doveadm/v1` unless the URL has another. */
  readonly path: string;
  open(method: string, path: string, headers: Headers): ClientRequest;
  /** Ends the connection that is kept; the next request makes another one. */
  disconnect(): void;
}

/** The JSON of a request around its input, which follows `head` escaped. */
interface RequestBody {
  readonly head: string;
  readonly input: CommandInput | undefined;
  readonly tail: string;
}

interface Answer {
  /** dovegate's code for the refusal of the whole request. */
  readonly code: unknown;
  readonly status: number;
  readonly reason: string;
  readonly text: string;
  /** How long the next request may use this connection. */
  readonly keptMs: number;
}

type Rows = readonly { readonly names: readonly string[]; readonly cells: Row }[];

const apiPath = '/doveadm/v1';
/**
 * How long a connection is kept for the next request, and at most half the server's time (dovegate: 15 s): if the server closes while a
 * request is sent, it is unknown whether that was read.
 */
const keptMsMax = 5_000;

/** Sends nothing before the first command, which shows whether the server is reachable and accepts the key. */
export function openHttpSession(options: HttpOptions, clock: Clock): Session {
  const { key, onLog } = options;
  const target = targetOf(options);
  const login = key === undefined ? undefined : `X-Dovecot-API ${Buffer.from(key).toString('base64')}`;
  if (login !== undefined && !target.isLocal && options.allowPlaintext !== true)
    throw new SessionFault('tls-failed', 'the key would go in clear to another machine: use https');
  const running = new Set<ClientRequest>();
  let isClosed = false;
  /** Until then the connection of the last answer may be used. */
  let keptUntilMs = -Infinity;
  /** Resolves when the previous command has ended. */
  let turn: Promise<unknown> = Promise.resolve();

  async function ask(command: Command): Promise<Rows> {
    checkTypes(command);
    if (command.debug === true || command.verbose === true)
      throw unsendable('the HTTP API has no log lines to ask for');
    const { jsonFormsOf } = await import('./json-command.js');
    const forms = jsonFormsOf(command);
    if (forms.some(({ takesInput }) => takesInput) && command.input === undefined)
      throw unsendable(`"${command.name}" needs its input`);
    const mine = turn.then(() => sendForms(command, forms));
    turn = mine.catch(() => undefined);
    return mine;
  }

  async function sendForms(command: Command, forms: readonly JsonCommand[]): Promise<Rows> {
    for (const [at, form] of forms.entries()) {
      const rows = await send(command, form, at < forms.length - 1);
      if (rows !== undefined) return rows;
    }
    return [];
  }

  /** Resolves to undefined if the server does not know the parameter name; then nothing ran. `isTried`: other names may be tried. */
  async function send(command: Command, json: JsonCommand, isTried: boolean): Promise<Rows | undefined> {
    const answer = await answerTo(
      command.signal,
      () => requestOf(command, json),
      isOwn(json) ? undefined : bodyOf(json, command),
    );
    if (isTried && answer.text.startsWith('[["error",{"type":"invalidRequest"')) return undefined;
    return rowsOfAnswer(answer, json, showLog);
  }

  function showLog(text: string): void {
    onLog?.({ type: 'error', text, isCut: false });
  }

  /** Sends one request and reads its answer, whatever it is. Rejects with a SessionFault, or with the signal's reason. */
  async function answerTo(
    signal: AbortSignal | undefined,
    open: () => ClientRequest,
    body: RequestBody | undefined,
  ): Promise<Answer> {
    if (isClosed) throw new SessionFault('closed', 'the session was closed');
    signal?.throwIfAborted();
    if (clock.now() > keptUntilMs) target.disconnect();
    const request = open();
    running.add(request);
    const onAbort = (): void => void request.destroy(new SessionFault('closed', 'canceled'));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const answer = await exchange(request, body, target, options, clock);
      keptUntilMs = clock.now() + answer.keptMs;
      if (answer.status === 401 && login === undefined)
        throw new SessionFault('auth-rejected', 'the server asks for a key, and none was given');
      return answer;
    } catch (fault) {
      throw signal?.aborted === true ? signal.reason : fault;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      running.delete(request);
    }
  }

  function requestOf({ reason, dryRun, input }: Command, json: JsonCommand): ClientRequest {
    const headers: Headers = { Accept: 'application/json' };
    if (login !== undefined) headers['Authorization'] = login;
    if (reason !== undefined) headers['Dovegate-Reason'] = reasonHeader(reason);
    if (isOwn(json)) {
      if (json.name !== 'dovegate can') throw unsendable(`"${json.name}" has no form in HTTP`);
      return target.open('GET', '/dovegate/v1/can', headers);
    }
    headers['Content-Type'] = 'application/json';
    // A server that refuses the key or the length answers before the text is sent.
    if (json.takesInput) headers['Expect'] = '100-continue';
    else if (input !== undefined) throw unsendable('the command takes no input');
    return target.open('POST', dryRun === true ? '/dovegate/v1/dry-run' : target.path, headers);
  }

  async function askAccess(call: AccessCall): Promise<readonly unknown[]> {
    const headers: Headers = { Accept: 'application/json', 'Content-Type': 'application/json' };
    if (login !== undefined) headers['Authorization'] = login;
    // A single request is read by `requests` with its id.
    const path = `/dovegate/v1/${call.verb === 'access' ? 'requests' : call.verb}`;
    const body = { head: bodyOfCall(call), input: undefined, tail: '' };
    const mine = turn.then(() => answerTo(call.signal, () => target.open('POST', path, headers), body));
    turn = mine.catch(() => undefined);
    return objectsOfAnswer(await mine, showLog);
  }

  async function close(): Promise<void> {
    isClosed = true;
    for (const request of running) request.destroy(new SessionFault('closed', 'the session was closed'));
    target.disconnect();
    await turn;
  }

  return {
    // As dovegate, which takes reasons: the columns of 2.4 are assumed.
    minor: minorForClients,
    serverMinor: minorForClients,
    run: async (command) => (await ask(command)).map(({ cells }) => cells),
    named: async (command) =>
      (await ask(command)).map(({ names, cells }) => {
        if (names.length !== cells.length)
          throw new SessionFault('unexpected-reply', 'the columns of this answer have no names');
        return namedRow(names, cells);
      }),
    stream: (command) => eachOf(ask(command), ({ cells }) => [cells]),
    cells: (command) =>
      eachOf(ask(command), ({ cells }) =>
        cells.map((cell): CellPiece => ({ bytes: Buffer.from(cell), endsCell: true })),
      ),
    access: createAccess(askAccess),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Converts each row; the command is under way before the first row is requested. */
function eachOf<T>(asked: Promise<Rows>, made: (row: Rows[number]) => readonly T[]): AsyncIterable<T> {
  asked.catch(() => undefined);
  return (async function* () {
    for (const row of await asked) yield* made(row);
  })();
}

function isOwn({ name }: JsonCommand): boolean {
  return name.startsWith('dovegate ');
}

/** Headers hold bytes; a reason is sent as UTF-8. */
function reasonHeader(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length > 512) throw unsendable('a reason has at most 512 bytes');
  if (/[\p{Cc}]/u.test(reason)) throw unsendable('a reason is one line of text');
  return bytes.toString('latin1');
}

function bodyOf({ name, parameters, takesInput }: JsonCommand, { input, tag = '1' }: Command): RequestBody {
  const start = `[[${JSON.stringify(name)},`;
  const json = JSON.stringify(parameters);
  if (!takesInput) return { head: `${start}${json},"${tag}"]]`, input: undefined, tail: '' };
  const comma = json === '{}' ? '' : ',';
  return { head: `${start}${json.slice(0, -1)}${comma}"file":"`, input, tail: `"},"${tag}"]]` };
}

/** Sends a request and reads its whole answer. Rejects with a SessionFault. */
function exchange(
  request: ClientRequest,
  body: RequestBody | undefined,
  { isTls }: Target,
  { connectTimeoutMs = 5_000, replyIdleMs = 600_000, replyBytesMax = 64 * 1024 * 1024 }: HttpOptions,
  clock: Clock,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const progress = { isConnected: false, isSent: false, isAnswered: false };
    /** Enough of the command to run was written to a server. */
    const mayHaveRun = (): boolean => progress.isConnected && progress.isSent;
    let timer: Timer | undefined;
    const expect = (ms: number, code: 'dial-timeout' | 'reply-timeout', text: string): void => {
      timer?.cancel();
      timer = clock.setTimer(ms, () =>
        request.destroy(new SessionFault(code, text, undefined, mayHaveRun())),
      );
    };
    const onBytes = (): void =>
      expect(replyIdleMs, 'reply-timeout', `no data from the server for ${replyIdleMs} ms`);
    const fail = (cause: unknown): void => {
      timer?.cancel();
      reject(faultOf(cause, progress.isConnected, mayHaveRun()));
    };
    expect(connectTimeoutMs, 'dial-timeout', `no connection within ${connectTimeoutMs} ms`);
    request.once('socket', (socket) => {
      const onConnected = (): void => {
        progress.isConnected = true;
        onBytes();
      };
      if (request.reusedSocket) onConnected();
      else socket.once(isTls ? 'secureConnect' : 'connect', onConnected);
    });
    request.on('error', fail);
    request.once('response', (response) => {
      progress.isAnswered = true;
      readAnswer(response, replyBytesMax, onBytes).then((answer) => {
        timer?.cancel();
        // An answer came before the end of the text: the rest is not sent.
        if (!request.writableEnded) request.destroy();
        resolve(answer);
      }, fail);
    });
    sendBody(request, body, progress, onBytes).catch((cause: unknown) => {
      const fault =
        cause instanceof SessionFault
          ? cause
          : new SessionFault('input-failed', 'the input could not be read', cause);
      request.destroy(fault);
    });
  });
}

interface Progress {
  /** Servers run nothing before the end of a request. */
  isSent: boolean;
  isAnswered: boolean;
}

async function sendBody(
  request: ClientRequest,
  body: RequestBody | undefined,
  progress: Progress,
  onBytes: () => void,
): Promise<void> {
  if (body?.input === undefined) {
    progress.isSent = true;
    // As bytes: Node would encode a text and the headers alike.
    request.end(body === undefined ? undefined : Buffer.from(body.head));
    return;
  }
  request.flushHeaders();
  await wake(request, ['continue', 'response', 'close']);
  if (progress.isAnswered || request.destroyed) return;
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const decode = (piece?: Buffer): string => {
    try {
      return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
    } catch {
      throw new SessionFault('input-not-utf8', 'over HTTP the input must be UTF-8, and it is not');
    }
  };
  let isFull = !request.write(body.head);
  for await (const piece of piecesOf(body.input)) {
    if (isFull) await wake(request, ['drain', 'response', 'close']);
    if (progress.isAnswered || request.destroyed) return;
    onBytes();
    isFull = !request.write(JSON.stringify(decode(piece)).slice(1, -1));
  }
  const rest = decode();
  progress.isSent = true;
  request.end(rest + body.tail);
}

/** Resolves at the first of these events. */
function wake(request: ClientRequest, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of events) request.off(event, done);
      resolve();
    };
    for (const event of events) request.on(event, done);
  });
}

async function readAnswer(response: IncomingMessage, bytesMax: number, onBytes: () => void): Promise<Answer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    onBytes();
    bytes += chunk.length;
    if (bytes > bytesMax) throw unexpectedReply(`the answer has more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  // Without a length, the end of the connection ends the answer: its JSON shows whether it is complete.
  return {
    keptMs: keptMsOf(String(response.headers['keep-alive'] ?? '')),
    code: response.headers['dovegate-code'],
    status: response.statusCode ?? 0,
    reason: response.statusMessage ?? '',
    text: Buffer.concat(chunks).toString(),
  };
}

/** `timeout=15, max=100`, in seconds. */
function keptMsOf(keepAlive: string): number {
  const seconds = /(?:^|,)\s*timeout=(\d{1,6})/i.exec(keepAlive)?.[1];
  return seconds === undefined ? keptMsMax : Math.min(keptMsMax, Number(seconds) * 500);
}

/** The words of dovegate's answers about access, by their HTTP status. */
const wordOfStatus: ReadonlyMap<number, string> = new Map([
  [400, 'USAGE'],
  [403, 'NOPERM'],
  [404, 'NOTFOUND'],
  [503, 'TEMPFAIL'],
]);

/** The objects of an answer about access. Throws as `rowsOfAnswer`. */
function objectsOfAnswer(answer: Answer, showLog: (text: string) => void): readonly unknown[] {
  const { status, code, text } = answer;
  if (status === 200) {
    const value = parseJson(text);
    return asList(value) ?? [value];
  }
  const word = wordOfStatus.get(status);
  // Another server than dovegate, and a dovegate without access on request, give no code for it.
  if (word === undefined || typeof code !== 'string' || code === 'unknown-path') throw faultOfStatus(answer);
  const message = text.trim().slice(0, 1024);
  throw failedFor(word, message, readSaidOfJson({ code, message }), showLog);
}

/** dovegate's own sentence is shown in the form of its log line, as over a socket. */
function failedFor(
  word: string,
  message: string | undefined,
  own: Said | undefined,
  showLog: (text: string) => void,
): CommandFailed {
  const why = own === undefined || own.sentence === '' ? message : formatSaid(own);
  if (why !== undefined) showLog(why);
  const logs: LogLine[] = why === undefined ? [] : [{ type: 'error', text: why, isCut: false }];
  return new CommandFailed(word, undefined, logs, own);
}

/** For an answer that does not belong to this API. */
function faultOfStatus({ status, reason }: Answer): SessionFault {
  if (status === 401) return new SessionFault('auth-rejected', 'the server refused the key');
  if (status === 404)
    return new SessionFault('version-unsupported', 'the server has no doveadm HTTP API at this URL (404)');
  // A proxy forwards a request and may give up later (502, 504). 503 means that it had no server to forward it to.
  const mayHaveRun = status >= 500 && status !== 503;
  return new SessionFault(
    'version-unsupported',
    `the server answered ${status} ${reason}`,
    undefined,
    mayHaveRun,
  );
}

/** Throws CommandFailed for the server's failures of the command, SessionFault for all others. */
function rowsOfAnswer(answer: Answer, json: JsonCommand, showLog: (text: string) => void): Rows {
  const { status, reason, code, text } = answer;
  const failed = (word: string, why: string | undefined, own?: Said): CommandFailed =>
    failedFor(word, why, own, showLog);
  const said = text.trim().slice(0, 200) || reason;
  switch (status) {
    case 200:
      break;
    case 400:
      throw failed('USAGE', `the server could not read the request: ${said}`, readSaidOfJson({ code }));
    case 413:
      throw failed('DATAERR', 'the request is longer than the server takes', readSaidOfJson({ code }));
    default:
      throw faultOfStatus(answer);
  }
  const value = parseJson(text);
  if (isOwn(json)) return rowsOfData(value, json);
  const [element] = asList(value) ?? [];
  const [type, data] = asList(element) ?? [];
  if (type === 'doveadmResponse') return rowsOfData(data, json);
  if (type !== 'error' || !isObject(data)) throw unreadable();
  const { type: kind, exitCode, message } = data;
  const word = kind === 'unAuthorized' ? 'NOPERM' : kind === 'exitCode' ? wordOfExitCode(exitCode) : 'USAGE';
  const why =
    typeof message === 'string'
      ? message
      : kind === 'exitCode'
        ? undefined
        : `the server answered ${String(kind)}`;
  throw failed(word ?? 'UNKNOWN', why, readSaidOfJson(data));
}

function rowsOfData(data: unknown, { keys }: JsonCommand): Rows {
  // The reply of `user` is an object; elsewhere it is JSON in one cell, too.
  if (isObject(data)) return [{ names: [], cells: [JSON.stringify(data)] }];
  const list = asList(data);
  if (list === undefined) throw unreadable();
  return list.map((row) => {
    if (!isObject(row)) throw unreadable();
    const names = Object.keys(row);
    // JSON has a repeated column only once.
    const isAsKnown =
      keys !== undefined &&
      new Set(keys).size === names.length &&
      keys.every((key) => Object.hasOwn(row, key));
    const used = isAsKnown ? keys : names;
    return { names: used, cells: used.map((name) => cellOf(row[name])) };
  });
}

function cellOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === null || value === undefined ? '' : JSON.stringify(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unreadable();
  }
}

function unreadable(): SessionFault {
  return new SessionFault('wire-fault', 'the answer is cut, or not of the doveadm HTTP API', undefined, true);
}

const notReached = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EACCES',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
]);

/** In TLS 1.3 a client learns of this after it has written its request, which the server has not read. */
const certificateRefused = /_ALERT_(?:\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED)$/;

function faultOf(cause: unknown, isConnected: boolean, mayHaveRun: boolean): SessionFault {
  if (cause instanceof SessionFault) return cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (!isConnected && notReached.has(code))
    return new SessionFault('dial-refused', `cannot connect: ${code}`, cause);
  if (!isConnected && /wrong version number/.test(messageOf(cause)))
    return new SessionFault(
      'tls-failed',
      'TLS failed: what came is not TLS; in clear the URL is http://',
      cause,
    );
  if (/^(?:ERR_TLS|ERR_SSL|CERT_|EPROTO|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code))
    return new SessionFault(
      'tls-failed',
      `TLS failed: ${messageOf(cause)}`,
      cause,
      mayHaveRun && !certificateRefused.test(code),
    );
  const text = mayHaveRun
    ? 'the server broke off before its answer was complete'
    : 'the server ended the connection';
  return new SessionFault('closed-early', text, cause, mayHaveRun);
}

/** The trusted authorities, and our certificate. Throws a SessionFault if the system has no list of authorities. */
function trustOf(ca: string | undefined, certificate: HttpOptions['certificate']) {
  // In a list: for an empty text alone, Node would use its own authorities.
  if (ca !== undefined)
    return { ca: [ca], ...(certificate && { cert: certificate.certificate, key: certificate.key }) };
  try {
    const shown = certificate && { chain: certificate.certificate, key: certificate.key };
    return { secureContext: systemContext(shown) };
  } catch (cause) {
    throw new SessionFault('tls-failed', messageOf(cause), cause);
  }
}

function targetOf(options: HttpOptions): Target {
  const { url, ca, serverName, certificate } = options;
  const socketPath = url.startsWith('/') ? url : /^unix:(\/.+)$/.exec(url)?.[1];
  if (socketPath !== undefined) {
    const agent = new PlainAgent({ keepAlive: true, maxSockets: 1 });
    return {
      isTls: false,
      isLocal: true,
      path: apiPath,
      open: (method, path, headers) => plainRequest({ socketPath, method, path, headers, agent }),
      disconnect: () => agent.destroy(),
    };
  }
  const at = URL.canParse(url) ? new URL(url) : undefined;
  if (at === undefined || (at.protocol !== 'https:' && at.protocol !== 'http:') || at.hostname === '')
    throw unsendable('the URL is none of https://HOST:PORT, http://HOST:PORT, unix:PATH');
  if (at.username !== '' || at.password !== '')
    throw unsendable('a URL is no place for a key or a password: both are seen by others');
  const isTls = at.protocol === 'https:';
  const host = at.hostname.replace(/^\[(.*)\]$/, '$1');
  const where = { host, port: at.port === '' ? (isTls ? 443 : 80) : Number(at.port) };
  const agent = isTls
    ? new TlsAgent({ keepAlive: true, maxSockets: 1 })
    : new PlainAgent({ keepAlive: true, maxSockets: 1 });
  const name = serverName === undefined ? {} : { servername: serverName };
  return {
    isTls,
    isLocal: isTls || isOfThisMachine(host),
    path: at.pathname === '/' ? apiPath : at.pathname,
    open: (method, path, headers) =>
      isTls
        ? tlsRequest({ ...where, ...name, ...trustOf(ca, certificate), method, path, headers, agent })
        : plainRequest({ ...where, method, path, headers, agent }),
    disconnect: () => agent.destroy(),
  };
}

/** The word of an exit code in an answer; undefined: it has none. */
export function wordOfExitCode(exitCode: unknown): string | undefined {
  for (const [word, each] of exitCodes) if (each === exitCode && word !== '') return word;
  return undefined;
}
