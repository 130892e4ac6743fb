// A report of one mailbox: its commands and their principals, and whether the journal is complete for that time. The caller provides the
// rows; they are read twice: once to count, so that the verdict comes first, and once for the list. Pure. Memory does not grow with the
// journal, and records written after the check are not in the report.

import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { formatTime } from '../../host/words/instants.js';
import { formatJson, printable } from '../../host/words/text.js';
import { formatArguments, formatCells, type Separator } from '../trail/export.js';
import type { ExchangeRow } from '../trail/search.js';
import type { Verdict } from '../trail/verify.js';
import { createOnlyCounted, type OnlyCounter, onlyCountedText } from '../views/only-counted.js';
import type { MailboxDay, MailboxHead, Surveyed } from '../views/trail.js';
import {
  type AskedTime,
  type Completeness,
  type Doubt,
  deletionSentence,
  formatPeriod,
  judgeCompleteness,
  reportSentences,
  unnamedSentence,
  type Vouching,
} from './completeness.js';
import { linesOf, type ReportForm, type ReportHead } from './lines.js';
import {
  createDayBook,
  createTouchCounter,
  createTouchReader,
  type GrantTold,
  type Touch,
  type TouchDay,
  touchClasses,
} from './touch.js';

export interface Reported extends Vouching {
  readonly verdict: Verdict;
  /** The matching rows. Called twice, the first time with a counter for commands that have no records. */
  rows(filter: TrailFilter, counted?: OnlyCounter): AsyncGenerator<ExchangeRow>;
  survey(filter: TrailFilter): Promise<Surveyed>;
  /** Why rows may be missing; to be called after all reading. */
  doubts(): readonly Doubt[];
  /** What is known of grants; called once, if a command ran under one. Absent: the reader cannot say. */
  readonly grants?:
    | ((sinceMs: number | undefined) => Promise<(grant: string) => GrantTold | undefined>)
    | undefined;
  readonly viewer?: string | undefined;
}

/** The verified journals of a fleet. Rows have a field `host`, and are not newer than the check. Call `judge`, as `doubts`, at the end. */
export interface ReportedFleet extends Pick<Reported, 'rows' | 'survey' | 'doubts' | 'viewer' | 'grants'> {
  judge(time: AskedTime): Completeness;
}

/** The question of a report; times in Unix milliseconds. */
export interface ReportAsked {
  /** One user, without `*`. */
  readonly mailbox: string;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  readonly nowMs: number;
  readonly isContentOnly: boolean;
  readonly host: string;
  readonly madeBy?: string | undefined;
}

export function whyNoReport(
  asked: Pick<ReportAsked, 'mailbox' | 'fromMs' | 'toMs'>,
): 'mailbox' | 'time' | undefined {
  const { mailbox, fromMs, toMs } = asked;
  if (mailbox === '' || mailbox.includes('*')) return 'mailbox';
  return fromMs !== undefined && toMs !== undefined && fromMs >= toMs ? 'time' : undefined;
}

export function filterOf(asked: Pick<ReportAsked, 'mailbox' | 'fromMs' | 'toMs'>): TrailFilter {
  const { mailbox, fromMs, toMs } = asked;
  return { user: mailbox, sinceMs: fromMs, untilMs: toMs, isWithCounts: true };
}

export async function makeReport(journal: Reported | ReportedFleet, asked: ReportAsked, form: ReportForm) {
  const { mailbox, fromMs, toMs, nowMs, isContentOnly, host, madeBy } = asked;
  const filter = filterOf(asked);
  const isSigned = 'verdict' in journal && journal.isChecked;
  const counter = createTouchCounter(isSigned ? journal.verdict.signedSeq : undefined);
  let isNamed = false;
  let isGranted = false;
  const counted = createOnlyCounted(filter);
  for await (const touch of touches(journal, filter, mailbox, { counted })) {
    counter.take(touch);
    isNamed ||= touch.by === 'named';
    isGranted ||= touch.grant !== '' || touch.countedForRequest !== '';
  }
  const counts = counter.counts();
  const ofGrant = isGranted ? await journal.grants?.(fromMs) : undefined;
  const { names: similar, isNamed: isKnown } = isNamed ? known : await journal.survey(filter);
  const time = { fromMs, toMs, nowMs };
  const judged =
    'verdict' in journal ? judgeCompleteness(journal.verdict, time, journal) : journal.judge(time);
  const only = counted.finish();
  const completeness = withDoubts(judged, [
    ...journal.doubts(),
    ...(only === undefined ? [] : [doubtOf(onlyCountedText(only, filter, ofMailbox))]),
  ]);
  const { isComplete } = completeness;
  const { viewer } = journal;
  const sentences = reportSentences(completeness, counts, toMs !== undefined);
  const deletion = deletionSentence(counts, isComplete, viewer);
  const unnamed = isKnown ? [] : [unnamedSentence(mailbox, similar, viewer)];
  // For a name without a user, "nothing was deleted" would be misleading.
  const answers = isKnown || counts.commands + counts.stopped > 0 ? [...unnamed, deletion] : unnamed;
  const head: ReportHead = {
    mailbox: printable(mailbox),
    period: formatPeriod(completeness.from, completeness.to, toMs !== undefined),
    isComplete,
    answer: printable(answers.join(' ')),
    isNamed: isKnown,
    similar: isKnown ? [] : similar.map(printable),
    sentences: [...sentences, scopeNote].map(printable),
    isContentOnly,
    madeAt: formatTime(nowMs),
    host: printable(host),
    journal: printable(('verdict' in journal ? journal.verdict.journal : undefined) ?? 'unknown'),
    madeBy: madeBy === undefined ? undefined : printable(madeBy),
  };
  return { counts, isComplete, isMisnamed: !isKnown && similar.length > 0, texts: texts() };

  async function* texts(): AsyncGenerator<string> {
    yield* form.begin(head, completeness, counts);
    for await (const touch of touches(journal, filter, mailbox, { ofGrant }))
      if (!isContentOnly || touch.showed !== 'no') yield* form.take(touch);
    yield* form.finish();
  }
}

const known = { names: [], isNamed: true } as const;

/** Without this, readers may take a report for everything that happened to the mailbox. */
const scopeNote =
  'note: of commands that went through dovegate; what mail programs do (IMAP, POP3), or root beside it, is not recorded';

const ofMailbox = ['it is of this mailbox', 'they are of this mailbox'] as const;
const doubtOf = (text: string): Doubt => ({ code: 'only-counted', text, isSerious: false });

function withDoubts(completeness: Completeness, more: readonly Doubt[]): Completeness {
  if (more.length === 0) return completeness;
  const isComplete = completeness.isComplete && !more.some(({ isSerious }) => isSerious);
  return { ...completeness, isComplete, doubts: [...completeness.doubts, ...more] };
}

/** Only touches up to the check: a running daemon continues to write. */
export async function* touches(
  journal: Reported | ReportedFleet,
  filter: TrailFilter,
  mailbox: string,
  {
    counted,
    ofGrant,
  }: {
    readonly counted?: OnlyCounter;
    readonly ofGrant?: ((grant: string) => GrantTold | undefined) | undefined;
  } = {},
): AsyncGenerator<Touch> {
  const isFleet = !('verdict' in journal);
  const read = createTouchReader(mailbox, isFleet, ofGrant);
  const { lastSeq = 0 } = isFleet ? { lastSeq: Infinity } : journal.verdict;
  for await (const row of journal.rows(filter, counted)) {
    if ((row.admittedSeq ?? 0) <= lastSeq) yield read((row.completedSeq ?? 0) > lastSeq ? opened(row) : row);
  }
}

/** A command that ended after the check was open at its time. */
function opened({ fields, admittedSeq }: ExchangeRow): ExchangeRow {
  const { outcome: _, sent: _s, cells: _c, ...before } = fields;
  return { fields: before, admittedSeq, completedSeq: undefined, completedTime: undefined };
}

type Cells = Readonly<Record<string, (touch: Touch) => unknown>>;

const cells: Cells = {
  time: (touch: Touch) => touch.time,
  requester: (touch: Touch) => touch.requester,
  class: (touch: Touch) => touch.class,
  kind: (touch: Touch) => touch.kind,
  reason: (touch: Touch) => touch.reason,
  command: (touch: Touch) => touch.command,
  args: (touch: Touch) => touch.args,
  user: (touch: Touch) => touch.user,
  touched_by: (touch: Touch) => touch.by,
  reached: (touch: Touch) => touch.reached,
  showed_content: (touch: Touch) => touch.showed,
  outcome: (touch: Touch) => touch.outcome,
  for: (touch: Touch) => touch.countedFor,
  id: (touch: Touch) => touch.id,
  session: (touch: Touch) => touch.session,
  listener: (touch: Touch) => touch.listener,
  backend: (touch: Touch) => touch.backend,
  seq: (touch: Touch) => touch.seq,
  completed_seq: (touch: Touch) => touch.completedSeq,
  grant: (touch: Touch) => touch.grant,
  approved_by: (touch: Touch) => touch.approvedBy,
  why: (touch: Touch) => touch.why,
};
const fleetCells: Cells = { time: (touch) => touch.time, host: (touch) => touch.host, ...cells };

/** One line of JSON for the verdict, then one for each command. */
export function createJsonReport(): ReportForm {
  let all = cells;
  return {
    begin(head, { from, to, signedTo, signedBy, doubts, hosts }, counts) {
      if (hosts !== undefined) all = fleetCells;
      const verdict = {
        mailbox: head.mailbox,
        complete: head.isComplete,
        answer: head.answer,
        named: head.isNamed,
        similar: head.similar.length === 0 ? undefined : head.similar,
        from,
        to,
        signed_by: signedBy,
        signed_to: signedTo,
        commands: counts.commands,
        requesters: counts.requesters,
        showed_content: counts.showed,
        searched_content: counts.searched,
        may_have_shown_content: counts.maybeShowed,
        not_named: counts.notNamed,
        open: counts.open,
        unknown: counts.unknown,
        not_reached: counts.stopped,
        denied: counts.denied,
        counted: counts.counted,
        not_signed_yet: counts.unsigned,
        deleted: counts.deleted,
        may_have_deleted: counts.maybeDeleted,
        delete_denied: counts.deleteDenied,
        delete_failed: counts.deleteFailed,
        hosts: hosts?.map((host) => ({
          host: host.host,
          complete: host.isComplete,
          to: host.to,
          seq: host.seq,
          signed_seq: host.signedSeq,
          signed_by: host.signedBy,
          doubts: host.doubts.map(formatDoubt),
        })),
        doubts: doubts.map(formatDoubt),
        sentences: head.sentences,
        made_at: head.madeAt,
        made_on: head.host,
      };
      return [formatJson({ verdict })];
    },
    take: (touch) => [
      formatJson(Object.fromEntries(Object.entries(all).map(([name, of]) => [name, of(touch)]))),
    ],
    finish: () => [],
  };
}

function formatDoubt({ code, text, isSerious }: Doubt) {
  return { code, text, serious: isSerious };
}

/** The sentences of the verdict as rows of the class `verdict`, since a file is handed on alone; then one row for each command. */
export function createCsvReport(separator: Separator = ','): ReportForm {
  let all: Cells = cells;
  const line = (value: (name: string) => unknown): string =>
    `${formatCells(Object.keys(all).map(value), separator)}\r`;
  return {
    begin({ mailbox, answer, sentences, madeAt, host }, { hosts }) {
      if (hosts !== undefined) all = fleetCells;
      const about = { time: madeAt, requester: `dovegate on ${host}`, class: 'verdict', user: mailbox };
      const verdict = [answer, ...sentences].map((reason) => new Map(Object.entries({ ...about, reason })));
      return [line((name) => name), ...verdict.map((row) => line((name) => row.get(name)))];
    },
    take: (touch) => [line((name) => (name === 'args' ? formatArguments(touch.args) : all[name]?.(touch)))],
    finish: () => [],
  };
}

/** For the page in the browser: JSON of a MailboxHead, then of each MailboxDay. */
export function createPageReport(): ReportForm {
  const book = createDayBook();
  const days = (over: readonly TouchDay[]): string[] =>
    over.map((day) => {
      const lines = linesOf(day);
      return JSON.stringify({ day: lines[0]?.day ?? '', lines } satisfies MailboxDay);
    });
  return {
    begin({ mailbox, ...all }, { from, to, signedBy, signedTo, doubts }, counts) {
      const { journal: _, isNamed: _n, similar: _s, ...head } = all;
      const told: MailboxHead = {
        mailbox,
        ...head,
        from,
        to,
        signedBy: signedBy === undefined ? undefined : printable(signedBy),
        signedTo,
        counts,
        classes: touchClasses,
        doubts: doubts.map(({ code, text, isSerious }) => ({ code, text: printable(text), isSerious })),
      };
      return [JSON.stringify(told)];
    },
    take: (touch) => days(book.take(touch)),
    finish: () => days(book.finish()),
  };
}
