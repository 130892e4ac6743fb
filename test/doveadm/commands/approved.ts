// Tables of approved answers: rows of cells with ` | ` between them, of which the first is a series or `both`, and one is what the code
// answers. A test compares all rows. After a change of what is answered, let the tests write the tables, and read the difference:
//
//   DOVEGATE_ANSWERS=write node scripts/test.mjs file test/doveadm/commands/parse.test.ts

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { allSeries, type Series } from '../../../src/doveadm/commands/catalog.js';
import { projectRoot } from '../../kit/plain/root.js';

/** A test of the table in that file; `column`: the cell of the answer. Lines that are empty or begin with "#" are no rows. */
export function testAnswers(
  file: string,
  column: number,
  answerTo: (series: Series, cells: readonly string[]) => string,
): void {
  void test(`${file}: every answer is the one that was approved`, () => {
    const place = new URL(`test/doveadm/commands/${file}`, projectRoot);
    const lines = readFileSync(place, 'utf8').split('\n');
    const isRow = (line: string): boolean => line !== '' && !line.startsWith('#');
    const now = lines.map((line) => {
      if (!isRow(line)) return line;
      const cells = line.split('|').map((cell) => cell.trim());
      const [which = ''] = cells;
      const all = allSeries.filter((series) => which === 'both' || which === series);
      const answers = new Set(all.map((series) => answerTo(series, cells)));
      return [which.padEnd(4), ...cells.with(column, [...answers].join(' or ')).slice(1)].join(' | ');
    });
    if (process.env['DOVEGATE_ANSWERS'] === 'write') return writeFileSync(place, now.join('\n'));
    const rows = lines.filter(isRow);
    assert.ok(rows.length > 0 && new Set(rows).size === rows.length, 'there are rows, and none twice');
    const changed = lines.flatMap((line, at) => (now[at] === line ? [] : [{ approved: line, now: now[at] }]));
    assert.deepEqual(changed, []);
  });
}

/** The text that a cell shows: `\u0000` is a character, `\x` the letter itself, `x{257}` 257 letters. */
export function textOf(shown: string): string {
  return shown
    .replace(/(.)\{(\d+)\}/gu, (_, sign: string, count: string) => sign.repeat(Number(count)))
    .replace(/\\(?:u(\w{4})|(.))/g, (_, code?: string, plain?: string) =>
      code === undefined ? (plain ?? '') : String.fromCharCode(Number.parseInt(code, 16)),
    );
}

/** The same the other way: characters that nobody sees as their codes, long repetitions as their count. */
export function shownText(text: string): string {
  return text
    .replaceAll('\\', String.raw`\\`)
    .replaceAll(
      /^ | $|[\0-\x1f\x7f-\xa0\p{M}\u2027-\u202a\u212a]/gu,
      (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    .replaceAll(/(.)\1{30,}/gu, (all, sign: string) => `${sign}{${Array.from(all).length}}`);
}
