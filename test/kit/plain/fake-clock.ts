// A clock that the test turns. Timers fall due only while it is turned, in the order of their times, and then of their setting.
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Timer } from '../../../src/host/ports/machine.js';

export interface FakeClock extends Clock {
  /** Turns the clock on by so many milliseconds. What a timer starts is let run to its next wait before the next timer fires. */
  advance(ms: number): Promise<void>;
  /** The same without waiting for anything: only what runs at once has run. */
  advanceNow(ms: number): void;
  /** Moves the wall clock alone, as an operator or a time server does; may be negative. */
  leap(ms: number): void;
  /** Timers that are set and neither fired nor cancelled: 0 when everything was tidied up. */
  readonly timers: number;
  /** Milliseconds until the next timer; undefined when there is none. */
  readonly nextTimerMs: number | undefined;
}

interface Entry {
  due: number;
  run: () => void;
}

/** Starts at a wall time of 2026-01-02T03:04:05Z and at a monotonic time that is not zero and has a fraction, as a real one has. */
export function createFakeClock(): FakeClock {
  let now = 12_345.5; // a fraction that sums keep exactly
  let wallMs = Date.UTC(2026, 0, 2, 3, 4, 5);
  const entries = new Set<Entry>(); // in the order of setting

  const earliest = (): Entry | undefined =>
    [...entries].reduce<Entry | undefined>(
      (best, entry) => (best && best.due <= entry.due ? best : entry),
      undefined,
    );
  const turnTo = (time: number): void => {
    if (time <= now) return;
    wallMs += time - now;
    now = time;
  };
  /** Fires the next timer that is due by then; false when there is none. */
  const fireNext = (until: number): boolean => {
    const entry = earliest();
    if (entry === undefined || entry.due > until) return false;
    entries.delete(entry);
    turnTo(entry.due);
    entry.run();
    return true;
  };

  return {
    now: () => now,
    wallMs: () => Math.floor(wallMs),
    setTimer(ms, run): Timer {
      assert.ok(Number.isFinite(ms) && ms >= 0, `a timer of ${ms} ms`);
      const entry = { due: now + ms, run };
      entries.add(entry);
      return { cancel: () => void entries.delete(entry) };
    },
    nextTurn: () => nextTurn(),
    async advance(ms) {
      const until = now + ms;
      await settle();
      while (fireNext(until)) await settle();
      turnTo(until);
    },
    advanceNow(ms) {
      const until = now + ms;
      while (fireNext(until));
      turnTo(until);
    },
    leap(ms) {
      wallMs += ms;
    },
    get timers() {
      return entries.size;
    },
    get nextTimerMs() {
      const entry = earliest();
      return entry === undefined ? undefined : Math.max(0, entry.due - now);
    },
  };
}

/** Lets everything run that waits for nothing but other promises. */
export async function settle(): Promise<void> {
  await nextTurn();
}
