// Rows as a table in the width of the terminal: values are cut, then columns are left out; without a terminal nothing is cut.
// Memory holds the first rows only.

import type { Screen } from '../../host/output/screen.js';
import type { Column } from '../../host/output/table.js';
import { localTime } from '../../host/words/instants.js';
import { printable } from '../../host/words/text.js';
import { asTimeMs } from '../../journal/records/record.js';
import { formatValue } from '../trail/export.js';

/** Reports on stderr the columns that did not fit, and how to see them. */
export function reportHidden(screen: Screen, hidden: readonly string[]): void {
  if (hidden.length === 0) return;
  const names = hidden.length === 1 ? `column ${hidden[0]}` : `columns ${hidden.join(', ')}`;
  const text = `this terminal has no room for the ${names}: make it wider, or use --json, or | less -S`;
  screen.complain(`dovegate: ${text}`);
}

/** Whether to show local times: only on a terminal, in a time zone other than UTC. */
export function showsLocalTime({ columns }: Screen): boolean {
  return columns !== undefined && [january, july].some((ms) => new Date(ms).getTimezoneOffset() !== 0);
}

/** With the local time after that of UTC. */
export function withLocalTime<Row>(
  screen: Screen,
  columns: readonly Column<Row>[],
  local: Column<Row>,
): readonly Column<Row>[] {
  if (!showsLocalTime(screen)) return columns;
  return columns.flatMap((column) => (column.name === 'TIME (UTC)' ? [column, local] : column));
}

/** Every change to summer time is between them. */
const january = Date.UTC(2026, 0, 1);
const july = Date.UTC(2026, 6, 1);

/** `2026-11-20 08:22:34`: the time of a record, to the second. */
export function formatMoment(time: unknown): string {
  return printable(formatValue(time).slice(0, 19).replace('T', ' '));
}

/** `2026-11-20 09:22:34 +01:00`: a recorded time in the zone of this process; empty: it is not a time. */
export function formatLocal(time: unknown): string {
  const ms = asTimeMs(time);
  if (ms === undefined) return '';
  const { time: local, zone } = localTime(ms);
  return `${local.slice(0, 19).replace('T', ' ')} ${zone}`;
}
