// What a lock or a hold is, in one sentence for everybody: the client that it stops, who approves, Now, the incidents, the story of a
// command. Pure, and of nothing but texts, since the browser has it too.

import { sentenceOf } from './codes.js';

/** A lock for people and programs. */
export interface ShownLock {
  readonly id: string;
  readonly target: string;
  readonly by: string;
  readonly reason: string;
  /** RFC 3339, as all times. */
  readonly since: string;
  /** Absent: it has no end. */
  readonly until?: string;
  /** It stops only what could change mail. */
  readonly hold: boolean;
  /** Who asked to lift it, and until when that counts. */
  readonly asked?: string;
  readonly asked_until?: string;
  /** What is not known of who or what it is for, and asked again. */
  readonly doubt?: string;
  /** Its record is damaged, and does not say whom it stops. */
  readonly isUnread?: true;
}

/** What a hold stops, where no command was asked for. */
const whatIsHeld = { why: 'what could destroy, hide, move or change its mail is refused' };

/**
 * The code of its sentence, with its values. `isNamed`: its reader may know whose mailbox it is, and why it is locked. The `why` of
 * `because` is read only when the sentence is made.
 */
export function lockSaying(
  lock: ShownLock,
  isNamed: boolean,
  because: { readonly why: string } = whatIsHeld,
) {
  const { id, target, by, reason, since, until = '', hold, isUnread } = lock;
  if (isUnread === true) return { code: 'lock-unread', values: { lock: id } } as const;
  const about = isNamed
    ? { target: target.replace(':', ' '), reason }
    : { target: 'a mailbox', reason: `that of ${hold ? 'hold' : 'lock'} ${id}` };
  if (!hold) return { code: 'locked', values: { ...about, by, until } } as const;
  const values = {
    ...about,
    by,
    since: until === '' ? since : `${since} until ${until}`,
    get why() {
      return because.why;
    },
  };
  return { code: 'held', values } as const;
}

/** `carol is locked by root until 2026-11-20T10:00:00.000Z: her laptop was stolen`. */
export function lockSentence(...of: Parameters<typeof lockSaying>): string {
  const { code, values } = lockSaying(...of);
  return sentenceOf(code, values);
}
