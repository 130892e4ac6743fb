// When each key was last used, since the start of the daemon: who replaces or revokes one looks here first. It outlives a reload.

/** What is known of a key; times of the wall clock. */
export interface KeyUsage {
  /** Undefined: not since the start. */
  readonly lastUsedMs: number | undefined;
  /** How often it was refused: expired, replaced, or from the wrong place. */
  readonly failures: number;
}

const unused: KeyUsage = { lastUsedMs: undefined, failures: 0 };

/** Of all listeners. It holds names of the configuration only, so nobody else can make it grow. */
export class KeyUses {
  readonly #byKey = new Map<string, { lastUsedMs: number | undefined; failures: number }>();

  of(listener: string, key: string): KeyUsage {
    return this.#byKey.get(idOf(listener, key)) ?? unused;
  }

  used(listener: string, key: string, nowMs: number): void {
    this.#usageOf(listener, key).lastUsedMs = nowMs;
  }

  refused(listener: string, key: string): void {
    this.#usageOf(listener, key).failures += 1;
  }

  #usageOf(listener: string, key: string) {
    const id = idOf(listener, key);
    let usage = this.#byKey.get(id);
    if (usage === undefined) {
      usage = { lastUsedMs: undefined, failures: 0 };
      this.#byKey.set(id, usage);
    }
    return usage;
  }
}

/** A name has neither a blank nor an `@`. */
function idOf(listener: string, key: string): string {
  return `${key}@${listener}`;
}
