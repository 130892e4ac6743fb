// The records of access on request on their way to the journal. A step counts once its records are on disk; an end counts at once, so its
// record is kept and tried again until the journal takes it.

import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import type { Journal } from '../../journal/records/appending.js';
import type { AuditRecord } from '../../journal/records/record.js';

export type StepJournal = Pick<Journal, 'append' | 'appendDurable' | 'checkpoint'>;

/** Undefined: recorded. A text: why not. */
export type Recorded = Promise<string | undefined>;

export class AccessJournal {
  readonly #journal: StepJournal;
  readonly #clock: Pick<Clock, 'wallMs' | 'now'>;
  /** Ends in force, not in the journal yet; at most one for each request and grant. `offsetMs`: wall minus monotonic clock. */
  #waiting: { readonly record: AuditRecord; readonly offsetMs: number }[] = [];
  /** Records wait for the next checkpoint. */
  #isUnsigned = false;
  #isSigning = false;

  constructor(journal: StepJournal, clock: Pick<Clock, 'wallMs' | 'now'>) {
    this.#journal = journal;
    this.#clock = clock;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Resolves when the records are on disk and a signed checkpoint covers them: a start accepts nothing else. */
  async record(records: readonly AuditRecord[]): Recorded {
    try {
      await Promise.all(records.map((record) => this.#journal.appendDurable(record)));
      await this.#journal.checkpoint();
      return undefined;
    } catch (fault) {
      return messageOf(fault);
    }
  }

  /** Records an end whose caller waits for the result. */
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

  /** Records an end that nobody waits for. */
  appendEnd(record: AuditRecord): void {
    if (this.#journal.append(record) === undefined) this.signSoon();
    else this.#keep(record);
  }

  /**
   * Makes a signed checkpoint after the appended records, soon, and one at a time. After a crash, a record without a signature gives no use
   * back. Without the checkpoint, a start could not see that somebody cut off the end of the journal to bring back what had ended or was
   * used.
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
      // The next checkpoint covers these records, too.
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
      // By the clock of now: if it was set since then, the journal already has a record of that step.
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
