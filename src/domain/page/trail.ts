// What the page asks of the trail, and what it is answered: lines of JSON, each a TrailLine.

/** What is searched; all that are given must match. The values are those of `dovegate audit search`. */
export interface AskTrail {
  readonly filter: {
    readonly user?: string;
    readonly principal?: string;
    readonly command?: string;
    readonly listener?: string;
    readonly backend?: string;
    readonly decision?: string;
    readonly effect?: string;
    readonly outcome?: string;
    readonly id?: string;
    readonly session?: string;
    readonly text?: string;
    readonly sinceMs?: number;
    readonly untilMs?: number;
  };
  /** Of a search: a page of the newest commands; `before` as the page before it says. */
  readonly newest?: { readonly before?: number; readonly rows: number };
  /** Of an export and an extract: goes on after a part, as that says. */
  readonly cursor?: TrailCursor;
  /** Of an export ("csv", "json") and an extract ("json"): rows as lines of a file. */
  readonly as?: 'csv' | 'json';
}

export interface TrailCursor {
  readonly after: number;
  readonly open: readonly number[];
}

/** `wanted`: the id of a command, or the seq of one of its records. */
export interface AskExchange {
  readonly wanted: string;
}

/** A command as its records say: the keys of its admission, then those of its completion. */
export interface TrailRow {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly admittedSeq?: number;
  /** Absent: it has not ended. */
  readonly completedSeq?: number;
  readonly completedTime?: string;
}

/** A line of what the trail answers. */
export type TrailLine =
  | { readonly row: TrailRow }
  /** Of a file, without its end. */
  | { readonly line: string }
  | { readonly found: { readonly record: Readonly<Record<string, unknown>>; readonly file: string } }
  | { readonly end: TrailEnd }
  /** After the end of an extract. */
  | {
      readonly signed: { readonly head: string; readonly signature: string };
      readonly notes?: readonly string[];
    };

export interface TrailEnd {
  readonly rows: number;
  readonly cursor?: TrailCursor;
  /** Of a page of the newest commands: where the next one goes on; absent: this is the last one. */
  readonly before?: number;
  /** The records that were read for this page. */
  readonly looked?: {
    readonly fromSeq: number;
    readonly toSeq: number;
    readonly fromTime?: string;
    readonly toTime?: string;
  };
  /** Of damage, a sentence each. */
  readonly notes?: readonly string[];
  /** What retention removed. */
  readonly retired?: readonly { readonly segments: number; readonly until?: string; readonly by?: string }[];
  /** Of `show`: the id of the command. */
  readonly id?: string;
  /** Of `show` in a whole view: admissions of the commands before and after it in its session, as far as they were near. */
  readonly around?: {
    readonly before?: Readonly<Record<string, unknown>>;
    readonly after?: Readonly<Record<string, unknown>>;
  };
  /** Of `show` in a whole view: the first checkpoint after its records, if there is one yet. */
  readonly checkpoint?: { readonly seq: number; readonly time: string };
  /** Of `show` in a whole view: the hash of the policy, and its text as it was then. */
  readonly policy?: { readonly version: string; readonly text?: string };
  /** Of `survey`: users with a name like the one that was looked for. */
  readonly surveyed?: { readonly names: readonly string[] };
}
