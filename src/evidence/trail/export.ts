// Rows for programs and for people: CSV that is safe in a spreadsheet, JSON, and text that is safe in a terminal. Nothing that a client
// wrote into a record can command a spreadsheet or a terminal.

import { asList, asNumber, asText, isObject, isText } from '../../host/values/values.js';
import { formatRecorded, printable } from '../../host/words/text.js';
import { recordKeys, rowOf } from '../../journal/records/keys.js';
import { outcomeOf } from '../story/row.js';
import type { ExchangeRow } from './search.js';

const places: ReadonlyMap<string, number | undefined> = new Map<string, number | undefined>([
  ...recordKeys.map((key) => [key, rowOf(key).column] as const),
  ...Object.entries({ time: 1, seq: 28, completed_seq: 29, completed_time: 30 }),
]);

export const exportColumns: readonly string[] = [...places]
  .flatMap(([name, place]) => (place === undefined ? [] : [{ name, place }]))
  .toSorted((one, other) => one.place - other.place)
  .map(({ name }) => name);

/** One exchange as JSON: the recorded keys as they are, then seq and time of the completion. One line, without LF. */
export function formatJsonRow(row: ExchangeRow): string {
  const { admittedSeq: seq, completedSeq: completed_seq, completedTime: completed_time } = row;
  return formatRecorded({ ...row.fields, seq, completed_seq, completed_time });
}

/** The separator of two cells of CSV. Spreadsheets expect the one of the user's language: a semicolon in much of Europe. */
export type Separator = ',' | ';' | '\t';

/** The first line of a CSV file, without line end. */
export function formatCsvHeader(separator: Separator = ',', isOfHosts = false): string {
  return columnsFor(isOfHosts).join(separator);
}

function columnsFor(isOfHosts: boolean): readonly string[] {
  return isOfHosts ? ['host', ...exportColumns] : exportColumns;
}

/** One exchange as CSV (RFC 4180), without line end. */
export function formatCsvRow(row: ExchangeRow, separator: Separator = ',', isOfHosts = false): string {
  return formatCells(
    columnsFor(isOfHosts).map((column) => cellOf(row, column)),
    separator,
  );
}

/** One line of CSV, without line end. */
export function formatCells(values: readonly unknown[], separator: Separator): string {
  return values.map((value) => formatCell(value, separator)).join(separator);
}

/** Arguments for a spreadsheet: without the `--` that stands before them if there is no option, since a formula could begin so. */
export function formatArguments(args: unknown): string {
  return formatValue(args).replace(/^--(?: |$)/, '');
}

export function formatValue(value: unknown): string {
  if (isText(value)) return value;
  const list = asList(value);
  if (list !== undefined) return list.map(formatValue).join(' ');
  if (!isObject(value)) return value === undefined ? '' : JSON.stringify(value);
  const { hmac, more, cut, bytes, end, part, rest } = value;
  if (isText(hmac)) return `hmac:${hmac}`;
  if (asNumber(more) !== undefined) return `(${formatValue(more)} more, not recorded)`;
  if (isText(cut)) return `${cut}(cut: ${formatValue(bytes)} bytes)${formatValue(end)}`;
  // A piece of a value in an argument record.
  return asText(part) ?? asText(rest) ?? JSON.stringify(value);
}

function cellOf(row: ExchangeRow, column: string): unknown {
  if (column === 'seq') return row.admittedSeq;
  if (column === 'completed_seq') return row.completedSeq;
  if (column === 'completed_time') return row.completedTime;
  if (column === 'outcome' && row.completedSeq === undefined) return outcomeOf(row);
  if (column === 'args') return formatArguments(row.fields['args']);
  return row.fields[column];
}

/** One cell of CSV (RFC 4180) that no spreadsheet takes for a formula, a line end or two cells. */
export function formatCell(value: unknown, separator: Separator = ','): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = printable(formatValue(value));
  // A text that a spreadsheet would take for a formula gets a leading quote. With another list separator, a spreadsheet begins a cell after
  // each of its own separators, quoted or not.
  const safe = text.replace(formulas[separator], "$1'");
  return /[",;']/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const formulas: Readonly<Record<Separator, RegExp>> = {
  ',': formulasAfter(';'),
  ';': formulasAfter(','),
  '\t': formulasAfter(',;'),
};

/** A formula: a sign, also after blanks and in its full-width form, and after signs something to calculate with. */
function formulasAfter(separators: string): RegExp {
  const signs = '=+\\-@\\uff1d\\uff0b\\uff0d\\uff20';
  const start = `[\\s"']*[${signs}][\\s"'${signs}]*[^\\s"'${signs}${separators}]`;
  return new RegExp(`(^|[${separators}])(?=${start})`, 'g');
}
