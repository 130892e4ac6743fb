// One request over HTTP, to a program of ours or to one that an operator named. Whatever the other side does, the request ends within its
// limits: no redirect is followed, informational answers (1xx) are counted, and an answer is read up to its bound.

import { type IncomingHttpHeaders, type IncomingMessage, request as requestPlain } from 'node:http';
import { type RequestOptions, request as requestSecure } from 'node:https';
import type { LookupFunction } from 'node:net';
import { urlToHttpOptions } from 'node:url';
import { bounds } from '../bounds/bounds.js';
import type { Clock } from '../ports/machine.js';

/** The message is a part of a sentence: what the other side did. */
export class AskFault extends Error {
  readonly code: 'late' | 'not-http' | 'too-long';

  constructor(code: AskFault['code'], text: string) {
    super(text);
    this.code = code;
  }
}

export interface AskLimits {
  readonly clock: Pick<Clock, 'setTimer'>;
  /** Limit for the whole answer; undefined: the signal of the options ends it. */
  readonly ms?: number | undefined;
  /** Limit for the time without a byte of the answer. */
  readonly silentMs?: number;
  /** 0: only the status counts, and nothing after the head is read. */
  readonly bytesMax: number;
  /** `latin1`: the body is bytes, one in each character. */
  readonly encoding?: 'utf8' | 'latin1';
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
  /** The header `Retry-After`, as it came. */
  readonly retryAfter?: string | undefined;
}

/** The head of the answer, whose body the caller reads or destroys. Rejects with an AskFault, or Node's error. */
export function openAnswer(options: RequestOptions, body?: string | Uint8Array): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = options.protocol === 'https:' ? requestSecure : requestPlain;
    const sent = send(options, resolve);
    let informed = 0;
    sent.on('information', () => {
      informed += 1;
      if (informed <= 4) return;
      // Rejects first: the same chunk may hold the answer.
      reject(new AskFault('not-http', 'it sends no answer, only notes before it'));
      sent.destroy();
    });
    // Node reports neither an answer nor an error in this case.
    sent.on('upgrade', (_answer, socket) => {
      socket.destroy();
      reject(new AskFault('not-http', 'it switches to another protocol'));
    });
    // The listener stays: a second error of a dying socket must not end the process.
    sent.on('error', reject);
    sent.on('close', () => reject(new AskFault('not-http', 'it ended without an answer')));
    sent.end(body);
  });
}

/** `take` gets the pieces of an answer with status 200, which is not kept, and may throw. Rejects as `openAnswer`. */
export async function ask(
  options: RequestOptions,
  body: string | Uint8Array | undefined,
  { clock, ms, silentMs, bytesMax, encoding = 'utf8' }: AskLimits,
  take?: (piece: string) => void,
): Promise<Answer> {
  const late = new AbortController();
  const end = (text: string) => () => late.abort(new AskFault('late', text));
  const whole =
    ms === undefined ? undefined : clock.setTimer(ms, end(`no whole answer within ${ms / 1000} s`));
  const hear = () =>
    silentMs === undefined
      ? undefined
      : clock.setTimer(silentMs, end(`nothing came for ${silentMs / 1000} s`));
  let silence = hear();
  const { signal = late.signal } = options;
  try {
    const asked = signal === late.signal ? signal : AbortSignal.any([signal, late.signal]);
    const response = await openAnswer({ ...options, signal: asked }, body);
    const { statusCode: status = 0, headers } = response;
    const { 'content-type': type = '', 'retry-after': retryAfter } = headers;
    const answer = (text: string): Answer => ({ status, type, body: text, headers, retryAfter });
    if (bytesMax === 0) {
      response.on('error', () => undefined).destroy();
      return answer('');
    }
    let text = '';
    let bytes = 0;
    for await (const read of response.setEncoding(encoding)) {
      const piece = String(read);
      silence?.cancel();
      silence = hear();
      if (take !== undefined && status === 200) take(piece);
      else {
        bytes += Buffer.byteLength(piece, encoding);
        if (bytes > bytesMax) throw new AskFault('too-long', `the answer has more than ${bytesMax} bytes`);
        text += piece;
      }
    }
    return answer(text);
  } catch (cause) {
    throw late.signal.aborted ? late.signal.reason : cause;
  } finally {
    whole?.cancel();
    silence?.cancel();
  }
}

export interface Post {
  readonly type: string;
  readonly body: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly lookup: LookupFunction;
  /** More options over https: whom to trust. */
  readonly trust: () => Promise<object>;
  readonly signal: AbortSignal;
}

/** One request on a connection of its own, so for rare ones only, to a program that an operator named. Rejects as `ask`, or as `trust`. */
export async function post(
  url: string,
  { type, body, headers, lookup, trust, signal }: Post,
  limits: AskLimits,
): Promise<Answer> {
  const options: RequestOptions = {
    ...urlToHttpOptions(new URL(url)),
    method: 'POST',
    agent: false,
    lookup,
    maxHeaderSize: bounds.noticeHeadBytes,
    headers: {
      'Content-Type': type,
      'Content-Length': body.length,
      'User-Agent': 'dovegate',
      ...headers,
    },
    signal,
  };
  return ask({ ...options, ...(options.protocol === 'https:' && (await trust())) }, body, limits);
}
