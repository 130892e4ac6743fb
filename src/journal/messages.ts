// What the journal's two halves say to each other: the main thread gives one order at a time, the writer's thread carries
// it out and answers with one report. Plain data that survives a structured clone; no function, no descriptor but the
// lock's, which both threads share because descriptors belong to the process.

import type { JournalFaultCode } from '../engine/journal-fault.js';

/** What the writer's thread needs to know from the start. */
export interface WriterOptions {
  readonly directory: string;
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
}

/** What retention may remove. Never the last segment, and none that holds an exchange under way. */
export interface RetentionLimits {
  /** Age of a segment's last record beyond which it goes, by the records' own times without steps of the clock. */
  readonly keepMs: number;
  /** All segments together: bytes, or a share of the file system's size (above 0, at most 1). */
  readonly sizeMax: { readonly bytes: number } | { readonly share: number };
  /** The last record that every receiver has; segments behind it stay. Undefined: nothing is shipped. */
  readonly shippedSeq: number | undefined;
  /** Segments that were not shipped may have so many bytes together; above that they go as well. */
  readonly unshippedBytesMax: number;
}

/** The lock's descriptor, once the main thread has taken the lock; undefined: open it and report it. */
type Lock = number | undefined;

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
      readonly wallMs: number;
    }
  /** Sign with another key from now on; a last checkpoint under the old one names it. */
  | { readonly do: 'change-key'; readonly pem: string; readonly wallMs: number }
  /** Retire what is old or too much, and say what could be compressed. */
  | { readonly do: 'tend'; readonly limits: RetentionLimits; readonly wallMs: number }
  /** A policy's text beside the segments, on disk before a record names it. */
  | { readonly do: 'keep-policy'; readonly version: string; readonly text: string }
  /** Write the stop record, sync, close the files. */
  | { readonly do: 'stop'; readonly wallMs: number };

export type Report =
  /** The lock file is open; its kernel lock is not taken yet. Give the order again with the descriptor. */
  | { readonly kind: 'lock'; readonly descriptor: number }
  | ({ readonly kind: 'opened'; readonly mark: Mark; readonly found: Found } & Written)
  /** Everything of the order was handed to the kernel. */
  | ({ readonly kind: 'written' } & Written)
  | ({ readonly kind: 'tended'; readonly tended: Tended } & Written)
  | { readonly kind: 'kept' }
  | ({ readonly kind: 'stopped' } & Written)
  /** Nothing of the order counts; the next order must be `heal` (or `open`, if that failed). */
  | { readonly kind: 'failed'; readonly code: JournalFaultCode; readonly message: string };

export interface Written {
  /** Defined: all that was written so far is on disk. */
  readonly mark: Mark | undefined;
  /** The last checkpoint that this order wrote, as its line without LF: for the daemon's log. */
  readonly checkpoint: string | undefined;
  /** The disk was full: part of the reserve was given up for this. */
  readonly isReserveUsed: boolean;
}

/** What tending found and did. */
export interface Tended {
  /** Names of the segments that were retired. */
  readonly retired: readonly string[];
  /** Names of plain segments that nobody writes or recovers from any more, oldest first. */
  readonly compressible: readonly string[];
  /** Bytes of all segments, and free bytes of the file system. */
  readonly bytes: number;
  readonly freeBytes: number;
  /** Whether the reserve is smaller than it should be. */
  readonly isReserveShort: boolean;
}

/** Slow work on the disk that must not stand before a record: done by a thread of its own. */
export type KeeperOrder =
  | { readonly do: 'compress'; readonly name: string }
  | { readonly do: 'fill-reserve'; readonly bytes: number };

export type KeeperReport =
  | { readonly kind: 'done' }
  /** Nothing changed: no room, or the disk refused. */
  | { readonly kind: 'failed'; readonly message: string };

/** What a thread is for. */
export type ThreadTask =
  | { readonly role: 'write'; readonly options: WriterOptions }
  | { readonly role: 'keep'; readonly directory: string };

/** What a start found in the directory. */
export interface Found {
  readonly journal: string;
  /** Admissions without completion, closed as `unknown`. */
  readonly unknown: number;
  /** Bytes of a torn last line, put aside; 0: none. */
  readonly tornBytes: number;
  /** The journal does not hold what its last checkpoint says: records are missing at its end, or are other ones. */
  readonly damage: 'cut' | 'rewritten' | undefined;
}
