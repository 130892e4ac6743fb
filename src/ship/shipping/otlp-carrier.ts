// Records on their way to a collector of OpenTelemetry: requests of OTLP over HTTP in JSON, one at a time, each answered. An answer of
// success is the acknowledgement. The protocol's rules hold: 429, 502, 503 and 504 are asked again, after the time of `Retry-After`;
// records that a partial success refuses are never sent again, and are counted and reported. After any other answer the protocol drops the
// request. A trail must lose nothing, so sending stops there, reports it, and asks again once a minute; `audit.unshipped_max` bounds what
// waits.

import { Agent as PlainAgent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { formatOtlp, otlpFrame } from '../../evidence/formats/otlp.js';
import type { ShipFaultCode } from '../../gate/telemetry/codes.js';
import { bounds } from '../../host/bounds/bounds.js';
import { pause } from '../../host/concurrency/waiting.js';
import { type Answer, AskFault, ask } from '../../host/http/ask.js';
import { createLookup, readText } from '../../host/net/receivers.js';
import { messageOf } from '../../host/ports/faults.js';
import { asNumber, asObject, asText, parseLine } from '../../host/values/values.js';
import type { NoticeFaultCode } from '../../rules/config/fault.js';
import type { OtlpSinkSettings } from '../../rules/config/sinks.js';
import { noticeFaultOf, trustOf, waitMsOf } from '../carriers/connection.js';
import { NoticeFault } from '../notices/notice-fault.js';
import type { Carrier, CarrierParts, Line } from './carrier.js';
import { type Batch, beginning, type Follower, type Position } from './follow.js';
import { ReceiverFault } from './receiver.js';

export interface OtlpOptions
  extends Pick<CarrierParts, 'position' | 'restarted' | 'rejected' | 'sender' | 'clock'>,
    Pick<OtlpSinkSettings, 'url' | 'caFile' | 'client' | 'headersFile'> {
  readonly programVersion: string;
}

/** Refusals are reported at most so often, with their sum. */
const tellMs = 60_000;
const protobufType = /^application\/x-protobuf[ \t]*(?:;|$)/i;
const retried: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export function createOtlpCarrier(options: OtlpOptions): Carrier {
  const { clock, sender, restarted, rejected } = options;
  const frame = otlpFrame(sender.hostName, options.programVersion);
  let safe = options.position;
  let refused = 0;
  let untold = { count: 0, text: '' };
  let toldMs = -Infinity;
  /** The collector wants no request before this time. */
  let notBeforeMs = -Infinity;

  return {
    batches: { bytes: 256 * 1024, lines: 500 },
    get sentSeq() {
      return safe.seq;
    },
    get safe(): Position {
      return safe;
    },
    get refused() {
      return refused;
    },
    doubt(text): void {
      safe = beginning;
      restarted(text);
    },
    async open(follower: Follower, hurry: AbortSignal, { proven }): Promise<Line> {
      const waitMs = notBeforeMs - clock.now();
      if (waitMs > 0) await pause(clock, waitMs, hurry);
      hurry.throwIfAborted();
      await follower.seek(safe);
      const requests = createRequests(options);
      return {
        async send(batch) {
          const answer = await requests.send(bodyOf(batch, frame), hurry);
          note(answer, batch.lines.length);
          safe = batch.position;
          proven();
        },
        async idle() {
          tellRefused();
          return untold.count > 0 ? Math.max(1, toldMs + tellMs - clock.now()) : undefined;
        },
        close() {
          toldMs = -Infinity;
          tellRefused();
          requests.close();
        },
      };
    },
  };

  /** Throws a ReceiverFault for any answer but a success. */
  function note(given: Answer, sent: number): void {
    const { status, body, retryAfter } = given;
    if (status >= 200 && status < 300) return noteSuccess(given, sent);
    const words = asText(asObject(parseLine(body))?.['message']) ?? '';
    const text = `it answers with ${status}${words && `: ${words}`}`;
    const nowMs = clock.now();
    if (retried.has(status)) {
      notBeforeMs = nowMs + Math.min(waitMsOf(retryAfter, clock.wallMs()), 600_000);
      throw new ReceiverFault('stalled', text);
    }
    notBeforeMs = nowMs + bounds.otlpRefusedMs;
    throw new ReceiverFault(status === 401 || status === 403 ? 'auth-rejected' : 'refused', text);
  }

  function noteSuccess({ status, type, body }: Answer, sent: number): void {
    // The empty message of protobuf, which some answer to JSON, too.
    if (status === 200 && body === '' && protobufType.test(type)) return;
    const answer = status === 200 ? parseLine(body) : undefined;
    if (answer === undefined) {
      notBeforeMs = clock.now() + bounds.otlpRefusedMs;
      throw new ReceiverFault('refused', 'its answer is not of OTLP; the URL may be of another program');
    }
    const partial = asObject(answer['partialSuccess']);
    // JSON may have a 64-bit number as text.
    const wanted =
      asNumber(partial?.['rejectedLogRecords']) ?? Number(asText(partial?.['rejectedLogRecords']));
    const count = wanted > 0 ? Math.min(Math.ceil(wanted), sent) : 0;
    if (count === 0) return;
    refused += count;
    untold = { count: untold.count + count, text: asText(partial?.['errorMessage']) ?? '' };
    tellRefused();
  }

  function tellRefused(): void {
    const { count, text } = untold;
    if (count === 0 || clock.now() - toldMs < tellMs) return;
    toldMs = clock.now();
    untold = { count: 0, text: '' };
    const { message } = new ReceiverFault('refused', text || 'without a word');
    rejected(count, `${count} records were refused: ${message}`);
  }
}

function bodyOf({ lines }: Batch, [open, close]: readonly [string, string]): Buffer {
  return Buffer.from(`${open}${lines.map(({ bytes }) => formatOtlp(bytes)).join(',')}${close}`);
}

/** Requests on one connection, which stays between them. Files are read for each, so that new ones are found. */
function createRequests({ url, caFile, client, headersFile, clock }: OtlpOptions) {
  const target = urlToHttpOptions(new URL(url));
  const isSecure = target.protocol === 'https:';
  const agent = new (isSecure ? SecureAgent : PlainAgent)({ keepAlive: true, maxSockets: 1 });
  const lookup = createLookup();
  return {
    /** Rejects with a ReceiverFault, or the reason of the abort. */
    async send(body: Buffer, signal: AbortSignal): Promise<Answer> {
      try {
        const options = {
          ...target,
          method: 'POST',
          agent,
          lookup,
          signal,
          maxHeaderSize: bounds.noticeHeadBytes,
          headers: {
            ...(headersFile !== undefined && headersIn(await readSecret(headersFile), headersFile)),
            'Content-Type': 'application/json',
            'Content-Length': body.length,
            'User-Agent': 'dovegate',
          },
          ...(isSecure && (await trustOf(caFile))),
          ...(isSecure &&
            client && { cert: await readOwn(client.certificateFile), key: await readOwn(client.keyFile) }),
        };
        const limits = { clock, ms: bounds.receiverStallMs, bytesMax: 1024 ** 2 };
        return await ask(options, body, limits);
      } catch (cause) {
        throw signal.aborted ? signal.reason : faultOf(cause);
      }
    },
    close(): void {
      agent.destroy();
    },
  };
}

const readOwn = (path: string): Promise<string> => readText(path, bounds.certificateFileBytes);

async function readSecret(path: string): Promise<string> {
  try {
    return await readText(path, bounds.secretFileBytes);
  } catch (cause) {
    throw new ReceiverFault('auth-rejected', `headers_file cannot be read: ${messageOf(cause)}`, cause);
  }
}

/** No value of it is in a message: they are secrets. */
function headersIn(text: string, path: string): Readonly<Record<string, string>> {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  return Object.fromEntries(
    lines.map((line, at) => {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*)$/.exec(line) ?? [];
      if (name === undefined || value === undefined)
        throw new ReceiverFault(
          'auth-rejected',
          `${path}, line ${at + 1}: it must be a header, as Name: value`,
        );
      return [name, value];
    }),
  );
}

const codes: Readonly<Partial<Record<NoticeFaultCode, ShipFaultCode>>> = {
  'unknown-host': 'dial-refused',
  'connection-refused': 'dial-refused',
  unreachable: 'closed-early',
  timeout: 'dial-timeout',
  'tls-failed': 'tls-failed',
  'ca-file': 'tls-failed',
  'not-http': 'refused',
};

function faultOf(cause: unknown): ReceiverFault {
  if (cause instanceof ReceiverFault) return cause;
  if (cause instanceof AskFault)
    return new ReceiverFault(cause.code === 'late' ? 'stalled' : 'refused', cause.message);
  const { code } = noticeFaultOf(cause);
  const why = cause instanceof NoticeFault ? cause.cause : cause;
  return new ReceiverFault(codes[code] ?? 'closed-early', messageOf(why ?? cause), cause);
}
