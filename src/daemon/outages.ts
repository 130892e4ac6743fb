// Records when a backend goes down and when it is back, with the number of commands that failed between, so that an outage can be shown
// after a restart. `observe` is called for every command.

import type { OpenJournal } from '../adapters/journal/journal.js';
import { countedAs } from '../domain/admin/now/history.js';
import { type EngineEvent, isEngineEvent } from '../gateway/outcome/events.js';
import type { Clock } from '../ports/machine.js';

export interface Outages {
  /** Nothing is recorded before. */
  recordIn(opened: Pick<OpenJournal, 'append'>): void;
  observe(event: EngineEvent): void;
  /** Commands that were refused because this backend is drained, since it was, or since the start. */
  refused(backend: string): number;
  /** The same a second, of the last seconds. */
  refusedPerSecond(backend: string): number;
  /** Call when a backend was drained, or is back in service. */
  turned(backend: string): void;
}

/** `whyDown`: what Now says of a backend that is down, so that its record says the same. */
export function createOutages(
  clock: Pick<Clock, 'now' | 'wallMs'>,
  whyDown: (backend: string) => string | undefined,
): Outages {
  let journal: Pick<OpenJournal, 'append'> | undefined;
  const failed = new Map<string, number>();
  const refused = new Map<string, Refused>();
  // The journal counts what it cannot take.
  const append = (record: Omit<Parameters<OpenJournal['append']>[0], 'time' | 'event'>): void =>
    void journal?.append({ time: clock.wallMs(), event: 'backend', ...record }, true);

  return {
    recordIn(opened) {
      journal = opened;
    },
    observe(event) {
      if (isEngineEvent(event, 'exchange-ended')) {
        const { backend, outcome, error } = event;
        if (backend === undefined || countedAs(outcome) !== 'failed') return;
        if (error === 'backend-drained') {
          const before = at(refused.get(backend) ?? none);
          refused.set(backend, { ...before, all: before.all + 1, here: before.here + 1 });
        } else if (failed.has(backend)) failed.set(backend, (failed.get(backend) ?? 0) + 1);
      } else if (isEngineEvent(event, 'backend-down')) {
        const { backend, type: error } = event;
        failed.set(backend, 0);
        append({ action: 'down', backend, error, text: whyDown(backend) });
      } else if (isEngineEvent(event, 'backend-up')) {
        const { backend, duration_ms } = event;
        const count = failed.get(backend) ?? 0;
        failed.delete(backend);
        append({ action: 'up', backend, duration_ms, count });
      }
    },
    refused: (backend) => (refused.get(backend) ?? none).all,
    refusedPerSecond(backend) {
      const { here, last } = at(refused.get(backend) ?? none);
      return Math.max(here, last) / stepSeconds;
    },
    turned: (backend) => void refused.delete(backend),
  };

  /** With the steps of now. */
  function at({ all, step, here, last }: Refused): Refused {
    const now = Math.floor(clock.now() / (1000 * stepSeconds));
    if (now === step) return { all, step, here, last };
    return { all, step: now, here: 0, last: now === step + 1 ? here : 0 };
  }
}

/** Since the drain, in the step that runs, and in the one before. */
interface Refused {
  readonly all: number;
  readonly step: number;
  readonly here: number;
  readonly last: number;
}

const none: Refused = { all: 0, step: 0, here: 0, last: 0 };
const stepSeconds = 5;
