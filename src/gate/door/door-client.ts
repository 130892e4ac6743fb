// Client of the daemon's doors, over a UNIX socket. Connections are kept for the next call. Every call ends: at its timeout, or when the
// connection closes. A call that is over its budget is repeated after the time that the daemon names.

import { Agent, type IncomingMessage, type RequestOptions } from 'node:http';
import { bounds } from '../../host/bounds/bounds.js';
import { KeyedSemaphore } from '../../host/concurrency/limits.js';
import { pause } from '../../host/concurrency/waiting.js';
import { ask, openAnswer } from '../../host/http/ask.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import { type DoorRefusal, doorVersion, doorVersionHeader } from './door.js';

export class DoorFault extends Error {
  /** `away`: no answer; `version`: another version of the door; `refused`: a refused stream; else the code of the {@link DoorRefusal}. */
  readonly code: string;
  /** The call was over its budget and did nothing; it may be repeated after this time. */
  readonly waitMs: number | undefined;

  constructor(code: string, text: string, cause?: unknown, waitMs?: number) {
    super(text, { cause });
    this.code = code;
    this.waitMs = waitMs;
  }
}

export interface DoorClient<Call extends string> {
  /** The text of the answer. Rejects with a DoorFault. */
  call(call: Call, body?: unknown): Promise<string>;
  /** The lines of a stream without their line ends, until the abort. Rejects with a DoorFault, also if nothing arrives for `silentMs`. */
  lines(call: Call, signal: AbortSignal): AsyncGenerator<string, void, undefined>;
  close(): void;
}

export interface Door<Call extends string> {
  readonly path: string;
  /** The route of each call: `METHOD PATH`. */
  readonly calls: Readonly<Record<Call, { readonly route: string }>>;
}

/** Longer than a reload keeps the daemon busy. */
const callMs = 15_000;
const silentMs = 4_000;
/** Shorter than the time for which the daemon keeps an idle connection. */
const keptMs = 20_000;
const socketsMax = bounds.doorConnections / 4;
/** The settings are one line: some 20 MB for a configuration of 2 MiB. */
const lineCharsMax = 64 * 1024 ** 2;
const bytesMax = 4 * 1024 ** 2;
/** Limits for repeating a call that is over its budget. */
const againMax = 20;
const againMs = 5_000;

/** `chance`: a random number from 0 to below 1. */
export function createDoorClient<Call extends string>(
  { path, calls }: Door<Call>,
  clock: Clock,
  chance: () => number,
): DoorClient<Call> {
  const agent = new Agent({ keepAlive: true, maxSockets: socketsMax, timeout: keptMs });
  const turns = new KeyedSemaphore();
  const closing = new AbortController();
  const away = (cause: unknown): DoorFault =>
    cause instanceof DoorFault
      ? cause
      : new DoorFault('away', `dovegate does not answer at ${path}: ${messageOf(cause)}`, cause);

  const optionsOf = (call: Call, body: string | undefined, isStream: boolean): RequestOptions => {
    const [method, target] = calls[call].route.split(' ');
    const headers = { Host: 'localhost', [doorVersionHeader]: String(doorVersion) };
    return {
      socketPath: path,
      method,
      path: target,
      headers: body === undefined ? headers : { ...headers, 'Content-Length': Buffer.byteLength(body) },
      agent: isStream ? false : agent,
    };
  };

  /** Repeats calls that are over the budget, one at a time: the budget refills for one after the other. */
  const inTime = async <T>(call: Call, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> => {
    let leave: (() => void) | undefined;
    let endMs: number | undefined;
    try {
      for (let again = 0; ; again += 1) {
        try {
          return await attempt();
        } catch (fault) {
          const waitMs = fault instanceof DoorFault ? fault.waitMs : undefined;
          if (waitMs === undefined || again === againMax) throw fault;
          endMs ??= clock.now() + againMs;
          if (clock.now() + waitMs > endMs) throw fault;
          leave ??= await turns.take(call, 1, signal);
          if (clock.now() + waitMs > endMs) throw fault;
          await pause(clock, waitMs * (1 + chance() / 2), signal);
          signal.throwIfAborted();
        }
      }
    } finally {
      leave?.();
    }
  };

  const callOnce = async (call: Call, body: string | undefined): Promise<string> => {
    const limits = { clock, ms: callMs, bytesMax };
    const { status, body: text } = await ask(optionsOf(call, body, false), body, limits);
    if (status === 200) return text;
    const { code, text: why, waitMs }: DoorRefusal = JSON.parse(text);
    throw new DoorFault(code, why, undefined, waitMs);
  };

  return {
    async call(call, value) {
      const body = value === undefined ? undefined : JSON.stringify(value);
      try {
        return await inTime(call, closing.signal, () => callOnce(call, body));
      } catch (cause) {
        throw away(cause);
      }
    },
    async *lines(call, signal) {
      const own = new AbortController();
      const end = (): void => own.abort(signal.reason);
      signal.addEventListener('abort', end, { once: true });
      if (signal.aborted) end();
      const silent = (): void => own.abort(new Error(`nothing came for ${silentMs / 1000} s`));
      let timer: Timer | undefined;
      const hear = (): void => {
        timer?.cancel();
        timer = clock.setTimer(silentMs, silent);
      };
      const open = async (): Promise<IncomingMessage> => {
        hear();
        const response = await openAnswer({ ...optionsOf(call, undefined, true), signal: own.signal });
        const version = Number(response.headers[doorVersionHeader]);
        if (version !== doorVersion) {
          const text = `dovegate speaks version ${version} of its door at ${path}, and this program ${doorVersion}`;
          throw new DoorFault('version', `${text}; upgrade the older one, and start both again`);
        }
        if (response.statusCode === 200) return response;
        let refusal = '';
        for await (const piece of response.setEncoding('utf8')) {
          hear();
          refusal += String(piece);
          if (refusal.length > bytesMax) throw new Error('the answer is too long');
        }
        timer?.cancel();
        const { text, waitMs }: DoorRefusal = JSON.parse(refusal);
        throw new DoorFault('refused', `dovegate refuses at ${path}: ${text}`, undefined, waitMs);
      };
      try {
        const response = await inTime(call, own.signal, open);
        let rest = '';
        for await (const piece of response.setEncoding('utf8')) {
          hear();
          const lines = String(piece).split('\n');
          lines[0] = rest + lines[0];
          rest = lines.pop() ?? '';
          if (rest.length > lineCharsMax) throw new Error('a line is too long');
          yield* lines;
        }
        throw new Error('it ended the stream');
      } catch (cause) {
        if (signal.aborted) return;
        throw away(own.signal.aborted ? own.signal.reason : cause);
      } finally {
        timer?.cancel();
        signal.removeEventListener('abort', end);
        own.abort(new Error('nobody reads any more'));
      }
    },
    close() {
      closing.abort(new Error('this program is stopping'));
      agent.destroy();
    },
  };
}
