// When each key and each account was last used, by a sign-in or a command, since the start of the daemon, for people who replace or
// revoke one. Outlives a reload.

/** Usage of a key or an account; times of the wall clock. */
export interface KeyUsage {
  readonly lastUsedMs: number | undefined;
  readonly lastFrom: string | undefined;
  /** How often it was refused: an expired or replaced key, a key from the wrong place, or an account with a wrong password. */
  readonly failures: number;
  readonly lastFailedMs?: number;
  readonly failedFrom?: string;
}

const unused: KeyUsage = { lastUsedMs: undefined, lastFrom: undefined, failures: 0 };

type Writable = { -readonly [Key in keyof KeyUsage]: KeyUsage[Key] };

/** The uses at all listeners. It holds names of the configuration only, so strangers cannot make it grow. */
export class KeyUses {
  readonly #byKey = new Map<string, Writable>();

  of(listener: string, key: string): KeyUsage {
    return this.#byKey.get(idOf(listener, key)) ?? unused;
  }

  used(listener: string, key: string, nowMs: number, from: string): void {
    const usage = this.#usageOf(listener, key);
    usage.lastUsedMs = nowMs;
    usage.lastFrom = from;
  }

  /** A command of a principal that may have signed in long ago; one that has not signed in uses no key. */
  ran(principal: string, nowMs: number): void {
    const usage = this.#byKey.get(principal);
    if (usage?.lastUsedMs !== undefined) usage.lastUsedMs = nowMs;
  }

  refused(listener: string, key: string, nowMs: number, from: string): void {
    const usage = this.#usageOf(listener, key);
    usage.failures += 1;
    usage.lastFailedMs = nowMs;
    usage.failedFrom = from;
  }

  #usageOf(listener: string, key: string): Writable {
    const id = idOf(listener, key);
    let usage = this.#byKey.get(id);
    if (usage === undefined) {
      usage = { ...unused };
      this.#byKey.set(id, usage);
    }
    return usage;
  }
}

/** As the principal. A name has neither a blank nor an `@`. */
function idOf(listener: string, key: string): string {
  return `${key}@${listener}`;
}
