// Records when a backend goes down or does not answer any more, and when it is back, and what outages and drains have cost: how many
// commands of how many requesters, so that all of it can be shown after a restart. `observe` is called for every command.

import type { OpenJournal } from '../adapters/journal/journal.js';
import { bounds } from '../bounds/bounds.js';
import { countedAs } from '../domain/admin/now/history.js';
import { hangingAt } from '../domain/admin/now/problems.js';
import type { Running } from '../domain/admin/now/running.js';
import { codes, plain } from '../domain/language/codes/codes.js';
import { notUpBefore, requesterWords } from '../domain/records/story/cost.js';
import { type EngineEvent, isEngineEvent } from '../gateway/outcome/events.js';
import type { Clock } from '../ports/machine.js';

export interface Outages {
  /** Nothing is recorded before. */
  recordIn(opened: Pick<OpenJournal, 'append'>): void;
  observe(event: EngineEvent): void;
  /** What it costs that this backend is drained, since it is, or since the start. */
  refused(backend: string): Cost;
  /** Commands that failed since it is down or stuck. */
  lost(backend: string): number;
  /** Of `refused`, those a second, of the last seconds. */
  refusedPerSecond(backend: string): number;
  /** Call when a backend was drained, or is back in service. */
  turned(backend: string): void;
  /** Records what has been paid for what is still down or drained: the next run counts anew. Call it before the journal is closed. */
  end(): void;
}

/** Commands, and requesters up to `bounds.outageRequesters`; `args`: those with the most, as `requesterWords` says. */
type Cost = Readonly<Record<'count' | 'requesters', number>> & { readonly args?: readonly string[] };

/** `whyDown`: what Now says of a backend that is down, so that its record says the same; `running`: the commands that run. */
export function createOutages(
  clock: Pick<Clock, 'now' | 'wallMs'>,
  whyDown: (backend: string) => string | undefined,
  running: () => Running['exchanges'],
): Outages {
  let journal: Pick<OpenJournal, 'append'> | undefined;
  const failed = new Map<string, Outage>();
  const refused = new Map<string, Refused>();
  const opened = new Set<string>();
  const sinceStart = (backend: string) => (opened.has(backend) ? {} : { reason: notUpBefore });
  // The journal counts what it cannot take.
  const append = (record: Omit<Parameters<OpenJournal['append']>[0], 'time' | 'event'>): void =>
    void journal?.append({ time: clock.wallMs(), event: 'backend', ...record }, 'brief');

  return {
    recordIn(open) {
      journal = open;
    },
    observe(event) {
      if (isEngineEvent(event, 'exchange-ended')) {
        const { backend, outcome, error } = event;
        const { principal, id } = event.exchange;
        if (backend === undefined) return;
        const outage = failed.get(backend);
        const isFailed = countedAs(outcome) === 'failed';
        if (isFailed && error === 'backend-drained') {
          const before = at(refused.get(backend) ?? nothing());
          add(before, principal, backend, error);
          refused.set(backend, { ...before, here: before.here + 1 });
        } else if (isFailed && outage !== undefined) add(outage, principal, backend, outage.error);
        if (outage?.stuckMs !== undefined && hangingAt(backend, running()).every((each) => each.id === id))
          up(backend, Math.round(clock.now() - outage.stuckMs));
      } else if (isEngineEvent(event, 'dial-failed')) {
        const { backend, type: error } = event;
        const hanging = failed.has(backend) ? [] : hangingAt(backend, running());
        if (hanging.length === 0) return;
        const duration_ms = Math.round(Math.max(...hanging.map(({ durationMs }) => durationMs)));
        failed.set(backend, { count: 0, by: new Map(), error, stuckMs: clock.now() - duration_ms });
        // It is not down, so Now has no words for the fault.
        append({ action: 'stuck', backend, error, duration_ms, text: plain(codes[error].means) });
      } else if (isEngineEvent(event, 'backend-down')) {
        const { backend, type: error } = event;
        failed.set(backend, { count: 0, by: new Map(), ...failed.get(backend), error, stuckMs: undefined });
        append({ action: 'down', backend, error, text: whyDown(backend), ...sinceStart(backend) });
      } else if (isEngineEvent(event, 'upstream-opened')) opened.add(event.backend);
      else if (isEngineEvent(event, 'backend-up')) up(event.backend, event.duration_ms);
    },
    refused: (backend) => costOf(refused.get(backend)),
    lost: (backend) => failed.get(backend)?.count ?? 0,
    refusedPerSecond(backend) {
      const { here, last } = at(refused.get(backend) ?? nothing());
      return Math.max(here, last) / stepSeconds;
    },
    turned: (backend) => void refused.delete(backend),
    end() {
      for (const [backend, tally] of failed)
        append({ action: 'stop', backend, error: tally.error, ...costOf(tally) });
      for (const [backend, tally] of refused)
        append({ action: 'stop', backend, error: 'backend-drained', ...costOf(tally) });
    },
  };

  /** Recorded each time it has doubled: known after a crash, in few records. */
  function add(tally: Tally, principal: string, backend: string, error: string): void {
    tally.count += 1;
    const before = tally.by.get(principal);
    if (before !== undefined || tally.by.size < bounds.outageRequesters)
      tally.by.set(principal, (before ?? 0) + 1);
    if (Number.isInteger(Math.log2(tally.count)))
      append({ action: 'cost', backend, error, ...costOf(tally) });
  }

  function up(backend: string, duration_ms: number): void {
    append({ action: 'up', backend, duration_ms, ...costOf(failed.get(backend)) });
    failed.delete(backend);
  }

  /** With the steps of now. */
  function at(refusals: Refused): Refused {
    const now = Math.floor(clock.now() / (1000 * stepSeconds));
    const { step, here } = refusals;
    return now === step ? refusals : { ...refusals, step: now, here: 0, last: now === step + 1 ? here : 0 };
  }
}

interface Tally {
  count: number;
  readonly by: Map<string, number>;
}

interface Outage extends Tally {
  readonly error: string;
  /** Since when commands hang there, where it is not down. */
  readonly stuckMs?: number | undefined;
}

/** With those of the step that runs, and of the one before. */
interface Refused extends Tally {
  readonly step: number;
  readonly here: number;
  readonly last: number;
}

const nothing = (): Refused => ({ count: 0, by: new Map(), step: 0, here: 0, last: 0 });
const stepSeconds = 5;

function costOf(tally: Tally | undefined): Cost {
  const { count = 0, by = new Map<string, number>() } = tally ?? {};
  const args = requesterWords(by);
  return { count, requesters: by.size, ...(args.length > 0 && { args }) };
}
