// Whether upstreams still lead to a living Dovecot. When its master stops, its processes and their connections live on and
// say TEMPFAIL to every command (measured on 2.3.13 to 2.4.5), so an idle upstream looks well and is not. TEMPFAIL has
// harmless causes too; several in a row, each from an upstream that has been open for a while, are taken for that.
// It does not close anything. The rule: an upstream is only doubted for what others of its age or older did.

/** What the answers of one backend's upstreams tell. */
export interface Staleness {
  /**
   * An upstream that was opened at `openedMs` gave a status. Returns a time: what was opened up to then is not to be
   * trusted any more. Undefined: nothing is the matter.
   */
  answered(openedMs: number, answer: 'tempfail' | 'other', nowMs: number): number | undefined;
}

/** So many in a row. */
const tempfailsMax = 2;
/** Whatever was opened less long ago was opened by a master that lived. */
const trustedMs = 1_000;

/** Nothing is doubted. */
export function createStaleness(): Staleness {
  let tempfails = 0;
  /** When the newest of those was opened. */
  let newestMs = 0;
  return {
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
