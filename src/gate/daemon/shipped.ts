// How far the receivers of records are, as reported by `dovegate ship`, which may be compromised. Its reports are shown. Retention depends
// on the positions alone, and a position counts only if the journal here has that record. A receiver without a position counts as having
// nothing. Positions are kept in `state` for a start before the first report.
//
//   {"journal":"<32 hex>","receivers":{"logs.example.com:6514":{"segment":12,"bytes":4711,"seq":90210,"hash":"<64 hex>"}}}

import { join } from 'node:path';
import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { readOwnJson, replaceFile } from '../../host/machine/regular-file.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import { hasRecord } from '../../journal/files/has-record.js';
import { type SafePosition, type SinkReport, safePosition } from '../../rules/config/receiver.js';
import type { ShipClaims } from '../door/ship.js';
import type { Log } from '../telemetry/log.js';

const kept = z.object({ journal: z.string(), receivers: z.record(z.string(), safePosition) });

interface Served {
  readonly audit: { readonly ship: readonly { readonly name: string }[] };
  readonly notices?: readonly unknown[] | undefined;
}

interface ServedJournal {
  readonly id: string;
  readonly directory: string;
  readonly seq: () => number;
}

export interface ShippedParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'report'>;
  readonly stateDirectory: string;
}

export class Shipped {
  readonly #parts: ShippedParts;
  readonly #path: string;
  /** By receiver: the position after the last record that it certainly has. */
  readonly #safe = new Map<string, SafePosition>();
  readonly #lag = createLag();
  /** The last record that was sent to all receivers. */
  #sentSeq = Infinity;
  /** Id of the journal to which the positions of the last run belong. */
  #keptOf: string | undefined;
  #names: readonly string[] = [];
  /** True if there are receivers of records or of notices. */
  #isNeeded = false;
  #journal: ServedJournal | undefined;
  #told: (ShipClaims & { readonly atMs: number }) | undefined;
  #wanted: ShipClaims['sinks'] | undefined;
  #checking: Promise<void> | undefined;
  #pause: Timer | undefined;
  #absence: Timer | undefined;
  #isAbsent = false;

  constructor(parts: ShippedParts) {
    this.#parts = parts;
    this.#path = join(parts.stateDirectory, 'shipped.json');
  }

  /** Takes the receivers of the settings that are served now. */
  replace({ audit, notices = [] }: Served): void {
    this.#names = audit.ship.map(({ name }) => name);
    this.#isNeeded = this.#names.length + notices.length > 0;
    this.#expect();
  }

  /** Loads the kept positions whose records the journal has. Call once, before the journal opens: opening may remove segments. */
  async open(directory: string): Promise<void> {
    const found = await readOwnJson(this.#path, kept).catch((fault: unknown) => {
      const text = `what was shipped is not known, so nothing was: ${messageOf(fault)}`;
      this.#parts.log.report({ event: 'ship-position-failed', level: 'warn', text });
      return undefined;
    });
    if (found === undefined) return;
    this.#keptOf = found.journal;
    for (const [name, safe] of Object.entries(found.receivers))
      if (this.#names.includes(name) && (await hasRecord(directory, safe))) this.#safe.set(name, safe);
  }

  /** Call once, when the journal is open. */
  start(journal: ServedJournal): void {
    this.#journal = journal;
    if (this.#keptOf !== journal.id) this.#safe.clear();
    this.#expect();
    this.note();
  }

  /** Call when there may be more on disk. */
  note(): void {
    this.#lag.note(this.#journal?.seq() ?? 0, this.#sentSeq, this.#parts.clock.now());
  }

  /** The last record that every receiver certainly has; undefined: there is no receiver. */
  get shippedSeq(): number | undefined {
    if (this.#names.length === 0) return undefined;
    return Math.min(...this.#names.map((name) => this.#safe.get(name)?.seq ?? 0));
  }

  /** The last report of `dovegate ship`; undefined if there is none, or it is too old. */
  get told(): (ShipClaims & { readonly ageMs: number }) | undefined {
    if (this.#told === undefined) return undefined;
    const { atMs, ...claims } = this.#told;
    const ageMs = this.#parts.clock.now() - atMs;
    return ageMs > bounds.shipToldMs ? undefined : { ...claims, ageMs };
  }

  /** True if `dovegate ship` has not reported for longer than its restart takes. */
  get isAbsent(): boolean {
    return this.#isAbsent;
  }

  get isNeeded(): boolean {
    return this.#isNeeded;
  }

  get sinks() {
    this.note();
    const seq = this.#journal?.seq() ?? 0;
    const nowMs = this.#parts.clock.now();
    const told = new Map(this.told?.sinks.map((sink) => [sink.name, sink]));
    return this.#names.map((name) => {
      const safeSeq = this.#safe.get(name)?.seq ?? 0;
      const unknown: SinkReport = { name, state: 'connecting', sentSeq: safeSeq };
      const report = told.get(name) ?? unknown;
      const { sentSeq } = report;
      return {
        ...report,
        safeSeq,
        lagRecords: Math.max(seq - sentSeq, 0),
        lagMs: this.#lag.ms(sentSeq, nowMs),
      };
    });
  }

  /** Takes a report. Returns why it is refused, or undefined. */
  claim(claims: ShipClaims): string | undefined {
    const journal = this.#journal;
    if (journal === undefined || claims.journal !== journal.id) return 'journal: it is another one';
    this.#told = { ...claims, atMs: this.#parts.clock.now() };
    this.#wanted = claims.sinks;
    this.#expect();
    void this.#checkNext();
    return undefined;
  }

  /** Call when the connection of `dovegate ship` has ended. */
  left(): void {
    this.#told = undefined;
    this.#expect();
  }

  close(): Promise<unknown> {
    this.#pause?.cancel();
    this.#absence?.cancel();
    return this.#checking ?? Promise.resolve();
  }

  /** Logs each absence of `dovegate ship` once. */
  #expect(): void {
    const { clock, log } = this.#parts;
    this.#sentSeq = Math.min(...this.sinks.map(({ sentSeq }) => sentSeq));
    if (this.#told !== undefined || !this.#isNeeded) this.#isAbsent = false;
    this.#absence?.cancel();
    if (!this.#isNeeded) return;
    this.#absence = clock.setTimer(absentMs, () => {
      if (this.#isAbsent || this.told !== undefined) return;
      this.#isAbsent = true;
      const text = 'receivers are configured, and dovegate ship does not ask what to send';
      log.report({ event: 'ship-absent', level: 'warn', text });
    });
  }

  async #checkNext(): Promise<void> {
    if (this.#checking !== undefined || this.#wanted === undefined) return;
    const wanted = this.#wanted;
    this.#wanted = undefined;
    const { clock } = this.#parts;
    const beganMs = clock.now();
    this.#checking = this.#check(wanted).finally(() => {
      // A false position at the end of a compressed segment causes all of it to be inflated. The pause limits that to a tenth of the time.
      const waitMs = Math.max(bounds.shipCheckMs, 9 * (clock.now() - beganMs));
      this.#pause = clock.setTimer(waitMs, () => {
        this.#checking = undefined;
        void this.#checkNext();
      });
    });
    await this.#checking;
  }

  /** Never rejects. */
  async #check(claimed: readonly SinkReport[]): Promise<void> {
    const journal = this.#journal;
    if (journal === undefined) return;
    let hasChanged = false;
    for (const { name, safe } of claimed) {
      const before = this.#safe.get(name);
      if (before?.hash === safe?.hash && before?.seq === safe?.seq) continue;
      if (!this.#names.includes(name)) continue;
      // Earlier reports do not count any more: the receiver may have lost its records.
      if (safe === undefined) hasChanged = this.#safe.delete(name) || hasChanged;
      // A journal that was cut has fewer records than the receiver, whose state is then `forked`.
      else if (safe.seq <= journal.seq() && (await hasRecord(journal.directory, safe))) {
        this.#safe.set(name, safe);
        hasChanged = true;
      }
    }
    for (const name of this.#safe.keys())
      if (!this.#names.includes(name)) hasChanged = this.#safe.delete(name) || hasChanged;
    if (!hasChanged) return;
    const text = JSON.stringify({ journal: journal.id, receivers: Object.fromEntries(this.#safe) });
    await replaceFile(this.#path, `${text}\n`).catch((fault: unknown) => {
      const why = `what was shipped is not kept for the next start: ${messageOf(fault)}`;
      this.#parts.log.report({ event: 'ship-position-failed', level: 'warn', text: why });
    });
  }
}

/** One moment a second. At the limit, every two are joined, and the interval doubles. */
const momentMs = 1_000;
const momentsMax = 256;

/** When records came to the disk; times are of one clock, in milliseconds. */
function createLag() {
  let intervalMs = momentMs;
  /** Records up to `seq` were on disk at that time, or up to an interval later. */
  let moments: { seq: number; readonly atMs: number }[] = [];
  return {
    /** Call when records up to `untilSeq` may be on disk. `sentSeq`: the last record that was sent to all receivers. */
    note(untilSeq: number, sentSeq: number, nowMs: number): void {
      if ((moments[0]?.seq ?? Infinity) <= sentSeq) moments = moments.filter(({ seq }) => seq > sentSeq);
      const last = moments.at(-1);
      if (last === undefined) intervalMs = momentMs;
      if (untilSeq <= Math.max(sentSeq, last?.seq ?? 0)) return;
      if (last !== undefined && nowMs - last.atMs < intervalMs) last.seq = untilSeq;
      else moments.push({ seq: untilSeq, atMs: nowMs });
      if (moments.length <= momentsMax) return;
      intervalMs *= 2;
      moments = moments.flatMap((moment, at) =>
        at % 2 === 0 ? [{ atMs: moment.atMs, seq: moments[at + 1]?.seq ?? moment.seq }] : [],
      );
    },
    /** How long the oldest record after `sentSeq` has been on disk; 0 if there is none. */
    ms(sentSeq: number, nowMs: number): number {
      const oldest = moments.find(({ seq }) => seq > sentSeq);
      return oldest === undefined ? 0 : nowMs - oldest.atMs;
    },
  };
}

/** Time after a start or the last report until `dovegate ship` counts as absent. Its restart takes less. */
const absentMs = 30_000;
