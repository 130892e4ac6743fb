// How many commands a search finds, over its time, by outcome. It reads all that the search covers, so it is asked for after the rows.

import type { Exclusion } from '../domain/page/leave-out.js';
import type { AskTrail, Histogram as Counted } from '../domain/page/trail.js';
import { useAnswer } from './asked.js';
import { Empty, Sentence } from './kit.js';
import { useSession } from './session.js';
import { Histogram } from './time-chart.js';

interface TrailHistogramProps {
  readonly filter: AskTrail['filter'];
  readonly not: readonly Exclusion[];
  readonly isDue: boolean;
  readonly onSpan: (fromMs: number, toMs: number) => void;
}

export function TrailHistogram({ filter, not, isDue, onSpan }: TrailHistogramProps) {
  const { api } = useSession();
  const body = not.length === 0 ? { filter } : { filter, not };
  const { value, fault } = useAnswer(isDue ? JSON.stringify(body) : undefined, (signal) =>
    api.json<Counted>('POST /api/trail/histogram', { body, signal }),
  );
  if (fault !== undefined)
    return (
      <p class="hint">
        <Sentence text={fault} />
      </p>
    );
  if (value === undefined) return <Empty>Counting …</Empty>;
  if (value.buckets.length === 0) return null;
  return (
    <section class="panel" aria-label="Commands over time">
      <div class="inside">
        <Histogram label="Commands found" bars={value.buckets} step={value.step} onSpan={onSpan} />
        {!value.isWhole && (
          <p class="hint">
            {value.looked?.fromTime === undefined ? (
              'Time ran out: older commands are not counted.'
            ) : (
              <Sentence text={`Time ran out: commands before {${value.looked.fromTime}} are not counted.`} />
            )}
          </p>
        )}
      </div>
    </section>
  );
}
