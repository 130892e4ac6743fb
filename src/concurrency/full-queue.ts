// Who gives way in a full queue. Pure. Principals that come from one place (an address, a UNIX user: `origin`) count as one against other
// places, and apart among themselves, so that neither one principal nor many accounts of one address can shut out all others.

export interface Queueing {
  readonly principal: string;
  readonly origin: string;
}

/**
 * The waiters of which the newest gives way to a newcomer, in the order of `waiting`. They are of the place with most waiters, if that has
 * at least two more than the newcomer's place, and there of the principal with most. Otherwise of the newcomer's own place the
 * principal with most, if that has at least two more than the newcomer. Undefined: nobody gives way.
 */
export function whoGiveWay<W extends Queueing>(
  waiting: Iterable<W>,
  { principal, origin }: Queueing,
): readonly W[] | undefined {
  const places = new Map<string, Map<string, W[]>>();
  for (const waiter of waiting) {
    const place = places.get(waiter.origin) ?? new Map<string, W[]>();
    places.set(waiter.origin, place);
    const waiters = place.get(waiter.principal) ?? [];
    place.set(waiter.principal, waiters);
    waiters.push(waiter);
  }
  const own = places.get(origin);
  const place = largest(places.values(), waitersOf, own === undefined ? 0 : waitersOf(own));
  if (place !== undefined) return largest(place.values(), lengthOf, -1);
  return largest(own?.values() ?? [], lengthOf, own?.get(principal)?.length ?? 0);
}

function waitersOf(place: ReadonlyMap<string, readonly unknown[]>): number {
  let sum = 0;
  for (const { length } of place.values()) sum += length;
  return sum;
}

function lengthOf({ length }: readonly unknown[]): number {
  return length;
}

/** The first of the largest ones, if it has at least two more than `own`. */
function largest<T>(all: Iterable<T>, countOf: (one: T) => number, own: number): T | undefined {
  let found: T | undefined;
  let most = own + 1;
  for (const one of all) {
    const count = countOf(one);
    if (count <= most) continue;
    most = count;
    found = one;
  }
  return found;
}
