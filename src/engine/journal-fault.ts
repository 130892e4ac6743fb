// A record did not become durable: the disk, its file or the writer failed. Whoever waits for it must not go on.

export type JournalFaultCode = 'write-failed' | 'deadline' | 'closed' | 'locked' | 'unreadable';

export class JournalFault extends Error {
  readonly code: JournalFaultCode;
  constructor(code: JournalFaultCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'JournalFault';
    this.code = code;
  }
}
