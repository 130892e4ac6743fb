// Owns the one failure that bytes can cause. Does not know who sent them, nor what closes because of it.
// The rule: a message never holds a byte of the peer, because faults end up in logs and journals.

/** Why bytes were refused. Journals hold these words: none is ever renamed or reused. */
export type WireFaultCode =
  | 'line-too-long'
  | 'bad-escape'
  | 'bad-version'
  | 'bad-command'
  | 'bad-status'
  | 'bad-frame'
  | 'unexpected-input'
  | 'truncated';

/**
 * Bytes broke the grammar or a limit. Whoever catches it closes that transport, and pushes nothing more into what threw
 * it: there is no way to resynchronise, and all that follows is the peer's choice.
 */
export class WireFault extends Error {
  readonly code: WireFaultCode;

  constructor(code: WireFaultCode, message: string) {
    super(message);
    this.name = 'WireFault';
    this.code = code;
  }
}
