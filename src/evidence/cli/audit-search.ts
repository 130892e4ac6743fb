// `dovegate audit search` and `dovegate audit export`: exchanges, one row each, from journals that may be damaged.

import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { classOfOutcome, countedForOf } from '../../gate/outcome/class.js';
import type { Paint, Screen } from '../../host/output/screen.js';
import { type Column, createTable } from '../../host/output/table.js';
import { exitCodes } from '../../host/ports/machine.js';
import { asNumber } from '../../host/values/values.js';
import { harmlessJson, printable, quoteUnlessPlain } from '../../host/words/text.js';
import { countWords, plural } from '../../host/words/words.js';
import type { Piece } from '../../journal/files/compressed.js';
import type { TrailFile } from '../../journal/files/trail.js';
import { searchTrail, surveyTrails } from '../reading/search-trail.js';
import { createDamageWatch, describeRetired } from '../reading/unseen.js';
import { createCauses } from '../report/causes.js';
import { createWhose } from '../report/whose.js';
import { contentOf } from '../story/content.js';
import { type Exclusion, isLeftOut } from '../story/leave-out.js';
import {
  backendOf,
  countedWords,
  deedOf,
  isExchange,
  isOfTrouble,
  kindOf,
  outcomeOf,
  remarkOf,
  requesterOf,
} from '../story/row.js';
import { storyOfRow } from '../story/story.js';
import { whyWords } from '../story/words.js';
import {
  formatCsvHeader,
  formatCsvRow,
  formatJsonRow,
  formatValue,
  type Separator,
} from '../trail/export.js';
import { createNameTest, createRetirements, type ExchangeRow, isRowCut } from '../trail/search.js';
import {
  countIn,
  createOnlyCounted,
  type OnlyCounter,
  onlyCountedText,
  withCounts,
} from '../views/only-counted.js';
import type { RetiredRecords, Surveyed } from '../views/trail.js';
import { createView } from '../views/view.js';
import { type AskedPage, isAsked, openPage } from './ask-page.js';
import { type HostTrail, type Places, trailsOf } from './audit-places.js';
import { printCauses, printWhose } from './audit-summaries.js';
import { formatLocal, formatMoment, reportHidden, withLocalTime } from './audit-table.js';

export type RowFormat = 'table' | 'jsonl' | 'csv';

interface SearchOptions {
  readonly format: RowFormat;
  readonly look?: 'search' | 'export';
  readonly separator?: Separator | undefined;
  readonly not?: readonly Exclusion[] | undefined;
  /** Instead of rows: whose mail content was shown, or why what was found did not go well. */
  readonly by?: 'owner' | 'cause' | undefined;
}

/** Always 0: an empty result is an answer too. Throws as the readers do. */
export async function auditSearch(
  screen: Screen,
  places: Places,
  filter: TrailFilter,
  { format, look = 'search', separator = ',', not = [], by }: SearchOptions,
): Promise<number> {
  const journal = await openSource(screen, places);
  const isOfHosts = places.fleet !== undefined;
  const shown = exchangeColumnsFor(screen, filter);
  const table = createTable(isOfHosts ? [hostColumn, ...shown] : shown, screen);
  const linesOf: Readonly<Record<RowFormat, (row: ExchangeRow) => string[]>> = {
    table: table.add,
    jsonl: (row) => [harmlessJson(formatJsonRow(row))],
    // RFC 4180 ends its lines in CR LF.
    csv: (row) => [`${formatCsvRow(row, separator, isOfHosts)}\r`],
  };
  const whose = createWhose();
  const causes = createCauses();
  const isNamed = createNameTest(filter);
  let found = 0;
  /** Rows that do not name the user. */
  const unnamed = { sent: 0, others: 0 };
  let cut = 0;
  if (format === 'csv') await screen.print(`${formatCsvHeader(separator, isOfHosts)}\r`);
  const counted = createOnlyCounted(filter, not);
  for (const part of journal.parts) {
    for await (const row of part.rows(filter, look, counted)) {
      const isCount = countIn(row.fields) !== undefined;
      if (!isCount && not.length > 0 && isLeftOut({ ...row, content: contentOf(row.fields) }, not)) continue;
      if (!isCount) found += 1;
      if (!isCount && !isNamed(row)) unnamed[isTouching(row) ? 'sent' : 'others'] += 1;
      if (isRowCut(row.fields)) cut += 1;
      if (by === 'owner') whose.take(row);
      else if (by === 'cause') causes.take(row);
      else for (const line of linesOf[format](row)) await screen.print(line);
      if (screen.isGone) return exitCodes.ok;
    }
    reportDamage(screen, part.notes());
    for (const each of part.retired()) screen.complain(`dovegate: not searched: ${describeRetired(each)}`);
  }
  for (const line of table.finish()) await screen.print(line);
  const isFound = found > 0;
  if (by === 'owner' && isFound) await printWhose(screen, whose.finish(), format === 'jsonl');
  if (by === 'cause' && isFound) await printCauses(screen, causes.finish(), format === 'jsonl');
  await screen.flush();
  reportHidden(screen, table.hidden());
  const only = counted.finish();
  if (only !== undefined) screen.complain(`dovegate: and ${printable(onlyCountedText(only, filter))}`);
  if (cut > 0)
    screen.complain(
      `dovegate: ${plural(cut, 'command')} with arguments that were not recorded whole ("more, not recorded"): any name may stand there`,
    );
  const isOfNobody = unnamed.sent + unnamed.others === found;
  if (!isOfNobody && filter.user !== undefined) {
    const user = `"${printable(filter.user)}"`;
    const texts = [
      ...(unnamed.sent === 0 ? [] : [`${countWords(unnamed.sent)} may have touched ${user}`]),
      ...(unnamed.others === 0
        ? []
        : [`${countWords(unnamed.others)} may be about ${user} and touched nothing`]),
    ];
    const why = 'for all users, or by a mask or a list that was cut';
    if (texts.length > 0)
      screen.complain(`dovegate: of ${plural(found, 'row')}, ${texts.join('; ')}: ${why}`);
  }
  if (!isOfNobody) return exitCodes.ok;
  // Commands for all users, or for a mask, match a misspelled name too.
  const surveyed = await journal.survey(filter);
  const text = isFound ? describeUnnamed(surveyed, filter) : describeNothing(surveyed, filter);
  if (text !== '') screen.complain(`dovegate: ${text}`);
  return exitCodes.ok;
}

/** A command that went to a mail server, or may have. */
function isTouching(row: ExchangeRow): boolean {
  return kindOf(row.fields) === 'command' && storyOfRow(row).sent !== 'no';
}

interface Part {
  rows(filter: TrailFilter, look: 'search' | 'export', counted: OnlyCounter): AsyncGenerator<ExchangeRow>;
  /** After the rows: faults of the journal, and what retention removed from the time range. */
  notes(): readonly string[];
  retired(): readonly RetiredRecords[];
}

/** Of a fleet, the rows have a field `host`. */
async function openSource(screen: Screen, places: Places) {
  if (isAsked(places)) {
    const { page } = await openPage(screen, places);
    return { parts: [partOfPage(page)], survey: (filter: TrailFilter) => page.survey(filter) };
  }
  const trails = await trailsOf(screen, places);
  const { view } = places;
  return {
    parts: trails.map((trail) => partOfTrail(trail, view)),
    survey: (filter: TrailFilter) => surveyTrails(trails, filter, view),
  };
}

function partOfTrail(trail: HostTrail, users: readonly string[] | undefined): Part {
  const damage = createDamageWatch();
  const retirements = createRetirements();
  let sinceMs: number | undefined;
  return {
    rows(filter, look, counted) {
      ({ sinceMs } = filter);
      const counts: ExchangeRow[] = [];
      const see = (file: TrailFile, piece: Piece | undefined, shown: Buffer): void => {
        damage.look(file, piece);
        retirements.take(shown);
        const found = counted.take(shown);
        if (look === 'export') counts.push(...found);
      };
      // Only a search may skip parts by their sketch: an export reads everything.
      const view = users && createView(users);
      const found = searchTrail(trail, filter, see, look === 'search' ? damage.pass : undefined, view);
      const rows = look === 'search' ? found : withCounts(found, counts);
      return trail.host === undefined ? rows : withHost(trail.host, rows);
    },
    notes: () => damage.notes(),
    retired: () => retirements.since(sinceMs),
  };
}

export async function* withHost(
  host: string,
  rows: AsyncIterable<ExchangeRow> | Iterable<ExchangeRow>,
): AsyncGenerator<ExchangeRow> {
  // The host comes first and wins: a record may contain a field of this name.
  for await (const row of rows) yield { ...row, fields: Object.assign({ host }, row.fields, { host }) };
}

export const hostColumn: Column<ExchangeRow> = {
  name: 'HOST',
  text: ({ fields }) => formatValue(fields['host']),
  cellsMin: 8,
};

function partOfPage(page: AskedPage): Part {
  const notes = new Set<string>();
  const retired: RetiredRecords[] = [];
  return {
    rows: (filter, look, counted) =>
      page.rows(look, filter, (end) => {
        if (end.counted !== undefined) counted.add(end.counted);
        for (const note of end.notes ?? []) notes.add(printable(note));
        retired.push(...(end.retired ?? []));
      }),
    notes: () => [...notes],
    retired: () => retired,
  };
}

function describeUnnamed({ names }: Surveyed, { user = '' }: TrailFilter): string {
  const found = 'the commands found are for all users, or for a mask or a list';
  return `no record names "${printable(user)}": ${found}${describeMeant(names)}`;
}

function describeMeant(names: readonly string[]): string {
  return names.length === 0 ? '' : `; did you mean ${names.map(quoteUnlessPlain).join(' or ')}?`;
}

/** The amount that was searched: an empty answer may mean a wrong name, or the wrong journal. */
function describeNothing(
  { records, all, firstTime, lastTime, names }: Surveyed,
  filter: TrailFilter,
): string {
  const { user, sinceMs, untilMs, would, shadow } = filter;
  const whose = user === undefined ? '' : ` for "${printable(user)}"`;
  const isTimed = sinceMs !== undefined || untilMs !== undefined;
  const range = `from ${formatMoment(firstTime)} to ${formatMoment(lastTime)} UTC`;
  const among = isTimed
    ? `${plural(records, 'record')} in this time (of ${all} ${range})`
    : `${plural(all, 'record')} ${range}`;
  if (all === 0) return 'the journal holds no records';
  // A search for commands that would have ended differently: if it finds none, that is the wanted result.
  const voice = shadow === 'any' ? 'the candidate' : would === 'any' ? 'the rules' : undefined;
  return voice === undefined
    ? `no command${whose} was found among ${among}${describeMeant(names)}`
    : `nothing${whose} would have ended differently under ${voice}: ${among} looked at${describeMeant(names)}`;
}

/** Prints the faults of a journal on stderr; its readable part was used. */
export function reportDamage(screen: Screen, notes: readonly string[]): void {
  if (notes.length === 0) return;
  for (const note of notes) screen.complain(`dovegate: ${note}`);
  screen.complain('dovegate: this journal is damaged; `dovegate audit verify` shows what can be trusted');
}

const exchangeColumns: readonly Column<ExchangeRow>[] = [
  { name: 'SEQ', isNumber: true, text: ({ admittedSeq }) => String(admittedSeq ?? '?') },
  { name: 'TIME (UTC)', text: ({ fields }) => formatMoment(fields['time']), goes: 1 },
  { name: 'REQUESTER', text: (row) => printable(requesterOf(row)), cellsMin: 10 },
  { name: 'USER', text: cell('user'), cellsMin: 14 },
  { name: 'COMMAND', text: commandOf, cellsMin: 14 },
  { name: 'OUTCOME', text: outcomeText, cellsMin: 7, paint: (row) => paintOfOutcome(outcomeOf(row)) },
  { name: 'BACKEND', text: (row) => printable(backendOf(row)), cellsMin: 5, goes: 3 },
  { name: 'MS', isNumber: true, text: durationOf, goes: 2 },
  { name: 'ID', text: cell('id'), goes: 4 },
];

/** The columns of a found exchange: with local times if they help, and with the reason in a search for failures. */
export function exchangeColumnsFor(
  screen: Screen,
  { outcome }: Pick<TrailFilter, 'outcome'> = {},
): readonly Column<ExchangeRow>[] {
  const columns = withLocalTime(screen, exchangeColumns, {
    name: 'LOCAL TIME',
    text: ({ fields }) => formatLocal(fields['time']),
    goes: 5,
  });
  return isOfTrouble(outcome) ? [...columns, whyColumn] : columns;
}

const whyColumn: Column<ExchangeRow> = {
  name: 'WHY',
  text: (row) => printable(whyWords(row)),
  cellsMin: 14,
};

function cell(key: string): (row: ExchangeRow) => string {
  return ({ fields }) => printable(formatValue(fields[key]));
}

function commandOf(row: ExchangeRow): string {
  const { command, args } = row.fields;
  const kind = kindOf(row.fields);
  const counted = countedWords({ countedFor: countedForOf(row.fields) });
  const parts = [...[command, args].map(formatValue), counted && `(${counted})`];
  const isNamed = isExchange(row.fields) || kind === 'access';
  return printable(
    isNamed ? parts.filter((part) => part !== '').join(' ') : deedOf(row.fields, whyWords(row)),
  );
}

function outcomeText(row: ExchangeRow): string {
  const remark = remarkOf(row);
  return printable(`${outcomeOf(row)}${remark === '' ? '' : ` (${remark})`}`);
}

function durationOf({ fields }: ExchangeRow): string {
  const duration = fields['event'] !== undefined ? undefined : fields['duration_ms'];
  return asNumber(duration)?.toFixed(0) ?? '';
}

/** Green, red or yellow, by the class of an outcome. */
export function paintOfOutcome(outcome: string): Paint {
  const as = classOfOutcome(outcome);
  if (as === 'ok') return 'good';
  return as === 'denied' ? 'bad' : 'doubtful';
}
