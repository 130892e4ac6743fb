// A request of the page, as who answers it sees it: who asks is known, and the role permits it. What answers is in src/page.

import type { LinkOpener } from '../../gate/door/parse.js';
import type { PageRole } from '../../rules/identity/roles.js';
import type { Endpoint } from '../answers/api.js';
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
  /** At most `askedBytesMax` bytes; empty for a GET. */
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

/** Answers one endpoint. Rejects only with a bug of ours. */
export type PageHandler = (request: PageRequest) => Promise<PageReply>;

export function jsonReply(status: number, value: unknown): PageReply {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

export function refusedReply(status: number, text: string): PageReply {
  return jsonReply(status, { text });
}
