// What all forms of a report have in common: what each is given, and the lines that people read. Text of records is made harmless here.

import { printable } from '../audit/encode.js';
import type { MailboxLine } from '../page/api.js';
import type { Completeness } from './completeness.js';
import type { Touch, TouchCounts, TouchDay, TouchGroup } from './touch.js';

/** What a report begins with. */
export interface ReportHead {
  readonly mailbox: string;
  readonly period: string;
  readonly isComplete: boolean;
  /** Harmless for a terminal; the first is the verdict. */
  readonly sentences: readonly string[];
  readonly isContentOnly: boolean;
  readonly madeAt: string;
  /** `eve on mx1`, where a daemon made it; harmless. */
  readonly madeBy?: string | undefined;
}

/** One form of a report. Gives lines, or several in one text; `finish` the last ones. */
export interface ReportForm {
  begin(head: ReportHead, completeness: Completeness, counts: TouchCounts): string[];
  take(touch: Touch): string[];
  finish(): string[];
}

const classTexts: Readonly<Record<Touch['class'], string>> = {
  read: 'read',
  content: 'content read',
  changed: 'changed',
  destroyed: 'destroyed',
  session: 'session',
  unread: 'not understood',
};

/** The lines of a day. */
export function linesOf({ day, isMore, groups }: TouchDay): MailboxLine[] {
  return groups.map((group) => {
    const names = [...group.commands].map(([name, count]) => (count === 1 ? name : `${name} (${count})`));
    const notes = [
      ...(group.by === 'all' ? ['may have touched it: all users, or nobody can tell whose'] : []),
      ...(group.isCount ? ['a count that dovegate made for a command'] : []),
      ...(group.by === 'mask' ? ['may have touched it: by a mask, or a list that was cut'] : []),
      ...(group.reached === 'no'
        ? [`did not reach a mail server (${printable(group.outcome)})`]
        : endingOf(group)),
      ...(group.reached === 'maybe' ? ['no end is recorded'] : []),
      ...(group.showed === 'yes' && group.class !== 'content' ? ['showed content'] : []),
      ...(group.showed === 'maybe' ? ['may have shown content'] : []),
      ...(group.class === 'content' && group.showed === 'no' && group.reached !== 'no'
        ? ['no content came']
        : []),
    ];
    return {
      day: isMore ? `${printable(day)} (more)` : printable(day),
      ...(group.host !== undefined && { host: printable(group.host) }),
      person: printable(group.person),
      class: group.class,
      what: classTexts[group.class],
      count: group.count,
      firstTime: group.firstTime,
      lastTime: group.lastTime,
      reason: printable(group.reason),
      commands: printable(names.join(', ')),
      note: notes.join('; '),
      isStopped: group.reached === 'no',
      ids: group.ids,
    };
  });
}

function endingOf({ outcome }: TouchGroup): string[] {
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
