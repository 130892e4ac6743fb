// What can be wrong with a trail, and what verifying it tells: the closed lists and shapes that commands and scripts rely on.

/** Where something stands. */
export interface Place {
  /** A segment as records name it, or a file beside them. */
  readonly file: string;
  /** From 1; 0: the file as a whole. */
  readonly line: number;
  readonly seq: number | undefined;
}

/** What can be wrong with what vouches for a trail. A closed list: scripts rely on the words. */
export type VouchFaultKind =
  /** A signature is not right for its record. */
  | 'bad-signature'
  /** No trusted key vouches for the end of the trail, or for a checkpoint beside it. */
  | 'untrusted'
  /** A record is not the one that a checkpoint names. */
  | 'rewritten'
  /** Records that a checkpoint names are missing at the end. */
  | 'cut'
  /** Another key signs from there on, the one before did not name it, and nobody has accepted it. */
  | 'key-change';

/** What can be wrong with a trail. A closed list. */
export type TrailFaultKind =
  | VouchFaultKind
  /** The line is not what its hash says. */
  | 'changed'
  /** The line has not the form of a record. */
  | 'malformed'
  /** Records are gone from between two others. */
  | 'missing'
  /** A record stands behind one that came later. */
  | 'reordered'
  /** The same record a second time. */
  | 'duplicated'
  /** Two records claim the same place. */
  | 'inserted'
  /** `prev` is not the hash of the record before. */
  | 'unlinked'
  /** A segment is gone that no retire record explains, or one does not follow the one before. */
  | 'segment-missing'
  /** Time goes back, and no clock record says so. */
  | 'clock-back'
  /** The record belongs to another journal. */
  | 'foreign';

/** One thing that is wrong. */
export interface TrailFault extends Place {
  readonly kind: TrailFaultKind;
  /** A sentence for people. */
  readonly text: string;
}

/** What retention removed, for one of its limits. */
export interface RetiredRecords {
  /** Undefined: a release that did not say for what. */
  readonly by: 'age' | 'size' | undefined;
  readonly segments: number;
  /** RFC 3339: records before it are gone. */
  readonly until: string | undefined;
}

/** What verifying a trail tells. No faults: it is whole. */
export interface Verdict {
  readonly faults: readonly TrailFault[];
  readonly faultCount: number;
  readonly records: number;
  readonly firstSeq: number | undefined;
  readonly lastSeq: number | undefined;
  /** Of the first and the last record, as they have it (RFC 3339); empty: there is none. */
  readonly firstTime: string;
  readonly lastTime: string;
  /** By the retire records that are left. */
  readonly retired: readonly RetiredRecords[];
  readonly journal: string | undefined;
  /** Up to here a signature vouches: of a trusted key, or, if none was given, of any. Later records are chained only. */
  readonly signedSeq: number | undefined;
  readonly keys: readonly string[];
  /** Exchanges with an admission and no completion: how they ended is not known, or they are running. */
  readonly open: readonly {
    readonly id: string;
    readonly seq: number;
    readonly file: string;
    readonly line: number;
  }[];
  readonly openCount: number;
  /** The last line has no end: a crash, or a record that is being written just now. */
  readonly isTorn: boolean;
  /** A later release wrote it; its new keys were not looked at. */
  readonly isNewer: boolean;
}
