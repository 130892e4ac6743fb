// `dovegate audit search --by-owner`: whose mail content was shown, a row for each mail user.

import type { OwnerShown, Whose } from '../../domain/admin/page/trail.js';
import { countWords, timesWords } from '../../domain/language/words/words.js';
import { harmlessJson, printable } from '../../domain/records/audit/encode.js';
import type { Screen } from '../output/screen.js';
import { type Column, createTable, formatMoment, reportHidden } from './audit-table.js';

const columns: readonly Column<OwnerShown>[] = [
  { name: 'USER', text: ({ what }) => printable(what), cellsMin: 14 },
  { name: 'SHOWED', isNumber: true, text: ({ showed }) => String(showed) },
  { name: 'SEARCHED', isNumber: true, text: ({ searched }) => String(searched) },
  { name: 'MAYBE', isNumber: true, text: ({ maybeShowed }) => String(maybeShowed) },
  { name: 'UNDER GRANT', isNumber: true, text: ({ granted }) => String(granted), goes: 2 },
  { name: 'LAST (UTC)', text: ({ lastTime }) => formatMoment(lastTime), goes: 1 },
  {
    name: 'TO',
    text: ({ requesters, isMoreRequesters }) =>
      printable([...requesters, ...(isMoreRequesters ? ['and more'] : [])].join(', ')),
    cellsMin: 10,
  },
];

export async function printWhose(screen: Screen, { owners, further }: Whose, isJson: boolean): Promise<void> {
  const table = createTable(columns, screen);
  for (const owner of owners)
    for (const line of isJson ? [harmlessJson(JSON.stringify(owner))] : table.add(owner))
      await screen.print(line);
  for (const line of table.finish()) await screen.print(line);
  reportHidden(screen, table.hidden());
  if (owners.length === 0) screen.complain('dovegate: none of the commands found showed mail content');
  if (further > 0)
    screen.complain(
      `dovegate: and mail of further users ${timesWords(further)}: only ${countWords(owners.length)} are listed`,
    );
}
