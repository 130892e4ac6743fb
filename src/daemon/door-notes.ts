// What people on the page do, as records: bytes of it are bounded for each person and for all of them, so that nobody fills the journal.

import type { OpenJournal } from '../adapters/journal/journal.js';
import { bounds } from '../bounds/bounds.js';
import { TokenBuckets } from '../concurrency/limits.js';
import type { RecordedArgument, RecordedPeer } from '../domain/audit/record.js';
import type { PagePerson } from '../domain/config/settings.js';
import type { DoorRefusal } from '../domain/door/door.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import { pageName } from '../setup/certificates.js';

export interface DoorNotesParts {
  readonly clock: Pick<Clock, 'now' | 'wallMs'>;
  readonly journal: Pick<OpenJournal, 'appendDurable'>;
  readonly onError: (text: string) => void;
}

const hourMs = 3_600_000;
/** Bytes are counted in pieces of so many. */
const pieceBytes = 1024;
const bytesRate = {
  burst: bounds.doorBytes / 8 / pieceBytes,
  refillMs: (hourMs * pieceBytes) / bounds.doorBytes,
  sourcesMax: 1,
} as const;
/** An eighth of that for each. */
const personRate = {
  burst: bytesRate.burst / 8,
  refillMs: 8 * bytesRate.refillMs,
  sourcesMax: 1_000,
} as const;

export class DoorNotes {
  readonly #parts: DoorNotesParts;
  readonly #bytes = new TokenBuckets(bytesRate);
  readonly #bytesOfPeople = new TokenBuckets(personRate);

  constructor(parts: DoorNotesParts) {
    this.#parts = parts;
  }

  /** Undefined: it is on disk. */
  async note(
    { name, users }: PagePerson,
    action: string,
    words: readonly RecordedArgument[],
    rows: number | undefined,
    peer: RecordedPeer,
  ): Promise<DoorRefusal | undefined> {
    const { clock, journal, onError } = this.#parts;
    // A check of the whole journal shows no record.
    const isSeen = action.startsWith('audit-') && action !== 'audit-verify';
    const args = isSeen && users !== undefined ? [...words, `view=${users.join(' ')}`] : words;
    const size = args.reduce((sum, word) => sum + (typeof word === 'string' ? word.length : 64), 200);
    const nowMs = clock.now();
    for (let left = size; left > 0; left -= pieceBytes) {
      const waitMs = this.#bytesOfPeople.take(name, nowMs) ?? this.#bytes.take(pageName, nowMs);
      if (waitMs === undefined) continue;
      const text = `${name} has had too much recorded; try again in ${Math.ceil(waitMs / 1000)} s`;
      return { code: 'busy', text };
    }
    const record = {
      time: clock.wallMs(),
      event: 'operator',
      peer,
      action,
      by: name,
      args,
      ...(rows !== undefined && { rows }),
    } as const;
    try {
      await journal.appendDurable(record, false, true);
      return undefined;
    } catch (fault) {
      onError(`a record of the page: ${messageOf(fault)}`);
      return { code: 'unrecorded', text: 'it could not be recorded; the log of dovegate says why' };
    }
  }
}
