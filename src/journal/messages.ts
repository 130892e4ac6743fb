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
  /** Write the stop record, sync, close the files. */
  | { readonly do: 'stop'; readonly wallMs: number };

export type Report =
  /** The lock file is open; its kernel lock is not taken yet. Give the order again with the descriptor. */
  | { readonly kind: 'lock'; readonly descriptor: number }
  | { readonly kind: 'opened'; readonly mark: Mark; readonly found: Found }
  /** Everything of the order was handed to the kernel; `mark`: and synced, with all before it. */
  | { readonly kind: 'written'; readonly mark: Mark | undefined }
  | { readonly kind: 'stopped'; readonly mark: Mark }
  /** Nothing of the order counts; the next order must be `heal` (or `open`, if that failed). */
  | { readonly kind: 'failed'; readonly code: JournalFaultCode; readonly message: string };

/** What a start found in the directory. */
export interface Found {
  readonly journal: string;
  /** Admissions without completion, closed as `unknown`. */
  readonly unknown: number;
  /** Bytes of a torn last line, put aside; 0: none. */
  readonly tornBytes: number;
}
