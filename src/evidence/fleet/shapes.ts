// Data types of a verifier of many gates: its input, its state, its output.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { count, text } from '../../host/values/shape.js';
import type { BlockName } from '../store/names.js';

export const word = text(bounds.fleetLineBytes);

/** A block of one journal, as it was read from the store. */
export interface StoredBlock {
  readonly name: BlockName;
  /** Milliseconds since 1970 by the store's clock; in a folder the time of the file. */
  readonly storedMs: number;
  /** Its lines; undefined: its bytes are no block. */
  readonly text: Buffer | undefined;
}

/** Kinds of faults. A closed list: scripts rely on the words. */
export const findingKinds = [
  'changed',
  /** An object, its name, or a line has a foreign form. */
  'malformed',
  'missing',
  /** `prev` is not the hash of the record before. */
  'unlinked',
  /** Argument records of an admission are missing, changed or surplus. */
  'arguments',
  /** The host's records do not continue those in the store: the end of its journal was cut off, or restored from a copy. */
  'cut-at-host',
  /** Records after an orderly stop that the next start did not write; or that start found such records, and moved them away. */
  'journal-appended',
  /** Records that were read earlier are missing in the store. */
  'cut-in-store',
  /** Two different records with one seq and one journal; or the same journal under two hosts; or a gate left a mark. */
  'forked',
  /** Neither record nor checkpoint for longer than `silent_after`. */
  'silent',
  /** A host that is listed has never sent anything. */
  'never-seen',
  'unknown-host',
  /** A known host has another journal than before. */
  'new-journal',
  'bad-signature',
  /** A checkpoint without signature, or by a key that is not the listed one and was not named by it. */
  'untrusted',
  /** A verifier's key was replaced by one that is not listed. */
  'key-replaced',
  /** Exchanges whose end never came. */
  'open',
  /** A policy, the catalog or the release is another one than at most other hosts. */
  'differs',
  /** A start or a reload brought other policies; only where `policy_changes` asks for it. */
  'policy-changed',
  /** The host's clock is ahead of the store's. */
  'clock-apart',
  /** A host has more objects or bytes of a day than its credit lets its gate store, or much that is there already. */
  'too-much',
  /** The mirror of a host has taken its share of the verifier's disk. */
  'mirror-full',
  /** Records are not in the mirror, and the store has dropped them, or keeps them for less than half of `keep` from now on. */
  'not-mirrored',
] as const;

export type FleetFindingKind = (typeof findingKinds)[number];

export const finding = z.strictObject({
  kind: z.enum(findingKinds),
  host: word,
  /** Its id; of the checkpoints of a verifier that is listed: its name. */
  journal: word.optional(),
  seq: count.optional(),
  /** RFC 3339: of the record, or of the last message. */
  time: word.optional(),
  text: word,
});
export type FleetFinding = Readonly<z.infer<typeof finding>>;

/** Stands for the key of a host before its file exists. It equals no key, so no signature counts. */
export const noKeyYet = 'none yet';

export interface ExpectedHost {
  /** The public key of its checkpoints, in base64, or {@link noKeyYet}; undefined: signatures are only tested to be right. */
  readonly key: string | undefined;
  readonly silentMs: number;
}

export interface GateRow {
  readonly host: string;
  /** There is no listed key: any line that continues the chain is taken, and nothing is proved. */
  readonly isKeyless?: boolean | undefined;
  readonly journal?: string | undefined;
  /** The last record that is in the store, proved or not. */
  readonly seq?: number | undefined;
  /** Of the last record that was taken. */
  readonly hash?: string | undefined;
  /** Seq up to which a trusted signature holds. */
  readonly signedSeq?: number | undefined;
  /** RFC 3339, by the host's clock: that record. */
  readonly signedTime?: string | undefined;
  /** RFC 3339, by the store's clock: its last block. */
  readonly lastSeen?: string | undefined;
  /** RFC 3339, by the host's clock: its last record. */
  readonly lastTime?: string | undefined;
  /** Record time against the store's, of the last block, in milliseconds; positive: the host's clock is ahead. */
  readonly driftMs?: number | undefined;
  /** The longest between a record and its block, in milliseconds: within that, a record can have been kept back. */
  readonly waitMs?: number | undefined;
  readonly program?: string | undefined;
  readonly catalog?: string | undefined;
  /** Version of each policy by its name, as its newest admission has it. */
  readonly policies: Readonly<Record<string, string>>;
  readonly open: number;
  readonly findings: number;
  /** The parts that differ from most others: `catalog`, `program`, `policy NAME`. */
  readonly differs: readonly string[];
}

/** What was locked in the last days, and on which hosts it is. */
export interface FleetLock {
  /** As `dovegate lock` takes it. */
  readonly target: string;
  /** RFC 3339: of the newest. */
  readonly since: string;
  readonly on: number;
  readonly lacking: readonly string[];
}

/** The file `status.json` in the verifier's state directory: what `fleet status` prints and the page shows. */
export interface FleetStatus {
  readonly at: string;
  /** Where the objects are. */
  readonly store: string;
  readonly records: number;
  readonly gates: readonly GateRow[];
  readonly locks?: readonly FleetLock[] | undefined;
  readonly findings: readonly FleetFinding[];
  /** Absent: the store can be read. Else since when (RFC 3339) it cannot, and why. */
  readonly away?: { readonly since: string; readonly text: string } | undefined;
  readonly checkpoint?: { readonly seq: number; readonly at: string; readonly root: string } | undefined;
  /** The other verifiers that are listed, each with its last line in the store; without `seq`: there is none. */
  readonly verifiers?:
    | readonly {
        readonly name: string;
        readonly seq?: number | undefined;
        readonly at?: string | undefined;
        readonly root?: string | undefined;
      }[]
    | undefined;
}
