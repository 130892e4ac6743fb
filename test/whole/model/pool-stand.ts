// The real pool, with its queue, dials, health, leases and their pace, beside the model of the pool, over a clock turned by hand. After
// each step counts, states and outcomes of all exchanges are compared.

import assert from 'node:assert/strict';
import type { SlowClient, Transfer } from '../../../src/gate/pool/lease.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';
import type { Connect, Transport } from '../../../src/host/ports/transport.js';
import { type Leasing, openPool, type PooledStory } from '../../gate/pool/pooled.js';
import { greeting, memoryTarget } from '../../kit/gate/memory-backend.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport, type MemoryPeer } from '../../kit/plain/memory-transport.js';
import { Beside, type Choose } from './explore.js';
import { poolModel } from './pool-model.js';
import {
  freshTicks,
  type Kind,
  minRate,
  type PoolState,
  patienceTicks,
  type Scene,
  slowRate,
  tickMs,
} from './pool-state.js';

/** In whole ticks nothing but the look at the leases happens. */
const limits = {
  minRateBytes: minRate,
  queueTimeoutMs: (patienceTicks - 0.5) * tickMs,
  redialMs: 0.8 * tickMs,
  redialMaxMs: 0.8 * tickMs,
  idleTimeoutMs: 1e9,
  maxLifetimeMs: 1e9,
  lookEveryMs: 1e9,
  freshForMs: freshTicks * tickMs,
};

interface Connecting {
  readonly resolve: (transport: Transport) => void;
  readonly reject: (reason: unknown) => void;
}

export class PoolStand {
  readonly beside: Beside<PoolState>;
  readonly #scene: Scene;
  readonly #choose: Choose;
  readonly #story: PooledStory;
  readonly #leasings = new Map<number, Leasing>();
  /** Leases whose clients move. */
  readonly #moving = new Set<number>();
  readonly #outcomes = new Map<number, string>();
  #given: Record<number, string> = {};
  readonly #connecting: Connecting[] = [];
  readonly #transports: Transport[] = [];
  readonly #peers: MemoryPeer[] = [];

  constructor(scene: Scene, choose: Choose) {
    this.beside = new Beside(poolModel(scene));
    this.#scene = scene;
    this.#choose = choose;
    const connect: Connect = (_, signal) =>
      new Promise((resolve, reject) => {
        const one = { resolve, reject };
        this.#connecting.push(one);
        const end = (): void => {
          this.#connecting.splice(this.#connecting.indexOf(one), 1);
          reject(signal.reason);
        };
        signal.addEventListener('abort', () => this.#connecting.includes(one) && end(), { once: true });
      });
    const target = memoryTarget({ connectTimeoutMs: 1e9, greetingTimeoutMs: 1e9 });
    const { connections, queue } = scene;
    this.#story = openPool({ ...limits, connections, queue }, { minor: null, connect, target });
  }

  /** Until the choices end; then nothing is left. */
  async run(): Promise<void> {
    for (;;) {
      const choice = this.#choose(this.beside.options);
      if (choice === undefined) break;
      await this.#step(choice);
      if (this.beside.state.mode === 'draining' && this.beside.state.leases.length === 0) break;
    }
    if (this.beside.state.mode !== 'draining') await this.#step('is drained for good');
    while (this.beside.state.leases.length > 0) await this.#step('lease 0 ends');
    assert.equal(this.#story.clock.timers, 0, 'timers');
    const open = this.#transports.filter(({ closedFor }) => closedFor === undefined);
    assert.equal(open.length + this.#connecting.length, 0, 'transports');
  }

  async #step(name: string): Promise<void> {
    const before = this.beside.state;
    this.beside.go(name);
    this.#given = {};
    await this.#act(name, before);
    await settle();
    this.#compare();
  }

  async #act(name: string, before: PoolState): Promise<void> {
    const { pool, clock } = this.#story;
    const [first = '', second = '', third = ''] = name.split(' ');
    if (second === 'asks') {
      const { origin = first, kind } = this.#scene.principals[first] ?? {};
      const asked = { principal: first, origin, isYoung: kind === 'change' };
      this.#leasings.set(this.beside.state.last, this.#story.lease(asked));
    } else if (first === 'lease') {
      const leasing = this.#leasings.get(before.leases[Number(second)]?.id ?? 0);
      await leasing?.finish(third === 'ends' ? undefined : 'not-reusable');
    } else if (first === 'waiter') {
      const waiters = [...before.promised, ...before.lines.flatMap(({ waiters: all }) => all)];
      this.#leasings.get(waiters[Number(second)]?.id ?? 0)?.abort('gone');
    } else if (name === 'a dial succeeds') {
      const { transport, peer } = createMemoryTransport();
      this.#transports.push(transport);
      this.#peers.push(peer);
      peer.send(greeting(2));
      this.#connecting.shift()?.resolve(transport);
    } else if (name === 'a dial fails') {
      this.#connecting.shift()?.reject(new UpstreamFault('dial-timeout', 'it does not answer'));
    } else if (name === 'another socket file') for (const peer of this.#peers) peer.replace();
    else if (name === 'a tick') await clock.advance(tickMs);
    else if (name === 'ten ticks') await clock.advance(10 * tickMs);
    else if (name === 'is drained') pool.setDrained(true);
    else if (name === 'serves again') pool.setDrained(false);
    else if (name === 'is drained for good') pool.drain();
    else throw new Error(name);
  }

  /** From now on the client of a new lease moves bytes, or none. */
  #move(id: number, leasing: Leasing, kind: Kind): void {
    const { upstream } = leasing;
    if (this.#moving.has(id) || upstream === undefined) return;
    this.#moving.add(id);
    if (kind === 'change') return;
    const { clock } = this.#story;
    const rate = kind === 'slow' ? slowRate : kind === 'fast' ? 1e9 : 0;
    const transfer: Transfer & { readonly isRated: boolean } = {
      startMs: clock.now(),
      isRated: true,
      get movedBytes() {
        return ((clock.now() - this.startMs) * rate) / 1000;
      },
      giveUp: (why: SlowClient) => {
        this.#given[id] = why;
        upstream.pace.end(clock.now());
        void leasing.finish('aborted');
      },
    };
    upstream.pace.transfer = transfer;
    if (kind !== 'fast') upstream.pace.begin(transfer, clock.now());
  }

  #compare(): void {
    const { state } = this.beside;
    const { idle, leased, waiters, dialing, health } = this.#story.pool.snapshot();
    const dials = state.pending.filter((one) => one === 'dial').length;
    const all = [...state.promised, ...state.lines.flatMap(({ waiters: each }) => each)];
    assert.deepEqual(
      { idle, leased, waiters, dialing, health, connecting: this.#connecting.length },
      {
        idle: state.idle.length,
        leased: state.leases.length,
        waiters: all.length,
        dialing: dials,
        health: state.mode === 'serving' ? state.health : 'drained',
        connecting: state.pending.length,
      },
    );
    for (const [id, outcome] of Object.entries(state.outcomes)) this.#outcomes.set(Number(id), outcome);
    for (const { id } of all) this.#outcomes.set(id, 'waiting');
    for (const { id } of state.leases) this.#outcomes.set(id, 'leased');
    const found = new Map<number, string>();
    for (const [id, leasing] of this.#leasings) {
      found.set(id, outcomeOf(leasing));
      if (leasing.outcome === 'leased')
        this.#move(id, leasing, this.#scene.principals[leasing.principal]?.kind ?? 'change');
    }
    assert.deepEqual(
      [...found],
      [...this.#outcomes].toSorted(([one], [other]) => one - other),
      'outcomes',
    );
    assert.deepEqual(this.#given, state.given, 'leases that were ended for others');
    const users = [...this.#leasings.values()].flatMap(({ upstream }) => upstream ?? []);
    assert.equal(new Set(users).size, users.length, 'no upstream has two users');
  }
}

function outcomeOf({ outcome }: Leasing): string {
  if (!(outcome instanceof Error)) return String(outcome);
  const word: unknown = Reflect.get(outcome, 'why') ?? Reflect.get(outcome, 'code');
  return String(word);
}
