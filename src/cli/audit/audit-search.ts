// `dovegate audit search` and `dovegate audit export`: exchanges, one row each, from journals that may be damaged.

import { searchTrail, surveyTrails } from '../../adapters/journal/trail.js';
import {
  formatCsvHeader,
  formatCsvRow,
  formatJsonRow,
  formatValue,
  printable,
} from '../../domain/audit/export.js';
import type { ExchangeRow, TrailFilter } from '../../domain/audit/search.js';
import { createUserSearch } from '../../domain/audit/search-user.js';
import type { Surveyed } from '../../domain/audit/survey.js';
import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import type { Paint, Screen } from '../output/screen.js';
import { createDamageWatch } from './audit-damage.js';
import { type Places, pathsOf, trailAt } from './audit-places.js';
import { type Column, createTable } from './audit-table.js';

/** For people, for programs, for spreadsheets. */
export type RowFormat = 'table' | 'json' | 'csv';

/** Always 0: that nothing was found is an answer too. Throws what readers throw. */
export async function auditSearch(
  screen: Screen,
  places: Places,
  filter: TrailFilter,
  format: RowFormat,
): Promise<number> {
  const trails = pathsOf(screen, places).map(trailAt);
  const table = createTable(columns, screen);
  const byName = filter.user === undefined ? undefined : createUserSearch(filter.user);
  let isFound = false;
  let isNameFound = byName === undefined;
  if (format === 'csv') await screen.print(`${formatCsvHeader()}\r`);
  for (const trail of trails) {
    const damage = createDamageWatch();
    for await (const row of searchTrail(trail, filter, (file, piece) => damage.look(file, piece))) {
      isFound = true;
      isNameFound ||= byName?.isNamed(row.fields) === true;
      if (format === 'json') await screen.print(formatJsonRow(row));
      // RFC 4180 ends its lines in CR LF.
      else if (format === 'csv') await screen.print(`${formatCsvRow(row)}\r`);
      else for (const line of table.add(row)) await screen.print(line);
      if (screen.isGone) return exitCodes.ok;
    }
    tellDamage(screen, damage.notes());
  }
  for (const line of table.finish()) await screen.print(line);
  await screen.flush();
  if (isFound && isNameFound) return exitCodes.ok;
  // What is for everybody, or for a mask, is found under a wrong name too.
  const surveyed = await surveyTrails(trails, filter);
  const text = isFound ? describeUnnamed(surveyed, filter) : describeNothing(surveyed, filter);
  if (text !== '') screen.complain(`dovegate: ${text}`);
  return exitCodes.ok;
}

/** Empty: nobody has a name like the one that was asked for. */
function describeUnnamed({ names }: Surveyed, { user = '' }: TrailFilter): string {
  const found = 'what was found is for all users, or for those of a mask or a list';
  return names.length === 0 ? '' : `no record names "${printable(user)}": ${found}${describeMeant(names)}`;
}

function describeMeant(names: readonly string[]): string {
  return names.length === 0 ? '' : `; did you mean ${names.map((name) => printable(name)).join(' or ')}?`;
}

/** What was looked through, as a sentence: an empty answer may mean a wrong name, or the wrong journal. */
function describeNothing(
  { records, all, firstTime, lastTime, names }: Surveyed,
  filter: TrailFilter,
): string {
  const { user, sinceMs, untilMs } = filter;
  const whose = user === undefined ? '' : ` for "${printable(user)}"`;
  const isTimed = sinceMs !== undefined || untilMs !== undefined;
  const range = `from ${formatMoment(firstTime)} to ${formatMoment(lastTime)} UTC`;
  const among = isTimed ? `${plural(records)} in this time (of ${all} ${range})` : `${plural(all)} ${range}`;
  return all === 0
    ? 'the journal holds no records'
    : `no command${whose} was found among ${among}${describeMeant(names)}`;
}

function plural(count: number): string {
  return `${count} ${count === 1 ? 'record' : 'records'}`;
}

/** Says on stderr what is wrong with a journal that was read all the same. */
export function tellDamage(screen: Screen, notes: readonly string[]): void {
  if (notes.length === 0) return;
  for (const note of notes) screen.complain(`dovegate: ${note}`);
  screen.complain('dovegate: this journal is damaged; `dovegate audit verify` says what can be trusted');
}

const columns: readonly Column<ExchangeRow>[] = [
  { name: 'SEQ', isNumber: true, text: ({ admittedSeq }) => String(admittedSeq ?? '?') },
  { name: 'TIME (UTC)', text: ({ fields }) => formatMoment(fields['time']), goes: 1 },
  { name: 'PRINCIPAL', text: cell('principal'), cellsMin: 10 },
  { name: 'USER', text: cell('user'), cellsMin: 14 },
  { name: 'COMMAND', text: commandOf, cellsMin: 14 },
  { name: 'OUTCOME', text: outcomeOf, cellsMin: 7, paint: paintOf },
  { name: 'BACKEND', text: cell('backend'), cellsMin: 5, goes: 3 },
  { name: 'MS', isNumber: true, text: durationOf, goes: 2 },
  { name: 'ID', text: cell('id'), goes: 4 },
];

function cell(key: string): (row: ExchangeRow) => string {
  return ({ fields }) => printable(formatValue(fields[key]));
}

/** `2026-11-20 08:22:34`: the time of a record, to the second. */
export function formatMoment(time: unknown): string {
  return printable(formatValue(time).slice(0, 19).replace('T', ' '));
}

function commandOf({ fields }: ExchangeRow): string {
  return printable([fields['command'], fields['args']].map(formatValue).join(' ').trim());
}

function outcomeOf({ fields, completedSeq }: ExchangeRow): string {
  const outcome = completedSeq === undefined ? 'open' : printable(formatValue(fields['outcome']));
  const { would, mode } = fields;
  if (mode === 'shadow') return `${outcome} (the shadow would ${would === 'deny' ? 'deny' : 'allow'})`;
  return would === 'deny' ? `${outcome} (would deny)` : outcome;
}

function durationOf({ fields }: ExchangeRow): string {
  const duration = fields['duration_ms'];
  return typeof duration === 'number' ? String(Math.round(duration)) : '';
}

function paintOf({ fields, completedSeq }: ExchangeRow): Paint {
  return paintOfOutcome(completedSeq === undefined ? 'open' : fields['outcome']);
}

/** Green, red or yellow, by the closed list of outcomes. */
export function paintOfOutcome(outcome: unknown): Paint {
  if (outcome === 'ok') return 'good';
  return outcome === 'denied' || outcome === 'unparsable' ? 'bad' : 'doubtful';
}
