// Logins that failed lately: how many in the last minute, from where most of them, and which keys are refused again and again. Anybody on
// the network can make this count, so its memory is bounded and one more costs a look at short lists.

import { bounds } from '../../host/bounds/bounds.js';
import type { KeyRefusal } from '../../rules/keys/key.js';
import { PerSecond } from './history.js';

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

interface Source {
  readonly network: string;
  readonly listener: string;
  readonly count: number;
  readonly lastMs: number;
}

const minuteMs = 60_000;
const keyMs = 10 * minuteMs;

export class RefusedLogins {
  /** The last minute, and the current second. */
  readonly #failures = new PerSecond(61);
  readonly #sources: Source[] = [];
  readonly #keys: RefusedKey[] = [];

  /** Counts a failed login from a network. */
  failed(nowMs: number, listener: string, network: string): void {
    this.#failures.add(nowMs);
    const before = this.#sources.find((each) => each.network === network && each.listener === listener);
    const count = before === undefined || nowMs - before.lastMs > minuteMs ? 1 : before.count + 1;
    put(this.#sources, before, { network, listener, count, lastMs: nowMs });
  }

  /** Counts a refusal of a key of this listener. */
  refused(nowMs: number, listener: string, key: string, why: KeyRefusal, network: string): void {
    const known = this.#keys.find(
      (each) => each.key === key && each.listener === listener && each.why === why,
    );
    const before = known === undefined || nowMs - known.lastMs > keyMs ? undefined : known;
    put(this.#keys, known, {
      listener,
      key,
      why,
      network,
      isFromSeveral: before !== undefined && (before.isFromSeveral || before.network !== network),
      count: (before?.count ?? 0) + 1,
      firstMs: before?.firstMs ?? nowMs,
      lastMs: nowMs,
    });
  }

  logins(nowMs: number): FailedLogins {
    const count = this.#failures.sum(nowMs);
    let most: Source | undefined;
    for (const source of this.#sources) {
      if (nowMs - source.lastMs > minuteMs) continue;
      if (most === undefined || source.count > most.count) most = source;
    }
    if (count === 0 || most === undefined) return { count, most: undefined };
    const { network, listener } = most;
    return { count, most: { network, listener, count: Math.min(most.count, count) } };
  }

  /** The keys that were refused in the last ten minutes. */
  keys(nowMs: number): readonly RefusedKey[] {
    return this.#keys.filter(({ lastMs }) => nowMs - lastMs <= keyMs);
  }
}

/** Replaces `before`, else the oldest one if there is no more room. */
function put<Of extends { readonly lastMs: number }>(list: Of[], before: Of | undefined, next: Of): void {
  const isFull = list.length >= bounds.failedLoginsListed;
  const gone =
    before ?? (isFull ? list.reduce((one, other) => (other.lastMs < one.lastMs ? other : one)) : undefined);
  if (gone === undefined) list.push(next);
  else list[list.indexOf(gone)] = next;
}
