// The output of a bulk run: one line for each user on stdout, as a table or as JSON, or one for each row with TABs, progress on a terminal,
// and a summary. Text of servers and lists is made harmless before it is printed.

import { plain } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import type { Clock } from '../../host/ports/machine.js';
import { formatJson } from '../../host/words/text.js';
import { countWords, durationWords, plural, rateWords } from '../../host/words/words.js';
import type { BulkRow, UserResult } from './send-user.js';

export type BulkFormat = 'table' | 'tab' | 'json';

export interface Counts {
  ok: number;
  failed: number;
  unknown: number;
}

/** Without LF at the end. */
export function formatResult(
  format: BulkFormat,
  user: string,
  tag: string | undefined,
  result: UserResult,
  width: number | undefined,
): string {
  if (format === 'json') return formatJsonResult(user, tag, result);
  if (format === 'tab') return formatTabs(user, result);
  const head = `${plain(user).padEnd(userWidth)}  ${result.kind.padEnd(kindWidth)}  `;
  const line = `${head}${plain(detailOf(result))}`.trimEnd();
  if (width === undefined || line.length <= width) return line;
  return `${line.slice(0, Math.max(head.length, width - 1))}…`;
}

const userWidth = 30;
const kindWidth = 'unknown'.length;

export function tableHead(): string {
  return `${'USER'.padEnd(userWidth)}  ${'RESULT'.padEnd(kindWidth)}  DETAIL`;
}

/** A line for each row, or one without cells: the user, the result, and the cells, or the code and the reason. */
function formatTabs(user: string, result: UserResult): string {
  const isWhole = result.kind === 'ok' && !result.isCut;
  const rows = isWhole ? result.rows.map((row) => Object.values<string>(row)) : [[detailOf(result)]];
  return (rows.length === 0 ? [[]] : rows)
    .map((cells) => [user, result.kind, ...cells].map(plain).join('\t'))
    .join('\n');
}

function formatJsonResult(user: string, tag: string | undefined, result: UserResult): string {
  const about = { user, result: result.kind };
  const detail =
    result.kind === 'ok'
      ? { rows: result.isCut ? undefined : result.rows, rows_dropped: result.isCut ? true : undefined }
      : {
          code: result.kind === 'failed' ? result.code : undefined,
          message: result.message,
          id: result.id,
        };
  return formatJson({ ...about, ...detail, tag });
}

/** The cells of the rows, or the reason of the failure. */
function detailOf(result: UserResult): string {
  if (result.kind === 'ok')
    return result.isCut ? 'more rows than are kept; use send for this user' : formatRows(result.rows);
  const code = result.kind === 'failed' ? `${result.code}: ` : '';
  const id = result.id === undefined ? '' : `, id ${result.id}`;
  return `${code}${result.message}${id}`;
}

const rowsShown = 20;

function formatRows(rows: readonly BulkRow[]): string {
  const shown = rows.slice(0, rowsShown).map((row) => Object.values<string>(row).join(' '));
  return [...shown, ...(rows.length > rowsShown ? [`(${rows.length} rows)`] : [])].join('; ');
}

export function describeCounts({ ok, failed, unknown }: Counts): string {
  const parts = [`${countWords(ok)} ok`, `${countWords(failed)} failed`, `${countWords(unknown)} unknown`];
  return `${plural(ok + failed + unknown, 'user')}: ${parts.join(', ')}`;
}

/** Users that failed although nothing was sent or run for them. A dry run records none of them. */
export function describeGivenUp(count: number, isDryRun: boolean): string {
  const is = count === 1 ? 'is' : 'are';
  const how = isDryRun ? 'may get an answer later' : `${is} noted as not sent, and may be sent again`;
  return `${plural(count, 'user')} of the failed ${how}`;
}

const everyMs = 200;
/** A shorter wait is not worth a line in a file. */
const toldMsMin = 10_000;

/** `screen`: for lines about waits; `write`: the terminal; undefined: there is none. `begun`: users that were already done. */
export function createBulkProgress(
  clock: Clock,
  screen: Pick<Screen, 'complain'>,
  write: ((text: string) => void) | undefined,
  all: number,
  begun: number,
) {
  const startMs = clock.now();
  let drawnMs = -Infinity;
  let isShown = false;
  let toldMs = -Infinity;
  const show = (text: string): void => {
    write?.(`\r\x1b[K${plain(text)}`);
    isShown = true;
  };
  const clear = (): void => {
    if (isShown) write?.('\r\x1b[K');
    isShown = false;
  };
  return {
    /** Erases the line; call it before other output. */
    clear,
    draw(done: number, { failed, unknown }: Counts): void {
      const nowMs = clock.now();
      if (write === undefined || nowMs - drawnMs < everyMs) return;
      drawnMs = nowMs;
      const perSecond = ((done - begun) * 1000) / Math.max(1, nowMs - startMs);
      const rest = perSecond > 0 ? `, ${durationWords(((all - done) / perSecond) * 1000)} left` : '';
      const bad = failed + unknown === 0 ? '' : ` (${countWords(failed + unknown)} not ok)`;
      show(`${countWords(done)} of ${countWords(all)} users${bad}, ${rateWords(perSecond)}/s${rest}`);
    },
    waits(ms: number, why: string): void {
      const untilMs = clock.now() + ms;
      if (write !== undefined) return show(`waits ${durationWords(ms)}: ${why}`);
      if (ms < toldMsMin || untilMs <= toldMs + toldMsMin) return;
      toldMs = untilMs;
      screen.complain(plain(`dovegate: waits ${durationWords(ms)}: ${why}`));
    },
  };
}
