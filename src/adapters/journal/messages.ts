// What the journal's parts say to each other: the main thread gives one order at a time, the writer's thread carries
// it out and answers with one report. Plain data that survives a structured clone (what is of every group goes through page.ts); no function, no descriptor but the
// lock's, which both threads share because descriptors belong to the process.

import type { JournalFault, JournalFaultCode } from '../../gateway/outcome/journal-fault.js';

/** What the writer's thread needs to know from the start. */
export interface WriterOptions {
  readonly directory: string;
  /** The group that may read the directory and its files; undefined: nobody but the owner. */
  readonly groupId?: number | undefined;
  /** A segment that would grow beyond this is closed and the next begun. */
  readonly segmentBytes: number;
  /** Name and version of the program, as it stands in the records. */
  readonly program: string;
  /** Hash of the command catalog, for the start record; empty: not known. */
  readonly catalog: string;
  /** PEM of the Ed25519 key that signs checkpoints; undefined: they are not signed. */
  readonly signKey: string | undefined;
  /** Bytes kept free on the disk for when it is full (a file of that size); 0: none. */
  readonly reserveBytes: number;
}

/** The last place that is certainly on disk: what follows it in that file does not count. */
export interface Mark {
  readonly segment: string;
  readonly device: number;
  readonly inode: number;
  /** Bytes of that file that are on disk. */
  readonly bytes: number;
  /** The last record on disk, of whichever segment. */
  readonly seq: number;
  readonly hash: string;
  /** The journal's id, and the sum of the steps of the wall clock: what a new writer's thread cannot always find again. */
  readonly journal: string;
  readonly stepsMs: number;
  readonly oldestSeq: number;
  /** Time of the last record. */
  readonly timeMs: number;
  /** Seq of the oldest admission without completion, else the next seq: what a restart must read from. */
  readonly openSeq: number;
}

/** What retention may remove. Never the last segment, and none that holds an exchange under way. */
export interface RetentionLimits {
  /** Age of a segment's last record beyond which it goes, by the records' own times without steps of the clock. */
  readonly keepMs: number;
  /** A segment whose last record is younger does not go for the size of all. */
  readonly keepMinMs: number;
  /** All segments together: bytes, or a share of the file system's size (above 0, at most 1). */
  readonly sizeMax: { readonly bytes: number } | { readonly share: number };
  /** The last record that every receiver has; segments behind it stay. Undefined: nothing is shipped. */
  readonly shippedSeq: number | undefined;
  /** Segments that were not shipped may have so many bytes together; above that they go as well. */
  readonly unshippedBytesMax: number;
}

/** The lock's descriptor, once the main thread has taken the lock; undefined: open it and report it. */
type Lock = number | undefined;

/** What the writer is told to do. */
export type Order =
  /** Find the tail, close what a crash left open, write the start record. */
  | { readonly do: 'open'; readonly lock: Lock; readonly wallMs: number }
  /** Write bodies in order; then sync everything written so far, if asked. */
  | {
      readonly do: 'write';
      readonly bodies: readonly string[];
      readonly sync: boolean;
      readonly wallMs: number;
    }
  | { readonly do: 'checkpoint'; readonly wallMs: number }
  /** Forget all behind the mark, begin a new segment with these bodies, sync. */
  | {
      readonly do: 'heal';
      readonly lock: Lock;
      readonly mark: Mark;
      readonly bodies: readonly string[];
      readonly lost: number;
      /** As in `limit`; absent: no. */
      readonly isFull?: boolean;
      readonly wallMs: number;
    }
  /**
   * `isFull`: the segments have reached their size and none of them may go yet. What is written from now on takes its room from
   * the reserve, as on a full disk.
   */
  | { readonly do: 'limit'; readonly isFull: boolean }
  /** Sign with another key from now on; a last checkpoint under the old one names it. */
  | { readonly do: 'change-key'; readonly pem: string; readonly wallMs: number }
  /** Write retire records for these segments, oldest first. Their files may go when that is on disk. */
  | { readonly do: 'retire'; readonly segments: readonly Retired[]; readonly wallMs: number }
  /** A policy's text beside the segments, on disk before a record names it. */
  | { readonly do: 'keep-policy'; readonly version: string; readonly text: string }
  /** Write the stop record, sync, close the files. */
  | { readonly do: 'stop'; readonly wallMs: number };

/** A `write` whose bodies came through the memory that both threads share: UTF-8, each with an LF behind it. */
export interface SharedWrite {
  readonly do: 'write-shared';
  readonly text: Buffer;
  readonly sync: boolean;
}

/** What became of an order. */
export type Report =
  /** The lock file is open; its kernel lock is not taken yet. Give the order again with the descriptor. */
  | { readonly kind: 'lock'; readonly descriptor: number }
  | ({ readonly kind: 'opened'; readonly mark: Mark; readonly found: Found } & Written)
  /** Everything of the order was handed to the kernel. */
  | ({ readonly kind: 'written' } & Written)
  /** Done, and nothing was written to a segment. */
  | { readonly kind: 'kept' }
  | ({ readonly kind: 'stopped' } & Written)
  /** Nothing of the order counts; the next order must be `heal` (or `open`, if that failed). */
  | { readonly kind: 'failed'; readonly code: JournalFaultCode; readonly message: string };

/** What writing brought about. */
export interface Written {
  /** Defined: all that was written so far is on disk. */
  readonly mark: Mark | undefined;
  /** The last checkpoint that this order wrote, as its line without LF: for the daemon's log. */
  readonly checkpoint: string | undefined;
  /** The disk was full: part of the reserve was given up for this. */
  readonly isReserveUsed: boolean;
}

/** A closed segment, and what the first record of the one behind it says about its end. */
export interface Shelved {
  readonly number: number;
  readonly name: string;
  readonly isCompressed: boolean;
  readonly bytes: number;
  /** Hash of its last record; the first seq, and the time without steps, of the segment behind it. */
  readonly lastHash: string;
  readonly nextSeq: number;
  readonly endMs: number;
  /** The same time by the wall clock. */
  readonly endWallMs: number;
}

/** A segment that retention removes, and for which of its limits. */
export interface Retired extends Shelved {
  readonly why: 'age' | 'size';
}

/** Slow work on the disk that must not stand before a record: done by a thread of its own. */
export type KeeperOrder =
  /** Look at the segments above a number. Closed are only those below that of the mark: what lies behind it may be cut off yet. */
  | { readonly do: 'look'; readonly above: number; readonly mark: number }
  | { readonly do: 'compress'; readonly name: string }
  | { readonly do: 'remove'; readonly files: readonly string[] }
  | { readonly do: 'fill-reserve'; readonly bytes: number };

/** What became of a keeper's order. */
export type KeeperReport =
  | { readonly kind: 'looked'; readonly shelf: Shelf }
  /** `bytes`: what the file has now, where a file was made. */
  | { readonly kind: 'done'; readonly bytes: number }
  /** Nothing changed: no room, or the disk refused. */
  | { readonly kind: 'failed'; readonly message: string };

/** What lies in the directory. */
export interface Shelf {
  /** Those below the mark's segment, oldest first, up to the first whose end is not known. */
  readonly closed: readonly Shelved[];
  /** The first segment that its successor does not name: nothing from there on is known to be closed. */
  readonly damaged: string | undefined;
  /** Bytes of the segments that were looked at and are not among these. */
  readonly otherBytes: number;
  /** Of the file system. */
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly reserveBytes: number;
}

/** What a thread is for. */
export type ThreadTask =
  | { readonly role: 'write'; readonly options: WriterOptions; readonly page: SharedArrayBuffer }
  | { readonly role: 'keep'; readonly directory: string };

/** What a start found in the directory. */
export interface Found {
  readonly journal: string;
  /** Admissions without completion, closed as `unknown`. */
  readonly unknown: number;
  /** Bytes of a torn last line, put aside; 0: none. */
  readonly tornBytes: number;
  /**
   * The journal does not hold what its last checkpoint says: records are missing at its end, or are other ones. Or there is
   * no checkpoint beside it that could say so.
   */
  readonly damage: 'cut' | 'rewritten' | 'unvouched' | undefined;
  /** The public key that signed before, where another one signs now without having been named; undefined: it is the same. */
  readonly keyBefore: string | undefined;
}

/** What the driver tells whoever watches. */
export type DriverEvent =
  | { readonly kind: 'failed'; readonly fault: JournalFault }
  | { readonly kind: 'writable' }
  /** A group reached the disk: how many records, and how long from the order to its report. */
  | { readonly kind: 'synced'; readonly records: number; readonly durationMs: number }
  | { readonly kind: 'checkpoint'; readonly line: string }
  /** A full disk: a piece of the reserve was given up. */
  | { readonly kind: 'reserve-used' };

/** Whether records can be promised. */
export type DriverState =
  | { readonly at: 'writable' }
  /** `heal`: what lies behind the mark may be damaged. `probe`: all of it is on disk, but that took too long. */
  | { readonly at: 'failed'; readonly fault: JournalFault; readonly needs: 'heal' | 'probe' }
  | { readonly at: 'closed' };
