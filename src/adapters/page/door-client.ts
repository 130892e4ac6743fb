// Asks the daemon at `admin.door`, over a UNIX socket. Connections are kept for the next call. Whatever the other side does, a call ends:
// after its time, or with the connection.

import { Agent, type IncomingMessage, request } from 'node:http';
import { bounds } from '../../bounds/bounds.js';
import {
  type DoorCall,
  type DoorRefusal,
  doorCalls,
  doorVersion,
  doorVersionHeader,
} from '../../domain/door/door.js';
import { messageOf } from '../../ports/faults.js';
import type { Clock } from '../../ports/machine.js';

export class DoorFault extends Error {
  /** `away`: it does not answer; `version`: it speaks another one; `refused`: a stream; else the code of its refusal. */
  readonly code: string;

  constructor(code: string, text: string, cause?: unknown) {
    super(text, { cause });
    this.code = code;
  }
}

export interface DoorClient {
  /** The text of the answer. Rejects with a DoorFault. */
  call(call: DoorCall, body?: unknown): Promise<string>;
  /** The lines of a stream, without their ends, up to the abort. Rejects with a DoorFault; also where nothing came for `silentMs`. */
  lines(call: DoorCall, signal: AbortSignal): AsyncGenerator<string, void, undefined>;
  close(): void;
}

/** Longer than a reload keeps the daemon busy. */
const callMs = 15_000;
const silentMs = 4_000;
/** The daemon keeps them longer. */
const keptMs = 20_000;
const socketsMax = bounds.doorConnections / 4;
/** Settings of 2 MiB are some 20 MB of lines; one line is much shorter. */
const lineCharsMax = 64 * 1024 ** 2;
const answerCharsMax = 4 * 1024 ** 2;

export function createDoorClient(path: string, clock: Clock): DoorClient {
  const agent = new Agent({ keepAlive: true, maxSockets: socketsMax, timeout: keptMs });
  const away = (cause: unknown): DoorFault =>
    cause instanceof DoorFault
      ? cause
      : new DoorFault('away', `dovegate does not answer at ${path}: ${messageOf(cause)}`, cause);

  function open(call: DoorCall, body: string | undefined, signal: AbortSignal): Promise<IncomingMessage> {
    const [method, target] = doorCalls[call].split(' ');
    const headers = { Host: 'localhost', [doorVersionHeader]: String(doorVersion) };
    return new Promise((resolve, reject) => {
      const isStream = body === undefined && (call === 'settings' || call === 'now');
      const asked = request({
        socketPath: path,
        method,
        path: target,
        headers: body === undefined ? headers : { ...headers, 'Content-Length': Buffer.byteLength(body) },
        agent: isStream ? false : agent,
        signal,
      });
      asked.on('response', resolve).on('error', reject);
      asked.end(body);
    });
  }

  return {
    async call(call, value) {
      const late = new AbortController();
      const timer = clock.setTimer(callMs, () =>
        late.abort(new Error(`no answer within ${callMs / 1000} s`)),
      );
      try {
        const body = value === undefined ? undefined : JSON.stringify(value);
        const response = await open(call, body, late.signal);
        let text = '';
        for await (const piece of response.setEncoding('utf8')) {
          text += String(piece);
          if (text.length > answerCharsMax) throw new Error('the answer is too long');
        }
        if (response.statusCode === 200) return text;
        const { code, text: why }: DoorRefusal = JSON.parse(text);
        throw new DoorFault(code, why);
      } catch (cause) {
        throw away(late.signal.aborted ? late.signal.reason : cause);
      } finally {
        timer.cancel();
      }
    },
    async *lines(call, signal) {
      const own = new AbortController();
      const end = (): void => own.abort(signal.reason);
      signal.addEventListener('abort', end, { once: true });
      if (signal.aborted) end();
      const silent = (): void => own.abort(new Error(`nothing came for ${silentMs / 1000} s`));
      let timer = clock.setTimer(silentMs, silent);
      try {
        const response = await open(call, undefined, own.signal);
        const isRefused = response.statusCode !== 200;
        const version = Number(response.headers[doorVersionHeader]);
        if (version !== doorVersion) {
          const text = `dovegate speaks version ${version} of admin.door, and this page ${doorVersion}`;
          throw new DoorFault('version', `${text}; upgrade the older one, and start both again`);
        }
        let rest = '';
        let refusal = '';
        for await (const piece of response.setEncoding('utf8')) {
          timer.cancel();
          timer = clock.setTimer(silentMs, silent);
          if (isRefused) {
            refusal += String(piece);
            if (refusal.length > answerCharsMax) throw new Error('the answer is too long');
            continue;
          }
          const lines = (rest + String(piece)).split('\n');
          rest = lines.pop() ?? '';
          if (rest.length > lineCharsMax) throw new Error('a line is too long');
          yield* lines;
        }
        if (isRefused) {
          const { text }: DoorRefusal = JSON.parse(refusal);
          throw new DoorFault('refused', `dovegate refuses at ${path}: ${text}`);
        }
        throw new Error('it ended the stream');
      } catch (cause) {
        if (signal.aborted) return;
        throw away(own.signal.aborted ? own.signal.reason : cause);
      } finally {
        timer.cancel();
        signal.removeEventListener('abort', end);
        own.abort(new Error('nobody reads any more'));
      }
    },
    close: () => agent.destroy(),
  };
}
