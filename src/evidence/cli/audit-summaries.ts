// `dovegate audit search --by-owner`: whose mail content was shown, a row for each mail user; and `--by-cause`: why commands and requests
// for access failed, a row for each cause.

import type { Screen } from '../../host/output/screen.js';
import { type Column, createTable } from '../../host/output/table.js';
import { harmlessJson, printable } from '../../host/words/text.js';
import { countWords, timesWords } from '../../host/words/words.js';
import type { CauseShown, Causes, OwnerShown, Whose } from '../views/trail.js';
import { formatMoment, reportHidden } from './audit-table.js';

const ownerColumns: readonly Column<OwnerShown>[] = [
  { name: 'USER', text: ({ what }) => printable(what), cellsMin: 14 },
  { name: 'SHOWED', isNumber: true, text: ({ showed }) => String(showed) },
  { name: 'SEARCHED', isNumber: true, text: ({ searched }) => String(searched) },
  { name: 'MAYBE', isNumber: true, text: ({ maybeShowed }) => String(maybeShowed) },
  { name: 'UNDER GRANT', isNumber: true, text: ({ granted }) => String(granted), goes: 2 },
  { name: 'LAST (UTC)', text: ({ lastTime }) => formatMoment(lastTime), goes: 1 },
  {
    name: 'TO',
    text: requestersText,
    cellsMin: 10,
  },
];

const causeColumns: readonly Column<CauseShown>[] = [
  { name: 'TIMES', isNumber: true, text: ({ count }) => String(count) },
  { name: 'OUTCOME', text: ({ outcome }) => printable(outcome), cellsMin: 7 },
  { name: 'COMMAND', text: ({ command }) => printable(command), cellsMin: 10 },
  { name: 'WHY', text: ({ why }) => printable(why), cellsMin: 20 },
  { name: 'FIRST (UTC)', text: ({ firstTime }) => formatMoment(firstTime), goes: 2 },
  { name: 'LAST (UTC)', text: ({ lastTime }) => formatMoment(lastTime), goes: 1 },
  { name: 'OF', text: requestersText, cellsMin: 10 },
];

function requestersText({
  requesters,
  isMoreRequesters,
}: Pick<OwnerShown, 'requesters' | 'isMoreRequesters'>): string {
  return printable([...requesters, ...(isMoreRequesters ? ['and more'] : [])].join(', '));
}

async function printRows<Row>(
  screen: Screen,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  isJson: boolean,
): Promise<void> {
  const table = createTable(columns, screen);
  for (const row of rows)
    for (const line of isJson ? [harmlessJson(JSON.stringify(row))] : table.add(row))
      await screen.print(line);
  for (const line of table.finish()) await screen.print(line);
  reportHidden(screen, table.hidden());
}

export async function printCauses(
  screen: Screen,
  { causes, further }: Causes,
  isJson: boolean,
): Promise<void> {
  await printRows(screen, causeColumns, causes, isJson);
  if (causes.length === 0) screen.complain('dovegate: all of the commands found went well');
  if (further > 0)
    screen.complain(
      `dovegate: and ${countWords(further)} more of further causes: only ${countWords(causes.length)} are listed`,
    );
}

export async function printWhose(screen: Screen, { owners, further }: Whose, isJson: boolean): Promise<void> {
  await printRows(screen, ownerColumns, owners, isJson);
  if (owners.length === 0) screen.complain('dovegate: none of the commands found showed mail content');
  if (further > 0)
    screen.complain(
      `dovegate: and mail of further users ${timesWords(further)}: only ${countWords(owners.length)} are listed`,
    );
}
