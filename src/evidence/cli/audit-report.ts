// `dovegate audit report`: the accesses to one mailbox, and whether the journal is complete for that time. It checks the journal
// as `audit verify` does; evidence/report makes the report.

import { systemClock } from '../../host/machine/clock.js';
import { hostName } from '../../host/machine/process.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { type Column, createTable } from '../../host/output/table.js';
import { exitCodes } from '../../host/ports/machine.js';
import { printable } from '../../host/words/text.js';
import type { Piece } from '../../journal/files/compressed.js';
import type { Trail, TrailFile } from '../../journal/files/trail.js';
import { readAccess } from '../reading/read-access.js';
import { searchTrail, surveyTrails } from '../reading/search-trail.js';
import { type AccessAsked, type AccessLedger, toldBy } from '../report/access.js';
import { judgeHosts } from '../report/hosts.js';
import { createHtmlReport } from '../report/html.js';
import { formatSpan, linesOf, type ReportForm } from '../report/lines.js';
import {
  createCsvReport,
  createJsonReport,
  filterOf,
  makeReport,
  type ReportAsked,
  type Reported,
  type ReportedFleet,
  whyNoReport,
} from '../report/report.js';
import { createDayBook, type GrantTold, type TouchDay } from '../report/touch.js';
import type { Separator } from '../trail/export.js';
import { createSearch, type ExchangeRow, type TrailSearch } from '../trail/search.js';
import { createExtractChecker } from '../views/extract.js';
import { createOnlyCounted, type OnlyCounter } from '../views/only-counted.js';
import type { MailboxLine } from '../views/trail.js';
import { askPage, describeView, isAsked, isInView, openPage } from './ask-page.js';
import type { Places } from './audit-places.js';
import { withHost } from './audit-search.js';
import { formatLocal, reportHidden, withLocalTime } from './audit-table.js';
import { checkHosts, checkJournal } from './audit-verify.js';

export interface ReportFlags {
  readonly mailbox: string;
  readonly from?: number;
  readonly to?: number;
  readonly content?: boolean;
  readonly key: readonly string[];
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly separator?: Separator;
  readonly html?: boolean;
  /** What the owner of the mailbox may see, signed. */
  readonly owner?: boolean;
}

/** Exit code 0; 1: the time is not proved complete, or another name was probably meant. Throws as the readers do. */
export async function auditReport(screen: Screen, places: Places, flags: ReportFlags): Promise<number> {
  const asked = askedOf(flags);
  if (flags.owner === true) return printOwners(screen, places, asked);
  const isFleet = places.fleet !== undefined;
  const journal = isFleet
    ? await openHosts(screen, places, flags, asked)
    : await openReported(screen, places, flags);
  return printReport(screen, journal, asked, formOf(screen, flags, !('verdict' in journal)));
}

/** Exit code 0. The gate signs it, so no files are read here. */
async function printOwners(
  screen: Screen,
  places: Places,
  { mailbox, fromMs }: ReportAsked,
): Promise<number> {
  if (!isAsked(places))
    throw new CommandFault(
      exitCodes.usage,
      '--owner is signed by the gate, so it is asked at admin.page.unix: give --socket, and no file',
    );
  const { socket = '' } = places;
  const text = await askPage(socket).ownerReport(mailbox, fromMs);
  const checker = createExtractChecker([]);
  const lines = text.split('\n').slice(0, -1);
  for (const line of lines) checker.take(Buffer.from(line), true);
  const { fault } = checker.finish();
  if (fault !== undefined)
    throw new CommandFault(
      exitCodes.failed,
      `${socket}: what came is not signed as it should be: ${fault.text}`,
    );
  for (const line of lines) await screen.print(line);
  await screen.flush();
  return exitCodes.ok;
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

async function openHosts(
  screen: Screen,
  places: Places,
  { key }: Pick<ReportFlags, 'key'>,
  asked: ReportAsked,
): Promise<ReportedFleet> {
  // The rows are found while the journals are verified; those of one that has too many are read again.
  const filter = filterOf(asked);
  const firsts = new Map<string, FirstReading>();
  let room: number = 1000;
  const hosts = await checkHosts(screen, places, key, (path) => {
    const first: FirstReading = {
      search: createSearch(filter),
      counted: createOnlyCounted(filter),
      rows: [],
    };
    firsts.set(path, first);
    return (piece) => {
      if (first.rows === undefined) return;
      first.counted.take(piece);
      const found = first.search.take(piece);
      room -= found.length;
      if (room < 0) first.rows = undefined;
      else first.rows.push(...found);
    };
  });
  for (const first of firsts.values()) first.rows?.push(...first.search.finish());
  const all = hosts.flatMap(({ host, journals }) => journals.map((journal) => ({ host, journal })));
  const trails = all.map(({ journal }) => journal.trail);
  return {
    judge: (time) => judgeHosts(hosts, time),
    async *rows(named, counted) {
      for (const { host, journal } of all) {
        const first = firsts.get(journal.directory);
        const only = first?.counted.finish();
        if (first?.rows === undefined)
          yield* withHost(host, searchTrail(journal.trail, named, lookFor(counted)));
        else {
          if (only !== undefined) counted?.add(only);
          yield* withHost(host, first.rows);
        }
      }
    },
    survey: (named) => surveyTrails(trails, named),
    doubts: () => [],
    grants: (sinceMs) => grantsOf(trails, { sinceMs, user: asked.mailbox }),
  };
}

interface FirstReading {
  readonly search: TrailSearch;
  readonly counted: OnlyCounter;
  /** Undefined: there are too many to be held. */
  rows: ExchangeRow[] | undefined;
}

const lookFor =
  (counted: OnlyCounter | undefined) =>
  (_: TrailFile, piece: Piece | undefined): void => {
    if (piece !== undefined) counted?.take(piece.bytes);
  };

async function grantsOf(trails: Iterable<Trail>, asked: AccessAsked): Promise<(grant: string) => GrantTold> {
  const ledgers: AccessLedger[] = [];
  for (const trail of trails) ledgers.push(await readAccess(trail, asked));
  return toldBy(ledgers);
}

/** Files that are checked and read here, or a daemon that does both. */
async function openReported(
  screen: Screen,
  places: Places,
  { key, mailbox }: Pick<ReportFlags, 'key' | 'mailbox'>,
): Promise<Reported> {
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
  const { me, page } = await openPage(screen, places);
  const limits = describeView(me);
  if (!isInView(me, mailbox))
    throw new CommandFault(exitCodes.notPermitted, `"${printable(mailbox)}" is not one of these`);
  const notes = new Set<string>();
  const verdict = await page.verify();
  return {
    verdict,
    isChecked: true,
    whose: 'the key of the daemon, as it says itself',
    pathOf: (file) => file,
    viewer: me.users === undefined ? undefined : me.name,
    async *rows(filter, counted) {
      yield* page.rows('report', filter, (end) => {
        if (end.counted !== undefined) counted?.add(end.counted);
        for (const note of end.notes ?? []) notes.add(note);
      });
    },
    survey: (filter) => page.survey(filter),
    grants: async (sinceMs) => {
      const { told } = await page.requests({ sinceMs, user: mailbox });
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
}

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

const hostColumn: Column<MailboxLine> = { name: 'HOST', text: ({ host = '' }) => host, cellsMin: 8 };

function createTextReport(screen: Screen, isFleet: boolean): ReportForm {
  const firstLocal = ({ firstTime }: MailboxLine): string => formatLocal(firstTime);
  const local = { name: 'FIRST, LOCAL TIME', text: firstLocal, goes: 3 };
  const shown = withLocalTime(screen, columns, local);
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
