// What the page draws its charts from: counts since the start, by team and by backend. The differences between two of them are the page's
// to make; the daemon keeps the counters of its metrics, and no history.

import type { CountedExchanges } from '../adapters/telemetry/metrics.js';
import type { DoorTraffic, TrafficCounts } from '../domain/admin/door/door.js';
import type { CountedAs } from '../domain/admin/now/history.js';
import { countedAs } from './now-watch.js';
import type { LookedAt } from './running.js';

export interface TrafficParts extends Pick<DoorTraffic, 'run'> {
  readonly listeners: readonly { readonly name: string }[];
  readonly pools: readonly {
    readonly backend: Pick<LookedAt['backend'], 'name'>;
    readonly pool: Pick<LookedAt['pool'], 'waiters' | 'idle' | 'leased'>;
  }[];
  readonly journalBytes: number;
}

export function trafficOf(counted: CountedExchanges, parts: TrafficParts): DoorTraffic {
  const { run, listeners, pools, journalBytes } = parts;
  const { bounds } = counted;
  const none = (): Counts => new Counts(bounds.length + 1);
  const gate = none();
  const teams = new Map(listeners.map(({ name }) => [name, none()]));
  const backends = new Map(pools.map(({ backend: { name }, pool }) => [name, { counts: none(), pool }]));
  counted.eachOfListeners((listener, outcome, count) => {
    gate.ends(outcome, count);
    teams.get(listener)?.ends(outcome, count);
  });
  counted.eachOfBackends((backend, outcome, count) => backends.get(backend)?.counts.ends(outcome, count));
  counted.eachOfDurations((listener, backend, counts) => {
    for (const each of [gate, teams.get(listener), backends.get(backend)?.counts]) each?.took(counts);
  });
  return {
    run,
    bounds,
    gate: { ...gate.told(), journalBytes },
    teams: [...teams].map(([name, counts]) => ({ name, ...counts.told() })),
    backends: [...backends].map(
      ([
        name,
        {
          counts,
          pool: { waiters, idle, leased },
        },
      ]) => ({
        name,
        ...counts.told(),
        waiting: waiters,
        upstreams: idle + leased,
      }),
    ),
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
    this.#as[isOutcome(outcome) ? countedAs[outcome] : 'other'] += count;
  }

  took(counts: readonly number[]): void {
    for (const [at, count] of counts.entries()) this.#buckets[at] = (this.#buckets[at] ?? 0) + count;
  }

  told(): TrafficCounts {
    const { denied, failed } = this.#as;
    return { ended: this.#ended, denied, failed, buckets: this.#buckets };
  }
}

function isOutcome(text: string): text is keyof typeof countedAs {
  return Object.hasOwn(countedAs, text);
}
