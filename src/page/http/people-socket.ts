// The socket of the page: requests about the journal by people whom the kernel names. It has a table of its own, so nothing that changes
// the daemon can be asked for here.

import type { LinkOpener } from '../../gate/door/calls.js';
import { type HttpCall, plainAnswer, shortLimits, type TextAnswer } from '../../host/http/server.js';
import { foreignSource } from '../../host/http/source.js';

/** The process at the other end, as the kernel reports it. */
export interface SocketPeer extends LinkOpener {
  readonly pid?: number | undefined;
}

export interface PersonalRequest {
  readonly path: string;
  readonly body: string;
  readonly who: SocketPeer;
  readonly signal: AbortSignal;
}

/** For a client that took this socket for the admin socket. */
export const pageSocketText =
  "this is the page's socket: it answers the `dovegate audit` commands and `dovegate page open`; status, doctor, backend, kill and reload need the admin socket (admin.unix): run them as root, or by sudo";

/** Twice what the admin socket gives: answers here are longer. */
const connectionMs = 20_000;

export const peopleSocketLimits = shortLimits(connectionMs);

export interface PeopleSocketOptions {
  readonly bodyBytesMax: number;
  readonly whoIs: (connection: HttpCall['request']['socket']) => Promise<SocketPeer | undefined>;
  readonly answer: (request: PersonalRequest) => Promise<TextAnswer>;
}

export function createPeopleSocket({ bodyBytesMax, whoIs, answer }: PeopleSocketOptions) {
  return async ({ request, path, readBody, work, signal }: HttpCall): Promise<TextAnswer> => {
    const { host, origin } = request.headers;
    if (foreignSource({ hasTls: false }, host, origin) !== undefined)
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
