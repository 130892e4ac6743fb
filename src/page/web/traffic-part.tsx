// A chart of the commands of each team, over ten minutes, an hour or a day.

import { durationWords } from '../../host/words/words.js';
import type { History, Span } from '../answers/history.js';
import { useAgain } from './asked.js';
import { Empty, Name, Panel, Pending, Segments, Sentence } from './kit.js';
import { useDaemonMs } from './live.js';
import { go } from './location.js';
import { useSession } from './session.js';
import { colorOf, TimeChart } from './time-chart.js';
import {
  layersOf,
  type Measure,
  measureOf,
  measures,
  nextLookMs,
  padded,
  shortSince,
  spanNamed,
  spanTexts,
  valueOf,
} from './traffic.js';

function useHistory(span: Span) {
  const { api } = useSession();
  const clock = useDaemonMs();
  return useAgain<History>(
    span,
    (known) => (known === undefined ? 10_000 : nextLookMs(known, clock?.() ?? Date.now())),
    (signal) => api.json<History>('GET /api/history/:span', { params: [span], signal }),
  );
}

interface TrafficProps {
  readonly query: URLSearchParams;
}

export function Traffic({ query }: TrafficProps) {
  const { span, measure } = chosenOf(query);
  return (
    <section aria-label="Traffic" class="later">
      <div class="toolbar">
        <h2>Traffic</h2>
        <span class="chips">
          <ChartControls query={query} />
        </span>
      </div>
      <HistoryPanel span={span} measure={measure} />
    </section>
  );
}

function chosenOf(query: URLSearchParams) {
  return { span: spanNamed(query.get('span')), measure: measureOf(query.get('show')).value };
}

function ChartControls({ query }: TrafficProps) {
  const { span, measure } = chosenOf(query);
  const change = (name: string, value: string): void => {
    const next = new URLSearchParams(query);
    next.set(name, value);
    go(`/?${next.toString()}`, true);
  };
  return (
    <>
      <Segments
        label="What the charts show"
        value={measure}
        options={measures}
        onChange={(value) => change('show', value)}
      />
      <Segments
        label="Time of the charts"
        value={span}
        options={spanTexts}
        onChange={(value) => change('span', value)}
      />
    </>
  );
}

function begun({ since, until, step }: History): string {
  if (until > since) return `No command ended since {${since}}.`;
  return `Counting began at {${since}}; the first figures come after ${durationWords(step * 1000)}.`;
}

interface HistoryPanelProps {
  readonly span: Span;
  readonly measure: Measure;
}

function HistoryPanel({ span, measure }: HistoryPanelProps) {
  const asked = useHistory(span);
  const { label, format } = measureOf(measure);
  const history = asked.value && padded(asked.value, span);
  return (
    <Panel title="By team">
      {history === undefined ? (
        <Pending fault={asked.fault}>Reading what was counted …</Pending>
      ) : history.series.length === 0 ? (
        <Empty>
          <Sentence text={history.trouble ?? `${begun(history)} Each team with commands has a line here.`} />
        </Empty>
      ) : (
        <TimeChart
          label={`${label}, by team`}
          series={layersOf(history, measure)}
          until={history.until}
          step={history.step}
          format={format}
          isStacked={measure === 'rate'}
        >
          {(at, when) => <Names history={history} span={span} at={at} when={when} measure={measure} />}
        </TimeChart>
      )}
    </Panel>
  );
}

interface NamesProps {
  readonly history: History;
  readonly span: Span;
  readonly at: number | undefined;
  readonly when: string | undefined;
  readonly measure: Measure;
}

/** The key to the chart, with all measures of each name: at the cursor, or for the whole time. */
function Names({ history, span, at, when, measure }: NamesProps) {
  const since = shortSince(history, span);
  const isFine = history.step < 60;
  const spanText = spanTexts.find(({ value }) => value === span)?.text;
  return (
    <table>
      <caption>
        {when !== undefined ? (
          `at ${when}`
        ) : (
          <>
            <Sentence
              text={`average ${since === undefined ? `in ${spanText}` : `since {${since}}`}`}
              isExact={isFine}
            />
            {since !== undefined && <span class="wide-only">, when the process of the page was started</span>}
            <Sentence text={`, up to {${history.until}}`} isExact={isFine} />
          </>
        )}
      </caption>
      <thead>
        <tr>
          <th scope="col">team</th>
          {measures.map(({ value, text, head = text }) => (
            <th key={value} scope="col" class={value === 'p50' ? 'number wide-only' : 'number'}>
              {value === 'failed' && measure === 'rate' && <span class="swatch s-bad" />}
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {history.series.map((each, place) => (
          <tr key={each.name}>
            <th scope="row">
              <span class={`swatch ${colorOf(place, each.name)}`} />
              <Name value={each.name} max={20} />
            </th>
            {measures.map(({ value, format }) => {
              const found = valueOf(each, value, at);
              return (
                <td key={value} class={value === 'p50' ? 'number wide-only' : 'number'}>
                  {found === undefined ? (
                    <span class="faint">–</span>
                  ) : value === measure ? (
                    <strong>{format(found)}</strong>
                  ) : (
                    format(found)
                  )}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
