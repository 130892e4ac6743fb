// A receiver of notices failed: its code, and whether to try again.

import type { NoticeFaultCode } from '../../rules/config/fault.js';

export class NoticeFault extends Error {
  override readonly name = 'NoticeFault';
  readonly code: NoticeFaultCode;
  /** The status of an HTTP answer, or the code of a mail server; undefined: there is none of three digits. */
  readonly status: number | undefined;

  /** No attempt is wanted earlier; 0: the receiver did not say. */
  readonly waitMs: number;

  constructor(code: NoticeFaultCode, status?: number, cause?: unknown, waitMs = 0) {
    super(status === undefined ? code : `${code} ${status}`, { cause });
    this.code = code;
    this.waitMs = waitMs;
    this.status = status !== undefined && status >= 100 && status <= 999 ? status : undefined;
  }

  /** Whether the receiver will not have this notice, as far as it says: one of another text may be taken. */
  get isRefusal(): boolean {
    const { code, status = 0 } = this;
    if (code === 'mail-refused') return status >= 500;
    return code === 'status' && status >= 400 && status < 500 && !laterStatuses.has(status);
  }
}

/** Of HTTP: too slow, and too many. */
const laterStatuses: ReadonlySet<number> = new Set([408, 429]);
