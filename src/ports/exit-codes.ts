// With what the program ends. Scripts know these numbers: none is ever given another meaning.

/** Exit codes, as of sysexits. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 64,
  /** No daemon there. */
  unavailable: 69,
  bug: 70,
  /** Allowed, and it cannot be carried out: no route, input for all users. */
  notCarriedOut: 75,
  notPermitted: 77,
  configuration: 78,
} as const;
