// What the screen Proof shows: the head of the journal, its last verification, and who receives its records.

import type { ReceiverNow } from '../../gate/now/now.js';
import type { FleetShown } from './fleet.js';

export interface Proof {
  readonly at: string;
  readonly journal: string;
  readonly seq: number;
  /** The public key that signs, in base64. */
  readonly key: string;
  /** The newest checkpoint beside the journal; not verified. */
  readonly checkpoint?: { readonly seq: number; readonly at: string; readonly key?: string } | undefined;
  /** The last verification requested here since the start of the daemon (`started`). */
  readonly last?: Verified | undefined;
  readonly running?: { readonly by: string; readonly since: string } & VerifyProgress;
  readonly started: string;
  readonly oldestSeq?: number | undefined;
  readonly segments: number;
  readonly bytes: number;
  readonly receivers: readonly ReceiverNow[];
  readonly notices?: readonly NoticesNow[] | undefined;
  /** The other gates; absent: admin.page.fleet is not set. */
  readonly fleet?: FleetShown | undefined;
}

/** Since the page was started. */
export interface NoticesNow {
  readonly name: string;
  readonly delivered: number;
  readonly dropped: number;
  readonly state: 'up' | 'failing' | 'unknown';
  /** Why it takes no notices. */
  readonly text?: string;
}

export interface Verified extends VerifyResult {
  readonly at: string;
  readonly by: string;
}

export interface VerifyProgress {
  readonly bytes: number;
  readonly ofBytes: number;
  readonly seq: number;
}

/** The result of checking the whole journal. It contains no text of a record, so everybody may see it. */
export interface VerifyResult {
  /** Nothing is changed or missing, and the key of this daemon signed it. */
  readonly isWhole: boolean;
  readonly fromSeq?: number | undefined;
  readonly toSeq?: number | undefined;
  /** RFC 3339, of the first and the last record. */
  readonly fromTime?: string | undefined;
  readonly toTime?: string | undefined;
  /** The last record that a signature of this daemon's key covers, the time of that signature, and the key in base64. */
  readonly signedSeq?: number | undefined;
  readonly signedTime?: string | undefined;
  readonly signedBy?: string | undefined;
  readonly records: number;
  readonly faultCount: number;
  /** Sentences: gaps, retired segments, torn ends, keys. Of many faults the first ones. */
  readonly findings: readonly Finding[];
}

export interface Finding {
  readonly kind: 'fault' | 'note';
  readonly text: string;
}
