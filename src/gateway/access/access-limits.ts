// How often somebody may ask for access: requests a minute, undecided requests at once, and access without approval a day.

import { bounds } from '../../bounds/bounds.js';
import { TokenBuckets } from '../../concurrency/limits.js';
import { type Asker, ownerOf } from '../../domain/access/asker.js';
import type { AccessBook } from '../../domain/audit/access-book.js';
import { type Person, sharesHuman } from '../../domain/identity/person.js';
import type { Policy, RequestRule } from '../../domain/policy/policy.js';
import type { Clock } from '../../ports/machine.js';

const dayMs = 86_400_000;

export class AccessLimits {
  readonly #clock: Clock;
  readonly #rate = new TokenBuckets({
    burst: bounds.accessRate,
    refillMs: 60_000 / bounds.accessRate,
    sourcesMax: bounds.questionSources,
  });
  /** Access without approval during the last day, with the words of its owners. */
  #broken: { readonly atMs: number; readonly identities: readonly string[] }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why there are too many requests in this minute; counts one. */
  overRate({ principal }: Asker): string | undefined {
    if (this.#rate.take(principal, this.#clock.now()) === undefined) return undefined;
    return `more than ${bounds.accessRate} requests a minute`;
  }

  /** Why this one is too many; counts nothing. */
  whyNoRequest(
    asker: Asker,
    { terms }: RequestRule,
    policy: Policy | undefined,
    { book, persons }: { readonly book: AccessBook; readonly persons: ReadonlyMap<string, Person> },
  ): string | undefined {
    let open = 0;
    for (const entry of book.entries)
      if (entry.state === 'requested' && ownerOf(entry) === asker.principal) open += 1;
    if (open >= Math.min(policy?.requests.open ?? 0, bounds.accessOpen))
      return `${open} of your requests wait; withdraw one with revoke`;
    if (!book.hasRoom) return 'too many requests or grants are open here';
    if (terms.approvals > 0) return undefined;
    const sinceMs = this.#clock.wallMs() - dayMs;
    this.#broken = this.#broken.filter(({ atMs }) => atMs > sinceMs);
    const own = this.#broken.filter(({ identities }) => sharesHuman(identities, asker.identities, persons));
    if (own.length < bounds.accessBroken) return undefined;
    return `access without approval is given ${bounds.accessBroken} times a day`;
  }

  noteBroken(atMs: number, identities: readonly string[] = []): void {
    this.#broken.push({ atMs, identities });
  }
}
