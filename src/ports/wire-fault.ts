// Bytes of a peer broke the grammar of the protocol, or a limit.

/** Why bytes were refused. Journals hold these words: none is ever renamed or reused. */
export type WireFaultCode =
  | 'line-too-long'
  | 'bad-escape'
  | 'bad-version'
  | 'bad-command'
  | 'bad-status'
  | 'bad-frame'
  | 'unexpected-input';

/**
 * Whatever catches it closes that transport, and pushes nothing more into the decoder that threw it:
 * there is no way to resynchronize, and all that follows is the peer's choice.
 * The message never holds a byte of the peer, because faults end up in logs and journals.
 */
export class WireFault extends Error {
  readonly code: WireFaultCode;

  constructor(code: WireFaultCode, message: string) {
    super(message);
    this.name = 'WireFault';
    this.code = code;
  }
}
