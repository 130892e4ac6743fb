// The sentence about a lock or a hold, the same everywhere: for the client that it stops, for approvers, in Now, in the incidents, in the
// story of a command. The browser loads this file, so it has texts only.

import { sentenceOf } from './codes.js';

export interface ShownLock {
  readonly id: string;
  readonly target: string;
  readonly by: string;
  readonly reason: string;
  /** RFC 3339, as all times. */
  readonly since: string;
  readonly until?: string;
  /** A hold: it stops only what could change mail. */
  readonly hold: boolean;
  /** Who asked to lift it, and until when that counts. */
  readonly asked?: string;
  readonly asked_until?: string;
  /** What is still unknown about its target, and is asked again. */
  readonly doubt?: string;
  /** Its record is damaged, and does not say whom it stops. */
  readonly isUnread?: true;
}

/** What a hold stops, where no command was asked for. */
const whatIsHeld = { why: 'what could destroy, hide, move or change its mail is refused' };

/** The code of its sentence, with its values. `isNamed`: the reader may know the mailbox and the reason. `why` is read only when used. */
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
