// The counts for the page's charts, by team (one for each listener), since the start of the daemon. The page computes the differences
// between two of them; the daemon keeps no history.

import type { DoorTraffic, TrafficCounts } from '../door/door.js';
import { type CountedAs, countedAs } from '../now/history.js';
import type { Running } from '../now/running.js';
import type { CountedExchanges } from '../telemetry/metrics.js';

export function trafficOf(
  counted: CountedExchanges,
  { started: run, listeners }: Pick<Running, 'started' | 'listeners'>,
): DoorTraffic {
  const { bounds } = counted;
  const none = (): Counts => new Counts(bounds.length + 1);
  const ofTeams = new Map(listeners.map(({ name }) => [name, none()]));
  counted.eachOfListeners((listener, outcome, count) => ofTeams.get(listener)?.ends(outcome, count));
  counted.eachOfDurations((listener, _backend, counts) => ofTeams.get(listener)?.took(counts));
  return {
    run,
    bounds,
    teams: listeners.map(({ name }) => ({ name, ...(ofTeams.get(name) ?? none()).told() })),
  };
}

class Counts {
  #ended = 0;
  readonly #as: Record<CountedAs, number> = { other: 0, denied: 0, failed: 0 };
  readonly #buckets: number[];

  constructor(buckets: number) {
    this.#buckets = Array.from({ length: buckets }, () => 0);
  }

  ends(outcome: string, count: number): void {
    this.#ended += count;
    this.#as[countedAs(outcome)] += count;
  }

  took(counts: readonly number[]): void {
    for (const [at, count] of counts.entries()) this.#buckets[at] = (this.#buckets[at] ?? 0) + count;
  }

  told(): TrafficCounts {
    const { denied, failed } = this.#as;
    return { ended: this.#ended, denied, failed, buckets: this.#buckets };
  }
}
