// Rows for programs and for people: CSV that is safe in a spreadsheet, JSON, and text that is safe in a terminal.
// The rule: nothing that a client wrote into a record can command a spreadsheet or a terminal.

import { isObject } from './record.js';
import { type ExchangeRow, shown } from './search.js';

/** The columns of an exported exchange, in their order. */
export const exportColumns = [
  ...([
    'time',
    'id',
    'session',
    'listener',
    'principal',
    'decision',
    'outcome',
    'status',
    'command',
  ] as const),
  ...([
    'args',
    'user',
    'effect',
    'backend',
    'upstream',
    'policy',
    'rule',
    'would',
    'reason',
    'sent',
  ] as const),
  ...(['rows', 'cells', 'bytes_in', 'bytes_out', 'wait_ms', 'first_byte_ms', 'duration_ms'] as const),
  ...(['error', 'seq', 'completed_seq', 'completed_time', 'users'] as const),
];

/** One exchange as JSON: the recorded keys as they are, then seq and time of the completion. One line, without LF. */
export function formatJsonRow(row: ExchangeRow): string {
  const { admittedSeq: seq, completedSeq: completed_seq, completedTime: completed_time } = row;
  return formatJson({ ...row.fields, seq, completed_seq, completed_time });
}

/** A value as JSON on one line, in which nothing commands a terminal: the same value for a parser. */
export function formatJson(value: unknown): string {
  return harmlessJson(JSON.stringify(value));
}

/** A line of JSON in which nothing commands a terminal: the same value for a parser. */
export function harmlessJson(line: string): string {
  if (plain.test(line)) return line;
  return line.replace(
    notForTerminals,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The first line of a CSV file, without line end. */
export function formatCsvHeader(): string {
  return exportColumns.join(',');
}

/** One exchange as CSV (RFC 4180), without line end. */
export function formatCsvRow(row: ExchangeRow): string {
  return exportColumns.map((column) => formatCell(cellOf(row, column))).join(',');
}

/** Text with control, escape, zero-width and bidirectional characters made visible. Keeps to one line. */
export function printable(text: string): string {
  if (plain.test(text)) return text;
  return text.replace(notForTerminals, (character) => {
    const code = character.charCodeAt(0);
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    if (character === '\t') return '\\t';
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** An argument, a cut value, a hidden one: as people read it. */
export function formatValue(value: unknown): string {
  if (Array.isArray(value)) return value.map(formatValue).join(' ');
  if (typeof value === 'string') return value;
  if (!isObject(value)) return value === undefined ? '' : JSON.stringify(value);
  if (typeof value['hmac'] === 'string') return `hmac:${value['hmac']}`;
  if (typeof value['more'] === 'number') return `(${value['more']} more)`;
  if (typeof value['cut'] === 'string') return `${shown(value)}(${formatValue(value['bytes'])} bytes)`;
  return JSON.stringify(value);
}

/** Nearly every text, and ten times faster to see than that another one needs no care. */
const plain = /^[ -~]*$/;
const notForTerminals =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function cellOf(row: ExchangeRow, column: (typeof exportColumns)[number]): unknown {
  if (column === 'seq') return row.admittedSeq;
  if (column === 'completed_seq') return row.completedSeq;
  if (column === 'completed_time') return row.completedTime;
  if (column === 'outcome' && row.completedSeq === undefined) return 'open';
  return row.fields[column];
}

function formatCell(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = printable(formatValue(value));
  // What a spreadsheet would take for a formula, also behind blanks and in its full-width forms, begins with a quote.
  const safe = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20|%]/.test(text) ? `'${text}` : text;
  return /[",']/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}
