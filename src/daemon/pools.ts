// The pools of the backends, kept over reloads: a backend that is still the same keeps its upstreams and its waiters, whatever else
// changed.
// The rules: a change is made ready first and comes into force at once; what an operator took out of service stays out, whatever
// the file says, and the other way round.

import { randomFraction } from '../adapters/host/clock.js';
import { bounds } from '../bounds/bounds.js';
import type { BackendSettings, Settings } from '../domain/config/settings.js';
import { Pool, type PoolLimits } from '../gateway/pool/pool.js';
import { dialTargetOf } from '../setup/dial-target.js';
import type { Adapters } from './engine-parts.js';

type Changeable<T> = { -readonly [Key in keyof T]: T[Key] };

interface Slot {
  readonly pool: Pool;
  /** Where it leads, and as whom: with another one the pool is made anew. */
  readonly key: string;
  /** The pool reads them at each use. */
  readonly limits: Changeable<PoolLimits>;
  isDrained: boolean;
}

/** A status line has a code, or the host of a referral. */
const statusBytesMax = bounds.statusBytes;
/** Real servers send frames of up to 16 KiB; a length of gigabytes is an attack on our memory. */
const frameBytesMax = bounds.frameBytes;
const logLineBytesMax = bounds.logLineBytes;
/** Pauses after failed dials: a backend that is back is found within the longest of them and a dial that hangs (12 s). */
const redialMs = 250;
const redialMaxMs = bounds.redialMaxMs;
/** With a dial that fails after `connect_timeout` a fault of a backend that nobody asks shows within 10 s. */
const lookEveryMs = 4_000;
/** While somebody watches the page: with the two refused dials that a stop is known by, it shows there within 1 s. */
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
    redialMs,
    redialMaxMs,
    lookEveryMs: isWatched ? lookWatchedMs : lookEveryMs,
    statusBytesMax,
    frameBytesMax,
    logLineBytesMax,
  };
}

/** All pools; none yet. `isDrainedByOperator` is asked by name; `onCertificate` is told when the certificate ends that a backend shows. */
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

  /**
   * Changes nothing before `commit`, which starts the new pools, gives the others their new limits, and takes those out of service that
   * are gone. Throws where a certificate file cannot be read.
   */
  prepare(settings: Settings) {
    const next = new Map(settings.backends.map((each) => [each.name, this.#slotOf(each, settings)]));
    return {
      byName: poolsIn(next),
      commit: (): void => {
        const kept = new Set(next.values());
        for (const slot of this.#slots.values()) if (!kept.has(slot)) slot.pool.setDrained(true);
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

  /** An operator has said something else of some backend: looks at all of them again. */
  applyDrains(): void {
    for (const [name, { pool, isDrained }] of this.#slots)
      pool.setDrained(isDrained || this.#isDrainedByOperator(name));
  }

  /** Somebody watches what the backends do, or nobody does any more: how soon a stop of one without demand shows depends on it. */
  setWatched(isWatched: boolean): void {
    this.#isWatched = isWatched;
    for (const { pool, limits } of this.#slots.values()) {
      limits.lookEveryMs = isWatched ? lookWatchedMs : lookEveryMs;
      // The next look was due by the other interval.
      pool.start();
    }
  }

  #slotOf(backend: BackendSettings, settings: Settings): Slot {
    const target = dialTargetOf(backend, this.#onCertificate);
    const { series } = backend;
    const key = JSON.stringify([target, backend.passwordFiles, series]);
    const known = this.#slots.get(backend.name);
    if (known?.key === key) return known;
    const limits = limitsOf(backend, settings, this.#isWatched);
    const { connect, clock, observe } = this.#adapters;
    const pool = new Pool({ target, series, limits, connect, clock, observe, chance: randomFraction });
    return { pool, key, limits, isDrained: backend.drained };
  }
}

function poolsIn(slots: ReadonlyMap<string, Slot>): ReadonlyMap<string, Pool> {
  return new Map([...slots].map(([name, { pool }]) => [name, pool]));
}
