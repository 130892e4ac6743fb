// Records on their way to the journal: its port, records that nobody waits for, and what a flood leaves.
// Of refusals, sessions, refused connections and failed logins that one principal, or one place on the network, makes faster than
// they are worth a record each, the first of each second are recorded, and the number of the others becomes one `limit` record a
// second. The rule: nothing goes uncounted, also when the daemon stops or a table is full.

import { bounds } from '../../bounds/bounds.js';
import type { AuditRecord } from '../../domain/audit/record.js';
import type { JournalFault } from '../../ports/faults.js';
import type { Clock, Timer } from '../../ports/machine.js';
import { type FloodKind, floodKinds, type Observe } from './events.js';

/** The durable sequence of records; implemented by an adapter. */
export interface Journal {
  /**
   * Appends a record (without seq, prev and hash, which the journal assigns in the order of the calls): it survives any crash of
   * ours when this returns, and is handed to the disk within 20 ms. A fault: it was not taken, and is counted as lost.
   * `isBrief`: of a refused command, of a question to dovegate or of a session: it gets at most 2 KiB.
   */
  append(record: AuditRecord, isBrief?: boolean): JournalFault | undefined;
  /**
   * The same; resolves when the record is on disk. Rejects with a JournalFault. `isPatient`: whatever waits for it has to wait
   * for something else anyway, so it may stay a moment to be flushed with others.
   */
  appendDurable(record: AuditRecord, isPatient: boolean, isBrief?: boolean): Promise<void>;
  /** False: what was appended and not synced would not survive the process. */
  readonly isCrashProof: boolean;
  /** Flushes batched records now; not bound to its object. */
  readonly hurry: () => void;
  /** Writes what is left and the stop record, then closes. */
  close(): Promise<void>;
  readonly state: 'writable' | 'failed';
  /** The disk told an error, so nothing may be sent at all; a slow disk is none. */
  readonly refusal: JournalFault | undefined;
  /** `reserve`: the disk is full but for the reserve, and only what is marked for emergencies may go on. */
  readonly space: JournalSpace;
  /** Young records fill the journal, and the principal wrote too many of them: its commands are refused, so that others go on. */
  isOverShare(principal: string): boolean;
}

export type JournalSpace = 'normal' | 'reserve';

/** A principal, and its share of the bytes. */
export interface WriterShare {
  readonly principal: string;
  readonly share: number;
}

/** How full the journal is with records that must not be removed yet. */
export interface JournalFill {
  /** Bytes of records younger than audit.keep_min. */
  readonly youngBytes: number;
  /** audit.max_size; Infinity: not known yet. */
  readonly bytesMax: number;
  /** At most five, the largest first; empty while there is room. */
  readonly largest: readonly WriterShare[];
}

/** Appends what happens anyway. The journal counts what it loses; observers are told. */
export function appendQuietly(
  journal: Journal,
  observe: Observe,
  record: AuditRecord,
  isBrief = false,
): void {
  const fault = journal.append(record, isBrief);
  if (fault !== undefined) observe({ kind: 'audit-failed', text: fault.message });
}

/**
 * Appends the record of what is to be sent; nothing is sent before this is done. `isStrict`: it must be on disk then, and a promise is
 * returned. Throws, or rejects with, a JournalFault.
 */
export function appendFirst(
  journal: Journal,
  record: AuditRecord,
  isStrict: boolean,
  isPatient = false,
  isBrief = false,
): Promise<void> | undefined {
  if (isStrict || !journal.isCrashProof) return journal.appendDurable(record, isPatient, isBrief);
  const fault = journal.append(record, isBrief) ?? journal.refusal;
  if (fault !== undefined) throw fault;
  return undefined;
}

/** One for the whole daemon; outlives a reload. */
export interface FloodWatch {
  /**
   * Another one of a principal, or of a {@link networkSource}; true: record it, false: it was counted. Of all networks at a
   * listener together no more are recorded than of one.
   */
  admit(kind: FloodKind, source: string): boolean;
  /** Writes down what was counted so far: before the journal is closed. */
  tell(): void;
}

/** Occurs in no address and in no name of a listener. */
const between = '\n';

/** Unauthenticated peers of a network at a listener. */
export function networkSource(network: string, listener: string): string {
  return `${network}${between}${listener}`;
}

const tellAfterMs = 1000;
/** Of one source in a second, of each kind; sources told apart at once; those that get a `limit` record of their own each second. */
const gateLimits: FloodLimits = {
  perSecondMax: bounds.floodPerSecond,
  sourcesMax: bounds.floodSources,
  namedMax: bounds.floodNamed,
};

/** It has a timer only while there is a number to be told. */
export function createFloodWatch(parts: {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly observe: Observe;
}): FloodWatch {
  const { clock, journal, observe } = parts;
  const gates: Readonly<Record<FloodKind, FloodGate>> = {
    refused: new FloodGate(gateLimits),
    session: new FloodGate(gateLimits),
    'turned-away': new FloodGate(gateLimits),
    'login-failed': new FloodGate(gateLimits),
  };
  let timer: Timer | undefined;

  return {
    admit(kind, source) {
      const gate = gates[kind];
      const nowMs = clock.now();
      // All networks together are no better than one: they are counted together too.
      const [, listener] = source.split(between);
      // What is refused because its principal fills the journal must not fill it.
      const pace = listener === undefined && journal.isOverShare(source) ? 'slow' : 'usual';
      const isWorthIt =
        gate.admit(source, nowMs, pace) &&
        (listener === undefined || gate.admit(networkSource('', listener), nowMs, pace));
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
    for (const action of floodKinds) {
      for (const { source, count } of gates[action].takeSwallowed(nowMs)) {
        const from = recordedSource(source);
        const record = { time: clock.wallMs(), event: 'limit', ...from, action, count } as const;
        appendQuietly(journal, observe, record);
        const { principal, listener, peer } = from;
        observe({ kind: 'flood', action, count, principal, listener, address: peer?.address });
      }
    }
  }
}

function recordedSource(source: string | undefined): Pick<AuditRecord, 'principal' | 'listener' | 'peer'> {
  const [address, listener] = source?.split(between) ?? [];
  if (listener === undefined) return { principal: source };
  return address === '' ? { listener } : { listener, peer: { address } };
}

/** Refusals that were not recorded one by one. */
interface Swallowed {
  /** A principal or an address; undefined: several that the table had no room for. */
  readonly source: string | undefined;
  readonly count: number;
}

interface FloodLimits {
  /** Refusals of one source that are recorded in a second. */
  readonly perSecondMax: number;
  /** Sources that are told apart at once. */
  readonly sourcesMax: number;
  /** Sources that get a number of their own each time. */
  readonly namedMax: number;
}

interface Window {
  startedMs: number;
  lengthMs: number;
  admitted: number;
  swallowed: number;
}

/** `slow`: one record and one number a minute, some 4 MB a day of one kind. */
type Pace = 'usual' | 'slow';
const windowMs: Readonly<Record<Pace, number>> = { usual: 1000, slow: bounds.shareRefusalMs };

/** Counts what is above the limit; when the table is full, new sources are counted together, under no name. */
export class FloodGate {
  readonly #limits: FloodLimits;
  readonly #windows = new Map<string, Window>();
  #unnamed = 0;

  constructor(limits: FloodLimits) {
    this.#limits = limits;
  }

  /** Another refusal of a source; true: record it, false: it was counted. `nowMs`: of a clock that does not leap. */
  admit(source: string, nowMs: number, pace: Pace = 'usual'): boolean {
    const { sourcesMax, perSecondMax } = this.#limits;
    const lengthMs = windowMs[pace];
    const windows = this.#windows;
    let window = windows.get(source);
    if (window === undefined) {
      if (windows.size >= sourcesMax) this.#forget(nowMs);
      if (windows.size >= sourcesMax) {
        this.#unnamed += 1;
        return false;
      }
      window = { startedMs: nowMs, lengthMs, admitted: 0, swallowed: 0 };
      windows.set(source, window);
    } else if (isOver(window, nowMs) && window.swallowed === 0) {
      window.startedMs = nowMs;
      window.lengthMs = lengthMs;
      window.admitted = 0;
    }
    // A window with a number that was not told yet goes on: otherwise the number would be lost.
    if (window.admitted < (pace === 'slow' ? 1 : perSecondMax)) {
      window.admitted += 1;
      return true;
    }
    window.swallowed += 1;
    return false;
  }

  /**
   * What was counted in seconds that are over; each is returned once. The sources with the largest numbers are named, at most
   * `namedMax` of them; the others are one number: else thousands of sources could write thousands of records a second.
   */
  takeSwallowed(nowMs: number): readonly Swallowed[] {
    const all: Swallowed[] = [];
    for (const [source, window] of this.#windows) {
      if (!isOver(window, nowMs)) continue;
      if (window.swallowed > 0) all.push({ source, count: window.swallowed });
      this.#windows.delete(source);
    }
    all.sort((one, other) => other.count - one.count);
    const told = all.slice(0, this.#limits.namedMax);
    for (const { count } of all.slice(told.length)) this.#unnamed += count;
    if (this.#unnamed > 0) told.push({ source: undefined, count: this.#unnamed });
    this.#unnamed = 0;
    return told;
  }

  /** Whether there is a number that was not told yet. */
  get isHolding(): boolean {
    return this.#unnamed > 0 || [...this.#windows.values()].some(({ swallowed }) => swallowed > 0);
  }

  #forget(nowMs: number): void {
    for (const [source, window] of this.#windows) {
      if (isOver(window, nowMs) && window.swallowed === 0) this.#windows.delete(source);
    }
  }
}

function isOver({ startedMs, lengthMs }: Window, nowMs: number): boolean {
  return nowMs - startedMs >= lengthMs;
}
