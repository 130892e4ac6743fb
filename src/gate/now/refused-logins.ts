// Logins that failed lately: how many in the last minute, from where most of them, and which keys are refused again and again. Anybody on
// the network can make this count, so its memory is bounded and one more costs a look at short lists.

import { bounds } from '../../host/bounds/bounds.js';
import type { KeyRefusal } from '../../rules/keys/key.js';

/** A key of a listener that was refused; times of a clock that never goes back. */
export interface RefusedKey {
  readonly listener: string;
  readonly key: string;
  readonly why: KeyRefusal;
  readonly network: string;
  readonly isFromSeveral: boolean;
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface FailedLogins {
  /** In the last minute. */
  readonly count: number;
  /** Where most of them came from, and how many did; undefined: none failed. */
  readonly most: { readonly network: string; readonly listener: string; readonly count: number } | undefined;
}

type Changeable<T> = { -readonly [Key in keyof T]: T[Key] };

interface Source {
  network: string;
  listener: string;
  count: number;
  lastMs: number;
}

const listedMax = bounds.failedLoginsListed;
const minuteMs = 60_000;
const keyMs = 10 * minuteMs;
/** Slots of the last minute. */
const slots = 61;

export class RefusedLogins {
  readonly #bySecond = new Uint32Array(slots);
  #second = 0;
  readonly #sources: Source[] = [];
  readonly #keys: Changeable<RefusedKey>[] = [];

  /** One more. `network`: a place on the network. */
  failed(nowMs: number, listener: string, network: string): void {
    this.#goTo(nowMs);
    const at = this.#second % slots;
    this.#bySecond[at] = (this.#bySecond[at] ?? 0) + 1;
    let oldest: Source | undefined;
    for (const source of this.#sources) {
      if (source.network === network && source.listener === listener) {
        source.count = nowMs - source.lastMs > minuteMs ? 1 : source.count + 1;
        source.lastMs = nowMs;
        return;
      }
      if (oldest === undefined || source.lastMs < oldest.lastMs) oldest = source;
    }
    if (oldest === undefined || this.#sources.length < listedMax) {
      this.#sources.push({ network, listener, count: 1, lastMs: nowMs });
      return;
    }
    oldest.network = network;
    oldest.listener = listener;
    oldest.count = 1;
    oldest.lastMs = nowMs;
  }

  /** The same of a key that the listener has, by its name. */
  refused(nowMs: number, listener: string, key: string, why: KeyRefusal, network: string): void {
    let oldest: Changeable<RefusedKey> | undefined;
    for (const each of this.#keys) {
      if (each.key === key && each.listener === listener && each.why === why) {
        if (nowMs - each.lastMs > keyMs) begin(each, nowMs, network);
        each.isFromSeveral ||= each.network !== network;
        each.network = network;
        each.count += 1;
        each.lastMs = nowMs;
        return;
      }
      if (oldest === undefined || each.lastMs < oldest.lastMs) oldest = each;
    }
    if (oldest === undefined || this.#keys.length < listedMax) {
      const times = { firstMs: nowMs, lastMs: nowMs };
      this.#keys.push({ listener, key, why, network, isFromSeveral: false, count: 1, ...times });
      return;
    }
    begin(oldest, nowMs, network);
    oldest.listener = listener;
    oldest.key = key;
    oldest.why = why;
    oldest.count = 1;
  }

  logins(nowMs: number): FailedLogins {
    this.#goTo(nowMs);
    let count = 0;
    for (const each of this.#bySecond) count += each;
    let most: Source | undefined;
    for (const source of this.#sources) {
      if (nowMs - source.lastMs > minuteMs) continue;
      if (most === undefined || source.count > most.count) most = source;
    }
    if (count === 0 || most === undefined) return { count, most: undefined };
    const { network, listener } = most;
    return { count, most: { network, listener, count: Math.min(most.count, count) } };
  }

  /** Those of the last ten minutes. */
  keys(nowMs: number): readonly RefusedKey[] {
    return this.#keys.filter(({ lastMs }) => nowMs - lastMs <= keyMs);
  }

  #goTo(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second <= this.#second) return;
    const empty = Math.min(second - this.#second, slots);
    for (let at = second - empty + 1; at <= second; at += 1) this.#bySecond[at % slots] = 0;
    this.#second = second;
  }
}

function begin(each: Changeable<RefusedKey>, nowMs: number, network: string): void {
  each.network = network;
  each.isFromSeveral = false;
  each.count = 0;
  each.firstMs = nowMs;
  each.lastMs = nowMs;
}
