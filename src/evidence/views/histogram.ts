// Counts commands by time. Buckets grow while it counts, since the range of times is not known before.

import { outcomeClasses } from '../../gate/outcome/class.js';
import { formatTime } from '../../host/words/instants.js';
import { asTimeMs } from '../../journal/records/record.js';
import { classOfRow } from '../story/row.js';
import type { ExchangeRow } from '../trail/search.js';
import type { Histogram, HistogramBucket } from './trail.js';

const bucketsMax = 120;
/** Bucket lengths in seconds, each a multiple of the one before. After the last one they double. */
const steps = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800];

type Counts = { -readonly [Key in Exclude<keyof HistogramBucket, 'at'>]: HistogramBucket[Key] };

export function createHistogram() {
  let step = steps[0] ?? 1;
  /** Keys are numbers of steps since 1970. */
  let buckets = new Map<number, Counts>();
  let first = Infinity;
  let last = -Infinity;
  let rows = 0;

  return {
    get rows(): number {
      return rows;
    },
    take(row: ExchangeRow): void {
      const { time } = row.fields;
      const timeMs = asTimeMs(time);
      if (timeMs === undefined) return;
      cover(timeMs);
      const number = Math.floor(timeMs / 1000 / step);
      const counts = buckets.get(number) ?? none();
      counts[classOfRow(row)] += 1;
      buckets.set(number, counts);
      rows += 1;
    },
    finish(
      fromMs: number | undefined,
      toMs: number | undefined,
    ): Pick<Histogram, 'from' | 'to' | 'step' | 'buckets'> {
      if (fromMs !== undefined) cover(fromMs);
      if (toMs !== undefined && toMs > (fromMs ?? -Infinity)) cover(toMs - 1);
      const shown: HistogramBucket[] = [];
      for (let number = first; number <= last; number += 1)
        shown.push({ at: label(number), ...(buckets.get(number) ?? none()) });
      const isEmpty = shown.length === 0;
      return { from: label(isEmpty ? 0 : first), to: label(isEmpty ? 0 : last + 1), step, buckets: shown };
    },
  };

  /** Makes buckets longer until there are few enough of them with this time included. */
  function cover(timeMs: number): void {
    const number = Math.floor(timeMs / 1000 / step);
    first = Math.min(first, number);
    last = Math.max(last, number);
    while (last - first >= bucketsMax) {
      const longer = steps.find((each) => each > step) ?? step * 2;
      const factor = longer / step;
      const joined = new Map<number, Counts>();
      for (const [each, counts] of buckets) {
        const sum = joined.get(Math.floor(each / factor)) ?? none();
        for (const key of outcomeClasses) sum[key] += counts[key];
        joined.set(Math.floor(each / factor), sum);
      }
      buckets = joined;
      step = longer;
      first = Math.floor(first / factor);
      last = Math.floor(last / factor);
    }
  }

  function label(number: number): string {
    return formatTime(number * step * 1000);
  }
}

function none(): Counts {
  return { ok: 0, denied: 0, failed: 0, unknown: 0 };
}
