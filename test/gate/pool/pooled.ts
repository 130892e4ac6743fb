// A pool over a dialler in memory with a clock turned by hand, for the tests of the pool.

import assert from 'node:assert/strict';
import type { EngineEvent } from '../../../src/gate/outcome/events.js';
import type { LeaseEnd, LeaseOptions } from '../../../src/gate/pool/lease.js';
import { Pool, type PoolLimits, type PoolOptions } from '../../../src/gate/pool/pool.js';
import type { Upstream } from '../../../src/gate/pool/upstream.js';
import { Abortable } from '../../../src/host/concurrency/abortable.js';
import type { CloseReason } from '../../../src/host/ports/transport.js';
import { createMemoryDialler, greeting, memoryTarget, poolSizes } from '../../kit/gate/memory-backend.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';

export const poolLimits: PoolLimits = {
  connections: 2,
  idle: 1,
  queue: 3,
  queueTimeoutMs: 10_000,
  minRateBytes: 0,
  idleTimeoutMs: 60_000,
  maxLifetimeMs: 600_000,
  freshForMs: 1_000,
  redialMs: 500,
  redialMaxMs: 4_000,
  lookEveryMs: 3_000,
  statusBytesMax: 100,
  frameBytesMax: 1_000,
  logLineBytesMax: 100,
};

/** Who asks; default: a principal of weight 1 and a place of its own that takes any upstream. */
export type Asked = Partial<Pick<LeaseOptions, 'principal' | 'origin' | 'weight' | 'isFresh' | 'isYoung'>> & {
  /** Before it asks. */
  readonly isGivenUp?: boolean;
};

/** A call of withLease, from its beginning to its end. */
export type Leasing = ReturnType<typeof startLeasing>;
export type PooledStory = ReturnType<typeof openPool>;

/** `minor`: what each accepted end greets with at once; null: the test speaks itself. */
export function openPool(
  limits: Partial<PoolLimits> = {},
  { minor = 2, ...options }: { minor?: number | null } & Partial<PoolOptions> = {},
) {
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  const events: EngineEvent[] = [];
  if (minor !== null) dialler.onAccept(({ peer }) => peer.send(greeting(minor)));
  const pool = new Pool({
    target: memoryTarget(),
    configured: { series: 'auto', release: undefined, newer: 'reads' },
    limits: { ...poolLimits, ...limits },
    connect: dialler.connect,
    clock,
    observe: (event) => void events.push(event),
    chance: () => 0,
    ...options,
  });
  const leasings: Leasing[] = [];
  /** Asks for a lease; not waited for. */
  const lease = (asked?: Asked): Leasing => {
    const leasing = startLeasing(pool, asked);
    leasings.push(leasing);
    return leasing;
  };
  /** The same, when everything that can run has run. */
  const leased = async (asked?: Asked): Promise<Leasing> => {
    const leasing = lease(asked);
    await settle();
    return leasing;
  };
  return { pool, clock, dialler, events, leasings, lease, leased };
}

function startLeasing(pool: Pool, asked: Asked = {}) {
  const { principal = 'desk@support', origin = principal, weight = 1 } = asked;
  const { isFresh = false, isYoung = false, isGivenUp = false } = asked;
  const told: number[] = [];
  const abortable = new Abortable();
  if (isGivenUp) abortable.abort('given up');
  let upstream: Upstream | undefined;
  let end: ((ended: LeaseEnd<string>) => void) | undefined;
  let outcome: unknown = 'waiting';
  const onWaiting = (): void => void told.push(told.length + 1);
  const use = (leased: Upstream): Promise<LeaseEnd<string>> => {
    upstream = leased;
    outcome = 'leased';
    return new Promise((resolve) => {
      end = resolve;
    });
  };
  pool
    .withLease({ principal, origin, weight, isFresh, isYoung, abortable, onWaiting, use })
    .then(
      (value) => {
        outcome = value;
      },
      (fault: unknown) => {
        outcome = fault;
      },
    )
    .finally(() => {
      upstream = undefined;
    });
  return {
    isFresh,
    principal,
    origin,
    /** Positions that it was told while it waited. */
    told,
    /** While `use` runs. */
    get upstream() {
      return upstream;
    },
    /** Ends `use`: undefined as an upstream that may serve another. */
    async finish(closeFor?: CloseReason, answer: LeaseEnd<string>['answer'] = 'other'): Promise<void> {
      end?.({ value: 'ended', closeFor, answer });
      await settle();
    },
    abort: (reason: unknown): void => abortable.abort(reason),
    /** `waiting`, `leased`, `ended`, or what it rejected with. */
    get outcome() {
      return outcome;
    },
  };
}

/** The end of a story: whoever is leased, or becomes it, finishes; then nothing is left. */
export async function assertEnds(story: PooledStory): Promise<void> {
  const leased = () => story.leasings.filter(({ outcome }) => outcome === 'leased');
  while (leased().length > 0) for (const each of leased()) await each.finish();
  story.pool.drain();
  await settle();
  assert.deepEqual(poolSizes(story.pool), [0, 0, 0, 0]);
  assert.deepEqual([story.clock.timers, story.dialler.open.length], [0, 0]);
}
