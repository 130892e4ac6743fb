// The meaning of each minor of the doveadm protocol, one row for each; no other module names a minor but 0 (no VERSION line came). Measured
// on Dovecot 2.2.33 to 2.4.5.

/** How a server marks the channels: not at all, by packets with a length, or by sequences in a stream. */
export type Framing = 'none' | 'packet' | 'stream';

interface Minor {
  /** In a session in which this is the lower of both announced minors. */
  readonly framing: Framing;
  /** When log lines reach the client of such a session; `asked`: after OPTION log-passthrough. */
  readonly logs: 'never' | 'always' | 'asked';

  /** A client that announces it gets a VERSION line in the answer. */
  readonly readsVersion: boolean;
  /** To a client that announces it, `-A` and a `-u` with wildcards on a line of a user request a column; else `-A` means everybody. */
  readonly asksForColumn: boolean;

  /** A server that announces it is of this series. */
  readonly series: '2.3' | '2.4';
  /** Such a server has STARTTLS. */
  readonly hasStartTls: boolean;
  /** It takes OPTION lines and flag x with proxy-ttl=N; others answer these with end of file. */
  readonly hasOptions: boolean;
  /** Some of its releases (up to 2.3.16) send a second status line after a failure, and the handshake does not show which. */
  readonly mayAnswerTwice: boolean;
  /** The fields of `mailbox status all` that some older server does not show. */
  readonly lateFields: readonly string[];
}

const zero: Minor = {
  framing: 'none',
  logs: 'never',
  readsVersion: false,
  asksForColumn: true,
  series: '2.3',
  hasStartTls: false,
  hasOptions: false,
  mayAnswerTwice: true,
  lateFields: [],
};
/** 2.3.0 to 2.3.8. */
const one: Minor = { ...zero, framing: 'packet', logs: 'always', readsVersion: true };
const two: Minor = { ...one, hasStartTls: true };
const three: Minor = {
  ...two,
  logs: 'asked',
  asksForColumn: false,
  series: '2.4',
  hasOptions: true,
  mayAnswerTwice: false,
};
/** 2.4.5. */
const four: Minor = { ...three, framing: 'stream', lateFields: ['deleted'] };

const rows = [zero, one, two, three, four] as const;

/** The index of a row. */
export type KnownMinor = Exclude<Partial<typeof rows>['length'], (typeof rows)['length']>;

/** The newest known one, also used where no minor was announced (HTTP, `explain`): `-A` means everybody to such clients. */
export const newestMinor = rows.length - 1;

/** Every field that some server does not show in `mailbox status all`. */
export const lateFields: ReadonlySet<string> = new Set(rows.flatMap((row) => row.lateFields));

/** The minors that a server of the series announces. */
export function minorsOf(series: Minor['series']): number[] {
  return [...rows.keys()].filter((minor) => ofMinor(minor).series === series);
}

/** Announced to clients: PACKET framing for all, log lines after OPTION for the newer ones, flag x understood. */
export const minorForClients = 3;
/** Announced to backends: with it every release sends PACKET framing, and log lines without OPTION. */
export const minorForBackends = 2;

/** Undefined: no VERSION line came, as with 0. Above the newest: as the newest. */
export function ofMinor(announced: number | undefined): Minor {
  return rows[Math.min(announced ?? 0, newestMinor)] ?? zero;
}
