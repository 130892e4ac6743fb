// The socket of the page: requests about the journal by people whom the kernel names. It has a table of its own, so nothing that changes the
// daemon can be asked for here.

import type { HttpCall } from '../http/server.js';
import { type Operator, pageSocketText, refuseAccess } from './access.js';
import { type Answer, plainAnswer } from './pages.js';

/** A request, with its body as it came. */
export interface PersonalRequest {
  readonly path: string;
  readonly body: string;
  readonly who: Operator;
  /** Aborted when who asked has gone. */
  readonly signal: AbortSignal;
}

export interface PageDoorOptions {
  readonly bodyBytesMax: number;
  readonly whoIs: (connection: HttpCall['request']['socket']) => Promise<Operator | undefined>;
  readonly answer: (request: PersonalRequest) => Promise<Answer>;
}

/** Answers requests; for a door of `openAdmin`. */
export function createPageDoor({ bodyBytesMax, whoIs, answer }: PageDoorOptions) {
  return async ({ request, path, readBody, work, signal }: HttpCall): Promise<Answer> => {
    const { host, authorization, origin } = request.headers;
    if (refuseAccess({ kind: 'unix' }, { host, authorization, origin }, false) !== undefined)
      return plainAnswer(403, 'not from a page of another origin');
    if (request.method !== 'POST') return { ...plainAnswer(405, pageSocketText), headers: { Allow: 'POST' } };
    const who = await whoIs(request.socket);
    if (who === undefined) return plainAnswer(403, 'the kernel does not say who asks');
    const body = await readBody(bodyBytesMax);
    work();
    if (body === undefined) return plainAnswer(413, `a request has at most ${bodyBytesMax} bytes`);
    return answer({ path, body, who, signal });
  };
}
