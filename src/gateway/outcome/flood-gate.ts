// Keeps a stranger from filling the disk with refusals: the first of each second and source are recorded, of the others only
// their number. It knows no clock (time comes in, from one that does not leap) and writes no records itself.
// The rule: nothing is forgotten. When the table is full, what is new is counted together, under no name.

/** Refusals that were not recorded one by one. */
export interface Swallowed {
  /** A principal or an address; undefined: several that the table had no room for. */
  readonly source: string | undefined;
  readonly count: number;
}

/** One for all sources of refusals. */
export interface FloodGate {
  /** Another refusal of a source; true: record it, false: it was counted. */
  admit(source: string, nowMs: number): boolean;
  /**
   * What was counted in seconds that are over; each is told once, to become a `limit` record. The sources with the largest
   * numbers are named, at most `namedMax` of them; the others are one number.
   */
  takeSwallowed(nowMs: number): readonly Swallowed[];
  /** Whether there is a number that was not told yet. */
  readonly isHolding: boolean;
}

interface Window {
  startedMs: number;
  admitted: number;
  swallowed: number;
}

const windowMs = 1000;

/** A gate that has seen nobody. */
export function createFloodGate(limits: {
  /** Refusals of one source that are recorded in a second. */
  readonly perSecondMax: number;
  /** Sources that are told apart at once. */
  readonly sourcesMax: number;
  /** Sources that get a number of their own each time. */
  readonly namedMax: number;
}): FloodGate {
  const windows = new Map<string, Window>();
  let unnamed = 0;

  return {
    admit(source, nowMs) {
      let window = windows.get(source);
      if (window === undefined) {
        if (windows.size >= limits.sourcesMax) forget(nowMs);
        if (windows.size >= limits.sourcesMax) {
          unnamed += 1;
          return false;
        }
        window = { startedMs: nowMs, admitted: 0, swallowed: 0 };
        windows.set(source, window);
      } else if (isOver(window, nowMs) && window.swallowed === 0) {
        window.startedMs = nowMs;
        window.admitted = 0;
      }
      // A window with a number that was not told yet goes on: otherwise the number would be lost.
      if (window.admitted < limits.perSecondMax) {
        window.admitted += 1;
        return true;
      }
      window.swallowed += 1;
      return false;
    },
    takeSwallowed(nowMs) {
      const all: Swallowed[] = [];
      for (const [source, window] of windows) {
        if (!isOver(window, nowMs)) continue;
        if (window.swallowed > 0) all.push({ source, count: window.swallowed });
        windows.delete(source);
      }
      // Else thousands of sources could write thousands of records a second.
      const told = all.toSorted((one, other) => other.count - one.count).slice(0, limits.namedMax);
      if (all.length > told.length) {
        for (const { count } of all) unnamed += count;
        for (const { count } of told) unnamed -= count;
      }
      if (unnamed > 0) told.push({ source: undefined, count: unnamed });
      unnamed = 0;
      return told;
    },
    get isHolding() {
      return unnamed > 0 || [...windows.values()].some(({ swallowed }) => swallowed > 0);
    },
  };

  function forget(nowMs: number): void {
    for (const [source, window] of windows) {
      if (isOver(window, nowMs) && window.swallowed === 0) windows.delete(source);
    }
  }
}

function isOver(window: Window, nowMs: number): boolean {
  return nowMs - window.startedMs >= windowMs;
}
