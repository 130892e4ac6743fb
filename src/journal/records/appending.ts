// The journal for those who append records. The engine awaits nothing else.

import type { JournalFault } from '../../host/ports/faults.js';
import type { AuditRecord, RecordRoom } from './record.js';

export interface Journal {
  /**
   * Appends a record (without seq, prev and hash, which the journal assigns in the order of the calls). When this returns, the record
   * survives any crash of the daemon; it is written to the disk within 20 ms. A fault: the journal did not take it, and counts it as lost.
   * `brief` is for what belongs to a refused command, a question to dovegate, or a session; `whole` for a command that reads content.
   */
  append(record: AuditRecord, room?: RecordRoom): JournalFault | undefined;
  /**
   * As `append`, but resolves when the record is on disk. Rejects with a JournalFault; the record may reach the disk later all the same,
   * unless it {@link isLost}.
   */
  appendDurable(record: AuditRecord, room?: RecordRoom): Promise<void>;
  /**
   * Resolves when a signed checkpoint that covers all records appended so far is on disk; without a key, when they are. Rejects with a
   * JournalFault.
   */
  checkpoint(): Promise<void>;
  /** False: a record that is not synced would be lost with the process. */
  readonly isCrashProof: boolean;
  /** Writes the remaining records and the stop record, then closes. */
  close(): Promise<void>;
  readonly state: 'writable' | 'failed';
  /** The disk reported an error, so nothing may be sent; a slow disk is no error. */
  readonly refusal: JournalFault | undefined;
  /** `reserve`: the disk is full except for the reserve; only commands marked for emergencies may run. */
  readonly space: JournalSpace;
  /** Young records fill the journal, and the origin wrote too many of them: its commands are refused, and others go on. */
  isOverShare(origin: string): boolean;
}

export type JournalSpace = 'normal' | 'reserve';

export interface WriterShare {
  /** The last principal of its origin; the origin itself, if it has written nothing since the start. */
  readonly principal: string;
  readonly share: number;
}

/** How full the journal is with records that must not be removed yet. */
export interface JournalFill {
  /** Bytes of records younger than audit.keep_min. */
  readonly youngBytes: number;
  /** audit.max_size; Infinity: not known yet. */
  readonly bytesMax: number;
  /** The largest first, at most five; empty while there is room. */
  readonly largest: readonly WriterShare[];
}
