// What time is, for everything below `host/`: a monotonic clock, the wall clock for records, and timers. Nobody reads the globals.

/** A running timer. */
export interface Timer {
  /** Ends it; nothing happens when it has fired or was cancelled already. */
  cancel(): void;
}

/** Time and timers. Milliseconds everywhere. */
export interface Clock {
  /** Milliseconds since some fixed instant, with fractions; never leaps, never goes back. For durations. */
  now(): number;
  /** Milliseconds since 1970 by the wall clock, whole; may leap. For records and expiry only. */
  wallMs(): number;
  /** Calls `run` once after `ms`; the timer does not keep the process alive. */
  setTimer(ms: number, run: () => void): Timer;
  /** Resolves in a later turn of the event loop: whoever has much to do at once lets the others in by it. */
  nextTurn(): Promise<void>;
}
