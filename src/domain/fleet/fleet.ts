// Follows the chains of many gates, as they come out of one stream, and says what is wrong with them, and where.
// The rules: constant memory for each chain; what is remembered can be saved and gone on with; a fault of the trail is told once, stands
// until a person accepts it, and the chain is followed on from there. What is wrong only now (silent, apart, open, differs) is asked anew.

import type { ExpectedHost, FleetFinding, FleetMessage, FleetStatus } from './shapes.js';

export interface FleetOptions {
  readonly stream: string;
  /** By the word of the host. */
  readonly hosts: ReadonlyMap<string, ExpectedHost>;
  /** An exchange without end is a finding after so long: longer than the longest deadline of the gates. */
  readonly openMs: number;
  /** Clocks further apart are a finding. */
  readonly driftMs: number;
}

/** One line of the chain of what was seen: signed, and kept in a file and in the stream. */
export interface FleetCheckpoint {
  readonly line: string;
  readonly seq: number;
  /** SHA-256 over the list of hosts in the line. */
  readonly root: string;
}

/** Where each chain must still be: for a stream that was put back, or a line that somebody kept elsewhere. */
export interface ExpectedHead {
  readonly host: string;
  readonly journal: string;
  readonly seq: number;
  readonly hash: string;
}

export interface Fleet {
  /** The next message; marks and checkpoints of the fleet too. What is new is returned, in its order. */
  take(message: FleetMessage): readonly FleetFinding[];
  /** Of the last message that was taken; 0: none yet. */
  readonly streamSeq: number;
  /** Lines that were verified, in this and earlier runs. */
  readonly records: number;
  /** The heads of all chains, as far as they were read. */
  heads(): readonly ExpectedHead[];
  /**
   * The stream is not the one that was read, or a kept line is to be compared: everything is read anew from its first message, and each head
   * must be met again. What is not met is found by `judge`.
   */
  rewind(expected: readonly ExpectedHead[]): void;
  /** Everything up to the stream's end was taken: all that is wrong, what stands in the trail and what is wrong at this moment. */
  judge(nowMs: number): readonly FleetFinding[];
  /** A finding of the outside: the stream was replaced. */
  note(finding: FleetFinding): void;
  /** All findings that stand in the trail are known to a person from now on; how many they were. */
  accept(nowMs: number): number;
  /** For the file of the state; JSON. */
  save(): unknown;
  status(nowMs: number): FleetStatus;
}
