// Failures between us and the servers of a cluster, in words for operators. A sentence says what, where, and what to do. It contains
// nothing of a certificate, a credential or a record. Words of a server are cut and made visible, because they reach logs and terminals.

import { bounds } from '../../host/bounds/bounds.js';
import { printable } from '../../host/words/text.js';

export type NatsFaultCode =
  | 'library-missing' // the optional packages are not installed
  | 'dial-refused' // nobody listens, no route, no such name
  | 'dial-timeout' // no connection, no handshake, or no answer in time
  | 'tls-failed' // certificate, name, no TLS where it is demanded, or a file of ours
  | 'auth-rejected' // the server does not know us
  | 'no-rights' // this user may not do that
  | 'no-stream' // there is no such stream, or no JetStream
  | 'stream-full' // it takes no more
  | 'wrong-sequence' // somebody else, or a lost answer of ours, wrote meanwhile
  | 'closed-early' // the connection ended
  | 'refused'; // any other error of the server; the message has its words

/** Characters of a sentence that may contain words of a server. */
const wordsMax = bounds.natsFaultChars;

/** `message`: a sentence for operators. */
export class NatsFault extends Error {
  override readonly name = 'NatsFault';
  readonly code: NatsFaultCode;
  constructor(code: NatsFaultCode, message: string, cause?: unknown) {
    super(printable(message.slice(0, wordsMax)), cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Numbers of JetStream's API (server/errors.json of nats-server). */
const codes: ReadonlyMap<number, NatsFaultCode> = new Map([
  [10002, 'stream-full'], // limits of the account
  [10023, 'stream-full'], // insufficient resources
  [10039, 'no-stream'], // JetStream is not enabled for the account
  [10047, 'stream-full'], // insufficient storage
  [10059, 'no-stream'],
  [10060, 'wrong-sequence'], // the subject is of another stream now
  [10071, 'wrong-sequence'],
  [10076, 'no-stream'], // JetStream is not enabled
  [10077, 'stream-full'], // the store took no message: maximum bytes or messages exceeded, or a full disk
  [10164, 'wrong-sequence'], // the same, where the server does not know the number
]);

/** The fault for an error answer of JetStream. `doing`: `publish to X at HOST:PORT`. */
export function faultOfAnswer(number: number, text: string, doing: string): NatsFault {
  return new NatsFault(codes.get(number) ?? 'refused', `cannot ${doing}: ${text} (${number})`);
}

/** The library nests its errors; its classes are known by name, because it is loaded late. */
function causesOf(thrown: unknown): Error[] {
  const found: Error[] = [];
  for (let at = thrown; at instanceof Error && found.length < 5; at = at.cause) found.push(at);
  return found;
}

export function faultOfRequest(thrown: unknown, doing: string): NatsFault {
  if (thrown instanceof NatsFault) return thrown;
  const causes = causesOf(thrown);
  const has = (name: string): boolean => causes.some((cause) => cause.name === name);
  if (has('PermissionViolationError')) {
    const words = causes.find((cause) => cause.name === 'PermissionViolationError')?.message ?? '';
    return new NatsFault('no-rights', `cannot ${doing}: the server says: ${words}`, thrown);
  }
  if (has('UserAuthenticationExpiredError') || has('AuthorizationError')) {
    return new NatsFault('auth-rejected', `cannot ${doing}: this user is not, or no longer, known`, thrown);
  }
  if (has('NoResponders')) {
    return new NatsFault('no-stream', `cannot ${doing}: no stream is there for it`, thrown);
  }
  if (has('TimeoutError')) return new NatsFault('dial-timeout', `cannot ${doing}: no answer in time`, thrown);
  if (has('RequestError') || has('ClosedConnectionError') || has('DrainingConnectionError')) {
    return new NatsFault('closed-early', `cannot ${doing}: the connection ended`, thrown);
  }
  const words = causes[0]?.message ?? 'it failed';
  return new NatsFault('refused', `cannot ${doing}: ${words}`, thrown);
}
