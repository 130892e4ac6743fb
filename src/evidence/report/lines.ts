// The common parts of all forms of a report: their input, and the lines for people. Text of records is made harmless here.

import { printable } from '../../host/words/text.js';
import { countWords, plural } from '../../host/words/words.js';
import type { MailboxCounts, MailboxHead, MailboxLine } from '../views/trail.js';
import type { Completeness } from './completeness.js';
import {
  type CountFor,
  type Touch,
  type TouchClass,
  type TouchDay,
  type TouchGroup,
  type TouchKind,
  touchClasses,
} from './touch.js';

/** Texts are harmless for a terminal. */
export interface ReportHead
  extends Omit<MailboxHead, 'from' | 'to' | 'signedBy' | 'signedTo' | 'doubts' | 'counts' | 'classes'> {
  readonly isNamed: boolean;
  readonly similar: readonly string[];
  /** The id of the journal. */
  readonly journal: string;
}

/** One form of a report, as its lines from top to bottom; one text may hold several. */
export interface ReportForm {
  begin(head: ReportHead, completeness: Completeness, counts: MailboxCounts): string[];
  take(touch: Touch): string[];
  finish(): string[];
}

const classTexts = new Map<TouchClass, string>(touchClasses.map((each) => [each.class, each.what]));

/** Classes whose words already say that content was shown or searched. */
const tellsContent: ReadonlySet<TouchClass> = new Set<TouchClass>(['content', 'searched']);

const triedTexts: Readonly<Record<TouchKind, string>> = {
  destroyed: 'asked to delete',
  changed: 'asked to change something',
  content: 'asked for content',
  searched: 'asked to search content',
  read: '',
  session: '',
  unread: '',
};

const countTexts: Readonly<Record<CountFor, string>> = {
  command: 'a count that dovegate made for a command',
  request: 'a count that dovegate made for a request for access',
};

export function linesOf({ day, isMore, groups }: TouchDay): MailboxLine[] {
  return groups.map((group) => {
    const isTried = group.class === 'denied' || group.class === 'failed';
    const names = [...group.commands].map(([name, count]) =>
      count === 1 ? name : `${name} (${countWords(count)})`,
    );
    const mayHave = group.reached === 'no' ? 'may be about it' : 'may have touched it';
    const notes = [
      ...(group.kind === 'destroyed' && group.matches !== undefined
        ? [plural(group.matches, 'mail matched', 'mails matched')]
        : []),
      ...(group.grant === '' ? [] : [grantNote(group)]),
      ...(group.by === 'all' ? [`${mayHave}: all users, or nobody can tell whose`] : []),
      ...(group.countFor === undefined ? [] : [countTexts[group.countFor]]),
      ...(group.by === 'mask' ? [`${mayHave}: by a mask, or a list that was cut`] : []),
      ...(isTried ? triedNotes(group) : endingOf(group)),
      ...(group.reached === 'maybe' ? ['no end is recorded'] : []),
      ...(group.showed === 'yes' && !tellsContent.has(group.class)
        ? [group.kind === 'searched' ? 'searched content' : 'showed content']
        : []),
      ...(group.showed === 'maybe'
        ? [group.kind === 'searched' ? 'may have found what it searched' : 'may have shown content']
        : []),
      ...(tellsContent.has(group.class) && group.showed === 'no' ? ['no content came'] : []),
    ];
    return {
      day: isMore ? `${printable(day)} (more)` : printable(day),
      ...(group.host !== undefined && { host: printable(group.host) }),
      requester: printable(group.requester),
      class: group.class,
      what: classTexts.get(group.class) ?? group.class,
      count: group.count,
      firstTime: group.firstTime,
      lastTime: group.lastTime,
      reason: printable(group.reason),
      commands: printable(names.join(', ')),
      note: notes.join('; '),
      ...(group.grant !== '' && { grant: printable(group.grant) }),
      ids: group.ids,
    };
  });
}

/** A grant is named by its id, which finds its whole history. */
function grantNote({ grant, approvedBy }: TouchGroup): string {
  return `under grant ${printable(grant)}${approvedBy === '' ? '' : `, ${printable(approvedBy)}`}`;
}

function triedNotes({ class: group, kind, reached, outcome }: TouchGroup): string[] {
  const usual = group === 'denied' ? 'denied' : 'failed';
  const why = outcome === usual ? '' : ` (${printable(outcome)})`;
  const end =
    group === 'denied' && why === ''
      ? []
      : [reached === 'no' ? `did not reach a mail server${why}` : 'the mail server said no'];
  return [...(triedTexts[kind] === '' ? [] : [triedTexts[kind]]), ...end];
}

function endingOf({ outcome, reached }: TouchGroup): string[] {
  if (reached === 'no') return [`did not reach a mail server (${printable(outcome)})`];
  if (outcome === 'failed') return ['failed'];
  if (outcome === 'partly') return ['partly: some of it may have been done'];
  const isBroken = outcome === 'unknown' || outcome === 'timeout' || outcome === 'aborted';
  return isBroken ? [`broken off (${outcome}): may have run`] : [];
}

/** `08:22:34`, or `08:22:34 to 09:01:02`. */
export function formatSpan({ firstTime, lastTime }: MailboxLine): string {
  const [first, last] = [firstTime, lastTime].map((time) => printable(time.slice(11, 19)));
  return first === last ? `${first}` : `${first} to ${last}`;
}
