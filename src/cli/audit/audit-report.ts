// `dovegate audit report`: the accesses to one mailbox, and whether the journal is complete for that time. It checks the journal
// as `audit verify` does; domain/records/report makes the report.

import { systemClock } from '../../adapters/host/clock.js';
import { hostName } from '../../adapters/host/process.js';
import type { Piece } from '../../adapters/journal/compressed.js';
import { searchTrail, surveyTrails } from '../../adapters/journal/search-trail.js';
import type { Trail, TrailFile } from '../../adapters/journal/trail.js';
import { readAccess } from '../../adapters/views/read-access.js';
import { bounds } from '../../bounds/bounds.js';
import type { MailboxLine } from '../../domain/admin/page/trail.js';
import { printable } from '../../domain/records/audit/encode.js';
import { formatTime, readHead } from '../../domain/records/audit/record.js';
import { type AccessAsked, type AccessLedger, toldBy } from '../../domain/records/report/access.js';
import { judgeHosts, unverifiedHosts } from '../../domain/records/report/hosts.js';
import { createHtmlReport } from '../../domain/records/report/html.js';
import { formatSpan, linesOf, type ReportForm } from '../../domain/records/report/lines.js';
import {
  createCsvReport,
  createJsonReport,
  filterOf,
  makeReport,
  type ReportAsked,
  type Reported,
  type ReportedFleet,
  whyNoReport,
} from '../../domain/records/report/report.js';
import { createDayBook, type GrantTold, type TouchDay } from '../../domain/records/report/touch.js';
import type { AccessTold } from '../../domain/records/story/row.js';
import type { Separator } from '../../domain/records/trail/export.js';
import { createSearch, type ExchangeRow, type TrailSearch } from '../../domain/records/trail/search.js';
import type { Sketch } from '../../domain/records/trail/sketch.js';
import { createOnlyCounted, type OnlyCounter } from '../../domain/records/views/only-counted.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { describeView, isAsked, isInView, openPage } from './ask-page.js';
import { type Places, trailsOf } from './audit-places.js';
import { withHost } from './audit-search.js';
import { type Column, createTable, formatLocal, reportHidden, showsLocalTime } from './audit-table.js';
import { checkHosts, checkJournal } from './audit-verify.js';

export interface ReportFlags {
  readonly mailbox: string;
  readonly from?: number;
  readonly to?: number;
  readonly content?: boolean;
  readonly unverified?: boolean;
  readonly key: readonly string[];
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly separator?: Separator;
  readonly html?: boolean;
}

/** Exit code 0; 1: the time is not proved complete, or another name was probably meant. Throws as the readers do. */
export async function auditReport(screen: Screen, places: Places, flags: ReportFlags): Promise<number> {
  const asked = askedOf(flags);
  const isFleet = places.fleet !== undefined;
  if (flags.unverified === true && (!isFleet || flags.key.length > 0))
    throw new CommandFault(exitCodes.usage, '--unverified is for --fleet, without --key');
  const journal = !isFleet
    ? await openReported(screen, places, flags)
    : flags.unverified === true
      ? await openUnverified(screen, places, flags)
      : await openHosts(screen, places, flags.key, asked);
  return printReport(screen, journal, asked, formOf(screen, flags, !('verdict' in journal)));
}

/** The request in the options. Throws a CommandFault. */
function askedOf({ mailbox, from, to, content = false }: Omit<ReportFlags, 'key'>): ReportAsked {
  const asked = {
    mailbox,
    fromMs: from,
    toMs: to,
    nowMs: systemClock.wallMs(),
    host: hostName(),
    isContentOnly: content,
  };
  const why = whyNoReport(asked);
  if (why === 'mailbox')
    throw new CommandFault(exitCodes.usage, '--mailbox is the name of one user, without *');
  if (why === 'time') throw new CommandFault(exitCodes.usage, '--from must be before --to');
  return asked;
}

/** Exit code 0; 1: the time is not proved complete, or another name was probably meant. */
async function printReport(
  screen: Screen,
  journal: Reported | ReportedFleet,
  asked: ReportAsked,
  form: ReportForm,
): Promise<number> {
  const { texts, isComplete, isMisnamed } = await makeReport(journal, asked, form);
  for await (const text of texts) {
    await screen.print(text);
    if (screen.isGone) break;
  }
  await screen.flush();
  return isComplete && !isMisnamed ? exitCodes.ok : exitCodes.failed;
}

/** The journals of a fleet, host after host. */
async function openHosts(
  screen: Screen,
  places: Places,
  key: readonly string[],
  asked: ReportAsked,
): Promise<ReportedFleet> {
  // Most journals hold nothing of one mailbox: they are read once, and not for the rows again.
  const filter = filterOf(asked);
  const looks = new Map<string, { readonly search: TrailSearch; readonly counted: OnlyCounter }>();
  const wanted = new Set<string>();
  const hosts = await checkHosts(screen, places, key, (path, piece) => {
    if (wanted.has(path)) return;
    const look = looks.get(path) ?? { search: createSearch(filter), counted: createOnlyCounted(filter) };
    looks.set(path, look);
    look.counted.take(piece.bytes);
    const isFound = [...look.search.take(piece.bytes)].length > 0;
    if (isFound || look.search.waiting().length > 0 || look.counted.finish() !== undefined) wanted.add(path);
  });
  looks.clear();
  const trails = hosts.flatMap(({ journals }) => journals.map(({ trail }) => trail));
  return {
    judge: (time) => judgeHosts(hosts, time),
    async *rows(named, counted) {
      for (const { host, journals } of hosts)
        for (const { trail, directory } of journals)
          if (wanted.has(directory)) yield* withHost(host, searchTrail(trail, named, lookFor(counted)));
    },
    survey: (named) => surveyTrails(trails, named),
    doubts: () => [],
    grants: (sinceMs) => grantsOf(trails, { sinceMs, user: asked.mailbox }),
  };
}

/** The same from the mirror as it lies: by the sketches of its segments, and without a verdict. */
async function openUnverified(
  screen: Screen,
  places: Places,
  { mailbox }: Pick<ReportFlags, 'mailbox'>,
): Promise<ReportedFleet> {
  const trails = await trailsOf(screen, places);
  let firstTime = '';
  const saw = (time: string): void => {
    if (firstTime === '' || time < firstTime) firstTime = time;
  };
  /** The rows of the first reading; undefined: there are too many to be held. */
  let kept: ExchangeRow[] | undefined;
  return {
    judge: (time) => unverifiedHosts(firstTime, time),
    async *rows(filter, counted) {
      if (kept !== undefined) {
        yield* kept;
        return;
      }
      let found: ExchangeRow[] | undefined = [];
      for (const trail of trails) {
        const look = (_: TrailFile, piece: Piece | undefined): void => {
          if (piece === undefined) return;
          const { time } = readHead(piece.bytes.toString('latin1', 0, headChars)) ?? {};
          if (time !== undefined) saw(time);
          counted?.take(piece.bytes);
        };
        const passed = (_: TrailFile, { minMs }: Sketch): void => saw(formatTime(minMs));
        for await (const row of withHost(trail.host ?? '', searchTrail(trail, filter, look, passed))) {
          if (found?.push(row) === bounds.reportKept) found = undefined;
          yield row;
        }
      }
      kept = found;
    },
    survey: (filter) => surveyTrails(trails, filter),
    doubts: () => [],
    grants: (sinceMs) => grantsOf(trails, { sinceMs, user: mailbox }),
  };
}

/** Holds seq, time and event of a record. */
const headChars = 100;

const lookFor =
  (counted: OnlyCounter | undefined) =>
  (_: TrailFile, piece: Piece | undefined): void => {
    if (piece !== undefined) counted?.take(piece.bytes);
  };

async function grantsOf(trails: readonly Trail[], asked: AccessAsked): Promise<(grant: string) => GrantTold> {
  const ledgers: AccessLedger[] = [];
  for (const trail of trails) ledgers.push(await readAccess(trail, asked));
  return toldBy(ledgers);
}

/** Files that are checked and read here, or a daemon that does both. */
async function openReported(
  screen: Screen,
  places: Places,
  { key, mailbox, from }: Pick<ReportFlags, 'key' | 'mailbox' | 'from'>,
): Promise<Reported | ReportedFleet> {
  if (!isAsked(places)) {
    const checked = await checkJournal(screen, places, key);
    const { trail } = checked;
    return {
      ...checked,
      rows: (filter, counted) => searchTrail(trail, filter, lookFor(counted)),
      survey: (filter) => surveyTrails([trail], filter),
      doubts: () => [],
      grants: (sinceMs) => grantsOf([trail], { sinceMs, user: mailbox }),
    };
  }
  if (key.length > 0)
    throw new CommandFault(
      exitCodes.usage,
      '--key is for files; with --socket the daemon checks with its own key',
    );
  const page = await openPage(screen, places);
  const { me, journals, isOfHosts } = page;
  const limits = describeView(me);
  if (!isInView(me, mailbox))
    throw new CommandFault(exitCodes.notPermitted, `"${printable(mailbox)}" is not one of these`);
  const notes = new Set<string>();
  const shown: Omit<ReportedFleet, 'judge'> = {
    viewer: me.users === undefined ? undefined : me.name,
    async *rows(filter, counted) {
      for (const journal of journals)
        yield* journal.rows('report', filter, (end) => {
          if (end.counted !== undefined) counted?.add(end.counted);
          for (const note of end.notes ?? []) notes.add(note);
        });
    },
    survey: (filter) => page.survey(filter),
    grants: async (sinceMs) => {
      const told: AccessTold[] = [];
      for (const journal of journals) told.push(...(await journal.requests({ sinceMs, user: mailbox })).told);
      const byId = new Map(told.map((each) => [each.id, each]));
      const unknown = toldBy([], me.users !== undefined);
      return (id) => {
        const { said, reason = '' } = byId.get(id) ?? {};
        return said === undefined ? unknown(id) : { approvedBy: said.by, reason };
      };
    },
    // Commands that are hidden here may have touched the mailbox, so nothing is complete.
    doubts: () => [
      ...(limits === undefined ? [] : [{ code: 'limited-view', text: limits, isSerious: true } as const]),
      ...[...notes].map((text) => ({ code: 'left-out', text, isSerious: true }) as const),
    ],
  };
  const [journal] = journals;
  if (isOfHosts || journal === undefined) {
    const { firstTime = '' } = from === undefined ? await page.survey({}) : { firstTime: formatTime(from) };
    return { ...shown, judge: (time) => unverifiedHosts(firstTime, time, unverifiedText) };
  }
  const verdict = await journal.verify();
  const whose = 'the key of the daemon, as it says itself';
  return { ...shown, verdict, isChecked: true, whose, pathOf: (file) => file };
}

const unverifiedText =
  'nothing was verified: at the socket of a fleet a report has no verdict; the verifier says whether records are missing or changed (audit fleet status)';

/** The format in the options. `isFleet`: with a column for the host. */
function formOf(
  screen: Screen,
  { json, csv, html, separator }: Omit<ReportFlags, 'key'>,
  isFleet = false,
): ReportForm {
  if (json === true) return createJsonReport();
  if (csv === true) return createCsvReport(separator);
  return html === true ? createHtmlReport() : createTextReport(screen, isFleet);
}

const columns: readonly Column<MailboxLine>[] = [
  { name: 'DAY', text: ({ day }) => day },
  { name: 'REQUESTER', text: ({ requester }) => requester, cellsMin: 10 },
  { name: 'WHAT', text: ({ what }) => what },
  { name: 'COUNT', isNumber: true, text: ({ count }) => String(count) },
  { name: 'TIME (UTC)', text: formatSpan, goes: 2 },
  { name: 'REASON', text: ({ reason }) => reason, cellsMin: 10, goes: 1 },
  { name: 'COMMANDS', text: ({ commands }) => commands, cellsMin: 10 },
  { name: 'NOTE', text: ({ note }) => note, cellsMin: 12, paint: () => 'doubtful' },
];

const withLocalTime: readonly Column<MailboxLine>[] = columns.flatMap((column) =>
  column.name === 'TIME (UTC)'
    ? [column, { name: 'FIRST, LOCAL TIME', text: ({ firstTime }) => formatLocal(firstTime), goes: 3 }]
    : column,
);

const hostColumn: Column<MailboxLine> = { name: 'HOST', text: ({ host = '' }) => host, cellsMin: 8 };

function createTextReport(screen: Screen, isFleet: boolean): ReportForm {
  const shown = showsLocalTime(screen) ? withLocalTime : columns;
  const table = createTable(isFleet ? shown.toSpliced(1, 0, hostColumn) : shown, screen);
  const book = createDayBook();
  const rows = (days: readonly TouchDay[]): string[] => days.flatMap(linesOf).flatMap(table.add);
  return {
    begin({ mailbox, answer, sentences: [first = '', ...rest], isComplete, isContentOnly }, _, counts) {
      return [
        screen.paint('title', `who touched ${mailbox}${isContentOnly ? ' (content only)' : ''}`),
        counts.deleted + counts.maybeDeleted === 0 ? answer : screen.paint('doubtful', answer),
        screen.paint(!isComplete ? 'bad' : counts.unsigned > 0 ? 'doubtful' : 'good', first),
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
