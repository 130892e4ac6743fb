// Which long-waiting principals are due an upstream, and which transfers are ended for them. Pure. Several accounts of one place (a UNIX
// user, an address: `origin`) count as one against other places: upstreams are divided evenly among the places that hold or wait, and a
// place's part evenly among its principals. A lease ends only where its place, or for a waiter of the same place its principal, holds more
// than its share. At most one lease ends for each waiting principal. While a backend sends nothing of a reply, no rate applies, and the
// reply ends only once no speed is enough any more.

import { bounds } from '../../host/bounds/bounds.js';
import type { ClientPace } from './lease.js';

/** From this waiting time on, transfers above their share must move faster than `limits.min_rate`. */
export const patienceMs = bounds.sharePatienceMs;
/** Every half second the demanded rate doubles. */
const doublingMs = 500;
/** A transfer runs at least so long, so that many waiting principals do not end every new transfer. */
const transferMinMs = bounds.transferMinMs;

/** Bytes a second that a transfer above its share must move while a principal without its share has waited so long. */
export function demandedRate(minRateBytes: number, waitedMs: number): number {
  if (waitedMs < patienceMs) return 0;
  if (waitedMs >= bounds.sharePatienceMaxMs) return Number.POSITIVE_INFINITY;
  return minRateBytes * 2 ** ((waitedMs - patienceMs) / doublingMs);
}

export interface Claimant {
  readonly principal: string;
  readonly origin: string;
}

export interface Claim extends Claimant {
  readonly isFresh: boolean;
  readonly sinceMs: number;
}

export interface Holding {
  readonly holder: Claimant | undefined;
  readonly pace: Pick<ClientPace, 'transfer' | 'speed' | 'isMoving'>;
}

export interface Sharing<H extends Holding, C extends Claim> {
  readonly nowMs: number;
  readonly connections: number;
  readonly minRateBytes: number;
  readonly leased: readonly H[];
  readonly promised: Iterable<Claimant>;
  /** The first waiters of each principal, without the promised ones. */
  readonly claims: readonly C[];
  /** Whether the end of that lease would let such a waiter be served. */
  readonly isOfUse: (held: H, isFresh: boolean) => boolean;
}

/** A waiter that is due an upstream, because others hold more than their share. `held`: the lease to end for it; undefined: none now. */
export interface Due<H extends Holding, C extends Claim> {
  readonly claim: C;
  readonly held: H | undefined;
}

/** The waiters that are due an upstream; the first of them is to be served first. One for each principal. */
export function dueClaims<H extends Holding, C extends Claim>(sharing: Sharing<H, C>): Due<H, C>[] {
  const { nowMs, claims } = sharing;
  const late = claims.filter(({ sinceMs }) => nowMs - sinceMs >= patienceMs);
  if (late.length === 0) return [];
  const shares = new Shares(sharing);
  const due = new Map<string, Due<H, C>>();
  // Places that hold least come first. Otherwise many waiting accounts of one place would come before a place that holds nothing.
  const order = late.toSorted(
    (one, other) =>
      shares.ofOrigin(one.origin) - shares.ofOrigin(other.origin) || one.sinceMs - other.sinceMs,
  );
  const free = new Set(sharing.leased);
  for (const claim of order) {
    if (due.has(claim.principal)) continue;
    const above = [...free].filter(({ holder }) => holder !== undefined && shares.isAbove(holder, claim));
    const useful = above.filter((held) => sharing.isOfUse(held, claim.isFresh));
    if (useful.length === 0) continue;
    const held = choose(sharing, shares, claim, useful);
    due.set(claim.principal, { claim, held });
    if (held?.holder === undefined) continue;
    free.delete(held);
    shares.move(held.holder, claim);
  }
  return [...due.values()];
}

/** Chooses the lease to end now from those above their share. */
function choose<H extends Holding, C extends Claim>(
  { nowMs, minRateBytes }: Sharing<H, C>,
  shares: Shares,
  claim: C,
  above: readonly H[],
): H | undefined {
  const demanded = demandedRate(minRateBytes, nowMs - claim.sinceMs);
  const transfers = above.filter(({ pace }) => pace.transfer !== undefined);
  // A place below its share takes from others first, not from its own principals.
  const others = transfers.filter(({ holder }) => holder?.origin !== claim.origin);
  return (others.length > 0 ? others : transfers)
    .filter(({ pace }) => {
      if (pace.transfer === undefined || nowMs - pace.transfer.startMs < transferMinMs) return false;
      return demanded === Number.POSITIVE_INFINITY || (pace.isMoving && pace.speed < demanded);
    })
    .toSorted((one, other) => byWorth(shares, one, other))[0];
}

/** Orders by: the place with most leases, its principal with most, the slowest transfer, the longest. */
function byWorth(shares: Shares, one: Holding, other: Holding): number {
  const [a, b] = [one.holder, other.holder];
  if (a === undefined || b === undefined) return 0;
  if (a.origin !== b.origin && shares.ofOrigin(a.origin) !== shares.ofOrigin(b.origin))
    return shares.ofOrigin(b.origin) - shares.ofOrigin(a.origin);
  if (shares.ofPrincipal(a) !== shares.ofPrincipal(b)) return shares.ofPrincipal(b) - shares.ofPrincipal(a);
  if (one.pace.speed !== other.pace.speed) return one.pace.speed - other.pace.speed;
  return (one.pace.transfer?.startMs ?? 0) - (other.pace.transfer?.startMs ?? 0);
}

/** How many leases each place holds, and each principal there; 0 for those that only wait. */
class Shares {
  readonly #connections: number;
  readonly #origins = new Map<string, Map<string, number>>();

  constructor({ connections, leased, promised, claims }: Omit<Sharing<Holding, Claim>, 'isOfUse'>) {
    this.#connections = connections;
    for (const { holder } of leased) if (holder !== undefined) this.#add(holder, 1);
    for (const claimant of promised) this.#add(claimant, 1);
    for (const claimant of claims) this.#add(claimant, 0);
  }

  ofOrigin(origin: string): number {
    let sum = 0;
    for (const count of this.#origins.get(origin)?.values() ?? []) sum += count;
    return sum;
  }

  ofPrincipal({ origin, principal }: Claimant): number {
    return this.#origins.get(origin)?.get(principal) ?? 0;
  }

  move(from: Claimant, to: Claimant): void {
    this.#add(from, -1);
    this.#add(to, 1);
  }

  /** Whether the holder has more than its share, and the claimant would not exceed its own with one more. */
  isAbove(holder: Claimant, claimant: Claimant): boolean {
    if (holder.principal === claimant.principal) return false;
    const { origin } = holder;
    if (origin !== claimant.origin) {
      const share = this.#connections / this.#origins.size;
      return isUneven(this.ofOrigin(origin), this.ofOrigin(claimant.origin), share);
    }
    const share = this.ofOrigin(origin) / (this.#origins.get(origin)?.size ?? 1);
    return isUneven(this.ofPrincipal(holder), this.ofPrincipal(claimant), share);
  }

  #add({ origin, principal }: Claimant, more: number): void {
    const principals = this.#origins.get(origin) ?? new Map<string, number>();
    principals.set(principal, (principals.get(principal) ?? 0) + more);
    this.#origins.set(origin, principals);
  }
}

/** With more claimants than upstreams a share is below one lease, and a claimant without any may have one. */
function isUneven(held: number, claimed: number, share: number): boolean {
  return held > share && (claimed === 0 || claimed + 1 <= share);
}
