// `dovegate audit report`: who touched one mailbox, and whether the journal is complete for that time. The journal is checked as `audit
// verify` checks it, then read twice: once to count, so that the verdict comes first, and once to print.
// The rule: memory does not grow with the journal, and what was written after the check is not in the report.

import { systemClock } from '../../adapters/host/clock.js';
import { searchTrail, surveyTrails } from '../../adapters/journal/trail.js';
import { formatJson, printable } from '../../domain/audit/encode.js';
import { formatTime } from '../../domain/audit/record.js';
import {
  type Completeness,
  type Doubt,
  formatPeriod,
  judgeCompleteness,
  reportSentences,
  type Vouching,
} from '../../domain/report/completeness.js';
import {
  createDayBook,
  createTouchCounter,
  createTouchReader,
  type Touch,
  type TouchDay,
} from '../../domain/report/touch.js';
import { formatCell } from '../../domain/trail/export.js';
import type { ExchangeRow, Surveyed, TrailFilter } from '../../domain/trail/search.js';
import type { Verdict } from '../../domain/trail/verify.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { describeView, isAsked, openPage } from './ask-page.js';
import type { Places } from './audit-places.js';
import { type Column, createTable, formatLocal, reportHidden, showsLocalTime } from './audit-table.js';
import { checkJournal } from './audit-verify.js';
import { createHtmlReport } from './report-html.js';
import { formatSpan, linesOf, type ReportForm, type ReportHead, type ReportLine } from './report-lines.js';

/** The options of the command line; times in Unix milliseconds. */
export interface ReportFlags {
  readonly mailbox: string;
  readonly from?: number;
  readonly to?: number;
  /** List only what showed content, or may have. */
  readonly content?: boolean;
  /** Files with public or private keys. */
  readonly key: readonly string[];
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly html?: boolean;
}

/** Exit code 0; 1: the time is not proved complete. Throws what readers throw. */
export async function auditReport(screen: Screen, places: Places, flags: ReportFlags): Promise<number> {
  const { mailbox, from: fromMs, to: toMs, content: isContentOnly = false } = flags;
  if (mailbox === '' || mailbox.includes('*'))
    throw new CommandFault(exitCodes.usage, '--mailbox is the name of one user, without *');
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs)
    throw new CommandFault(exitCodes.usage, '--from must be before --to');
  const nowMs = systemClock.wallMs();
  const journal = await openReported(screen, places, flags.key);
  const filter: TrailFilter = { user: mailbox, sinceMs: fromMs, untilMs: toMs };
  const counter = createTouchCounter();
  let isNamed = false;
  for await (const touch of touches(journal, filter, mailbox)) {
    counter.take(touch);
    isNamed ||= touch.by === 'named';
  }
  const counts = counter.counts();
  const judged = judgeCompleteness(journal.verdict, { fromMs, toMs, nowMs }, journal);
  const completeness = withDoubts(judged, journal.doubts());
  const sentences = reportSentences(completeness, counts, toMs !== undefined);
  const similar = isNamed ? [] : (await journal.survey(filter)).names;
  const meant =
    similar.length === 0 ? [] : [`note: no record names "${mailbox}": did you mean ${similar.join(' or ')}?`];
  const head: ReportHead = {
    mailbox: printable(mailbox),
    period: formatPeriod(completeness.from, completeness.to, toMs !== undefined),
    isComplete: completeness.isComplete,
    sentences: [...sentences, ...meant].map(printable),
    isContentOnly,
    madeAt: formatTime(nowMs),
  };
  const form = formOf(screen, flags);
  for (const text of form.begin(head, completeness, counts)) await screen.print(text);
  for await (const touch of touches(journal, filter, mailbox)) {
    if (isContentOnly && touch.showed === 'no') continue;
    for (const text of form.take(touch)) await screen.print(text);
    if (screen.isGone) break;
  }
  for (const text of form.finish()) await screen.print(text);
  await screen.flush();
  return completeness.isComplete ? exitCodes.ok : exitCodes.failed;
}

/** The journal that a report is of, and what vouches for it. */
interface Reported extends Vouching {
  readonly verdict: Verdict;
  rows(filter: TrailFilter): AsyncGenerator<ExchangeRow>;
  survey(filter: TrailFilter): Promise<Surveyed>;
  /** After the rows: why some may not be among them. */
  doubts(): readonly Doubt[];
}

/** Files that are read and checked here, or a daemon that checks and reads them. */
async function openReported(screen: Screen, places: Places, key: readonly string[]): Promise<Reported> {
  if (!isAsked(places)) {
    const checked = await checkJournal(screen, places, key);
    const { trail } = checked;
    return {
      ...checked,
      rows: (filter) => searchTrail(trail, filter),
      survey: (filter) => surveyTrails([trail], filter),
      doubts: () => [],
    };
  }
  if (key.length > 0)
    throw new CommandFault(
      exitCodes.usage,
      '--key is for files; with --socket the daemon checks with its own key',
    );
  const page = await openPage(screen, places);
  const limits = describeView(await page.me());
  const notes = new Set<string>();
  return {
    verdict: await page.verify(),
    isChecked: true,
    whose: 'the key of the daemon, as it says itself',
    pathOf: (file) => file,
    rows: (filter) =>
      page.rows('report', filter, (end) => {
        for (const note of end.notes ?? []) notes.add(note);
      }),
    survey: (filter) => page.survey(filter),
    // Of a mailbox that commands may have touched which are hidden here, nothing is complete.
    doubts: () => [
      ...(limits === undefined ? [] : [{ code: 'limited-view', text: limits, isSerious: true } as const]),
      ...[...notes].map((text) => ({ code: 'left-out', text, isSerious: true }) as const),
    ],
  };
}

function withDoubts(completeness: Completeness, more: readonly Doubt[]): Completeness {
  if (more.length === 0) return completeness;
  return { ...completeness, isComplete: false, doubts: [...completeness.doubts, ...more] };
}

/** As of the check: a daemon that is running goes on writing. */
async function* touches(journal: Reported, filter: TrailFilter, mailbox: string): AsyncGenerator<Touch> {
  const read = createTouchReader(mailbox);
  const { lastSeq = 0 } = journal.verdict;
  for await (const row of journal.rows(filter)) {
    if ((row.admittedSeq ?? 0) <= lastSeq) yield read((row.completedSeq ?? 0) > lastSeq ? opened(row) : row);
  }
}

/** A command that ended after the check was open at the check. */
function opened({ fields, admittedSeq }: ExchangeRow): ExchangeRow {
  const { outcome: _, sent: _s, cells: _c, ...before } = fields;
  return { fields: before, admittedSeq, completedSeq: undefined, completedTime: undefined };
}

function formOf(screen: Screen, { json, csv, html }: ReportFlags): ReportForm {
  if (json === true) return createJsonReport();
  if (csv === true) return createCsvReport(screen);
  return html === true ? createHtmlReport() : createTextReport(screen);
}

const columns: readonly Column<ReportLine>[] = [
  { name: 'DAY', text: ({ day }) => day },
  { name: 'PERSON', text: ({ person }) => person, cellsMin: 10 },
  { name: 'WHAT', text: ({ what }) => what },
  { name: 'COUNT', isNumber: true, text: ({ count }) => String(count) },
  { name: 'TIME (UTC)', text: formatSpan, goes: 2 },
  { name: 'REASON', text: ({ reason }) => reason, cellsMin: 10, goes: 1 },
  { name: 'COMMANDS', text: ({ commands }) => commands, cellsMin: 10 },
  { name: 'NOTE', text: ({ note }) => note, cellsMin: 12, paint: () => 'doubtful' },
];

const withLocalTime: readonly Column<ReportLine>[] = columns.flatMap((column) =>
  column.name === 'TIME (UTC)'
    ? [column, { name: 'FIRST, LOCAL TIME', text: ({ firstTime }) => formatLocal(firstTime), goes: 3 }]
    : column,
);

function createTextReport(screen: Screen): ReportForm {
  const table = createTable(showsLocalTime(screen) ? withLocalTime : columns, screen);
  const book = createDayBook();
  const rows = (days: readonly TouchDay[]): string[] => days.flatMap(linesOf).flatMap(table.add);
  return {
    begin({ mailbox, sentences: [first = '', ...rest], isComplete, isContentOnly }) {
      return [
        screen.paint('title', `who touched ${mailbox}${isContentOnly ? ' (content only)' : ''}`),
        screen.paint(isComplete ? 'good' : 'bad', first),
        ...rest.map((text) => `  ${text}`),
        '',
      ];
    },
    take: (touch) => rows(book.take(touch)),
    finish() {
      const lines = [...rows(book.finish()), ...table.finish()];
      reportHidden(screen, table.hidden());
      return lines;
    },
  };
}

/** What a program is told of one command, in this order. */
const cells = {
  time: (touch: Touch) => touch.time,
  person: (touch: Touch) => touch.person,
  class: (touch: Touch) => touch.class,
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
} as const;

/** One line of JSON for the verdict, then one for each command. */
function createJsonReport(): ReportForm {
  return {
    begin(head, { from, to, signedTo, signedBy, doubts }, counts) {
      const verdict = {
        mailbox: head.mailbox,
        complete: head.isComplete,
        from,
        to,
        signed_by: signedBy,
        signed_to: signedTo,
        commands: counts.commands,
        people: counts.people,
        showed_content: counts.showed,
        may_have_shown_content: counts.maybeShowed,
        not_named: counts.notNamed,
        open: counts.open,
        unknown: counts.unknown,
        not_reached: counts.stopped,
        doubts: doubts.map(({ code, text, isSerious }) => ({ code, text, serious: isSerious })),
        sentences: head.sentences,
        made_at: head.madeAt,
      };
      return [formatJson({ verdict })];
    },
    take: (touch) => [
      formatJson(Object.fromEntries(Object.entries(cells).map(([name, of]) => [name, of(touch)]))),
    ],
    finish: () => [],
  };
}

/** Rows alone, so that a spreadsheet shows them; the verdict goes to stderr. */
function createCsvReport(screen: Screen): ReportForm {
  return {
    begin({ sentences }) {
      for (const text of sentences) screen.complain(`dovegate: ${text}`);
      return [`${Object.keys(cells).join(',')}\r`];
    },
    take: (touch) => [
      `${Object.values(cells)
        .map((of) => formatCell(of(touch)))
        .join(',')}\r`,
    ],
    finish: () => [],
  };
}
