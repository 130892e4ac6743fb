// What failed logins cost the ones after them: a pause that grows with the failures of a name from one network, and a shorter one that
// grows with all failures from there.
// The rules: nothing is counted by the name alone, so that an unauthenticated peer cannot keep an account's owner out; what is counted
// is bounded, and what matters least is forgotten first.

/** Where a try comes from, and whom it claims to be. */
export interface LoginSource {
  /** A place on the network ({@link networkOf}). */
  readonly network: string;
  /** What was said, account or not, with its listener. */
  readonly name: string;
}

/** What is known of a source. */
export interface LoginStanding {
  /** Not to be judged before; by the clock that does not leap. */
  readonly dueMs: number;
  /** Failures of this name from there, and whatever came to nothing from there, that were not forgotten yet. */
  readonly nameFailures: number;
  readonly failures: number;
  /** Somebody from there proved to be an account within the last hour. */
  readonly hasSucceeded: boolean;
}

interface Failures {
  count: number;
  lastMs: number;
  dueMs: number;
}

interface Known extends Failures {
  crowded: number;
  succeededMs: number;
  readonly names: Map<string, Failures>;
}

/** Failures are forgotten when there was none for so long. */
const forgetMs = 15 * 60_000;
const successMs = 60 * 60_000;
/** After the first failure of a name; doubled with each. */
const namePauseMs = 250;
/** People behind one address mistype now and then. */
const freeFailures = 4;
const networkPauseMs = 50;
/** Less than that of a name: others come from there too. */
const networkPauseMaxMs = 500;
const networksMax = 8192;
const namesMax = 16;

/** One for all listeners; outlives a reload. */
export class LoginPace {
  readonly #networks = new Map<string, Known>();

  standing({ network, name }: LoginSource, nowMs: number): LoginStanding {
    const known = this.#networks.get(network);
    if (known === undefined) return { dueMs: 0, nameFailures: 0, failures: 0, hasSucceeded: false };
    const named = known.names.get(name);
    return {
      dueMs: Math.max(known.dueMs, named?.dueMs ?? 0),
      nameFailures: countOf(named, nowMs),
      failures: allOf(known, nowMs),
      hasSucceeded: nowMs - known.succeededMs < successMs,
    };
  }

  /** A try was judged and wrong; the next one waits at most `pauseMaxMs`. */
  failed({ network, name }: LoginSource, nowMs: number, pauseMaxMs: number): void {
    const known = this.#known(network, nowMs);
    known.crowded = crowdedOf(known, nowMs);
    fail(known, nowMs);
    const steps = known.count - freeFailures;
    if (steps > 0)
      known.dueMs = nowMs + Math.min(pauseMaxMs, networkPauseMaxMs, doubled(networkPauseMs, steps));
    let named = known.names.get(name);
    if (named === undefined) {
      makeRoom(known.names, namesMax, (each) => countOf(each, nowMs));
      named = { count: 0, lastMs: nowMs, dueMs: 0 };
      known.names.set(name, named);
    }
    fail(named, nowMs);
    named.dueMs = nowMs + Math.min(pauseMaxMs, doubled(namePauseMs, named.count));
  }

  /** A try was not judged, since there were too many: it costs no pause, and others come first next time. */
  crowded({ network }: LoginSource, nowMs: number): void {
    const known = this.#known(network, nowMs);
    known.crowded = crowdedOf(known, nowMs) + 1;
    known.count = countOf(known, nowMs);
    known.lastMs = nowMs;
  }

  /** The order in which networks are served; lower is before. */
  rankOf(network: string, nowMs: number): number {
    const known = this.#networks.get(network);
    if (known === undefined) return 0;
    return nowMs - known.succeededMs < successMs ? -1 : allOf(known, nowMs);
  }

  /** A try was right. It forgives the failures of this name from there, and no others: an account's owner may guess at others. */
  succeeded({ network, name }: LoginSource, nowMs: number): void {
    const known = this.#known(network, nowMs);
    known.succeededMs = nowMs;
    known.names.delete(name);
  }

  /** Networks and names that are held. */
  get size(): number {
    let sum = this.#networks.size;
    for (const { names } of this.#networks.values()) sum += names.size;
    return sum;
  }

  #known(network: string, nowMs: number): Known {
    const known = this.#networks.get(network);
    if (known !== undefined) return known;
    // A network with a success stays before all others that failed less than that.
    makeRoom(this.#networks, networksMax, (each) =>
      nowMs - each.succeededMs < successMs ? Infinity : allOf(each, nowMs),
    );
    const made: Known = {
      count: 0,
      lastMs: nowMs,
      dueMs: 0,
      crowded: 0,
      succeededMs: -Infinity,
      names: new Map(),
    };
    this.#networks.set(network, made);
    return made;
  }
}

function fail(failures: Failures, nowMs: number): void {
  failures.count = countOf(failures, nowMs) + 1;
  failures.lastMs = nowMs;
}

function countOf(failures: Failures | undefined, nowMs: number): number {
  return failures === undefined || nowMs - failures.lastMs >= forgetMs ? 0 : failures.count;
}

function crowdedOf(known: Known, nowMs: number): number {
  return nowMs - known.lastMs >= forgetMs ? 0 : known.crowded;
}

function allOf(known: Known, nowMs: number): number {
  return countOf(known, nowMs) + crowdedOf(known, nowMs);
}

function doubled(firstMs: number, steps: number): number {
  return firstMs * 2 ** Math.min(steps - 1, 20);
}

/** Takes out what matters least when the table is full; of equals the one that was there first. */
function makeRoom<T>(table: Map<string, T>, most: number, weight: (entry: T) => number): void {
  if (table.size < most) return;
  let least: string | undefined;
  let leastWeight = Infinity;
  for (const [key, entry] of table) {
    const itsWeight = weight(entry);
    if (least !== undefined && itsWeight >= leastWeight) continue;
    least = key;
    leastWeight = itsWeight;
  }
  if (least !== undefined) table.delete(least);
}
