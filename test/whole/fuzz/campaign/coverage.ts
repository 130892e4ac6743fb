// Which code below src/ ran since it was asked last, and in how many steps, by V8's own counters.

import { Session } from 'node:inspector';

export interface Coverage {
  /** Since the last time: whether code ran that never ran before, and in how many steps (blocks of code). Nothing while it is paused. */
  take(): { readonly isNew: boolean; readonly steps: number };
  /** It begins paused: what is not counted runs several times as fast. */
  pause(): void;
  resume(): void;
  /** Nothing is known any more. */
  forget(): void;
  close(): void;
}

export function openCoverage(): Coverage {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  const resume = (): void => {
    session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  };
  /** For each script, the characters that ran. */
  const known = new Map<string, Uint8Array>();
  return {
    take() {
      let isNew = false;
      let steps = 0;
      session.post('Profiler.takePreciseCoverage', (error, { result }) => {
        if (error !== null) throw error;
        for (const { url, functions } of result) {
          if (!url.includes('/build/src/')) continue;
          for (const { ranges } of functions) for (const { count } of ranges) steps += count;
          const end = functions.reduce((most, { ranges }) => Math.max(most, ranges[0]?.endOffset ?? 0), 0);
          const now = new Uint8Array(end);
          // Functions and blocks come from the outside to the inside.
          for (const { ranges } of functions)
            for (const { startOffset, endOffset, count } of ranges)
              now.fill(count > 0 ? 1 : 0, startOffset, endOffset);
          let before = known.get(url);
          if (before === undefined || before.length < end) {
            const longer = new Uint8Array(end);
            if (before !== undefined) longer.set(before);
            before = longer;
            known.set(url, before);
          }
          for (let at = 0; at < end; at += 1) {
            if (now[at] === 0 || before[at] === 1) continue;
            isNew = true;
            before[at] = 1;
          }
        }
      });
      return { isNew, steps };
    },
    pause: () => session.post('Profiler.stopPreciseCoverage'),
    resume,
    forget: () => known.clear(),
    close: () => session.disconnect(),
  };
}
