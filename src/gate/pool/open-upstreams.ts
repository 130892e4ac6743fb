// The open upstreams of one pool by state: idle, leased, leased to a command that must be alone, and held for an overdue command. It does
// not decide who gets one. Each upstream is in exactly one of idle, leased and overdue, and counts are sizes.

import type { CloseReason } from '../../host/ports/transport.js';
import type { Demand } from './lease.js';
import type { Upstream } from './upstream.js';

export class OpenUpstreams {
  /** Oldest first. Changed here only. */
  readonly idle: Upstream[] = [];
  readonly leased: Upstream[] = [];
  readonly alone = new Set<Upstream>();
  /** Held until an overdue command ends. They take no place from others. */
  readonly overdue: Upstream[] = [];

  /** All open upstreams but the overdue ones. */
  get size(): number {
    return this.idle.length + this.leased.length;
  }

  heldBy(principal: string): number {
    let count = 0;
    for (const { holder } of this.leased) if (holder?.principal === principal) count += 1;
    return count;
  }

  /** All of them leave `idle` before the first is closed, because closing calls back. */
  closeIdle(reason: CloseReason, isMeant: (upstream: Upstream) => boolean): void {
    const meant = this.idle.filter(isMeant);
    for (const upstream of meant) this.setLeased(upstream, false);
    for (const upstream of meant) upstream.close(reason);
  }

  /** The newest idle upstream, so that unneeded ones age out; with `isYoung` only one that was opened after `sinceMs`. */
  newestIdle({ isFresh, isYoung }: Demand, sinceMs: number): Upstream | undefined {
    if (!isFresh && !isYoung) return this.idle.at(-1);
    return this.idle.findLast(
      ({ exchanges, openedMs }) => (!isFresh || exchanges === 0) && (!isYoung || openedMs > sinceMs),
    );
  }

  /** For an upstream that was just greeted (leased until it is released), or was idle. */
  setLeased(upstream: Upstream, isAlone: boolean): void {
    remove(this.idle, upstream);
    this.leased.push(upstream);
    if (isAlone) this.alone.add(upstream);
  }

  /** For an upstream that was leased; it becomes the newest idle one. */
  setIdle(upstream: Upstream): void {
    remove(this.leased, upstream);
    this.idle.push(upstream);
  }

  setOverdue(upstream: Upstream): void {
    this.delete(upstream);
    this.overdue.push(upstream);
  }

  delete(upstream: Upstream): boolean {
    if (this.alone.size > 0) this.alone.delete(upstream);
    return remove(this.leased, upstream) || remove(this.idle, upstream) || remove(this.overdue, upstream);
  }
}

/** Searches from the end: the newest idle upstream is the one that is leased. */
function remove(upstreams: Upstream[], upstream: Upstream): boolean {
  const at = upstreams.lastIndexOf(upstream);
  if (at < 0) return false;
  upstreams.splice(at, 1);
  return true;
}

/** This many TEMPFAIL in a row are no coincidence. */
const tempfailsMax = 2;
/** A younger upstream was opened by a living master. */
const trustedMs = 1_000;

/**
 * Detects a Dovecot whose master has stopped; closes nothing. Its processes and their connections live on then, and answer TEMPFAIL to
 * every command (measured on 2.3.13 to 2.4.5), so an idle upstream looks healthy. TEMPFAIL has harmless causes too: only several in a row,
 * each from an upstream that has been open for a while, count. An upstream is doubted only because of upstreams of its age or older.
 */
export function createTempfailWatch() {
  let tempfails = 0;
  /** When the newest upstream that answered TEMPFAIL was opened. */
  let newestMs = 0;
  return {
    /** Records a status of an upstream. Returns undefined, or a time: upstreams opened up to then are not trusted any more. */
    answered(openedMs: number, answer: 'tempfail' | 'other', nowMs: number): number | undefined {
      if (answer === 'other') {
        // A newer upstream that works proves nothing for old ones: Dovecot may have been restarted between them.
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
