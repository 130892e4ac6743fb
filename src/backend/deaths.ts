// Which upstreams their backend ended, and whether the end of one looks like the work of its own command. A poison command
// kills the process that runs it, and nothing else tells of it: the connection ends without a status (measured on 2.3.13 to
// 2.4.5). A reload or a stop of Dovecot ends connections too, but several, and idle ones first.
// It does not know what was asked. The rule: where in doubt, the command is not blamed.

import type { CloseReason } from '../ports/close-reason.js';

/** The deaths of one backend's upstreams. */
export interface Deaths {
  /** Its backend ended it while a command was out. `isKilled`: a line on the log channel said that a signal did it. */
  died(upstream: string, isKilled: boolean, nowMs: number): void;
  /** One was closed. Returns whether that was its backend's doing, while nobody had asked it anything. */
  closed(reason: CloseReason, nowMs: number): boolean;
  /** Whether the command on it did it. `survivors`: other upstreams of that backend that live. */
  isPoisoned(upstream: string, survivors: number, nowMs: number): boolean;
}

/** A reload ends idle upstreams after some 6 s and running ones after some 12 (measured); a bit more than between them. */
const reloadMs = 30_000;
/** What dies together without a word dies within this time. */
const togetherMs = 1_000;

/** Nothing died yet. */
export function createDeaths(): Deaths {
  let innocentMs: number | undefined;
  /** The last two, so that one's own does not hide the other. */
  let running: readonly { readonly upstream: string; readonly atMs: number }[] = [];
  return {
    died(upstream, isKilled, nowMs) {
      if (isKilled) innocentMs = nowMs;
      else running = [...running.slice(-1), { upstream, atMs: nowMs }];
    },
    closed(reason, nowMs) {
      if (reason !== 'peer-ended' && reason !== 'spoke-while-idle') return false;
      innocentMs = nowMs;
      return true;
    },
    isPoisoned(upstream, survivors, nowMs) {
      if (innocentMs !== undefined && nowMs - innocentMs < reloadMs) return false;
      if (!running.some((death) => death.upstream === upstream)) return false;
      if (survivors > 0) return true;
      return !running.some((death) => death.upstream !== upstream && nowMs - death.atMs < togetherMs);
    },
  };
}
