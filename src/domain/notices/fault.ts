// Why a notice was not delivered: a closed list, so that no word of a receiver gets into a log, a metric or a page.

/** In the order of docs/messages.md. */
export const noticeFaultCodes = [
  'unknown-host',
  'connection-refused',
  'unreachable',
  'timeout',
  'no-starttls',
  'tls-failed',
  'redirected',
  'status',
  'not-http',
  'mail-refused',
  'secret-file',
  'ca-file',
  'library-missing',
  'state-file',
  'journal-unreadable',
  'internal',
] as const;
export type NoticeFaultCode = (typeof noticeFaultCodes)[number];

export class NoticeFault extends Error {
  override readonly name = 'NoticeFault';
  readonly code: NoticeFaultCode;
  /** The status of an HTTP answer, or the code of a mail server. */
  readonly status: number | undefined;

  constructor(code: NoticeFaultCode, status?: number, cause?: unknown) {
    super(status === undefined ? code : `${code} ${status}`, { cause });
    this.code = code;
    this.status = status;
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

/** A receiver of notices, as the page's process reports it to the daemon. */
export interface NoticeReceiver {
  readonly name: string;
  /** Since the page was started: notices that were delivered, attempts that failed, notices that were dropped for their age. */
  readonly delivered: number;
  readonly failed: number;
  readonly dropped: number;
  /** How long the oldest notice that was not delivered has waited; 0: none waits. */
  readonly lagMs: number;
  /** The fault of the last attempt, and for how long attempts have failed; undefined: the last one was taken, or there was none. */
  readonly fault?:
    | { readonly code: NoticeFaultCode; readonly status?: number | undefined; readonly forMs: number }
    | undefined;
}
