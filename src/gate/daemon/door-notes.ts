// Records what people do on the page. The bytes of these records are limited for each person and in total, so that nobody fills the
// journal. They are counted before any work for a record is done.

import { bounds } from '../../host/bounds/bounds.js';
import { TokenBuckets } from '../../host/concurrency/limits.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import type { OpenJournal } from '../../journal/files/journal.js';
import type { RecordedPeer, Redacted } from '../../journal/records/keys.js';
import type { PagePerson } from '../../rules/config/settings.js';
import { redactedWords } from '../command/exchange-records.js';
import type { DoorWord } from '../door/calls.js';
import type { DoorRefusal } from '../door/door.js';

export interface DoorNotesParts {
  readonly clock: Pick<Clock, 'now' | 'wallMs'>;
  readonly journal: Pick<OpenJournal, 'appendDurable'>;
  readonly redact: (word: string) => Redacted;
  readonly onError: (text: string) => void;
}

const hourMs = 3_600_000;
const pieceBytes = 1024;
const bytesRate = {
  burst: bounds.doorBytes / 8 / pieceBytes,
  refillMs: (hourMs * pieceBytes) / bounds.doorBytes,
} as const;
const personRate = {
  burst: bytesRate.burst / 8,
  refillMs: 8 * bytesRate.refillMs,
  sourcesMax: 1_000,
} as const;
/** Bytes counted for a record besides its words. */
const ownBytes = 200;
/** Bytes counted at least for a secret word, which its digest replaces. */
const digestBytes = 80;

/** Looks of people, their actions on the gate, and refusals of the page: each has a budget of its own. */
type Noted = 'looks' | 'acts' | 'refusals';
const notedKinds = 3;

export class DoorNotes {
  readonly #parts: DoorNotesParts;
  readonly #bytes = new TokenBuckets({ ...bytesRate, sourcesMax: notedKinds });
  readonly #bytesOfPeople = new TokenBuckets(personRate);

  constructor(parts: DoorNotesParts) {
    this.#parts = parts;
  }

  /** Takes the bytes of a record from the budget before it is made. Returns undefined if there was room. `person`: undefined if unknown. */
  whyNot(noted: Noted, person: string | undefined, words: readonly DoorWord[]): DoorRefusal | undefined {
    const bytes = words.reduce(
      (sum, word) =>
        sum + (typeof word === 'string' ? word.length : Math.max(digestBytes, word.secret.length)),
      ownBytes,
    );
    const nowMs = this.#parts.clock.now();
    const pieces = Math.ceil(bytes / pieceBytes);
    // A record that is larger than the whole budget takes all of it.
    const ofPerson = Math.min(pieces, personRate.burst);
    const own =
      person === undefined ? undefined : this.#bytesOfPeople.take(`${noted} ${person}`, nowMs, ofPerson);
    const waitMs = own ?? this.#bytes.take(noted, nowMs, Math.min(pieces, bytesRate.burst));
    if (waitMs === undefined) return undefined;
    const text = `${person ?? 'the page'} has had too much recorded; try again in ${Math.ceil(waitMs / 1000)} s`;
    return { code: 'busy', text, waitMs: own === undefined ? waitMs : undefined };
  }

  /** Records a look. Returns undefined once it is on disk and `again`, called after that, finds no reason against it. */
  async note(
    { name, users }: PagePerson,
    action: string,
    words: readonly DoorWord[],
    rows: number | undefined,
    peer: RecordedPeer,
    again: () => DoorRefusal | undefined,
  ): Promise<DoorRefusal | undefined> {
    const { clock, journal, redact, onError } = this.#parts;
    // `audit-verify` checks the whole journal and shows no record, so the person's view does not matter.
    const isSeen = action.startsWith('audit-') && action !== 'audit-verify';
    const whole = isSeen && users !== undefined ? [...words, `view=${users.join(' ')}`] : words;
    const busy = this.whyNot('looks', name, whole);
    if (busy !== undefined) return busy;
    const plain = whole.map((word) =>
      typeof word === 'string' ? { text: word, isSecret: false } : { text: word.secret, isSecret: true },
    );
    const record = {
      time: clock.wallMs(),
      event: 'operator',
      peer,
      action,
      by: name,
      args: redactedWords(plain, redact),
      ...(rows !== undefined && { rows }),
    } as const;
    try {
      await journal.appendDurable(record, 'brief');
      return again();
    } catch (fault) {
      onError(`a record of the page: ${messageOf(fault)}`);
      return { code: 'unrecorded', text: 'it could not be recorded; the log of dovegate says why' };
    }
  }
}
