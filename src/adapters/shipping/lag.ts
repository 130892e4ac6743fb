// Since when a receiver has not had everything.

import { bounds } from '../../bounds/bounds.js';

/** One moment a second, until there are so many: then each two become one, and there are half as many a second. */
const momentMs = 1_000;
const momentsMax = bounds.lagMoments;

/** `untilSeq`: of the last record on disk; `sentSeq`: of the last one that has left; times are of one clock, in milliseconds. */
export function createLag() {
  let intervalMs = momentMs;
  /** Records up to `seq` were on disk then, or up to an interval later. */
  let moments: { seq: number; readonly atMs: number }[] = [];
  return {
    /** There may be more on disk. */
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
    /** How long the oldest record that has not left has been on disk; 0: there is none. */
    ms(sentSeq: number, nowMs: number): number {
      moments = moments.filter(({ seq }) => seq > sentSeq);
      const [oldest] = moments;
      if (oldest === undefined) intervalMs = momentMs;
      return oldest === undefined ? 0 : nowMs - oldest.atMs;
    },
  };
}
