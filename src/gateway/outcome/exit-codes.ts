// With what the program ends. Scripts know these numbers: none is ever given another meaning.

/** Exit codes, as of sysexits. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 64,
  /** No daemon there. */
  unavailable: 69,
  bug: 70,
  notPermitted: 77,
  configuration: 78,
} as const;
