// A model of a pool (src/gate/pool): principals ask for upstreams, wait in fair turns, hold leases whose clients are quick or slow, and
// lose transfers above their share to others that waited for long; dials succeed or fail; an operator drains. Time goes in ticks of 500 ms,
// the interval at which the pool looks at its leases. Dovecot is restarted: another socket file is at the path of its upstreams, and a
// change takes one that was dialled just now. All weights are 1, and no command must be alone on its upstream.

import type { Model, Step } from './explore.js';
import {
  aged,
  dialsIn,
  freshTicks,
  type Kind,
  type Lease,
  lateTicks,
  minRate,
  type Opened,
  type PoolState,
  patienceTicks,
  type Scene,
  Shares,
  speedOf,
  tooLateTicks,
  transferTicks,
  type Waiter,
  waitersOf,
  windowTicks,
} from './pool-state.js';

export function poolModel(scene: Scene): Model<PoolState> {
  return {
    initial: {
      mode: 'serving',
      health: 'up',
      wasDown: false,
      pending: [],
      idle: [],
      leases: [],
      promised: [],
      lines: [],
      round: [],
      spent: undefined,
      last: 0,
      outcomes: {},
      given: {},
      wrong: undefined,
    },
    actions: (state) => actionsOf(state, scene),
    invariants: invariantsOf(scene),
    keyOf: ({ last: _last, outcomes: _outcomes, given: _given, ...state }) =>
      JSON.stringify(state, (key, value: unknown) => (key === 'id' ? undefined : value)),
  };
}

function invariantsOf(scene: Scene): Model<PoolState>['invariants'] {
  return {
    'no more upstreams than connections': ({ leases, idle, pending }) =>
      leases.length + idle.length + dialsIn(pending) <= scene.connections,
    'no exchange has two leases, or waits while it has one': (state) => {
      const ids = [...state.leases, ...waitersOf(state)].map(({ id }) => id);
      return new Set(ids).size === ids.length;
    },
    'no waiter waits longer than its time': (state) =>
      waitersOf(state).every(({ ticks }) => ticks < patienceTicks),
    'no principal loses a lease for itself': ({ wrong }) => wrong !== 'ended for itself',
    'nobody is given more than half while another waits with less': ({ wrong }) => wrong !== 'more than half',
    'a principal without a lease does not wait beside transfers above their share': (state) =>
      new Pool(state, scene).isPatient,
    'no upstream is idle while somebody waits that may have it': (state) =>
      waitersOf(state).every(({ who }) => new Pool(state, scene).newest(who) === undefined),
    'no change begins on an upstream that was dialled before': ({ wrong }) =>
      wrong !== 'an old one for a change',
    'nothing begins on an upstream of an older socket file': ({ wrong }) => wrong !== 'an older file',
    'after a drain nothing waits, is idle or is dialled': (state) =>
      state.mode === 'serving' || waitersOf(state).length + state.idle.length + state.pending.length === 0,
    'each line has waiters, and each has a turn': ({ lines, round }) =>
      lines.every(
        ({ waiters, who }) => waiters.length > 0 && round.filter((one) => one === who).length === 1,
      ) && round.length === lines.length,
    'nobody waits for a backend that is down': (state) =>
      !(state.health === 'down' || state.health === 'probing') || waitersOf(state).length === 0,
  };
}

function actionsOf(state: PoolState, scene: Scene): readonly Step<PoolState>[] {
  const steps: Step<PoolState>[] = [];
  const step = (name: string, act: (pool: Pool) => void): void => {
    const pool = new Pool(copyOf(state), scene);
    act(pool);
    steps.push([name, pool.state]);
  };
  for (const who of Object.keys(scene.principals)) step(`${who} asks`, (pool) => pool.ask(who));
  for (const [at, { id }] of state.leases.entries()) {
    step(`lease ${at} ends`, (pool) => pool.end(id, 'ended'));
    step(`lease ${at} breaks`, (pool) => pool.close(id, 'ended'));
  }
  for (const [at, waiter] of waitersOf(state).entries())
    step(`waiter ${at} goes`, (pool) => pool.leave(waiter, 'gone'));
  if (state.pending.length > 0) {
    step('a dial succeeds', (pool) => pool.dialled());
    step('a dial fails', (pool) => pool.failed());
  }
  step('another socket file', (pool) => pool.restart());
  step('a tick', (pool) => pool.tick());
  step('ten ticks', (pool) => {
    for (let count = 0; count < 10; count += 1) pool.tick();
  });
  if (state.mode === 'serving') step('is drained', (pool) => pool.drain('drained'));
  if (state.mode === 'drained') step('serves again', (pool) => pool.serve());
  if (state.mode !== 'draining') step('is drained for good', (pool) => pool.drain('draining'));
  return steps;
}

function copyOf(state: PoolState): PoolState {
  return {
    ...state,
    pending: [...state.pending],
    idle: [...state.idle],
    leases: [...state.leases],
    promised: [...state.promised],
    lines: state.lines.map(({ who, waiters }) => ({ who, waiters: [...waiters] })),
    round: [...state.round],
    outcomes: {},
    given: {},
    wrong: undefined,
  };
}

/** The rules, over a state that it changes. */
class Pool {
  readonly state: PoolState;
  readonly #scene: Scene;

  constructor(state: PoolState, scene: Scene) {
    this.state = state;
    this.#scene = scene;
  }

  ask(who: string): void {
    const { state } = this;
    const id = (state.last += 1);
    const waiter: Waiter = { id, who, ticks: 0 };
    const idle = waitersOf(state).length === 0 ? this.#takeIdle(who) : undefined;
    if (idle !== undefined) return this.#lease(waiter, idle);
    const refusal =
      state.mode !== 'serving'
        ? state.mode === 'drained'
          ? 'backend-drained'
          : 'draining'
        : this.#isDown && this.#scene.flaw !== 'waits for what is down'
          ? 'dial-timeout'
          : waitersOf(state).length < this.#scene.queue
            ? undefined
            : this.#makeRoom(who);
    if (refusal !== undefined) {
      state.outcomes[id] = refusal;
      return;
    }
    const isNew = !state.lines.some((line) => line.who === who);
    this.#line(who).push(waiter);
    if (isNew && this.#scene.connections === 1 && this.#isSated(who)) this.#spend(who);
    this.#match();
  }

  /** A clean end: the next waiter has the upstream at once, or it is idle. */
  end(id: number, outcome: string): void {
    const { state } = this;
    const at = state.leases.findIndex((lease) => lease.id === id);
    state.outcomes[id] = outcome;
    if (state.mode !== 'serving') return void state.leases.splice(at, 1);
    const [lease] = state.leases.splice(at, 1);
    if (lease === undefined) return;
    const { age, isOld } = lease;
    const isQuick = waitersOf(state).length > 0 && state.promised.length === 0 && this.#mayHandOver(lease);
    const waiter = isQuick ? this.#take(() => true) : undefined;
    if (waiter !== undefined) {
      // In the same place: it was never idle.
      this.#noteGift(waiter.who, lease);
      state.leases.splice(at, 0, { ...waiter, age, isOld, ticks: 0, window: -1, unseen: 0 });
      if (this.#scene.flaw === 'a lease for two') this.#line(waiter.who).push(waiter);
      return;
    }
    state.idle.push({ age, isOld });
    if (this.#scene.flaw !== 'an idle one stays idle') this.#match();
  }

  /** An end after which the upstream is closed. */
  close(id: number, outcome: string): void {
    const { state } = this;
    state.leases = state.leases.filter((lease) => lease.id !== id);
    state.outcomes[id] = outcome;
    this.#match();
    this.#match();
  }

  leave(waiter: Waiter, outcome: string): void {
    this.#delete(waiter);
    this.state.outcomes[waiter.id] = outcome;
    this.#match();
  }

  dialled(): void {
    const { state } = this;
    const kind = state.pending.shift();
    state.health = 'up';
    state.wasDown = false;
    if (kind === 'dial') state.idle.push({ age: 0, isOld: false });
    this.#match();
  }

  failed(): void {
    const { state } = this;
    state.pending.shift();
    const isAlone = this.#open + dialsIn(state.pending) === 0;
    state.health = isAlone ? 'down' : 'pausing';
    if (isAlone) state.wasDown = true;
    if (isAlone && this.#scene.flaw !== 'waits for what is down') this.#refuse('dial-timeout');
    this.#match();
  }

  drain(mode: 'drained' | 'draining'): void {
    const { state } = this;
    state.mode = mode;
    state.health = 'up';
    state.pending = [];
    if (this.#scene.flaw !== 'waiters stay at the drain')
      this.#refuse(mode === 'drained' ? 'backend-drained' : 'draining');
    state.idle = [];
  }

  serve(): void {
    this.state.mode = 'serving';
    this.#match();
    if (this.state.wasDown && dialsIn(this.state.pending) === 0) this.#dial();
  }

  /** Its processes of before live on, so the upstreams stay. */
  restart(): void {
    const { state } = this;
    const old = <O extends Opened>(one: O): O => ({ ...one, isOld: true });
    state.idle = state.idle.map(old);
    state.leases = state.leases.map(old);
  }

  /** The newest idle upstream that takes a command of this principal. */
  newest(who: string): Opened | undefined {
    const takesAny = !this.#isYoung(who) || this.#scene.flaw === 'a change takes any';
    return this.state.idle.findLast(({ age }) => takesAny || age < freshTicks);
  }

  tick(): void {
    const { state } = this;
    const late = waitersOf(state).filter(({ ticks }) => ticks + 1 === patienceTicks);
    for (const waiter of late.toSorted((one, other) => one.id - other.id))
      if (this.#scene.flaw !== 'no time limit') this.leave(waiter, 'queue-timeout');
    if (state.health === 'pausing') {
      state.health = 'retrying';
      this.#match();
      if (dialsIn(state.pending) === 0) this.#probe();
    } else if (state.health === 'down') {
      state.health = 'probing';
      this.#dial();
    }
    const older = <W extends Waiter>(waiter: W): W => ({ ...waiter, ticks: waiter.ticks + 1 });
    state.promised = state.promised.map(older);
    for (const line of state.lines) line.waiters = line.waiters.map(older);
    state.leases = state.leases.map((lease) => aged({ ...older(lease), unseen: lease.unseen + 1 }));
    state.idle = state.idle.map(aged);
    if (waitersOf(state).length > 0) this.#look();
  }

  /** No waiter of a principal without a lease has waited for too long beside a transfer that could be ended for it. */
  get isPatient(): boolean {
    const { state } = this;
    if (this.hasRoom || !this.#mayDial || dialsIn(state.pending) > state.promised.length) return true;
    const shares = new Shares(state, this.#scene);
    return this.#firsts.every(
      (claim) =>
        claim.ticks <= tooLateTicks ||
        shares.ofPrincipal(claim.who) > 0 ||
        !state.leases.some(
          (lease) =>
            lease.ticks > transferTicks &&
            this.#kindOf(lease) !== 'change' &&
            shares.isAbove(lease.who, claim.who),
        ),
    );
  }

  get hasRoom(): boolean {
    const most = this.#scene.connections + (this.#scene.flaw === 'one lease too many' ? 1 : 0);
    return this.#open + dialsIn(this.state.pending) < most;
  }

  get #open(): number {
    return this.state.idle.length + this.state.leases.length;
  }

  get #isDown(): boolean {
    return this.state.health === 'down' || this.state.health === 'probing';
  }

  get #half(): number {
    return Math.max(1, Math.floor(this.#scene.connections / 2));
  }

  get #mayDial(): boolean {
    const dials = dialsIn(this.state.pending);
    switch (this.state.health) {
      case 'up':
        return true;
      case 'pausing':
        return this.#open + dials === 0;
      case 'retrying':
        return dials === 0;
      case 'down':
      case 'probing':
        return false;
      default:
        return this.state.health satisfies never;
    }
  }

  #kindOf({ who }: { readonly who: string }): Kind {
    return this.#scene.principals[who]?.kind ?? 'change';
  }

  #isYoung(who: string): boolean {
    return this.#kindOf({ who }) === 'change';
  }

  #takeIdle(who: string): Opened | undefined {
    const { state } = this;
    if (this.newest(who)?.isOld === true && this.#scene.flaw !== 'an older file is leased') this.#closeOld();
    const found = this.newest(who);
    state.idle = state.idle.filter((one) => one !== found);
    return found;
  }

  #closeOld(): void {
    this.state.idle = this.state.idle.filter(({ isOld }) => !isOld);
  }

  #mayHandOver({ age, isOld }: Opened): boolean {
    const { flaw } = this.#scene;
    const hasYoung = this.state.lines.some(({ who }) => this.#isYoung(who));
    if (hasYoung && age >= freshTicks && flaw !== 'a change is handed any') return false;
    return !isOld || flaw === 'an older file is handed over';
  }

  #dial(): void {
    this.state.pending = [...this.state.pending.filter((one) => one === 'dial'), 'dial'];
  }

  #probe(): void {
    if (this.#open > 0 && this.hasRoom && !this.state.pending.includes('probe'))
      this.state.pending.push('probe');
  }

  #refuse(outcome: string): void {
    const { state } = this;
    for (const { id } of waitersOf(state)) state.outcomes[id] = outcome;
    Object.assign(state, { promised: [], lines: [], round: [], spent: undefined });
  }

  #makeRoom(who: string): string | undefined {
    const { lines, round, outcomes } = this.state;
    const { origin } = this.#scene.principals[who] ?? {};
    const count = (name: string): number => lines.find((line) => line.who === name)?.waiters.length ?? 0;
    const ofPlace = (place: string | undefined): number =>
      round.filter((name) => this.#originOf(name) === place).reduce((sum, name) => sum + count(name), 0);
    const largest = (
      names: readonly string[],
      sizeOf: (name: string) => number,
      own: number,
    ): string | undefined => {
      const most = Math.max(own + 2, ...names.map(sizeOf));
      return names.find((name) => sizeOf(name) >= most);
    };
    const fullest = largest(round, (name) => ofPlace(this.#originOf(name)), ofPlace(origin));
    const from =
      fullest === undefined
        ? largest(
            round.filter((name) => this.#originOf(name) === origin),
            count,
            count(who),
          )
        : largest(
            round.filter((name) => this.#originOf(name) === this.#originOf(fullest)),
            count,
            -2,
          );
    const last = lines.find((line) => line.who === from)?.waiters.toSorted((a, b) => b.id - a.id)[0];
    if (last === undefined) return 'queue-full';
    this.#delete(last);
    outcomes[last.id] = 'queue-full';
    return undefined;
  }

  #originOf(who: string): string {
    return this.#scene.principals[who]?.origin ?? who;
  }

  #heldBy(who: string): number {
    return this.state.leases.filter((lease) => lease.who === who).length;
  }

  readonly #isSated = (who: string): boolean =>
    this.#heldBy(who) + this.state.promised.filter((waiter) => waiter.who === who).length >= this.#half;

  #hasOther(who: string): boolean {
    return [...this.state.lines, ...this.state.promised].some((one) => one.who !== who);
  }

  /** The waiters of a principal, last in the round where it is new. */
  #line(who: string): Waiter[] {
    const { lines, round } = this.state;
    const known = lines.find((line) => line.who === who);
    if (known !== undefined) return known.waiters;
    const line = { who, waiters: [] };
    lines.push(line);
    round.push(who);
    return line.waiters;
  }

  #delete({ id, who }: Waiter): void {
    const { state } = this;
    const count = state.promised.length;
    state.promised = state.promised.filter((waiter) => waiter.id !== id);
    const line = state.lines.find((one) => one.who === who);
    if (state.promised.length < count || line === undefined) return;
    line.waiters = line.waiters.filter((waiter) => waiter.id !== id);
    if (line.waiters.length > 0 || this.#scene.flaw === 'empty lines stay') return;
    state.lines = state.lines.filter((one) => one !== line);
    state.round = state.round.filter((one) => one !== who);
    if (state.spent === who) state.spent = undefined;
  }

  /** Its turn of this round is over: it goes last when the next one has had its turn. */
  #spend(who: string): void {
    const { state } = this;
    if (!state.lines.some((line) => line.who === who)) return;
    this.#renew();
    state.spent = who;
  }

  #renew(): void {
    const { state } = this;
    const { spent } = state;
    if (spent === undefined) return;
    state.round = [...state.round.filter((who) => who !== spent), spent];
    state.spent = undefined;
  }

  #putFirst(who: string): void {
    const { state } = this;
    if (!state.lines.some((line) => line.who === who)) return;
    if (state.spent === who) state.spent = undefined;
    state.round = [who, ...state.round.filter((one) => one !== who)];
  }

  /** Takes out the next waiter, if one may be served. */
  #take(mayServe: (who: string) => boolean): Waiter | undefined {
    const { state } = this;
    const { spent } = state;
    const turns = [
      ...state.round.filter((who) => who !== spent),
      ...(spent === undefined ? [] : [spent]),
    ].filter(mayServe);
    const hungry = turns.find((who) => !this.#hasOther(who) || !this.#isSated(who));
    const all = waitersOf({ ...state, promised: [] }).filter((waiter) => mayServe(waiter.who));
    const oldest = all.toSorted((one, other) => one.id - other.id)[0]?.who;
    const who = this.#scene.flaw === 'the first that came' ? oldest : (hungry ?? turns[0]);
    const waiter = state.lines.find((line) => line.who === who)?.waiters[0];
    if (who === undefined || waiter === undefined) return undefined;
    this.#renew();
    state.spent = who;
    this.#delete(waiter);
    return waiter;
  }

  #lease(waiter: Waiter, { age, isOld }: Opened): void {
    this.#noteGift(waiter.who, { age, isOld });
    this.state.leases.push({ ...waiter, age, isOld, ticks: 0, window: -1, unseen: 0 });
  }

  /** For the invariants of what begins on which upstream. */
  #noteGift(who: string, { age, isOld }: Opened): void {
    const { state } = this;
    if (isOld) state.wrong = 'an older file';
    if (this.#isYoung(who) && age >= freshTicks) state.wrong = 'an old one for a change';
    const isHungry = state.lines.some(
      (line) => line.who !== who && line.waiters.length > 0 && !this.#isSated(line.who),
    );
    if (isHungry && this.#heldBy(who) >= this.#half) state.wrong = 'more than half';
  }

  #breakPromise(waiter: Waiter): void {
    const { state } = this;
    state.promised = state.promised.filter((one) => one !== waiter);
    this.#line(waiter.who).unshift(waiter);
    this.#putFirst(waiter.who);
  }

  /** Joins waiters and idle upstreams, and dials for the others. */
  #match(): void {
    const { state } = this;
    if (state.mode !== 'serving') return;
    if (waitersOf(state).length > 0 && this.#scene.flaw !== 'an older file is leased') this.#closeOld();
    for (const waiter of state.promised) {
      const { who } = waiter;
      const idle = this.newest(who);
      if (this.#heldBy(who) >= this.#half && this.#hasOther(who)) this.#breakPromise(waiter);
      else if (idle !== undefined) {
        this.#delete(waiter);
        this.#give(waiter, idle);
      }
    }
    for (let last = state.promised.at(-1); last !== undefined; last = state.promised.at(-1)) {
      if (state.promised.length <= dialsIn(state.pending)) break;
      this.#breakPromise(last);
    }
    for (;;) {
      const isFree = dialsIn(state.pending) > state.promised.length;
      const mayBegin = this.#mayDial && (this.hasRoom || state.idle.length > 0);
      const waiter = this.#take((who) => isFree || mayBegin || this.newest(who) !== undefined);
      if (waiter === undefined) return;
      const idle = this.newest(waiter.who);
      if (idle !== undefined) {
        this.#give(waiter, idle);
        continue;
      }
      state.promised.push(waiter);
      if (dialsIn(state.pending) >= state.promised.length) continue;
      this.#dial();
      // It is replaced: too old for this waiter.
      if (state.idle.shift() !== undefined) this.#match();
    }
  }

  #give(waiter: Waiter, idle: Opened): void {
    this.state.idle = this.state.idle.filter((one) => one !== idle);
    this.#lease(waiter, idle);
  }

  get #firsts(): Waiter[] {
    return this.state.lines.flatMap(({ waiters }) => waiters.slice(0, 1));
  }

  /** While somebody waits, once a tick: ends clients that stall, and transfers above their share. */
  #look(): void {
    const { state } = this;
    if (this.hasRoom && dialsIn(state.pending) > 0) return;
    const stalled: Lease[] = [];
    state.leases = state.leases.map((lease) => {
      const isPaused = lease.unseen > 6 || lease.window < 0;
      const seen = {
        ...lease,
        window: isPaused ? 0 : Math.min(windowTicks, lease.window + lease.unseen),
        unseen: 0,
      };
      const isWanted = state.lines.some((line) => line.who !== lease.who && !this.#isSated(line.who));
      if (isWanted && this.#kindOf(lease) === 'stall' && lease.ticks >= windowTicks) stalled.push(seen);
      return seen;
    });
    for (const lease of stalled) {
      this.#spend(lease.who);
      state.given[lease.id] = 'client-stall';
    }
    if (stalled.length === 0 && this.#scene.flaw !== 'nobody is ended') this.#shareOut();
    else for (const lease of stalled) this.close(lease.id, 'ended');
  }

  #shareOut(): void {
    const { state } = this;
    if (this.hasRoom || !this.#mayDial || dialsIn(state.pending) > state.promised.length) return;
    const shares = new Shares(state, this.#scene);
    const late = this.#firsts
      .filter(({ ticks }) => ticks >= lateTicks)
      .toSorted(
        (one, other) => shares.ofOrigin(one.who) - shares.ofOrigin(other.who) || other.ticks - one.ticks,
      );
    let free = [...state.leases];
    const due: { claim: Waiter; lease: Lease | undefined }[] = [];
    for (const claim of late) {
      const isMeant = ({ who }: Lease): boolean =>
        this.#scene.flaw === 'its own are ended' ? true : shares.isAbove(who, claim.who);
      const above = free.filter(isMeant);
      if (above.length === 0) continue;
      const lease = this.#choose(above, claim, shares);
      due.push({ claim, lease });
      if (lease === undefined) continue;
      free = free.filter((one) => one !== lease);
      shares.move(lease.who, claim.who);
    }
    for (const { lease } of due) if (lease !== undefined) this.#spend(lease.who);
    for (const { claim } of due.toReversed()) this.#putFirst(claim.who);
    for (const { claim, lease } of due) {
      if (lease === undefined) continue;
      state.given[lease.id] =
        this.#kindOf(lease) === 'stall' && speedOf(lease, 'stall') < minRate ? 'client-stall' : 'over-share';
      if (claim.who === lease.who) state.wrong = 'ended for itself';
    }
    const { wrong } = state;
    for (const { lease } of due) if (lease !== undefined) this.close(lease.id, 'ended');
    state.wrong = wrong ?? state.wrong;
  }

  /** Of the leases above their share, the one to end now. */
  #choose(above: readonly Lease[], claim: Waiter, shares: Shares): Lease | undefined {
    const transfers = above.filter((lease) => this.#kindOf(lease) !== 'change');
    const others = transfers.filter(({ who }) => this.#originOf(who) !== this.#originOf(claim.who));
    const demanded = claim.ticks >= tooLateTicks ? Infinity : minRate * 2 ** (claim.ticks - lateTicks);
    const speed = (lease: Lease): number => speedOf(lease, this.#kindOf(lease));
    return (others.length > 0 ? others : transfers)
      .filter((lease) => lease.ticks >= transferTicks && (demanded === Infinity || speed(lease) < demanded))
      .toSorted((one, other) => {
        const places = shares.ofOrigin(other.who) - shares.ofOrigin(one.who);
        if (this.#originOf(one.who) !== this.#originOf(other.who) && places !== 0) return places;
        const owners = shares.ofPrincipal(other.who) - shares.ofPrincipal(one.who);
        if (owners !== 0) return owners;
        return speed(one) === speed(other) ? other.ticks - one.ticks : speed(one) - speed(other);
      })[0];
  }
}
