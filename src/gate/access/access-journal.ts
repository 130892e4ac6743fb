// The records of access on request on their way to the journal. A step counts once its records are on disk; an end counts at once, so its
// record is kept and tried again until the journal takes it.

import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import type { Journal } from '../../journal/records/appending.js';
import type { AuditRecord } from '../../journal/records/record.js';

export type StepJournal = Pick<Journal, 'append' | 'appendDurable' | 'checkpoint'>;

/** Undefined: done. A text: why not. */
export type Recorded = Promise<string | undefined>;

export class AccessJournal {
  readonly #journal: StepJournal;
  readonly #clock: Pick<Clock, 'wallMs' | 'now'>;
  /** Ends that are in force and not in the journal yet; at most one for each request and grant. `offsetMs`: of the wall clock then. */
  #waiting: { readonly record: AuditRecord; readonly offsetMs: number }[] = [];
  /** What the next checkpoint must cover, and whether one is under way. */
  #isUnsigned = false;
  #isSigning = false;

  constructor(journal: StepJournal, clock: Pick<Clock, 'wallMs' | 'now'>) {
    this.#journal = journal;
    this.#clock = clock;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** On disk, with a signed checkpoint behind them: a start counts nothing else. */
  async record(records: readonly AuditRecord[]): Recorded {
    try {
      await Promise.all(records.map((record) => this.#journal.appendDurable(record)));
      await this.#journal.checkpoint();
      return undefined;
    } catch (fault) {
      return messageOf(fault);
    }
  }

  /** An end that somebody waits for. */
  async recordEnd(record: AuditRecord): Recorded {
    try {
      await this.#journal.appendDurable(record);
      this.signSoon();
      return undefined;
    } catch (fault) {
      this.#keep(record);
      return messageOf(fault);
    }
  }

  /** An end by itself. */
  appendEnd(record: AuditRecord): void {
    if (this.#journal.append(record) === undefined) this.signSoon();
    else this.#keep(record);
  }

  /**
   * A signed checkpoint behind what was appended, soon. After a crash, a use is not given back by a record that anybody may have written;
   * and whoever cuts off the end of the journal then would bring back what ended or was used: without the checkpoint, a start sees it.
   * However many there are, one is made at a time.
   */
  signSoon(): void {
    this.#isUnsigned = true;
    if (!this.#isSigning) void this.#sign();
  }

  async #sign(): Promise<void> {
    this.#isSigning = true;
    try {
      while (this.#isUnsigned) {
        this.#isUnsigned = false;
        await this.#journal.checkpoint();
      }
    } catch {
      // The next one covers it.
    } finally {
      this.#isSigning = false;
    }
  }

  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const [time, offsetMs] = [this.#clock.wallMs(), this.#offsetMs];
    for (const { record, offsetMs: before } of waiting) {
      const endMs = parseTime(record.until ?? '');
      // By the clock of now: the record of a step since then is already in the journal.
      const until = endMs === undefined ? {} : { until: formatTime(endMs + offsetMs - before) };
      const at = record.at ?? formatTime(record.time + offsetMs - before);
      this.appendEnd({ ...record, ...until, time, at });
    }
  }

  #keep(record: AuditRecord): void {
    this.#waiting.push({ record, offsetMs: this.#offsetMs });
  }

  get #offsetMs(): number {
    return this.#clock.wallMs() - this.#clock.now();
  }
}
