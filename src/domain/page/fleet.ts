// The page's data about all gates whose journals meet in one stream.

/**
 * The verifier's results. Names of hosts and policies and numbers of records, no mail users and no text of a record, so everybody may see
 * it, an auditor with a limited view too.
 */
export interface FleetShown {
  /** Why nothing is known, or why it may not hold any more; a sentence with marked times. Absent: `seen` is of now. */
  readonly trouble?: string;
  /** Absent: nothing could be read. */
  readonly seen?: FleetSeen;
}

export interface FleetSeen {
  /** When it was written; RFC 3339. */
  readonly at: string;
  readonly stream: string;
  readonly records: number;
  readonly gates: readonly FleetGate[];
  readonly findingCount: number;
  /** Of many the first ones. `text`: a sentence. */
  readonly findings: readonly {
    readonly kind: string;
    readonly host: string;
    readonly seq?: number;
    readonly text: string;
  }[];
  readonly checkpoint?: { readonly seq: number; readonly at: string };
}

/** Absent: nothing came from it yet, or that is not known. */
export interface FleetGate {
  readonly host: string;
  /** By the clock of the server that has the copies. */
  readonly lastSeen?: string;
  readonly seq?: number;
  readonly signedSeq?: number;
  readonly program?: string;
  /** `catalog`, `program`, `policy NAME`: the parts that differ from most others. */
  readonly differs: readonly string[];
  readonly findings: number;
}
