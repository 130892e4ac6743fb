// The form of a row in the table of bounds.

/** A number of things, a size, or a time: `256`, `64KiB`, `30s`. */
export type Written = number | `${number}${'B' | 'KiB' | 'MiB' | 'GiB' | 'ms' | 's' | 'm' | 'h' | 'd'}`;

export interface Bound {
  readonly value: Written;
  /** The bounded thing, as the end of a sentence: "at most 64 KiB of ...". */
  readonly thing: string;
  readonly holds:
    | 'memory'
    | 'disk'
    | 'descriptors'
    | 'journal bytes'
    | 'log lines'
    | 'turn ms'
    | 'upstreams'
    | 'processor time';
  /** The scope of the value: one session, one principal, one address, one backend, the process. */
  readonly scope: string;
  /** The setting that changes it; absent: it is fixed. */
  readonly setting?: string;
  /** The source that enforces it, below `src/`, without `.ts`. */
  readonly at: string;
  /** A test that reaches it, below `test/`, without `.test.ts`; it names the row, as `bounds.KEY`. */
  readonly test: string;
  /** The form of the code is the bound: no code takes the value. */
  readonly isBuiltIn?: true;
}

export type Bounds = Readonly<Record<string, Bound>>;
