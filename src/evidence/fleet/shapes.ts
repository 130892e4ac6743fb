// Data types of a verifier of many gates: its input, its state, its output.

import type { StreamRow } from '../streams/strength.js';

export interface FleetMessage {
  readonly streamSeq: number;
  /** Milliseconds since 1970 by the server's clock, when it was stored. */
  readonly storedMs: number;
  readonly subject: string;
  readonly header: (name: string) => string;
  /** Valid until the next message is requested. */
  readonly bytes: Buffer;
}

/** Kinds of faults. A closed list: scripts rely on the words. */
export const findingKinds = [
  'changed',
  /** A message or a line has a foreign form. */
  'malformed',
  'missing',
  /** Records are repeated, or come after later ones; their lines are the same. */
  'repeated',
  /** `prev` is not the hash of the record before. */
  'unlinked',
  /** Argument records of an admission are missing, changed or surplus. */
  'arguments',
  /** The host's records do not continue those in the stream: the end of its journal was cut off, or restored from a copy. */
  'cut-at-host',
  /** Records follow an orderly stop that the next start did not write; or that start found some, and moved them away. */
  'journal-appended',
  /** Records that were read earlier are missing in the stream. */
  'cut-in-stream',
  'stream-replaced',
  /** The stream keeps less than `fleet init` makes it keep, or less than before; or a user has rights that it must not have. */
  'weakened',
  /** Two different records with one seq and one journal; or the same journal under two hosts; or a gate left a mark. */
  'forked',
  /** Neither record nor checkpoint for longer than `silent_after`. */
  'silent',
  /** A host that is listed has never sent anything. */
  'never-seen',
  /** A record is in a stream where those of its host do not belong. */
  'misplaced',
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
  /** The host's clock and the server's are apart. */
  'clock-apart',
  /** The mirror of a host has taken its share of the verifier's disk. */
  'mirror-full',
  /** Records are not in the mirror, and the stream keeps them for less than half of its age any more, or has dropped them. */
  'not-mirrored',
] as const;

export type FleetFindingKind = (typeof findingKinds)[number];

export interface FleetFinding {
  readonly kind: FleetFindingKind;
  readonly host: string;
  /** Its id; of the checkpoints of a verifier that is listed: its name. */
  readonly journal?: string | undefined;
  readonly seq?: number | undefined;
  /** RFC 3339: of the record, or of the last message. */
  readonly time?: string | undefined;
  readonly text: string;
}

/** Stands for the key of a host before its file exists. It equals no key, so no signature counts. */
export const noKeyYet = 'none yet';

export interface ExpectedHost {
  /** The public key of its checkpoints, in base64, or {@link noKeyYet}; undefined: signatures are only tested to be right. */
  readonly key: string | undefined;
  readonly silentMs: number;
}

export interface GateRow {
  readonly host: string;
  readonly journal?: string | undefined;
  readonly seq?: number | undefined;
  readonly hash?: string | undefined;
  /** Seq up to which a trusted signature holds. */
  readonly signedSeq?: number | undefined;
  /** RFC 3339, by the host's clock: that record. */
  readonly signedTime?: string | undefined;
  /** RFC 3339, by the server's clock: its last message. */
  readonly lastSeen?: string | undefined;
  /** RFC 3339, by the host's clock: its last record. */
  readonly lastTime?: string | undefined;
  /** Record time against the server's, of the last message, in milliseconds; positive: the host's clock is ahead. */
  readonly driftMs?: number | undefined;
  readonly program?: string | undefined;
  readonly catalog?: string | undefined;
  /** Version of each policy by its name, as its newest admission has it. */
  readonly policies: Readonly<Record<string, string>>;
  readonly open: number;
  readonly findings: number;
  /** The parts that differ from most others: `catalog`, `program`, `policy NAME`. */
  readonly differs: readonly string[];
}

/** The file `status.json` in the verifier's state directory: what `fleet status` prints and the page shows. */
export interface FleetStatus {
  readonly at: string;
  readonly stream: string;
  readonly streamSeq: number;
  readonly records: number;
  readonly gates: readonly GateRow[];
  readonly findings: readonly FleetFinding[];
  /** As far as they were described in this run. */
  readonly streams?: readonly StreamRow[] | undefined;
  /** Absent: the stream can be read. Else since when (RFC 3339) it cannot, and why. */
  readonly away?: { readonly since: string; readonly text: string } | undefined;
  readonly checkpoint?: { readonly seq: number; readonly at: string; readonly root: string } | undefined;
  /** Of the connection to the stream: the server's latest certificate, and ours. `name`: `HOST:PORT`; `ends`: RFC 3339. */
  readonly certificates?:
    | readonly { readonly role: 'server' | 'client'; readonly name: string; readonly ends: string }[]
    | undefined;
  /** The other verifiers that are listed, each with its last line in the stream; without `seq`: there is none. */
  readonly verifiers?:
    | readonly {
        readonly name: string;
        readonly seq?: number | undefined;
        readonly at?: string | undefined;
        readonly root?: string | undefined;
      }[]
    | undefined;
}
