// What floods the trail: refusals, sessions, refused sessions and failed logins that one principal, or one place on the network, makes
// faster than they are worth a record each. The
// first of each second are recorded, and the number of the others becomes one `limit` record a second. It does not
// know why something was refused. The rule: nothing goes uncounted, also when the daemon stops.

import type { AuditRecord } from '../../domain/audit/record.js';
import type { Clock, Timer } from '../../ports/clock.js';
import { appendQuietly } from './append.js';
import type { FloodKind } from './events.js';
import { createFloodGate, type FloodGate } from './flood-gate.js';
import type { Journal, Observe } from './ports.js';

/** One for the whole daemon; outlives a reload. */
export interface FloodWatch {
  /**
   * Another one of a principal, or of a {@link strangerSource}; true: record it, false: it was counted. Of all strangers of
   * a listener together no more are recorded than of one.
   */
  admit(kind: FloodKind, source: string): boolean;
  /** Writes down what was counted so far: before the journal is closed. */
  tell(): void;
}

/** The key `action` of the `limit` record. */
const floodKinds = [
  'refused',
  'session',
  'turned-away',
  'login-failed',
] as const satisfies readonly FloodKind[];

/** Stands in no address, and in no name of a listener. */
const between = '\n';

/** Whoever comes from a place on the network to a listener, and has no name yet. */
export function strangerSource(network: string, listener: string): string {
  return `${network}${between}${listener}`;
}

/** Of one principal in a second, and of each kind. */
const perSecondMax = 10;
/** Principals that are told apart at once; beyond that they are counted together. */
const sourcesMax = 4096;
const tellAfterMs = 1000;
/** Principals that get a `limit` record of their own each second, of each kind; the others share one. */
const namedMax = 16;

/** What the watch needs; `observe` hears of each number, and of a record that did not get to the journal. */
export interface FloodWatchOptions {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly observe: Observe;
}

/** A watch that has seen nobody; it has a timer only while there is a number to be told. */
export function createFloodWatch({ clock, journal, observe }: FloodWatchOptions): FloodWatch {
  const gates: Readonly<Record<FloodKind, FloodGate>> = {
    refused: createFloodGate({ perSecondMax, sourcesMax, namedMax }),
    session: createFloodGate({ perSecondMax, sourcesMax, namedMax }),
    'turned-away': createFloodGate({ perSecondMax, sourcesMax, namedMax }),
    'login-failed': createFloodGate({ perSecondMax, sourcesMax, namedMax }),
  };
  let timer: Timer | undefined;

  return {
    admit(kind, source) {
      // Strangers from everywhere are no less than one from one place: so they are counted all together too.
      const [, listener] = source.split(between);
      const isWorthIt =
        gates[kind].admit(source, clock.now()) &&
        (listener === undefined || gates[kind].admit(strangerSource('', listener), clock.now()));
      if (!isWorthIt) timer ??= clock.setTimer(tellAfterMs, onTimer);
      return isWorthIt;
    },
    tell() {
      timer?.cancel();
      timer = undefined;
      tellUpTo(Infinity);
    },
  };

  function onTimer(): void {
    tellUpTo(clock.now());
    // A second that began later than the first one is not over yet.
    const isLeft = floodKinds.some((kind) => gates[kind].isHolding);
    timer = isLeft ? clock.setTimer(tellAfterMs, onTimer) : undefined;
  }

  function tellUpTo(nowMs: number): void {
    for (const kind of floodKinds) {
      for (const { source, count } of gates[kind].takeSwallowed(nowMs)) {
        const from = recordedSource(source);
        const record = { time: clock.wallMs(), event: 'limit', ...from, action: kind, count } as const;
        appendQuietly(journal, observe, record);
        const { principal, listener, peer } = from;
        observe({ kind: 'flood', action: kind, count, principal, listener, address: peer?.address });
      }
    }
  }
}

function recordedSource(source: string | undefined): Pick<AuditRecord, 'principal' | 'listener' | 'peer'> {
  const [address, listener] = source?.split(between) ?? [];
  if (listener === undefined) return { principal: source };
  return address === '' ? { listener } : { listener, peer: { address } };
}
