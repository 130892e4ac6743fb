// The socket of the page: requests about the journal by people whom the kernel names. It has a table of its own, so nothing that changes the
// daemon can be asked for here.

import type { IncomingMessage } from 'node:http';
import { pathOf } from '../http/routes.js';
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
  readonly whoIs: (connection: IncomingMessage['socket']) => Promise<Operator | undefined>;
  readonly answer: (request: PersonalRequest) => Promise<Answer>;
}

/** Answers requests; for a door of `openAdmin`. */
export function createPageDoor({ bodyBytesMax, whoIs, answer }: PageDoorOptions) {
  return async (request: IncomingMessage, onWhole: () => void): Promise<Answer> => {
    const { host, authorization, origin } = request.headers;
    if (refuseAccess({ kind: 'unix' }, { host, authorization, origin }, false) !== undefined)
      return plainAnswer(403, 'not from a page of another origin');
    if (request.method !== 'POST') return { ...plainAnswer(405, pageSocketText), headers: { Allow: 'POST' } };
    const gone = new AbortController();
    request.socket.once('close', () => gone.abort(new Error('the client has gone')));
    const who = await whoIs(request.socket);
    if (who === undefined) return plainAnswer(403, 'the kernel does not say who asks');
    const body = await readBody(request, bodyBytesMax).catch((fault: unknown) => {
      if (!gone.signal.aborted) throw fault;
      return undefined;
    });
    // Nobody is there to be answered.
    if (gone.signal.aborted) return plainAnswer(400, 'the request ended too early');
    onWhole();
    if (body === undefined) return plainAnswer(413, `a request has at most ${bodyBytesMax} bytes`);
    return answer({ path: pathOf(request), body, who, signal: gone.signal });
  };
}

/** Undefined: it is longer. */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const piece: Buffer = chunk;
    bytes += piece.length;
    // Read to its end, since leaving the loop would close the connection before the answer.
    if (bytes <= bytesMax) chunks.push(piece);
  }
  if (bytes > bytesMax) return undefined;
  return Buffer.concat(chunks).toString('utf8');
}
