// Counts the commands of a search by time, for its histogram, from the newest one back: exactly the commands that the same search would
// show to the same person. When time runs out, the answer says how far it came.

import type { TrailFilter } from '../../gate/door/trail-filter.js';
import type { Clock } from '../../host/ports/machine.js';
import { parseTime } from '../../host/words/instants.js';
import { countWords, onlyCountedWords } from '../../host/words/words.js';
import type { Trail } from '../../journal/files/trail.js';
import { createCauses } from '../report/causes.js';
import { createDestroyed } from '../report/destroyed.js';
import { createWhose } from '../report/whose.js';
import { contentOf } from '../story/content.js';
import { type Exclusion, isLeftOut } from '../story/leave-out.js';
import type { ExchangeRow } from '../trail/search.js';
import { createHistogram } from '../views/histogram.js';
import { openMax } from '../views/look.js';
import { createOnlyCounted, type OnlyCounted, onlyCountedText } from '../views/only-counted.js';
import type { Histogram } from '../views/trail.js';
import { type Entry, findEnds, openLook, piecesBack } from './newest-first.js';
import { createDamageCount, seqOfLine } from './reading.js';

/** Resolves with the histogram, and with the number of commands in it. Rejects with a JournalFault. */
export async function countBack(
  trail: Trail,
  { filter, not = [] }: { readonly filter: TrailFilter; readonly not?: readonly Exclusion[] | undefined },
  users: readonly string[] | undefined,
  timeMs: number,
  clock: Pick<Clock, 'now'>,
): Promise<{ readonly histogram: Histogram; readonly rows: number }> {
  const startedMs = clock.now();
  const elapsedMs = (): number => clock.now() - startedMs;
  const { view, show, search, looked, files } = await openLook(trail, filter, users);
  const found = createHistogram();
  const causes = createCauses();
  const whose = createWhose();
  const destroyed = createDestroyed();
  const counted = createOnlyCounted(filter, not);
  const isByEffect = not.some(({ key }) => key === 'effect');
  const count = (row: ExchangeRow): void => {
    const content = isByEffect ? contentOf(row.fields) : undefined;
    if (isLeftOut({ ...row, content }, not)) return;
    found.take(row);
    causes.take(row);
    whose.take(row);
    destroyed.take(row);
  };
  const open: Entry[] = [];
  let isWhole = true;

  for await (const { bytes, newer } of piecesBack(
    files,
    undefined,
    createDamageCount(),
    undefined,
    filter.sinceMs,
  )) {
    looked.take(bytes);
    const shown = view.take(bytes);
    counted.take(shown);
    for (const row of search.take(shown)) count(row);
    for (const later of newer) for (const row of search.takeEnds(later, show)) count(row);
    for (const admission of search.waiting()) {
      isWhole &&= open.length < openMax;
      if (open.length < openMax)
        open.push({ seq: seqOfLine(admission) ?? looked.fromSeq(), row: undefined, admission });
    }
    // The next piece is older, so it cannot hold the ends of these commands.
    search.finish();
    if (elapsedMs() < timeMs) continue;
    isWhole = false;
    break;
  }
  const ends = await findEnds(trail, filter, show, open, () => elapsedMs() < timeMs * 2);
  for (const row of ends.rows.values()) count(row);

  const range = looked.finish(undefined, undefined);
  const { sinceMs, untilMs } = filter;
  const [oldestMs, newestMs] = [range?.fromTime, range?.toTime].map((time) => parseTime(time ?? ''));
  const isTimed = sinceMs !== undefined || untilMs !== undefined;
  // Limited to the time that was read, so that unread time does not look empty.
  const fromMs = sinceMs === undefined ? undefined : Math.max(sinceMs, oldestMs ?? sinceMs);
  const only = counted.finish();
  const isAll = isWhole && ends.notes.length === 0;
  const toMs = isTimed ? Math.min(untilMs ?? Infinity, (newestMs ?? -Infinity) + 1) : undefined;
  return {
    rows: found.rows,
    histogram: {
      ...found.finish(range && fromMs, range && toMs),
      ...(only !== undefined && {
        counted: `and ${onlyCountedText(only, filter)}${isAll ? sumWords(only, found.rows) : ''}`,
        onlyCounted: onlyCountedWords(only),
      }),
      causes: causes.finish(),
      whose: whose.finish(),
      destroyed: destroyed.finish(),
      ...(range !== undefined && { looked: range }),
      isWhole: isAll,
    },
  };
}

/** The total, recorded commands included; empty if some counts may not match the search. */
function sumWords({ refused, unsent, unsure }: OnlyCounted, rows: number): string {
  return unsure > 0 ? '' : `; ${countWords(rows + refused + unsent)} in all`;
}
