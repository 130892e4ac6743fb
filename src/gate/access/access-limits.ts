// How often somebody may ask for access: requests a minute, undecided requests at once, and access without approval a day. They count
// origins, so that one human with many uids has one share; each policy has a share of all places, and some are kept for emergencies.

import { bounds } from '../../host/bounds/bounds.js';
import { TokenBuckets } from '../../host/concurrency/limits.js';
import type { Clock } from '../../host/ports/machine.js';
import { type AccessBook, type AccessPlaces, accessPlaces } from '../../journal/records/access-book.js';
import type { AuditRecord } from '../../journal/records/record.js';
import type { Persons } from '../../rules/identity/person.js';
import type { Policy, RequestRule } from '../../rules/policy/policy.js';
import { type Asker, countsFor } from './asker.js';

const dayMs = 86_400_000;

interface Places {
  readonly book: AccessBook;
  readonly persons: Persons;
  readonly policies: ReadonlyMap<string, Policy>;
}

export class AccessLimits {
  readonly #clock: Clock;
  readonly #rate = new TokenBuckets({
    burst: bounds.accessRate,
    refillMs: 60_000 / bounds.accessRate,
    sourcesMax: bounds.questionSources,
  });
  /** Requests for access without approval during the last day. */
  #broken: AuditRecord[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why there are too many requests in this minute; counts one. */
  overRate({ origin }: Asker): string | undefined {
    if (this.#rate.take(origin, this.#clock.now()) === undefined) return undefined;
    return `more than ${bounds.accessRate} requests a minute`;
  }

  /** Why this one is too many; counts nothing. */
  whyNoRequest(asker: Asker, { terms }: RequestRule, places: Places): string | undefined {
    const { book, policies, persons } = places;
    let open = 0;
    for (const { state, requested } of book.entries)
      if (state === 'requested' && countsFor(asker, requested, persons)) open += 1;
    if (open >= Math.min(policies.get(asker.policy.name)?.requests.open ?? 0, bounds.accessOpen))
      return `${open} of your requests wait; withdraw one with revoke`;
    const isBreakGlass = terms.approvals === 0;
    const full = this.whyNoPlace(asker.policy.name, places, isBreakGlass);
    if (full !== undefined || !isBreakGlass) return full;
    const sinceMs = this.#clock.wallMs() - dayMs;
    this.#broken = this.#broken.filter(({ time }) => time > sinceMs);
    const own = this.#broken.filter((each) => countsFor(asker, each, persons));
    if (own.length < bounds.accessBroken) return undefined;
    return `access without approval is given ${bounds.accessBroken} times a day`;
  }

  /** Why there is no place for a request or grant of that policy. Access without approval takes any place that is left. */
  whyNoPlace(
    policy: string,
    { book, policies }: Omit<Places, 'persons'>,
    isBreakGlass: boolean,
  ): string | undefined {
    if (isFull(book.taken(), accessPlaces)) return 'too many requests or grants are open here';
    if (isBreakGlass) return undefined;
    const sharers = [...policies.values()].filter(({ onRequest }) => onRequest.length > 0).length;
    const part = (1 - bounds.accessKeptPercent / 100) / Math.max(1, sharers);
    const share = {
      requests: Math.max(1, accessPlaces.requests * part),
      grants: Math.max(1, accessPlaces.grants * part),
      bytes: Math.max(bounds.recordBytes, accessPlaces.bytes * part),
    };
    if (!isFull(book.taken(policy), share)) return undefined;
    return `too many requests or grants of policy ${policy} are open here`;
  }

  noteBroken(requested: AuditRecord): void {
    this.#broken.push(requested);
  }
}

function isFull(taken: AccessPlaces, most: AccessPlaces): boolean {
  return (
    taken.requests + 1 > most.requests ||
    taken.grants + 1 > most.grants ||
    taken.bytes + bounds.recordBytes > most.bytes
  );
}
