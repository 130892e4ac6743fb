// The fault of a byte pipe: the other side is gone, or ours was closed while somebody still used it.

/**
 * `peer-gone`: the other side reset, or vanished. `closed`: our side had closed it before. `tls-failed`: a handshake that
 * the other side began came to nothing; the message says why.
 */
export type TransportFaultCode = 'peer-gone' | 'closed' | 'tls-failed';

/** A transport cannot be read or written any more. `cause` holds what the system said. */
export class TransportFault extends Error {
  readonly code: TransportFaultCode;
  constructor(code: TransportFaultCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'TransportFault';
    this.code = code;
  }
}
