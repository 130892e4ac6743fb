// The mail that tells the owner of a mailbox who touched it, once a day: its address, and its text. No mail content, no arguments, no link.
// Nothing of it but the date is in a header beside the address, and a user name that is no plain address gets no mail.

import { bounds } from '../../../bounds/bounds.js';
import { plural } from '../../language/words/words.js';
import { formatTime } from '../../records/audit/record.js';
import { classWords } from '../../records/report/owner-digest.js';
import { approvedWords, type OwnerRow, type OwnerView } from '../../records/story/owner-view.js';
import type { NoticeMail } from './forms.js';
import { plainSentence, plainText } from './plain-text.js';
import { mailAddressForm } from './receiver.js';

/** Of a mailbox user; `domain`: of names without one. Undefined: it is no address that a mail can be sent to. */
export function ownerAddress(user: string, domain: string | undefined): string | undefined {
  const address = user.includes('@') || domain === undefined ? user : `${user}@${domain}`;
  return mailAddressForm.test(address) ? address : undefined;
}

export interface OwnerMailSource {
  readonly user: string;
  readonly host: string;
  /** The same for a user and a day. */
  readonly id: string;
  readonly timeMs: number;
}

const nameMax = 256;

export function ownerMailOf(
  { rows, more }: Pick<OwnerView, 'rows' | 'more'>,
  { user, host, id, timeMs }: OwnerMailSource,
): NoticeMail {
  const name = (text: string): string => plainText(text, nameMax);
  const text = [
    `The mailbox ${name(user)} was used by staff,`,
    'with a permission for a time each. This mail says what for, and shows',
    'nothing of what is in the mailbox.',
    '',
    ...rows.flatMap((row) => [...linesOf(row, name), '']),
    ...(more === 0 ? [] : [`and ${plural(more, 'more command')}, for which there was no room here`, '']),
    'If you did not expect this, ask your administrators, and name the',
    'grant. Nobody reads answers to this mail.',
    '',
    `dovegate ${name(host)}`,
    '',
  ];
  const subject = `Your mailbox was used by staff (${formatTime(timeMs).slice(0, 10)})`;
  return { id, timeMs, subject, text: text.join('\n'), isUnanswerable: true };
}

function linesOf(row: OwnerRow, name: (text: string) => string): string[] {
  const { team, person, reason, grant, approvedBy, quietUntilMs, count } = row;
  const times = count === 1 ? '' : `, ${plural(count, 'command')}`;
  const by = person === undefined ? name(team) : `${name(person)} (${name(team)})`;
  return [
    `${spanOf(row)}: ${classWords(row.class)}${times}`,
    `  by: ${by}`,
    ...(reason === '' ? [] : [`  reason: ${plainSentence(reason, bounds.noticeTextChars)}`]),
    `  approved by: ${approvedWords(approvedBy, name)}`,
    ...(quietUntilMs === undefined
      ? []
      : [`  kept from you until ${minuteOf(quietUntilMs)}, as they decided`]),
    `  grant: ${name(grant)}`,
  ];
}

/** `2026-11-29 08:22 UTC`, or `2026-11-29 08:22 to 09:01 UTC`: rows are of one day. */
function spanOf({ from, until }: OwnerRow): string {
  const [first, last] = [from, until].map((time) => plainText(time.slice(11, 16), 5));
  return `${plainText(from.slice(0, 10), 10)} ${first}${first === last ? '' : ` to ${last}`} UTC`;
}

function minuteOf(ms: number): string {
  return `${formatTime(ms).slice(0, 16).replace('T', ' ')} UTC`;
}
