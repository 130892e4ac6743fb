// The fault of a byte pipe: the other side is gone, or ours was closed while somebody still used it.

/**
 * `peer-gone`: the other side reset, or vanished. `closed`: our side had closed it before. `tls-failed`: a handshake that
 * the other side began came to nothing; the message says why.
 */
export type TransportFaultCode = 'peer-gone' | 'closed' | 'tls-failed';

/**
 * A transport cannot be read or written any more. `cause` holds what the system said. It has no stack: one is made for
 * every session that ends in order, and to note where costs ten times what the rest of it does, and tells nobody anything.
 */
export class TransportFault extends Error {
  readonly code: TransportFaultCode;
  constructor(code: TransportFaultCode, message: string, cause?: unknown) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message, cause === undefined ? undefined : { cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'TransportFault';
    this.code = code;
  }
}
