// A receiver of notices failed: its code, and whether to try again.

import type { NoticeFaultCode } from '../../rules/config/fault.js';

export class NoticeFault extends Error {
  override readonly name = 'NoticeFault';
  readonly code: NoticeFaultCode;
  /** The status of an HTTP answer, or the code of a mail server; undefined: there is none of three digits. */
  readonly status: number | undefined;

  /** The receiver wants no attempt earlier; 0: it did not say. */
  readonly waitMs: number;

  constructor(code: NoticeFaultCode, status?: number, cause?: unknown, waitMs = 0) {
    super(status === undefined ? code : `${code} ${status}`, { cause });
    this.code = code;
    this.waitMs = waitMs;
    this.status = status !== undefined && status >= 100 && status <= 999 ? status : undefined;
  }

  /** Whether the receiver refuses this very notice: one with another text may be taken. */
  get isRefusal(): boolean {
    const { code, status = 0 } = this;
    if (code === 'mail-refused') return status >= 500;
    return code === 'status' && status >= 400 && status < 500 && !laterStatuses.has(status);
  }
}

/** HTTP: request timeout, and too many requests. */
const laterStatuses: ReadonlySet<number> = new Set([408, 429]);
