// Records when a backend goes down or stops answering, or the journal takes no more records, and when that ends. Also records what outages
// and drains have cost, as numbers of commands and requesters, so that it can be shown after a restart. `observe` is called for every
// command.

import { codes, plain } from '../../doveadm/codes/codes.js';
import { bounds } from '../../host/bounds/bounds.js';
import { journalCodes } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { isJournalEvent, type JournalEvent, type OpenJournal } from '../../journal/files/journal.js';
import type { NoSpace } from '../../journal/files/maintenance.js';
import type { AuditRecord } from '../../journal/records/record.js';
import { notUpBefore, requesterWords, takenOut } from '../../journal/records/turns.js';
import { countedAs, PerSecond } from '../now/history.js';
import { hangingAt } from '../now/problems.js';
import type { Running } from '../now/running.js';
import { type EngineEvent, isEngineEvent } from '../outcome/events.js';

export type Outages = ReturnType<typeof createOutages>;

/** The number of commands, and of requesters up to `bounds.outageRequesters`; `args`: those with the most (`requesterWords`). */
type Cost = Readonly<Record<'count' | 'requesters', number>> & { readonly args?: readonly string[] };

export interface SeenNow {
  /** Why a backend is down, in the words of the page's state; the record has the same text. */
  readonly whyDown: (backend: string) => string | undefined;
  readonly running: () => Running['exchanges'];
}

export function createOutages(clock: Pick<Clock, 'now' | 'wallMs'>) {
  let journal: Pick<OpenJournal, 'append'> | undefined;
  let sight: SeenNow = { whyDown: () => undefined, running: () => [] };
  const failed = new Map<string, Outage>();
  const refused = new Map<string, Refused>();
  const blind = new Map<string, Blind>();
  const opened = new Set<string>();
  const sinceStart = (backend: string) => (opened.has(backend) ? {} : { reason: notUpBefore });
  // The journal counts records that it cannot take.
  const append = (record: Omit<Parameters<OpenJournal['append']>[0], 'time' | 'event'>): void => {
    const event = record.backend === undefined ? 'journal' : 'backend';
    journal?.append({ time: clock.wallMs(), event, ...record }, 'brief');
  };

  return {
    /** Call before the first event of a backend: nothing is recorded before this call. */
    recordIn(open: Pick<OpenJournal, 'append' | 'space'>, seen: SeenNow): void {
      journal = open;
      sight = seen;
      if (open.space === 'reserve') goBlind('audit-reserve', noSpaceCodes.full);
    },
    /** Records outages of the journal itself. These records wait in memory until the disk takes them. */
    observeJournal(event: JournalEvent): void {
      if (isJournalEvent(event, 'failed')) goBlind('audit-failed', journalCodes[event.fault.code][0]);
      else if (isJournalEvent(event, 'writable')) seeAgain('audit-failed');
      else if (isJournalEvent(event, 'space') && event.space === 'reserve')
        goBlind('audit-reserve', noSpaceCodes[event.why]);
      else if (isJournalEvent(event, 'space')) seeAgain('audit-reserve');
    },
    observe(event: EngineEvent): void {
      if (isEngineEvent(event, 'exchange-ended')) {
        const { backend, outcome, error } = event;
        const { principal, id } = event.exchange;
        const untold = blind.get(error ?? '');
        if (untold !== undefined) add(untold, principal, { error });
        if (backend === undefined) return;
        const outage = failed.get(backend);
        const isFailed = untold === undefined && countedAs(outcome) === 'failed';
        if (isFailed && error === 'backend-drained') {
          const drain = refused.get(backend) ?? {
            count: 0,
            by: new Map(),
            lately: new PerSecond(rateSeconds),
          };
          refused.set(backend, drain);
          add(drain, principal, { backend, error });
          drain.lately.add(clock.now());
        } else if (isFailed && outage !== undefined) add(outage, principal, { backend, error: outage.error });
        if (
          outage?.stuckMs !== undefined &&
          hangingAt(backend, sight.running()).every((each) => each.id === id)
        )
          up(backend, Math.round(clock.now() - outage.stuckMs));
      } else if (isEngineEvent(event, 'dial-failed')) {
        const { backend, type: error } = event;
        const hanging = failed.has(backend) ? [] : hangingAt(backend, sight.running());
        if (hanging.length === 0) return;
        const duration_ms = Math.round(Math.max(...hanging.map(({ durationMs }) => durationMs)));
        failed.set(backend, { count: 0, by: new Map(), error, stuckMs: clock.now() - duration_ms });
        // The backend is not down, so `whyDown` has no text for the fault.
        append({ action: 'stuck', backend, error, duration_ms, text: plain(codes[error].means) });
      } else if (isEngineEvent(event, 'backend-down')) {
        const { backend, type: error } = event;
        failed.set(backend, { count: 0, by: new Map(), ...failed.get(backend), error, stuckMs: undefined });
        append({ action: 'down', backend, error, text: sight.whyDown(backend), ...sinceStart(backend) });
      } else if (isEngineEvent(event, 'upstream-opened')) opened.add(event.backend);
      else if (isEngineEvent(event, 'backend-up')) up(event.backend, event.duration_ms);
      else if (isEngineEvent(event, 'backend-removed')) {
        const { backend, duration_ms } = event;
        const outage = failed.get(backend);
        failed.delete(backend);
        const { error = 'dial-refused' } = outage ?? {};
        append({ action: 'stop', backend, error, duration_ms, reason: takenOut, ...costOf(outage) });
      }
    },
    /** What the drain of this backend has cost since it began, or since the start. */
    refused: (backend: string): Cost => costOf(refused.get(backend)),
    /** The number of commands that have failed since the backend went down or got stuck. */
    lost: (backend: string): number => failed.get(backend)?.count ?? 0,
    /** Commands that a drain has refused per second, within the last `rateSeconds`. */
    refusedPerSecond: (backend: string): number =>
      (refused.get(backend)?.lately.sum(clock.now()) ?? 0) / rateSeconds,
    /** Call when a backend was drained, or is back in service. */
    turned: (backend: string): void => void refused.delete(backend),
    /** Records the cost so far of what is still down or drained, since the next run counts anew. Call it before the journal is closed. */
    end(): void {
      for (const [backend, tally] of failed)
        append({ action: 'stop', backend, error: tally.error, ...costOf(tally) });
      for (const [backend, tally] of refused)
        append({ action: 'stop', backend, error: 'backend-drained', ...costOf(tally) });
      for (const [error, tally] of blind) append({ action: 'stop', error, ...costOf(tally) });
    },
  };

  /** Records the cost each time the count has doubled: it survives a crash, with few records. */
  function add(tally: Tally, principal: string, of: Pick<AuditRecord, 'backend' | 'error'>): void {
    tally.count += 1;
    const before = tally.by.get(principal);
    if (before !== undefined || tally.by.size < bounds.outageRequesters)
      tally.by.set(principal, (before ?? 0) + 1);
    if (Number.isInteger(Math.log2(tally.count))) append({ action: 'cost', ...of, ...costOf(tally) });
  }

  function up(backend: string, duration_ms: number): void {
    append({ action: 'up', backend, duration_ms, ...costOf(failed.get(backend)) });
    failed.delete(backend);
  }

  function goBlind(error: string, reason: string): void {
    if (blind.has(error)) return;
    blind.set(error, { count: 0, by: new Map(), sinceMs: clock.now() });
    append({ action: 'down', error, reason: plain(reason) });
  }

  function seeAgain(error: string): void {
    const tally = blind.get(error);
    if (tally === undefined) return;
    append({ action: 'up', error, duration_ms: Math.round(clock.now() - tally.sinceMs), ...costOf(tally) });
    blind.delete(error);
  }
}

const noSpaceCodes: Readonly<Record<NoSpace, string>> = {
  full: 'its disk is full but for its reserve',
  size: 'it has reached `audit.max_size`, and its oldest segment is younger than `audit.keep_min`',
  small: 'its disk is smaller than `audit.reserve`',
};

interface Tally {
  count: number;
  readonly by: Map<string, number>;
}

interface Outage extends Tally {
  readonly error: string;
  /** The time since which commands hang at a backend that is not down. */
  readonly stuckMs?: number | undefined;
}

/** Commands refused because the journal has taken no records since `sinceMs`. */
interface Blind extends Tally {
  readonly sinceMs: number;
}

interface Refused extends Tally {
  readonly lately: PerSecond;
}

const rateSeconds = 5;

function costOf(tally: Tally | undefined): Cost {
  const { count = 0, by = new Map<string, number>() } = tally ?? {};
  const args = requesterWords(by);
  return { count, requesters: by.size, ...(args.length > 0 && { args }) };
}
