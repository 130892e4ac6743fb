// The part of a request or grant that no record has: its end by the monotonic clock, the commands that run under it, and its mails as they
// were counted and shown. An approver consents to the number that was shown to that approver, and to no other.

import type { AuditRecord } from '../../journal/records/record.js';
import { type Asker, ownerOfRequest } from './asker.js';
import type { AccessWish } from './steps.js';

export interface CountedCommand {
  readonly request: string;
  readonly principal: string;
  readonly policy: string;
  readonly users: readonly string[];
  readonly words: readonly string[];
}

/** The number of mails that it would affect now; undefined: it has no query; or why they cannot be counted. Never rejects. */
export type CountMails = (
  command: CountedCommand,
) => Promise<number | undefined | { readonly failed: string }>;

/** Counts before the request is recorded, for the principal who would have the access. */
export function countFirst(
  request: string,
  { principal, policy }: Asker,
  { users, words }: AccessWish,
  count: CountMails,
): ReturnType<CountMails> {
  return count({ request, principal, policy: policy.name, users, words });
}

export class LiveEntry {
  endsMs: number;
  readonly running = new Set<() => void>();
  matches: number | undefined;
  /** The number that each approver was shown last, by principal. */
  readonly shown = new Map<string, number>();
  /** Words of the command; undefined: the request is older than this start, and the journal has digests for some of them. */
  readonly #words: readonly string[] | undefined;

  constructor(endsMs: number, matches: number | undefined, words: readonly string[] | undefined) {
    this.endsMs = endsMs;
    this.matches = matches;
    this.#words = words;
  }

  async count(requested: AuditRecord, count: CountMails): ReturnType<CountMails> {
    if (this.#words === undefined) return { failed: 'its words are not known any more' };
    const { request = '', policy = '', users = [] } = requested;
    const principal = ownerOfRequest(requested);
    const found = await count({ request, principal, policy, users, words: this.#words });
    if (typeof found === 'number') this.matches = found;
    return found;
  }

  /** Why an approver must look again: a command that deletes matches more mails than they were shown. The new number counts as shown. */
  async whyLookAgain(
    approver: string,
    requested: AuditRecord,
    count: CountMails,
  ): Promise<string | undefined> {
    if (requested.effect !== 'destroy') return undefined;
    const now = await this.count(requested, count);
    if (typeof now === 'object') return `the mails could not be counted: ${now.failed}`;
    return this.whyUnseen(approver, requested);
  }

  /** The same check by the number that was counted last. */
  whyUnseen(approver: string, { effect }: AuditRecord): string | undefined {
    const { matches: now } = this;
    const before = this.shown.get(approver);
    if (effect !== 'destroy' || now === undefined || (before !== undefined && now <= before))
      return undefined;
    this.shown.set(approver, now);
    const seen = before === undefined ? 'no number was' : `${before} were`;
    return `${now} mails match now, and ${seen} shown; approve it again`;
  }
}
