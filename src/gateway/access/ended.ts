// How the last requests and grants ended, for their requesters: the book forgets what is over.

import { bounds } from '../../bounds/bounds.js';
import type { AccessBook, AccessEntry } from '../../domain/audit/access-book.js';
import type { AuditRecord } from '../../domain/audit/record.js';
import type { AccessState } from '../../domain/page/access.js';

export interface EndedAccess {
  readonly entry: AccessEntry;
  readonly state: AccessState;
  readonly why: string | undefined;
}

const states: readonly AccessState[] = ['refused', 'revoked', 'expired', 'used-up', 'ended'];

export class LastEnds {
  /** The oldest first. */
  readonly #ended = new Map<string, EndedAccess>();

  find(id: string): EndedAccess | undefined {
    return this.#ended.get(id);
  }

  /** A record of a start, for the book; what it ends is kept. */
  follow(book: AccessBook, record: AuditRecord): void {
    const entry = book.find(record.grant ?? record.request ?? '');
    book.follow(record);
    if (entry !== undefined && book.find(entry.id) === undefined) this.add(entry, record);
  }

  add(entry: AccessEntry, { action, reason, text }: AuditRecord): void {
    const state = states.find((each) => each === action);
    if (state === undefined) return;
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined && this.#ended.size >= bounds.accessOver) this.#ended.delete(oldest);
    this.#ended.set(entry.id, { entry, state, why: reason ?? text });
  }
}
