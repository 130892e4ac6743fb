// A pool over a dialler in memory with a clock turned by hand, for the tests of the pool.

import assert from 'node:assert/strict';
import type { EngineEvent } from '../../../src/gate/outcome/events.js';
import type { LeaseEnd, LeaseOptions } from '../../../src/gate/pool/lease.js';
import { Pool, type PoolLimits, type PoolOptions } from '../../../src/gate/pool/pool.js';
import type { Upstream } from '../../../src/gate/pool/upstream.js';
import { Abortable } from '../../../src/host/concurrency/abortable.js';
import type { CloseReason } from '../../../src/host/ports/transport.js';
import {
  createMemoryDialler,
  greeting,
  type MemoryDialler,
  memoryTarget,
  poolSizes,
} from '../../kit/gate/memory-backend.js';
import { createFakeClock, type FakeClock, settle } from '../../kit/plain/fake-clock.js';

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
export type Asked = Partial<Pick<LeaseOptions, 'principal' | 'origin' | 'weight' | 'isFresh' | 'isYoung'>>;

/** A call of withLease, from its beginning to its end. */
export interface Leasing {
  /** It wants an upstream on which nothing ran before. */
  readonly isFresh: boolean;
  /** It wants one that was dialled just now. */
  readonly isYoung: boolean;
  readonly principal: string;
  readonly origin: string;
  /** While `use` runs. */
  readonly upstream: Upstream | undefined;
  /** At its beginning: its upstream's age, and whether another one listened at its path. */
  readonly began: { readonly ageMs: number; readonly isReplaced: boolean } | undefined;
  /** Ends `use`: undefined as an upstream that may serve another. */
  finish(closeFor?: CloseReason, answer?: LeaseEnd<string>['answer']): Promise<void>;
  /** Lets `use` throw. */
  fail(fault: unknown): Promise<void>;
  abort(reason: unknown): void;
  /** Positions that it was told while it waited. */
  readonly told: readonly number[];
  /** `waiting`, `leased`, `ended`, or what it rejected with. */
  readonly outcome: unknown;
}

export interface PooledStory {
  readonly pool: Pool;
  readonly clock: FakeClock;
  readonly dialler: MemoryDialler;
  readonly events: EngineEvent[];
  /** Asks for a lease; not waited for. */
  lease(asked?: Asked): Leasing;
  /** The same, when everything that can run has run. */
  leased(asked?: Asked): Promise<Leasing>;
}

/** `minor`: what each accepted end greets with at once; null: the test speaks itself. */
export function openPool(
  limits: Partial<PoolLimits> = {},
  { minor = 2, ...options }: { minor?: number | null } & Partial<PoolOptions> = {},
): PooledStory {
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
  const lease = (asked: Asked = {}): Leasing => startLeasing(pool, clock, asked);
  return {
    pool,
    clock,
    dialler,
    events,
    lease,
    async leased(asked) {
      const leasing = lease(asked);
      await settle();
      return leasing;
    },
  };
}

function startLeasing(pool: Pool, clock: FakeClock, asked: Asked): Leasing {
  const { principal = 'desk@support', origin = principal, weight = 1 } = asked;
  const { isFresh = false, isYoung = false } = asked;
  const told: number[] = [];
  const abortable = new Abortable();
  let upstream: Upstream | undefined;
  let began: Leasing['began'];
  let end: ((ended: LeaseEnd<string>) => void) | undefined;
  let fail: ((fault: unknown) => void) | undefined;
  let outcome: unknown = 'waiting';
  pool
    .withLease({
      principal,
      origin,
      weight,
      isFresh,
      isYoung,
      abortable,
      onWaiting: () => void told.push(told.length + 1),
      use(leased) {
        upstream = leased;
        began = { ageMs: clock.now() - leased.openedMs, isReplaced: leased.isReplaced };
        outcome = 'leased';
        return new Promise<LeaseEnd<string>>((resolve, reject) => {
          end = resolve;
          fail = reject;
        });
      },
    })
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
    isYoung,
    get began() {
      return began;
    },
    principal,
    origin,
    told,
    get upstream() {
      return upstream;
    },
    async finish(closeFor, answer = 'other') {
      end?.({ value: 'ended', closeFor, answer });
      await settle();
    },
    async fail(fault) {
      fail?.(fault);
      await settle();
    },
    abort: (reason) => abortable.abort(reason),
    get outcome() {
      return outcome;
    },
  };
}

/** Why upstreams were closed, in order. */
export function closings({ events }: PooledStory): string[] {
  return events.flatMap((event) =>
    event.kind === 'upstream-closed' ? `${event.upstream} ${event.reason}` : [],
  );
}

/** After the end of a story: nothing is left. */
export async function assertEnds(story: PooledStory): Promise<void> {
  story.pool.drain();
  await settle();
  assert.deepEqual(poolSizes(story.pool), [0, 0, 0, 0]);
  assert.deepEqual([story.clock.timers, story.dialler.open.length], [0, 0]);
}
