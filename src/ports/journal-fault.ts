// A record did not become durable: the disk, its file or the writer failed. Whoever waits for it must not go on.

/** What went wrong with a record or with its journal; a code is never renamed, dashboards hold it. */
export type JournalFaultCode =
  | 'write-failed' // the disk refused a write or a sync
  | 'deadline' // a write or a sync took too long, or the writer's thread is mute
  | 'removed' // the segment, its directory or the lock file is gone or was replaced
  | 'writer-died' // the writer's thread ended
  | 'overflow' // too much waits for a disk that does not take it
  | 'closed'
  | 'locked' // another process writes this journal
  | 'newer-format' // a later release wrote it
  | 'unreadable'; // what lies in the directory is not a journal that can be continued

/**
 * A record is not known to be on disk. The message is for operators and holds nothing of the record; `cause` is
 * what the system said.
 */
export class JournalFault extends Error {
  readonly code: JournalFaultCode;
  constructor(code: JournalFaultCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'JournalFault';
    this.code = code;
  }
}
