// The pools of the backends, kept across reloads: an unchanged backend keeps its upstreams and waiters. A backend is drained as long as an
// operator or the file drains it.

import { bounds } from '../../host/bounds/bounds.js';
import { randomFraction } from '../../host/machine/clock.js';
import type { BackendSettings, Settings } from '../../rules/config/settings.js';
import { dialTargetOf } from '../../rules/setup/dial-target.js';
import { Pool, type PoolLimits } from '../pool/pool.js';
import type { Adapters } from './engine-parts.js';

type Changeable<T> = { -readonly [Key in keyof T]: T[Key] };

interface Slot {
  readonly pool: Pool;
  /** Address, account and release; if they change, a new pool is made. */
  readonly key: string;
  /** The pool reads them at each use. */
  readonly limits: Changeable<PoolLimits>;
  isDrained: boolean;
}

/** First pause after a failed dial. A recovered backend is found within the longest pause plus a dial that hangs (12 s). */
const redialMs = 250;
/** Together with a dial that fails after `connect_timeout`, the failure of an unused backend shows within 10 s. */
const lookEveryMs = 4_000;
/** While the page is watched: a stop, known by two refused dials, shows within 1 s. */
const lookWatchedMs = 400;

type OnCertificate = (backend: string, validTo: string) => void;

function limitsOf(
  backend: BackendSettings,
  { limits }: Settings,
  isWatched: boolean,
): Changeable<PoolLimits> {
  return {
    connections: backend.connections,
    idle: backend.idle,
    queue: limits.queue,
    queueTimeoutMs: limits.queueTimeoutMs,
    minRateBytes: limits.minRateBytes,
    idleTimeoutMs: backend.idleTimeoutMs,
    maxLifetimeMs: backend.maxLifetimeMs,
    freshForMs: backend.address.kind === 'unix' ? Number.POSITIVE_INFINITY : bounds.upstreamFreshMs,
    redialMs,
    redialMaxMs: bounds.redialMaxMs,
    lookEveryMs: isWatched ? lookWatchedMs : lookEveryMs,
    statusBytesMax: bounds.statusBytes,
    // Real servers send frames of up to 16 KiB; a length of gigabytes is an attack on our memory.
    frameBytesMax: bounds.frameBytes,
    logLineBytesMax: bounds.logLineBytes,
  };
}

/** All pools; none at first. `isDrainedByOperator` gets the name of a backend; `onCertificate` gets the end of a backend's certificate. */
export class Pools {
  readonly #adapters: Adapters;
  readonly #isDrainedByOperator: (backend: string) => boolean;
  readonly #onCertificate: OnCertificate;
  #slots: ReadonlyMap<string, Slot> = new Map();
  #isWatched = false;

  constructor(
    adapters: Adapters,
    isDrainedByOperator: (backend: string) => boolean,
    onCertificate: OnCertificate = () => undefined,
  ) {
    this.#adapters = adapters;
    this.#isDrainedByOperator = isDrainedByOperator;
    this.#onCertificate = onCertificate;
  }

  get byName(): ReadonlyMap<string, Pool> {
    return poolsIn(this.#slots);
  }

  /** `commit` starts new pools, updates limits of others, and drains removed ones. Throws if a certificate file cannot be read. */
  prepare(settings: Settings) {
    const next = new Map(settings.backends.map((each) => [each.name, this.#slotOf(each, settings)]));
    return {
      byName: poolsIn(next),
      commit: (): void => {
        const kept = new Set(next.values());
        for (const [name, { pool }] of [...this.#slots].filter(([, slot]) => !kept.has(slot))) {
          pool.setDrained(true);
          if (!next.has(name)) this.#tellRemoved(pool);
        }
        this.#slots = next;
        for (const backend of settings.backends) {
          const slot = next.get(backend.name);
          if (slot === undefined) continue;
          Object.assign(slot.limits, limitsOf(backend, settings, this.#isWatched));
          slot.isDrained = backend.drained;
        }
        this.applyDrains();
        for (const { pool } of next.values()) pool.start();
      },
    };
  }

  /** Call after an operator drained or enabled a backend: checks all of them again. */
  applyDrains(): void {
    for (const [name, { pool, isDrained }] of this.#slots)
      pool.setDrained(isDrained || this.#isDrainedByOperator(name));
  }

  /** Whether the page is watched. If it is, the stop of an unused backend is noticed sooner. */
  setWatched(isWatched: boolean): void {
    this.#isWatched = isWatched;
    for (const { pool, limits } of this.#slots.values()) {
      limits.lookEveryMs = isWatched ? lookWatchedMs : lookEveryMs;
      // The next check was scheduled with the other interval.
      pool.start();
    }
  }

  /** Ends the outage of a removed backend. Nothing dials it any more, so nothing else would end it. */
  #tellRemoved({ backend, past: { downSinceMs } }: Pool): void {
    if (downSinceMs === undefined) return;
    const { clock, observe } = this.#adapters;
    const duration_ms = Math.round(clock.now() - downSinceMs);
    const text = `backend ${backend}, which is down, is not in the configuration any more`;
    observe({ kind: 'backend-removed', level: 'warn', text, backend, duration_ms });
  }

  #slotOf(backend: BackendSettings, settings: Settings): Slot {
    const target = dialTargetOf(backend, this.#onCertificate);
    const { series, release, newer } = backend;
    const configured = { series, release, newer };
    const key = JSON.stringify([target, backend.passwordFiles, configured]);
    const known = this.#slots.get(backend.name);
    if (known?.key === key) return known;
    const limits = limitsOf(backend, settings, this.#isWatched);
    const { connect, clock, observe } = this.#adapters;
    const pool = new Pool({
      target,
      configured,
      limits,
      connect,
      clock,
      observe,
      chance: randomFraction,
      past: known?.pool.past,
    });
    return { pool, key, limits, isDrained: backend.drained };
  }
}

function poolsIn(slots: ReadonlyMap<string, Slot>): ReadonlyMap<string, Pool> {
  return new Map([...slots].map(([name, { pool }]) => [name, pool]));
}
