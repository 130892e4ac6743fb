// How long a receiver has been behind.

import { bounds } from '../../bounds/bounds.js';

/** One moment a second. At the limit, every two are joined, and the interval doubles. */
const momentMs = 1_000;
const momentsMax = bounds.lagMoments;

/** `untilSeq`: the last record on disk; `sentSeq`: the last sent one; times are of one clock, in milliseconds. */
export function createLag() {
  let intervalMs = momentMs;
  /** Records up to `seq` were on disk at that time, or up to an interval later. */
  let moments: { seq: number; readonly atMs: number }[] = [];
  return {
    /** Call when there may be more on disk. */
    note(untilSeq: number, sentSeq: number, nowMs: number): void {
      const last = moments.at(-1);
      if (untilSeq <= Math.max(sentSeq, last?.seq ?? 0)) return;
      if (last !== undefined && nowMs - last.atMs < intervalMs) last.seq = untilSeq;
      else moments.push({ seq: untilSeq, atMs: nowMs });
      if (moments.length <= momentsMax) return;
      intervalMs *= 2;
      moments = moments.flatMap((moment, at) =>
        at % 2 === 0 ? [{ atMs: moment.atMs, seq: moments[at + 1]?.seq ?? moment.seq }] : [],
      );
    },
    /** How long the oldest unsent record has been on disk; 0: there is none. */
    ms(sentSeq: number, nowMs: number): number {
      moments = moments.filter(({ seq }) => seq > sentSeq);
      const [oldest] = moments;
      if (oldest === undefined) intervalMs = momentMs;
      return oldest === undefined ? 0 : nowMs - oldest.atMs;
    },
  };
}
