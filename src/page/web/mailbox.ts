// The report of one mailbox, as it comes in events; which time it is asked for; and how it is summed up.

import type { VerifyProgress } from '../../evidence/views/proof.js';
import type { MailboxClass, MailboxDay, MailboxHead, MailboxLine } from '../../evidence/views/trail.js';
import { plural } from '../../host/words/words.js';
import type { AskReport } from '../answers/endpoints.js';
import type { StreamEvent } from './api.js';
import { shellQuoted } from './trail-query.js';

export interface Question {
  readonly user: string;
  /** `2026-11-01`, in UTC; empty: as far as the journal goes. */
  readonly from: string;
  readonly to: string;
  readonly isContentOnly: boolean;
}

export function questionOf(user: string, query: { get(name: string): string | null }): Question {
  const day = (name: string): string => {
    const text = query.get(name) ?? '';
    return dayStart(text) === undefined ? '' : text;
  };
  return { user, from: day('from'), to: day('to'), isContentOnly: query.get('content') === '1' };
}

/** The query with its `?`, or an empty string. */
export function queryOf({ from, to, isContentOnly }: Question): string {
  const parts = [
    ...(from === '' ? [] : [`from=${from}`]),
    ...(to === '' ? [] : [`to=${to}`]),
    ...(isContentOnly ? ['content=1'] : []),
  ];
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

const dayMs = 86_400_000;

function dayStart(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return undefined;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Days in UTC, as the command line takes them; the last one counts to its end. */
export function askOf({ user, from, to, isContentOnly }: Question, form: AskReport['form']): AskReport {
  const fromMs = dayStart(from);
  const toMs = dayStart(to);
  return {
    mailbox: user,
    form,
    ...(fromMs !== undefined && { fromMs }),
    ...(toMs !== undefined && { toMs: toMs + dayMs }),
    ...(isContentOnly && { content: true }),
  };
}

export function commandOf({ user, from, to, isContentOnly }: Question): string {
  return [
    `dovegate audit report --mailbox ${shellQuoted(user)}`,
    ...(from === '' ? [] : [`--from ${from}`]),
    ...(to === '' ? [] : [`--to ${to}`]),
    ...(isContentOnly ? ['--content'] : []),
  ].join(' ');
}

/** A report while it is received; whole only after `end`. */
export interface Report {
  readonly progress?: VerifyProgress;
  readonly head?: MailboxHead;
  readonly days: readonly MailboxDay[];
  readonly lines: number;
  /** How many lines came that are not in `days`, because there are too many. */
  readonly left: number;
  readonly isWhole: boolean;
}

export const noReport: Report = { days: [], lines: 0, left: 0, isWhole: false };

/** More lines than a browser draws in a second, and than anybody reads. */
export const linesMax = 3_000;

export function withEvent(report: Report, { name, data }: StreamEvent): Report {
  switch (name) {
    case 'progress': {
      const progress: VerifyProgress = JSON.parse(data);
      return { ...report, progress };
    }
    case 'head': {
      const head: MailboxHead = JSON.parse(data);
      return { ...report, head };
    }
    case 'day': {
      const day: MailboxDay = JSON.parse(data);
      const { length } = day.lines;
      // Only the end is left out, never a part in the middle.
      if (report.left > 0 || (report.lines + length > linesMax && report.lines > 0))
        return { ...report, left: report.left + length };
      return { ...report, days: [...report.days, day], lines: report.lines + length };
    }
    case 'end':
      return { ...report, isWhole: true };
    default:
      return report;
  }
}

/** Such as `mailbox-alice@example.com-2026-11-21.csv`; for any name of a mailbox, valid on every file system. */
export function fileNameOf({ user }: Question, madeAt: string, form: string): string {
  const name = user.replace(/[^\w@.+-]+/g, '_').slice(0, 80);
  return `mailbox-${name}-${madeAt.slice(0, 10)}.${form}`;
}

export interface RequesterSum {
  readonly requester: string;
  readonly counts: Readonly<Partial<Record<MailboxLine['class'], number>>>;
  readonly firstTime: string;
  readonly lastTime: string;
}

/** Sums up the lines in `days`. Requesters with the gravest commands come first, in the order of the classes. */
export function sumByRequester(
  days: readonly MailboxDay[],
  classes: readonly MailboxClass[],
): RequesterSum[] {
  const sums = new Map<string, RequesterSum>();
  for (const { requester, class: group, count, firstTime, lastTime } of days.flatMap(({ lines }) => lines)) {
    const before = sums.get(requester) ?? { requester, counts: {}, firstTime, lastTime };
    sums.set(requester, {
      requester,
      counts: { ...before.counts, [group]: (before.counts[group] ?? 0) + count },
      firstTime: firstTime < before.firstTime ? firstTime : before.firstTime,
      lastTime: lastTime > before.lastTime ? lastTime : before.lastTime,
    });
  }
  return [...sums.values()].toSorted((one, other) => {
    for (const { class: group } of classes) {
      const more = (other.counts[group] ?? 0) - (one.counts[group] ?? 0);
      if (more !== 0) return more;
    }
    return one.requester.localeCompare(other.requester);
  });
}

export function classesOf(sums: readonly RequesterSum[], classes: readonly MailboxClass[]): MailboxClass[] {
  return classes.filter((each) => sums.some(({ counts }) => (counts[each.class] ?? 0) > 0));
}

/** A line of a day with one of these is worth its own row. */
const grave: readonly MailboxLine['class'][] = ['deleted', 'destroyed', 'changed', 'content', 'searched'];

/** Days after each other that say the same but for numbers and times, as one: its day is `2026-11-01 to 2026-11-14`. */
export function foldDays(days: readonly MailboxDay[]): readonly MailboxDay[] {
  const folded: MailboxDay[] = [];
  for (const next of days) {
    const before = folded.at(-1);
    const kind = sayingOf(next);
    if (before === undefined || kind === undefined || kind !== sayingOf(before)) folded.push(next);
    else folded[folded.length - 1] = joined(before, next);
  }
  return folded;
}

/** Undefined: it stands alone. */
function sayingOf({ day, lines }: MailboxDay): string | undefined {
  if (day.endsWith('(more)') || lines.some((line) => grave.includes(line.class))) return undefined;
  return JSON.stringify(
    lines.map(({ host, requester, what, reason, commands, note, grant }) =>
      [host, requester, what, reason, commands.replaceAll(countForm, ''), note, grant].join('\n'),
    ),
  );
}

const countForm = / \([\d,]+\)/g;

function joined(before: MailboxDay, next: MailboxDay): MailboxDay {
  const day = `${before.day.slice(0, 10)} to ${next.day}`;
  const lines = before.lines.map((line, at): MailboxLine => {
    const more = next.lines[at] ?? line;
    const ids = [...line.ids, ...more.ids].slice(0, 20);
    const count = line.count + more.count;
    return {
      ...line,
      day,
      count,
      lastTime: more.lastTime,
      ids,
      commands: line.commands.replaceAll(countForm, ''),
    };
  });
  return { day, lines };
}

/** `08:22:34`, or `08:22:34 to 09:01:02`, or with their days, in UTC. */
export function spanWords({ firstTime, lastTime }: Pick<MailboxLine, 'firstTime' | 'lastTime'>): string {
  if (firstTime.slice(0, 10) !== lastTime.slice(0, 10))
    return [firstTime, lastTime].map((time) => time.slice(5, 16).replace('T', ' ')).join(' to ');
  const first = firstTime.slice(11, 19);
  const last = lastTime.slice(11, 19);
  return first === last ? first : `${first} to ${last}`;
}

export function shownAnswer({
  showed,
  searched,
  maybeShowed,
}: Pick<MailboxHead['counts'], 'showed' | 'searched' | 'maybeShowed'>): string {
  const search =
    searched === 0
      ? ''
      : `${plural(searched, 'command', 'commands')} searched in content, which shows which mails have a word`;
  if (showed === 0 && maybeShowed === 0)
    return `No recorded command showed content of mails${search === '' ? '' : `; ${search}`}.`;
  const surely = showed === 0 ? '' : `${plural(showed, 'command', 'commands')} showed content of mails`;
  const perhaps =
    maybeShowed === 0
      ? ''
      : `${plural(maybeShowed, 'command', 'commands')} may have shown ${showed === 0 ? 'content of mails' : 'some'}`;
  return `${[surely, perhaps, search].filter((part) => part !== '').join('; ')}.`;
}

/** Whether the report is complete, and up to when its commands are signed. */
export function verdictOf(head: MailboxHead): {
  readonly tone: 'good' | 'bad';
  readonly text: string;
} {
  const { isComplete, signedTo, counts, sentences } = head;
  if (!isComplete) return { tone: 'bad', text: sentences[0] ?? '' };
  const from = signedTo?.slice(0, 10) === head.madeAt.slice(0, 10) ? 11 : 0;
  const until = signedTo?.slice(from, 19).replace('T', ' ');
  if (counts.unsigned === 0 || until === undefined)
    return {
      tone: 'good',
      text: `Complete; nothing is missing, and all commands for this mailbox are signed${until === undefined ? '' : `, up to ${until} UTC`}.`,
    };
  const later = plural(counts.unsigned, 'later command', 'later commands');
  return { tone: 'good', text: `Complete; signed up to ${until} UTC, ${later} not signed yet.` };
}
