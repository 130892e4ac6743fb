// The keys of HTTP listeners over the life of the daemon: what the page shows of them, and a daily warning before one ends.

import type { Clock, Timer } from '../../host/ports/machine.js';
import type { ListenerSettings } from '../../rules/config/settings.js';
import { describeEnd, keyWarnMs } from '../../rules/keys/key.js';
import type { KeyUsage, KeyUses } from '../login/key-uses.js';
import type { RunningKey } from '../now/running.js';
import type { DaemonEvent } from '../telemetry/log.js';

export interface KeyParts {
  readonly clock: Clock;
  readonly report: (event: DaemonEvent) => void;
  readonly listeners: () => readonly ListenerSettings[];
  readonly uses: KeyUses;
}

export type KeyWatch = ReturnType<typeof watchKeys>;

const lookMs = 3_600_000;
const dayMs = 86_400_000;

/** Checks at once, and then every hour. */
export function watchKeys({ clock, report, listeners, uses }: KeyParts) {
  /** When the end of a key was last reported, by listener and name. */
  const toldMs = new Map<string, number>();
  let timer: Timer | undefined;

  function shown(): readonly RunningKey[] {
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
  return {
    shown,
    usage: (listener: string, name: string): KeyUsage => uses.of(listener, name),
    end: (): void => timer?.cancel(),
  };
}
