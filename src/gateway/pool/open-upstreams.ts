// The open upstreams of one pool by state: idle, leased, and leased to a command that must be alone on it. It does not
// decide who gets one. The rule: each is in exactly one of idle and leased, and counts are sizes.

import type { CloseReason } from '../../ports/transport.js';
import type { Upstream } from './upstream.js';

/** Open upstreams. */
export class OpenUpstreams {
  /** Oldest first. Changed here alone. */
  readonly idle: Upstream[] = [];
  readonly leased: Upstream[] = [];
  /** Of the leased: those on which nothing else may run. */
  readonly alone = new Set<Upstream>();

  /** Of all open ones. */
  get size(): number {
    return this.idle.length + this.leased.length;
  }

  /** How many are leased to exchanges of that principal. */
  heldBy(principal: string): number {
    let count = 0;
    for (const { holder } of this.leased) if (holder?.principal === principal) count += 1;
    return count;
  }

  closeIdle(reason: CloseReason, isMeant: (upstream: Upstream) => boolean): void {
    for (const upstream of this.idle.slice()) {
      if (upstream.state.at === 'idle' && isMeant(upstream)) upstream.close(reason);
    }
  }

  /** The newest idle one, so that those that are not needed age out; `isFresh`: among those on which nothing ran. */
  newestIdle(isFresh: boolean): Upstream | undefined {
    return isFresh ? this.idle.findLast(({ exchanges }) => exchanges === 0) : this.idle.at(-1);
  }

  /** One that was just greeted, until it rests; or one that was idle. */
  setLeased(upstream: Upstream, isAlone: boolean): void {
    this.delete(upstream);
    this.leased.push(upstream);
    if (isAlone) this.alone.add(upstream);
  }

  /** One that was leased: the newest. */
  setIdle(upstream: Upstream): void {
    this.delete(upstream);
    this.idle.push(upstream);
  }

  /** False: it was not there. */
  delete(upstream: Upstream): boolean {
    if (this.alone.size > 0) this.alone.delete(upstream);
    return remove(this.leased, upstream) || remove(this.idle, upstream);
  }
}

/** From its end: the newest idle one is the one that is leased. */
function remove(upstreams: Upstream[], upstream: Upstream): boolean {
  const at = upstreams.lastIndexOf(upstream);
  if (at < 0) return false;
  upstreams.splice(at, 1);
  return true;
}

/** Detects a Dovecot whose master has stopped. Closes nothing. */
export interface TempfailWatch {
  /**
   * An upstream that was opened at `openedMs` gave a status. Returns a time: what was opened up to then is not to be
   * trusted any more. Undefined: no suspicion.
   */
  answered(openedMs: number, answer: 'tempfail' | 'other', nowMs: number): number | undefined;
}

/** This many TEMPFAIL in a row are no coincidence. */
const tempfailsMax = 2;
/** An upstream younger than this was opened by a master that was alive. */
const trustedMs = 1_000;

/**
 * When Dovecot's master stops, its processes and their connections live on and answer TEMPFAIL to every command (measured on
 * 2.3.13 to 2.4.5), so an idle upstream looks well and is not. TEMPFAIL has harmless causes too: several in a row, each from an
 * upstream that has been open for a while, are taken for that. An upstream is only doubted for what others of its age or
 * older did.
 */
export function createTempfailWatch(): TempfailWatch {
  let tempfails = 0;
  /** When the newest upstream that answered TEMPFAIL was opened. */
  let newestMs = 0;
  return {
    answered(openedMs, answer, nowMs) {
      if (answer === 'other') {
        // A newer upstream that works says nothing about old ones: Dovecot may have been restarted between them.
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
