// A request of the page, as its handlers in src/page get it: the person is known, and the role permits the endpoint. A handler throws what
// keeps it from an answer; `refusalOf` makes the sentence of it.

import type * as z from 'zod';
import type { LinkOpener } from '../../gate/door/calls.js';
import { DoorFault } from '../../gate/door/door-client.js';
import type { Log } from '../../gate/telemetry/log.js';
import { messageOf } from '../../host/ports/faults.js';
import { readerOf } from '../../host/values/fit.js';
import type { PageRole } from '../../rules/identity/roles.js';
import { type AskedOf, type Endpoint, endpoints } from '../answers/endpoints.js';
import type { SignInWay } from './page-sessions.js';

export interface PageCaller {
  readonly name: string;
  readonly roles: readonly PageRole[];
  readonly users: readonly string[] | undefined;
  /** Undefined: the kernel identified the person at the socket of the page. */
  readonly how?: SignInWay | undefined;
  readonly opener?: LinkOpener | undefined;
  /** Where they are, for records: `address=192.0.2.7`, or the uid at the socket of the page. */
  readonly from: readonly string[];
}

export interface PageRequest {
  readonly endpoint: Endpoint;
  readonly params: readonly string[];
  /** At most what its row of `endpoints` permits; empty for a GET. */
  readonly body: string;
  readonly who: PageCaller;
  /** Whether this person still has the same role and view; checked again before an answer is sent. */
  readonly isStill: () => boolean;
  /** Aborted when the client has gone, and when the session ends. */
  readonly signal: AbortSignal;
}

/** A whole answer, or one in pieces that end when the request's signal is aborted. */
export type PageReply =
  | {
      readonly status: number;
      readonly type: string;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly status: 200; readonly type: string; readonly pieces: AsyncIterable<string> };

/** Answers one endpoint; `asked`: what the body says. Throws, or rejects with, whatever `refusalOf` makes a sentence of. */
export type PageHandler<Asked = undefined> = (
  request: PageRequest,
  asked: Asked,
) => Promise<PageReply> | PageReply;

export type PageHandlers = { readonly [Of in Endpoint]?: PageHandler<AskedOf[Of]> | undefined };

/** Why there is no answer: the status, and the sentence for the person. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

/** HTTP statuses by the code of the daemon's refusal. */
const doorStatuses: Readonly<Partial<Record<string, number>>> = { malformed: 400, person: 403, stale: 409 };

const unreadText =
  'the journal could not be read to its end, or the look could not be recorded; ask again, or look into the log of dovegate-page';

/** The answer for a fault. The fault's own text may name files, so it goes to the log, with `what`; not once the client has gone. */
export function refusalOf(
  fault: unknown,
  what: string,
  log: Pick<Log, 'report'>,
  signal?: AbortSignal,
): Refusal {
  if (fault instanceof Refusal) return fault;
  const status = fault instanceof DoorFault ? (doorStatuses[fault.code] ?? 503) : 503;
  if (status === 503 && signal?.aborted === true) return new Refusal(status, 'given up');
  if (status === 503)
    log.report({ event: 'admin-failed', level: 'error', text: `${what}: ${messageOf(fault)}` });
  return new Refusal(status, fault instanceof DoorFault ? fault.message : unreadText);
}

/** Never rejects. */
export async function replyOf(
  handlers: PageHandlers,
  request: PageRequest,
  log: Pick<Log, 'report'>,
): Promise<PageReply> {
  try {
    return await answerOf(handlers, request);
  } catch (fault) {
    const { status, message } = refusalOf(fault, request.endpoint, log, request.signal);
    return refusedReply(status, message);
  }
}

/** Parses the body by the schema in the endpoint's row, and calls its {@link PageHandler}. */
export function answerOf(handlers: PageHandlers, request: PageRequest): Promise<PageReply> | PageReply {
  return answerBy<AskedOf>(handlers, endpoints, request.endpoint, request);
}

function answerBy<Asked>(
  handlers: { readonly [Of in keyof Asked]?: PageHandler<Asked[Of]> | undefined },
  rows: { readonly [Of in keyof Asked]: { readonly asks: z.ZodType<Asked[Of]> } },
  endpoint: keyof Asked & string,
  request: PageRequest,
): Promise<PageReply> | PageReply {
  const handler = handlers[endpoint];
  if (handler === undefined) throw new Refusal(404, `this page does not answer ${endpoint}`);
  const body = request.body === '' ? '{}' : request.body;
  return handler(request, requested(readerOf(rows[endpoint].asks), body));
}

/** Parses a body. Throws a Refusal with the sentence of `parse`. */
export function requested<Asked>(parse: (body: string) => Asked | string, body: string): Asked {
  const read = parse(body);
  if (typeof read === 'string') throw new Refusal(400, read);
  return read;
}

/** What the daemon sent last. Throws a Refusal if it sent nothing yet. */
export function toldBy<Told>({ told }: { readonly told: Told | undefined }): Told {
  if (told === undefined) throw new Refusal(503, 'dovegate does not answer; ask again when it runs');
  return told;
}

export function jsonReply(status: number, value: unknown): PageReply {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

export function refusedReply(status: number, text: string): PageReply {
  return jsonReply(status, { text });
}
