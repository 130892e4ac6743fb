// The state of the model of a pool, its times and speeds, and how much of the pool each principal and each place has.

export const tickMs = 500;
/** So many ticks after it came, a waiter has waited too long. */
export const patienceTicks = 32;
/** 5 s and 10 s of waiting; 3 s, 2 s and 10 s of a transfer (docs/limits.md). */
export const lateTicks = 10;
export const tooLateTicks = 20;
export const transferTicks = 6;
const speedTicks = 4;
export const windowTicks = 20;
/** 1 s: an upstream of so many ticks takes no change. */
export const freshTicks = 2;

/** `slow`: 100 KB/s; `stall`: nothing moves; `fast`: never waited for; `change`: may not be ended. */
export type Kind = 'slow' | 'stall' | 'fast' | 'change';
export const slowRate = 100_000;
export const minRate = 65_536;
/** As ClientPace adds it. */
const uncounted = 40 * 1024;

export interface Scene {
  readonly connections: number;
  /** Waiters at most. */
  readonly queue: number;
  /** By name: where it comes from, and what its commands are. */
  readonly principals: Readonly<Record<string, { readonly origin: string; readonly kind: Kind }>>;
  readonly flaw?: PoolFlaw;
}

export type PoolFlaw =
  | 'one lease too many'
  | 'a lease for two'
  | 'no time limit'
  | 'its own are ended'
  | 'the first that came'
  | 'nobody is ended'
  | 'an idle one stays idle'
  | 'waiters stay at the drain'
  | 'empty lines stay'
  | 'waits for what is down'
  | 'a change takes any'
  | 'a change is handed any'
  | 'an older file is leased'
  | 'an older file is handed over';

export interface Opened {
  /** Ticks since its dial, up to `freshTicks`. */
  readonly age: number;
  /** Another socket file is at its path. */
  readonly isOld: boolean;
}

export interface Waiter {
  readonly id: number;
  readonly who: string;
  readonly ticks: number;
}

export interface Lease extends Waiter, Opened {
  /** Ticks between the first check of its window and the last; -1: none. */
  readonly window: number;
  /** Ticks since the last check. */
  readonly unseen: number;
}

export interface PoolState {
  mode: 'serving' | 'drained' | 'draining';
  health: 'up' | 'pausing' | 'retrying' | 'down' | 'probing';
  /** It was down, and no dial has succeeded since. */
  wasDown: boolean;
  /** Connections that are being made, in order. */
  pending: ('dial' | 'probe')[];
  /** The one that was released last is the last. */
  idle: Opened[];
  /** In the order in which they were leased. */
  leases: Lease[];
  promised: Waiter[];
  /** Principals with waiters, in the order in which they came; and as they have their turns. */
  lines: { who: string; waiters: Waiter[] }[];
  round: string[];
  /** Has had its turn of this round. */
  spent: string | undefined;
  last: number;
  /** What became of exchanges in the last step, by number. */
  outcomes: Record<number, string>;
  /** Ends of leases for others in the last step. */
  given: Record<number, string>;
  /** A rule that the last step broke. */
  wrong: string | undefined;
}

export function waitersOf({ promised, lines }: PoolState): Waiter[] {
  return [...promised, ...lines.flatMap(({ waiters }) => waiters)];
}

export function aged<O extends Opened>(opened: O): O {
  return { ...opened, age: Math.min(freshTicks, opened.age + 1) };
}

export function dialsIn(pending: PoolState['pending']): number {
  return pending.filter((one) => one === 'dial').length;
}

/** Bytes a second of a lease, as it is known after two seconds of checks. */
export function speedOf({ window }: Lease, kind: Kind): number {
  if (window < speedTicks || kind === 'fast' || kind === 'change') return Infinity;
  const rate = kind === 'slow' ? slowRate : 0;
  return rate + (uncounted * 1000) / (window * tickMs);
}

/** How many leases each place and each principal has; those that only wait have none. */
export class Shares {
  readonly #scene: Scene;
  readonly #counts = new Map<string, number>();

  constructor({ leases, promised, lines }: PoolState, scene: Scene) {
    this.#scene = scene;
    for (const { who } of [...leases, ...promised]) this.#counts.set(who, this.ofPrincipal(who) + 1);
    for (const { who } of lines) this.#counts.set(who, this.ofPrincipal(who));
  }

  ofPrincipal(who: string): number {
    return this.#counts.get(who) ?? 0;
  }

  ofOrigin(who: string): number {
    return this.#neighbors(who).reduce((sum, name) => sum + this.ofPrincipal(name), 0);
  }

  move(from: string, to: string): void {
    this.#counts.set(from, this.ofPrincipal(from) - 1);
    this.#counts.set(to, this.ofPrincipal(to) + 1);
  }

  /** Whether one has more than its share, and the other not more with one more. */
  isAbove(holder: string, claimant: string): boolean {
    if (holder === claimant) return false;
    const isOther = this.#originOf(holder) !== this.#originOf(claimant);
    const origins = new Set([...this.#counts.keys()].map((who) => this.#originOf(who)));
    const held = isOther ? this.ofOrigin(holder) : this.ofPrincipal(holder);
    const claimed = isOther ? this.ofOrigin(claimant) : this.ofPrincipal(claimant);
    const share = isOther
      ? this.#scene.connections / origins.size
      : this.ofOrigin(holder) / this.#neighbors(holder).length;
    return held > share && (claimed === 0 || claimed + 1 <= share);
  }

  #originOf(who: string): string {
    return this.#scene.principals[who]?.origin ?? who;
  }

  #neighbors(who: string): string[] {
    return [...this.#counts.keys()].filter((name) => this.#originOf(name) === this.#originOf(who));
  }
}
