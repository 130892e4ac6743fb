// The report of a mailbox as its owner sees it: class of access, team, time, reason, grant and approvals. No name of staff, no command, no
// argument, no other user, no client and no file is named. Pure. The only texts taken from a record are the team, the reason and the id of
// a grant; control characters in them are escaped here.

import { formatTime } from '../../host/words/instants.js';
import { formatJson, printable } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import { approvedWords } from '../story/owner-view.js';
import { type DoubtCode, formatPeriod, judgeCompleteness } from './completeness.js';
import { escape } from './html.js';
import { filterOf, type Reported, touches } from './report.js';
import { countForOf, hadEffect, type Touch, type TouchClass, touchClasses } from './touch.js';

export interface OwnerAsked {
  /** One user in its normal form. */
  readonly mailbox: string;
  readonly fromMs: number | undefined;
  readonly nowMs: number;
}

/** Commands of one day that look alike to the owner. Texts are harmless for a terminal and must be escaped for HTML. */
export type ReportedRow = Readonly<ReturnType<typeof rowOf>>;

export type OwnerReport = OwnerFacts['report'];

export type OwnerFacts = Awaited<ReturnType<typeof makeOwnerReport>>;

/** Whether the report has the command: not a search by which dovegate counted mails, and not yet what a grant keeps from the owner. */
function isTold(touch: Touch, nowMs: number): boolean {
  return countForOf(touch) === undefined && (touch.given?.quietUntilMs ?? 0) <= nowMs;
}

const rowsMax = 1000;
const whatOf = new Map<TouchClass, string>(touchClasses.map((each) => [each.class, each.what]));

export async function makeOwnerReport(journal: Reported, asked: OwnerAsked) {
  const { mailbox, fromMs, nowMs } = asked;
  const filter = filterOf({ mailbox, fromMs, toMs: undefined });
  let isGranted = false;
  for await (const { grant } of touches(journal, filter, mailbox)) isGranted ||= grant !== '';
  const ofGrant = isGranted ? await journal.grants?.(fromMs) : undefined;
  const rows = new Map<string, ReturnType<typeof rowOf>>();
  let without_effect = 0;
  let left_out = 0;
  for await (const touch of touches(journal, filter, mailbox, { ofGrant })) {
    if (!isTold(touch, nowMs)) continue;
    if (!hadEffect(touch)) {
      without_effect += 1;
      continue;
    }
    const row = rowOf(touch);
    const { from, until: _, commands: _c, ...alike } = row;
    const key = JSON.stringify([touch.day, alike]);
    const known = rows.get(key);
    if (known !== undefined) {
      known.commands += 1;
      if (from < known.from) known.from = from;
      if (from > known.until) known.until = from;
      continue;
    }
    rows.set(key, row);
    const [[oldest, { commands }] = ['', row]] = rows;
    if (rows.size > rowsMax && rows.delete(oldest)) left_out += commands;
  }
  const { verdict } = journal;
  const judged = judgeCompleteness(verdict, { fromMs, toMs: undefined, nowMs }, journal);
  const doubts = [...judged.doubts, ...journal.doubts()];
  const complete = left_out === 0 && !doubts.some(({ isSerious }) => isSerious);
  const period = formatPeriod(judged.from, judged.to, false);
  const report = {
    user: printable(mailbox),
    from: judged.from,
    to: judged.to,
    complete,
    /** The first is the verdict. */
    sentences: [
      complete
        ? `The record is complete from ${period}: nothing in it is changed or missing.`
        : `The record is NOT proved complete from ${period}.`,
      ...new Set(doubts.map(({ code }) => doubtWords[code])),
      ...(left_out === 0 ? [] : [`${plural(left_out, 'older command')} had no room in this report.`]),
      ...(without_effect === 0
        ? []
        : [`${plural(without_effect, 'more command')} had no effect: refused, failed, or never sent.`]),
      'It lists commands that went through dovegate; what mail programs do (IMAP, POP3) is not recorded.',
    ],
    /** Commands that did nothing: refused, failed, or never sent. */
    without_effect,
    /** Commands in older rows, for which there was no room. */
    left_out,
    made_at: formatTime(nowMs),
    rows: [...rows.values()].toSorted((one, other) => (one.from < other.from ? -1 : 1)),
  };
  const { firstSeq = 1, lastSeq = 0, faultCount } = verdict;
  // The range: the records that were looked through.
  return { report, fromSeq: firstSeq, toSeq: lastSeq, isDamaged: faultCount > 0 };
}

function rowOf(touch: Touch) {
  const { time, grant, policy, reason, given: { approvedBy, quietUntilMs } = {} } = touch;
  return {
    /** RFC 3339, of the first and of the last of them. */
    from: time,
    until: time,
    class: touch.class,
    what: whatOf.get(touch.class) ?? touch.class,
    /** The name of the policy. */
    team: printable(policy === '' ? 'unknown' : policy),
    reason: printable(reason),
    /**
     * `approved_by`: the team of each approver; empty if nobody approved before the access, absent if the records of the approval were
     * removed. `kept_until`: RFC 3339: the approvers kept it from the owner until then.
     */
    ...(grant !== '' && {
      grant: printable(grant),
      ...(approvedBy !== undefined && { approved_by: approvedBy.map((name) => printable(name)) }),
      ...(quietUntilMs !== undefined && { kept_until: formatTime(quietUntilMs) }),
    }),
    commands: 1,
    /** Whether content of mails came to the client. */
    content: touch.showed,
    /** False: a command for all users, or for a mask, which may have touched this mailbox. */
    sure: touch.by === 'named',
  };
}

/** The words for auditors may name files, and quote records. */
const doubtWords: Readonly<Record<DoubtCode, string>> = {
  fault: 'Records were changed or are missing.',
  unsigned: 'The record is not signed.',
  empty: 'There is no record at all.',
  'begins-later': 'The record begins later than this time.',
  retired: 'Older records of this time were removed, as the operator decided.',
  'ends-earlier': 'The record ends before this time does.',
  'unsigned-tail': 'The newest commands are not signed yet.',
  'lost-memory': 'Some records may have been lost when dovegate ended unexpectedly.',
  clock: 'A clock was set, or dovegate did not run for a while, within this time.',
  newer: 'A newer dovegate wrote a part of the record.',
  'limited-view': 'Only a part of the record was looked through.',
  'left-out': 'Some commands were left out.',
  'only-counted': 'Some refused commands were counted only.',
};

/** The rows of a signed extract: the verdict, then one for each row. */
export function ownerLines({ rows, ...head }: OwnerReport): string[] {
  return [head, ...rows].map((line) => formatJson(line));
}

/** A part of a page: no script, no style, nothing that is loaded. */
export function ownerFragment({ user, sentences, rows, made_at }: OwnerReport): string {
  const [verdict = '', ...more] = sentences;
  const lines = rows.map(
    (row) => `<tr>${columns.map(([, text]) => `<td>${escape(text(row))}</td>`).join('')}</tr>`,
  );
  const head = columns.map(([name]) => `<th scope="col">${name}</th>`).join('');
  return `${[
    '<section class="dovegate-mailbox-report">',
    `<h2>Who looked into ${escape(user)}</h2>`,
    `<p><strong>${escape(verdict)}</strong></p>`,
    '<ul>',
    ...more.map((text) => `<li>${escape(text)}</li>`),
    '</ul>',
    ...(rows.length === 0
      ? ['<p>No command is listed.</p>']
      : [`<table><thead><tr>${head}</tr></thead><tbody>`, ...lines, '</tbody></table>']),
    `<p>Made by dovegate at ${escape(made_at)}. Times are UTC.</p>`,
    '</section>',
  ].join('\n')}\n`;
}

const columns: readonly (readonly [string, (row: ReportedRow) => string])[] = [
  ['First', ({ from }) => printable(from)],
  ['Last', ({ until }) => printable(until)],
  ['What', noteOf],
  ['Commands', ({ commands }) => String(commands)],
  ['Team', ({ team }) => team],
  ['Reason', ({ reason }) => reason],
  [
    'Approved by',
    ({ grant, approved_by: by, kept_until: until }) =>
      grant === undefined
        ? ''
        : `${approvedWords(by, (name) => name)}; grant ${grant}${until === undefined ? '' : `, kept from you until ${until}`}`,
  ],
];

function noteOf({ what, content, sure, class: group }: ReportedRow): string {
  const isOfContent = group === 'content' || group === 'searched';
  const notes = [
    ...(sure ? [] : ['may have touched this mailbox: a command for many users']),
    ...(isOfContent && content === 'no' ? ['no content came'] : []),
    ...(isOfContent || content === 'no'
      ? []
      : [content === 'yes' ? 'showed content' : 'may have shown content']),
    ...(isOfContent && content === 'maybe' ? ['perhaps'] : []),
  ];
  return [what, ...notes].join('; ');
}
