// The meaning of each minor of the doveadm protocol, one row for each. Other modules name no minor except 0 (no VERSION line came); the
// table of releases has the minor that each announces. Measured on Dovecot 2.2.33 to 2.4.5.

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
}

const zero: Minor = { framing: 'none', logs: 'never', readsVersion: false, asksForColumn: true };
const one: Minor = { ...zero, framing: 'packet', logs: 'always', readsVersion: true };
const three: Minor = { ...one, logs: 'asked', asksForColumn: false };
const four: Minor = { ...three, framing: 'stream' };

const rows = [zero, one, one, three, four] as const;

export type KnownMinor = Exclude<Partial<typeof rows>['length'], (typeof rows)['length']>;

/** The newest known one, also used where no minor was announced (HTTP, `explain`): `-A` means everybody to such clients. */
export const newestMinor = rows.length - 1;

/** Announced to clients: PACKET framing for all, log lines after OPTION for the newer ones, flag x understood. */
export const minorForClients = 3;
/** Announced to backends: each then speaks its own newest form, and 2.4 sends log lines after OPTION. */
export const minorForBackends = newestMinor;

/** Undefined: no VERSION line came, as with 0. Above the newest: as the newest. */
export function ofMinor(announced: number | undefined): Minor {
  return rows[Math.min(announced ?? 0, newestMinor)] ?? zero;
}
