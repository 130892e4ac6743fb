// Asks the daemon: with the session's token, by the table of endpoints; answers as JSON, JSON lines, events, or a file.

import type { Refused } from '../answers/api.js';
import type { Endpoint, endpoints } from '../answers/endpoints.js';
import { pathOf } from './route.js';

/** An endpoint as the table has it: `GET /api/me`. */
export type Ask = (typeof endpoints)[Endpoint]['route'];

export interface AskOptions {
  readonly params?: readonly string[];
  /** Sent as JSON; of a POST only. */
  readonly body?: unknown;
  /** The part after `?`, without it. */
  readonly query?: string;
  readonly signal?: AbortSignal;
}

/** The request was refused, or got no answer. The message is a sentence for people. */
export class AskFault extends Error {
  /** The HTTP status; 0: no answer. */
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function sentenceOf(error: unknown): string {
  return error instanceof AskFault ? error.message : String(error);
}

export interface Api {
  json<T>(ask: Ask, options?: AskOptions): Promise<T>;
  lines<T>(ask: Ask, options?: AskOptions): AsyncGenerator<T, void, void>;
  events(ask: Ask, options?: AskOptions): AsyncGenerator<StreamEvent, void, void>;
  blob(ask: Ask, options?: AskOptions): Promise<Blob>;
}

export type RequestOptions = RequestInit & { readonly cache: 'no-store' };

/** A server-sent event. */
export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

export interface ApiOptions {
  readonly request: (address: string, options: RequestOptions) => Promise<Response>;
  readonly token: () => string | undefined;
  /** The session is over: 401 to a request with a token. */
  readonly onSignedOut: (text: string) => void;
}

export function createApi(options: ApiOptions): Api {
  return {
    async json<T>(ask: Ask, asked: AskOptions = {}): Promise<T> {
      const reply = await send(options, ask, asked);
      try {
        // The daemon and this page are of one version: answers have the shapes of page/answers.
        const value: T = JSON.parse(await reply.text());
        return value;
      } catch (error) {
        throw faultOf(error, asked.signal);
      }
    },
    async *lines<T>(ask: Ask, asked: AskOptions = {}) {
      for await (const { line, isEnded } of linesOf(await send(options, ask, asked), asked.signal)) {
        // Every line has an end: one without was cut off, and could be read as a whole answer.
        if (!isEnded) throw new AskFault(0, 'The answer broke off. Ask again.');
        if (line === '') continue;
        const value: T = JSON.parse(line);
        yield value;
      }
    },
    async *events(ask, asked = {}) {
      let name = 'message';
      let data: string[] = [];
      for await (const { line, isEnded } of linesOf(await send(options, ask, asked), asked.signal)) {
        const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
        if (field === 'event') name = value;
        if (field === 'data') data.push(value);
        // An event ends with an empty line; what is not ended is no event.
        if (line !== '' || !isEnded) continue;
        if (data.length > 0) yield { name, data: data.join('\n') };
        name = 'message';
        data = [];
      }
    },
    async blob(ask, asked = {}) {
      const reply = await send(options, ask, asked);
      try {
        return await reply.blob();
      } catch (error) {
        throw faultOf(error, asked.signal);
      }
    },
  };
}

async function send(options: ApiOptions, ask: Ask, asked: AskOptions): Promise<Response> {
  const [method = 'GET', pattern = ''] = ask.split(' ');
  const path = pathOf(pattern, ...(asked.params ?? []));
  const token = options.token();
  const headers: Record<string, string> = {};
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  if (method === 'POST') headers['content-type'] = 'application/json';
  let reply: Response;
  try {
    reply = await options.request(asked.query ? `${path}?${asked.query}` : path, {
      method,
      headers,
      ...(method === 'POST' ? { body: JSON.stringify(asked.body ?? {}) } : {}),
      ...(asked.signal === undefined ? {} : { signal: asked.signal }),
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
  } catch (error) {
    throw faultOf(error, asked.signal);
  }
  if (reply.status === 200) return reply;
  const text = await refusalOf(reply);
  // The answer to an older session does not end a newer one. Neither does a refused link or issuer's answer: anybody can put one into an
  // address.
  const isOfSession = !/\/(redeem|login|oidc)/.test(ask);
  if (reply.status === 401 && isOfSession && token !== undefined && token === options.token())
    options.onSignedOut(text);
  throw new AskFault(reply.status, text);
}

/** The sentence of a refusal. A proxy in between answers in words of its own, which are not shown. */
async function refusalOf(reply: Response): Promise<string> {
  try {
    const { text }: Partial<Refused> = JSON.parse(await reply.text());
    if (typeof text === 'string' && text !== '') return text;
  } catch {
    // Not JSON.
  }
  return `The answer has status ${reply.status} and no sentence. Is it dovegate that answers at this address?`;
}

function faultOf(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted || error instanceof AskFault) return error;
  return new AskFault(
    0,
    // While the page's process runs, it reports by itself that the daemon does not answer.
    'The process of the page does not answer; dovegate may serve all the same. Try "systemctl status dovegate-page" on its host.',
  );
}

/** Yields lines as they come, and at last the text after the last line end, if there is any. */
async function* linesOf(
  reply: Response,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly line: string; readonly isEnded: boolean }, void, void> {
  if (reply.body === null) return;
  const reader = reply.body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let isOver = false;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield { line, isEnded: true };
    }
    isOver = true;
  } catch (error) {
    isOver = true;
    throw faultOf(error, signal);
  } finally {
    // The reader left early, so the daemon should stop.
    if (!isOver) await reader.cancel().catch(() => undefined);
  }
  if (rest !== '') yield { line: rest, isEnded: false };
}
