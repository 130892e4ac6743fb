// The keys of HTTP listeners over the life of the daemon: what is shown of them, and that one ends soon. The rule: it is told before a
// program is refused, once a day, for each key.

import type { KeyShown } from '../adapters/admin/pages.js';
import type { DaemonEvent } from '../adapters/telemetry/log.js';
import type { ListenerSettings } from '../domain/config/settings.js';
import { describeEnd, keyWarnMs } from '../domain/keys/key.js';
import type { KeyUsage, KeyUses } from '../gateway/login/key-uses.js';
import type { Clock, Timer } from '../ports/machine.js';

export interface KeyParts {
  readonly clock: Clock;
  readonly report: (event: DaemonEvent) => void;
  /** Those that are served now. */
  readonly listeners: () => readonly ListenerSettings[];
  readonly uses: KeyUses;
}

export interface KeyWatch {
  /** Every key that is served now. */
  shown(): readonly KeyShown[];
  /** How an account or a key was used. */
  usage(listener: string, name: string): KeyUsage;
  end(): void;
}

const lookMs = 3_600_000;
const dayMs = 86_400_000;

/** Looks at once, and then every hour. */
export function watchKeys({ clock, report, listeners, uses }: KeyParts): KeyWatch {
  /** When the end of a key was told last, by listener and name. */
  const toldMs = new Map<string, number>();
  let timer: Timer | undefined;

  function shown(): readonly KeyShown[] {
    return listeners().flatMap(({ name: listener, keys }) =>
      keys.map(({ name, policy, expiresMs }) => ({
        listener,
        name,
        policy,
        expiresMs,
        leftMs: expiresMs === undefined ? undefined : expiresMs - clock.wallMs(),
        lastUsedMs: uses.of(listener, name).lastUsedMs,
        failures: uses.of(listener, name).failures,
      })),
    );
  }

  function look(): void {
    for (const { listener, name, leftMs } of shown()) {
      const id = `${name}@${listener}`;
      if (leftMs === undefined || leftMs >= keyWarnMs) {
        toldMs.delete(id);
        continue;
      }
      const last = toldMs.get(id);
      if (last !== undefined && clock.now() - last < dayMs) continue;
      toldMs.set(id, clock.now());
      const level = leftMs <= 0 ? 'error' : 'warn';
      report({
        event: 'key-expires',
        level,
        listener,
        key: name,
        text: `key ${name} ${describeEnd(leftMs)}`,
      });
    }
    timer = clock.setTimer(lookMs, look);
  }

  look();
  return { shown, usage: (listener, name) => uses.of(listener, name), end: () => timer?.cancel() };
}
