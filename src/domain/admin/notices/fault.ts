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
  'unanswered',
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
  /** The status of an HTTP answer, or the code of a mail server; undefined: there is none of three digits. */
  readonly status: number | undefined;

  /** No attempt is wanted earlier; 0: the receiver did not say. */
  readonly waitMs: number;

  /** Of a mail server: it refused this recipient, or this mail, and may take others. */
  readonly isOfRecipient: boolean;

  constructor(code: NoticeFaultCode, status?: number, cause?: unknown, waitMs = 0, isOfRecipient = false) {
    super(status === undefined ? code : `${code} ${status}`, { cause });
    this.code = code;
    this.waitMs = waitMs;
    this.isOfRecipient = isOfRecipient;
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
