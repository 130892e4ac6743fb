// What the ends and answers of upstreams tell of the Dovecot behind them. Two things look alike from here and are not:
// A poison command kills the process that runs it, and nothing else tells of it: the connection ends without a status
// (measured on 2.3.13 to 2.4.5). A reload or a stop of Dovecot ends connections too, but several, and idle ones first.
// When the master stops, its processes and their connections live on and say TEMPFAIL to every command (measured on the same),
// so an idle upstream looks well and is not. TEMPFAIL has harmless causes too; several in a row, each from an upstream that
// has been open for a while, are taken for that.
// It does not know what was asked, and closes nothing. The rules: where in doubt, the command is not blamed; an upstream is only
// doubted for what others of its age or older did.

import type { CloseReason } from '../../ports/close-reason.js';

/** The signs that one backend gives. */
export interface Signs {
  /** It ended an upstream while a command was out. `isKilled`: a line on the log channel said that a signal did it. */
  died(upstream: string, isKilled: boolean, nowMs: number): void;
  /** An upstream was closed. Returns whether that was its backend's doing, while nobody had asked it anything. */
  closed(reason: CloseReason, nowMs: number): boolean;
  /**
   * Whether the command on it did it. `openedMs`: when it was opened; `others`: when those were opened that live now.
   */
  isPoisoned(upstream: string, openedMs: number, others: Iterable<number>, nowMs: number): boolean;
  /**
   * An upstream that was opened at `openedMs` gave a status. Returns a time: what was opened up to then is not to be
   * trusted any more. Undefined: nothing is the matter.
   */
  answered(openedMs: number, answer: 'tempfail' | 'other', nowMs: number): number | undefined;
}

/** A reload ends idle upstreams after some 6 s and running ones after some 12 (measured); a bit more than between them. */
const reloadMs = 30_000;
/** What dies together without a word dies within this time. */
const togetherMs = 1_000;
/** So many TEMPFAIL in a row are no chance. */
const tempfailsMax = 2;
/** Whatever was opened less long ago was opened by a master that lived. */
const trustedMs = 1_000;

interface Death {
  readonly upstream: string;
  readonly atMs: number;
}

/** Nothing happened yet. */
export function createSigns(): Signs {
  /** When the backend last ended what was innocent. */
  let innocentMs: number | undefined;
  /** The last two, so that one's own does not hide the other. */
  let deaths: readonly Death[] = [];
  let tempfails = 0;
  /** When the newest of those was opened that said TEMPFAIL. */
  let newestMs = 0;
  return {
    died(upstream, isKilled, nowMs) {
      if (isKilled) innocentMs = nowMs;
      else deaths = [...deaths.slice(-1), { upstream, atMs: nowMs }];
    },
    closed(reason, nowMs) {
      if (reason !== 'peer-ended' && reason !== 'spoke-while-idle') return false;
      innocentMs = nowMs;
      return true;
    },
    isPoisoned(upstream, openedMs, others, nowMs) {
      if (innocentMs !== undefined && nowMs - innocentMs < reloadMs) return false;
      const own = deaths.find((death) => death.upstream === upstream);
      if (own === undefined) return false;
      for (const otherMs of others) if (otherMs < own.atMs) return true;
      // One that died before this one was opened did not die together with it.
      const isTogether = (death: Death): boolean =>
        death !== own && death.atMs > openedMs && nowMs - death.atMs < togetherMs;
      return !deaths.some(isTogether);
    },
    answered(openedMs, answer, nowMs) {
      if (answer === 'other') {
        // A newer one that is well says nothing of the old ones: Dovecot may have been restarted between them.
        if (openedMs <= newestMs) tempfails = 0;
        return undefined;
      }
      if (nowMs - openedMs < trustedMs) return undefined;
      newestMs = tempfails === 0 ? openedMs : Math.max(newestMs, openedMs);
      tempfails += 1;
      if (tempfails < tempfailsMax) return undefined;
      tempfails = 0;
      return newestMs;
    },
  };
}
