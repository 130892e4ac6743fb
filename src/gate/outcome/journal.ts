// Records on their way to the journal: its port, records that no caller awaits, and the counts of a flood. Refusals, questions, sessions,
// refused connections and failed logins of one origin or network are recorded one by one up to a number each second; the number of the
// others becomes one `limit` record a second. Everything is counted, also when the daemon stops or a table is full.

import { bounds } from '../../host/bounds/bounds.js';
import { JournalFault } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { Journal } from '../../journal/records/appending.js';
import type { AuditRecord, RecordRoom } from '../../journal/records/record.js';
import { countedCommand } from '../../journal/records/stored.js';
import { type FloodKind, floodKinds, type Observe } from './events.js';

/** Whether the record that the journal refused with this fault never reaches it. */
export function isLost(fault: unknown): boolean {
  return fault instanceof JournalFault && (fault.code === 'overflow' || fault.code === 'closed');
}

/** Appends a record of something that happens in any case. The journal counts lost records; observers get an event. False: it is lost. */
export function appendQuietly(
  journal: Journal,
  observe: Observe,
  record: AuditRecord,
  room?: RecordRoom,
): boolean {
  const fault = journal.append(record, room);
  if (fault !== undefined) observe({ kind: 'audit-failed', level: 'error', text: fault.message });
  return fault === undefined;
}

/**
 * Appends a record that must exist before something is sent. `isStrict`: it must be on disk by then, and a promise is returned. Throws, or
 * rejects with, a JournalFault.
 */
export function appendFirst(
  journal: Journal,
  record: AuditRecord,
  isStrict: boolean,
  room?: RecordRoom,
): Promise<void> | undefined {
  if (isStrict || !journal.isCrashProof) return journal.appendDurable(record, room);
  const fault = journal.append(record, room) ?? journal.refusal;
  if (fault !== undefined) throw fault;
  return undefined;
}

/** One for the whole daemon; outlives a reload. */
export interface FloodWatch {
  /**
   * Counts another event of an origin, or of unauthenticated peers of a network. True: record it; false: it is only counted. All networks
   * at a listener together get no more records than one.
   */
  admit(kind: FloodKind, source: FloodSource): boolean;
  /** Writes the counts so far; called before the journal is closed. */
  tell(): void;
}

/** `principal`: undefined: events of several principals of one origin. */
export type FloodSource =
  | {
      readonly origin: string;
      readonly principal: string | undefined;
      /** All commands, and all users that they name; undefined: not known, or too many. */
      readonly commands?: readonly string[] | undefined;
      readonly users?: readonly string[] | undefined;
    }
  | { readonly network: string; readonly listener: string };

/** The unauthenticated peers of a network at a listener. Neither part contains the separator. */
export function networkKey(network: string, listener: string): string {
  return `${network}\n${listener}`;
}

/** A count names its commands, and its users, only up to this number. */
export const countedNamesMax = 16;

const tellAfterMs = 1000;
/**
 * Limits of each kind: records of one source in a second, and after a quiet time at once; sources with a count of their own; sources with a
 * `limit` record of their own each second.
 */
const gateLimits: FloodLimits = {
  perSecondMax: bounds.floodPerSecond,
  burstMax: bounds.floodPerSecond,
  sourcesMax: 4096,
  namedMax: 16,
};
/** For commands of a known requester: a burst of them is mostly one script, whose records are wanted. */
const commandLimits: FloodLimits = { ...gateLimits, burstMax: bounds.floodBurst };

/** Has a timer only while there is a count to write. */
export function createFloodWatch(parts: {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly observe: Observe;
}): FloodWatch {
  const { clock, journal, observe } = parts;
  const gates: Readonly<Record<FloodKind, FloodGate<FloodSource>>> = {
    refused: new FloodGate(commandLimits, joinSources),
    unsent: new FloodGate(commandLimits, joinSources),
    question: new FloodGate(gateLimits, joinSources),
    'page-refused': new FloodGate(gateLimits, joinSources),
    session: new FloodGate(gateLimits, joinSources),
    'turned-away': new FloodGate(gateLimits, joinSources),
    'login-failed': new FloodGate(gateLimits, joinSources),
  };
  let timer: Timer | undefined;

  return {
    admit(kind, source) {
      const gate = gates[kind];
      const nowMs = clock.now();
      let isWorthIt: boolean;
      if ('origin' in source) {
        const { origin } = source;
        // Refusals because of a full journal must not fill it.
        isWorthIt = gate.admit(origin, source, nowMs, journal.isOverShare(origin) ? 'slow' : 'usual');
      } else {
        const { network, listener } = source;
        // All networks together count as one more source.
        const all = { network: '', listener };
        isWorthIt =
          gate.admit(networkKey(network, listener), source, nowMs) &&
          gate.admit(networkKey('', listener), all, nowMs);
      }
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
    // A second that began later than the first one may still run.
    const isLeft = floodKinds.some((kind) => gates[kind].isHolding);
    timer = isLeft ? clock.setTimer(tellAfterMs, onTimer) : undefined;
  }

  function tellUpTo(nowMs: number): void {
    for (const action of floodKinds) {
      for (const { source, count } of gates[action].takeSwallowed(nowMs)) {
        const from = recordedSource(source);
        const record = { time: clock.wallMs(), event: 'limit', ...from, action, count } as const;
        appendQuietly(journal, observe, record, 'brief');
        const { origin, principal = origin, listener, peer } = from;
        // Scripts often make many short sessions; they are counted only for the journal.
        const level = action === 'session' ? 'debug' : 'warn';
        const text = `${count} more in a second`;
        const address = peer?.address;
        observe({ kind: 'flood', level, text, principal, listener, address, type: action, count });
      }
    }
  }
}

/** Events of one human under several names are counted without a name. */
function joinSources(one: FloodSource, other: FloodSource): FloodSource {
  if (!('origin' in one) || !('origin' in other)) return one;
  const principal = one.principal === other.principal ? one.principal : undefined;
  const commands = joinNames(one.commands, other.commands);
  const users = joinNames(one.users, other.users);
  const isSame = principal === one.principal && commands === one.commands && users === one.users;
  return isSame ? one : { origin: one.origin, principal, commands, users };
}

function joinNames(
  one: readonly string[] | undefined,
  other: readonly string[] | undefined,
): readonly string[] | undefined {
  if (one === undefined || other === undefined) return undefined;
  if (other.every((name) => one.includes(name))) return one;
  const all = [...new Set([...one, ...other])];
  return all.length > countedNamesMax ? undefined : all;
}

function recordedSource(
  source: FloodSource | undefined,
): Pick<AuditRecord, 'origin' | 'principal' | 'listener' | 'peer' | 'args' | 'users'> {
  if (source === undefined) return {};
  if ('origin' in source) {
    const { origin, principal, commands, users } = source;
    return { origin, principal, args: commands?.map((name) => `${countedCommand}${name}`), users };
  }
  const { network: address, listener } = source;
  return address === '' ? { listener } : { listener, peer: { address } };
}

interface Swallowed<Source> {
  readonly source: Source | undefined;
  readonly count: number;
}

interface FloodLimits {
  readonly perSecondMax: number;
  readonly burstMax: number;
  readonly sourcesMax: number;
  /** Sources that are named with their count each time. */
  readonly namedMax: number;
}

interface Window<Source> {
  source: Source;
  startedMs: number;
  lengthMs: number;
  admitted: number;
  /** Records that the source may still get. */
  left: number;
  swallowed: number;
}

/** `slow`: one record and one count a minute, some 4 MB a day of one kind. */
type Pace = 'usual' | 'slow';
const windowMs: Readonly<Record<Pace, number>> = { usual: 1000, slow: 60_000 };

/** Counts events above the limit; when the table is full, new sources are counted together, without a name. */
export class FloodGate<Source> {
  readonly #limits: FloodLimits;
  readonly #windows = new Map<string, Window<Source>>();
  readonly #join: (one: Source, other: Source) => Source;
  #unnamed = 0;

  /** `join`: the source of events of both. */
  constructor(limits: FloodLimits, join: (one: Source, other: Source) => Source = (one) => one) {
    this.#limits = limits;
    this.#join = join;
  }

  /** Another refusal of a source, counted under `key`. True: record it; false: it is only counted. `nowMs`: of a monotonic clock. */
  admit(key: string, source: Source, nowMs: number, pace: Pace = 'usual'): boolean {
    const { sourcesMax, burstMax } = this.#limits;
    const lengthMs = windowMs[pace];
    const windows = this.#windows;
    let window = windows.get(key);
    if (window === undefined) {
      if (windows.size >= sourcesMax) this.#forget(nowMs);
      if (windows.size >= sourcesMax) {
        this.#unnamed += 1;
        return false;
      }
      window = { source, startedMs: nowMs, lengthMs, admitted: 0, left: burstMax, swallowed: 0 };
      windows.set(key, window);
    } else if (isOver(window, nowMs) && window.swallowed === 0) {
      this.#beginAgain(window, nowMs);
      window.lengthMs = lengthMs;
    }
    // A window with an unwritten count stays open: otherwise the count would be lost.
    if (pace === 'slow' ? window.admitted < 1 : window.left > 0) {
      window.admitted += 1;
      window.left = Math.max(0, window.left - 1);
      return true;
    }
    window.source = window.swallowed === 0 ? source : this.#join(window.source, source);
    window.swallowed += 1;
    return false;
  }

  /**
   * The counts of seconds that are over; each is returned once. The sources with the largest counts are named, at most `namedMax`; the
   * others become one count, because thousands of sources could write thousands of records a second.
   */
  takeSwallowed(nowMs: number): readonly Swallowed<Source>[] {
    const all: Swallowed<Source>[] = [];
    for (const [key, window] of this.#windows) {
      if (!isOver(window, nowMs)) continue;
      if (window.swallowed > 0) all.push({ source: window.source, count: window.swallowed });
      window.swallowed = 0;
      this.#beginAgain(window, nowMs);
      if (window.left === this.#limits.burstMax) this.#windows.delete(key);
    }
    all.sort((one, other) => other.count - one.count);
    const told = all.slice(0, this.#limits.namedMax);
    for (const { count } of all.slice(told.length)) this.#unnamed += count;
    if (this.#unnamed > 0) told.push({ source: undefined, count: this.#unnamed });
    this.#unnamed = 0;
    return told;
  }

  get isHolding(): boolean {
    return this.#unnamed > 0 || [...this.#windows.values()].some(({ swallowed }) => swallowed > 0);
  }

  #forget(nowMs: number): void {
    for (const [key, window] of this.#windows) {
      if (!isOver(window, nowMs) || window.swallowed > 0) continue;
      this.#beginAgain(window, nowMs);
      if (window.left === this.#limits.burstMax) this.#windows.delete(key);
    }
  }

  #beginAgain(window: Window<Source>, nowMs: number): void {
    const { perSecondMax, burstMax } = this.#limits;
    const seconds = Math.floor((nowMs - window.startedMs) / 1000);
    window.left = Math.min(burstMax, window.left + seconds * perSecondMax);
    window.startedMs = nowMs;
    window.admitted = 0;
  }
}

function isOver(
  { startedMs, lengthMs }: Pick<Window<unknown>, 'startedMs' | 'lengthMs'>,
  nowMs: number,
): boolean {
  return nowMs - startedMs >= lengthMs;
}
