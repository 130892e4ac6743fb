// What one exchange leaves in the journal, and when: its admission, lines of its backend's log, its completion. It does not know what
// they say. The rule: one admission and then one completion; of a flood that had no upstream both are only counted.

import type { AuditRecord } from '../../domain/audit/record.js';
import { appendQuietly } from '../outcome/append.js';
import type { RelayCount } from '../relay/relay.js';
import type { ExchangeContext } from './exchange-context.js';
import {
  backendLogOf,
  type CompletionFacts,
  completionOf,
  endedOf,
  type LogFacts,
  logRecordOf,
} from './exchange-records.js';

/** The trail of one exchange that was judged. */
export class ExchangeTrail {
  readonly #context: ExchangeContext;
  /** The admission must be on disk before anything is sent. */
  readonly isStrict: boolean;
  #admission: AuditRecord;
  #state: 'open' | 'admitted' | 'counted' = 'open';
  #isBrief = false;
  /** Until it is on disk; it may never be. */
  #durable: Promise<void> | undefined;

  constructor(context: ExchangeContext, admission: AuditRecord, isStrict: boolean) {
    this.#context = context;
    this.#admission = admission;
    this.isStrict = isStrict;
  }

  /** As it stands, or as it was written. */
  get admission(): AuditRecord {
    return this.#admission;
  }

  /** The search found so many mails; only before it is written. */
  noteMatches(matches: number | undefined): void {
    this.#admission = { ...this.#admission, matches };
  }

  /**
   * Before anything is sent. A promise where that has to be waited for, the same for every way; rejects with a JournalFault.
   * `isPatient`: nothing will be sent soon anyway.
   */
  admit(isPatient = false): Promise<void> | undefined {
    if (!this.isStrict || this.#state !== 'open') {
      this.admitQuietly();
      return this.#durable;
    }
    this.#state = 'admitted';
    const isBrief = this.#isBrief;
    this.#durable = this.#context.journal.append(this.#admission, { durable: true, isPatient, isBrief });
    return this.#durable;
  }

  /** Of a question that dovegate answers itself: as `admit`, but of a flood of questions only the number is recorded. */
  admitQuestion(principal: string): Promise<void> | undefined {
    this.#isBrief = true;
    if (this.#context.floods.admit('refused', principal)) return this.admit();
    this.#state = 'counted';
    return undefined;
  }

  /** Nobody waits for it; nothing where it was written already. */
  admitQuietly(): void {
    if (this.#state !== 'open') return;
    this.#state = 'admitted';
    this.#append(this.#admission);
  }

  /** Of an exchange that ends, if it has none yet. `hadUpstream`: it was not refused before it got so far. */
  admitRefused(principal: string, hadUpstream: boolean): void {
    if (this.#state !== 'open') return;
    this.#isBrief = !hadUpstream;
    if (hadUpstream || this.#context.floods.admit('refused', principal)) this.admitQuietly();
    else this.#state = 'counted';
  }

  /** Whether anybody but the counters hears of it. */
  get isTold(): boolean {
    return this.#state !== 'counted';
  }

  /** A line of channel L that came within it. */
  backendSaid(facts: LogFacts, { logs }: RelayCount): void {
    const { observe, clock, limits } = this.#context;
    observe(backendLogOf(facts));
    let told = 0;
    for (const lines of logs.values()) told += lines;
    if (told <= limits.logRecordsMax) this.#append(logRecordOf(facts, clock.wallMs()));
  }

  /** Its end, for the records and the observers. */
  complete(facts: CompletionFacts): void {
    this.#append(completionOf(facts));
    this.#context.observe(endedOf(facts));
  }

  #append(record: AuditRecord): void {
    if (this.#state === 'counted') return;
    appendQuietly(this.#context.journal, this.#context.observe, record, this.#isBrief);
  }
}
