// Charts of time, as SVG: lines or areas with axes, a readout under the pointer or by the arrow keys, and the same in words.

import type { ComponentChildren, TargetedKeyboardEvent, TargetedPointerEvent } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { HistogramBucket } from '../../evidence/views/trail.js';
import { outcomeClasses } from '../../gate/outcome/class.js';
import { countWords } from '../../host/words/words.js';
import { areaPath, linePath, maxOf, meanOf, momentsOf, stacked, ticksOf, type Values } from './chart.js';
import { useToday } from './live.js';
import { outcomeSign, partWord } from './signs.js';
import { visible } from './visible.js';
import { localTime, zoneOffsetMs } from './wording.js';

export interface ChartSeries {
  readonly name: string;
  readonly values: Values;
  /** CSS class of its color; absent: chosen by its position. */
  readonly color?: string;
}

interface TimeChartProps {
  readonly label: string;
  readonly series: readonly ChartSeries[];
  /** The end of the last step; RFC 3339. */
  readonly until: string;
  /** Seconds. */
  readonly step: number;
  readonly format: (value: number) => string;
  /** Sums are drawn on top of each other, times are not. */
  readonly isStacked: boolean;
  /** The key to the chart: names with values. `at`: the step under the cursor; undefined: none, show values of the whole time. */
  readonly children: (at: number | undefined, when: string | undefined) => ComponentChildren;
}

const left = 44;
const right = 10;
const top = 8;
const bottom = 20;

export function colorOf(at: number, name: string): string {
  return name === 'other' || at > 5 ? 's-other' : `s${at}`;
}

/** A plot of `count` moments with a cursor that the pointer or keys move. `momentOf`: the moment at a share (0 to 1) of its width. */
function usePlot(count: number, momentOf: (share: number) => number) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  const [cursor, setCursor] = useState<number | undefined>();
  useLayoutEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const measure = (): void => setWidth(Math.max(200, element.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const within = (at: number): number => Math.max(0, Math.min(count - 1, at));
  const shownAt = within(cursor ?? count - 1);
  const at = (event: TargetedPointerEvent<HTMLDivElement>): number => {
    const { left: edge } = event.currentTarget.getBoundingClientRect();
    return within(momentOf((event.clientX - edge - left) / (width - left - right)));
  };
  const onPointer = (event: TargetedPointerEvent<HTMLDivElement>): void => setCursor(at(event));
  const onLeave = (): void => setCursor(undefined);
  const onKey = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    const to = {
      ArrowLeft: shownAt - 1,
      ArrowRight: shownAt + 1,
      Home: 0,
      End: count - 1,
      PageUp: shownAt - 10,
      PageDown: shownAt + 10,
    }[event.key];
    if (event.key === 'Escape') onLeave();
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    setCursor(within(to));
  };
  const slider = {
    class: 'plot',
    role: 'slider',
    tabIndex: 0,
    'aria-valuemin': 0,
    'aria-valuemax': Math.max(0, count - 1),
    'aria-valuenow': shownAt,
    onKeyDown: onKey,
    onPointerMove: onPointer,
    onPointerDown: onPointer,
    onPointerLeave: onLeave,
    onBlur: onLeave,
  } as const;
  return { place, width, cursor, shownAt, at, slider };
}

export function TimeChart({ label, series, until, step, format, isStacked, children }: TimeChartProps) {
  const height = 150;
  const count = Math.max(2, ...series.map(({ values }) => values.length));
  const { place, width, cursor, shownAt, slider } = usePlot(count, (share) =>
    Math.round(share * (count - 1)),
  );
  const untilMs = Date.parse(until);
  const stepMs = step * 1000;
  const timeOf = (at: number): number => untilMs - (count - 1 - at) * stepMs;
  const drawn = isStacked ? stacked(series.map(({ values }) => values)) : series.map(({ values }) => values);
  const ticks = ticksOf(Math.max(0, ...drawn.map(maxOf)));
  const most = ticks.at(-1) ?? 1;
  const x = (at: number): number => left + (at / (count - 1)) * (width - left - right);
  const y = (value: number): number => top + (1 - value / most) * (height - top - bottom);
  const clock = (ms: number, isExact = false): string =>
    localTime(new Date(ms).toISOString(), until, isExact);
  const when = cursor === undefined ? undefined : clock(timeOf(cursor), step < 60);
  const moments = momentsOf(timeOf(0), untilMs, Math.max(2, Math.floor(width / 110)), zoneOffsetMs(untilMs));
  const said = (value: number | null | undefined): string =>
    value === null || value === undefined ? 'no sample' : format(value);
  const reading = (at: number): string =>
    series.map(({ name, values }) => `${visible(name)} ${said(values[at])}`).join(', ');
  return (
    <div class="chart" ref={place}>
      <div
        {...slider}
        aria-label={`${label}: the moment that is read`}
        aria-valuetext={`${clock(timeOf(shownAt), step < 60)}: ${reading(shownAt)}`}
      >
        <svg viewBox={`0 0 ${width} ${height}`} height={height} aria-hidden="true">
          <Grid ticks={ticks} width={width} y={y} format={format} />
          {moments.map((ms) => {
            const at = count - 1 - (untilMs - ms) / stepMs;
            return (
              <text key={ms} x={Math.min(width - 16, x(at))} y={height - 4} text-anchor="middle">
                {clock(ms)}
              </text>
            );
          })}
          {series.map(({ name, color }, at) => {
            const values = drawn[at] ?? [];
            const own = color ?? colorOf(at, name);
            return isStacked ? (
              <path key={name} d={areaPath(values, drawn[at - 1], x, y)} class={`area ${own}`} />
            ) : (
              <path key={name} d={linePath(values, x, y)} class={`line ${own}`} />
            );
          })}
          {cursor !== undefined && (
            <>
              <line x1={x(cursor)} x2={x(cursor)} y1={top} y2={height - bottom} class="cursor" />
              {series.map(({ name, color }, at) => {
                const value = drawn[at]?.[cursor] ?? null;
                return value === null ? null : (
                  <circle
                    key={name}
                    cx={x(cursor)}
                    cy={y(value)}
                    r="3.5"
                    class={`dot ${color ?? colorOf(at, name)}`}
                  />
                );
              })}
            </>
          )}
        </svg>
      </div>
      <p class="unseen">
        {label}, {clock(timeOf(0))} to {clock(untilMs)}.{' '}
        {series
          .map(({ name, values }) => {
            const mean = meanOf(values);
            return `${visible(name)}: ${mean === undefined ? 'no sample' : `${format(mean)} on average, ${format(maxOf(values))} at most`}.`;
          })
          .join(' ')}
      </p>
      {children(cursor, when)}
    </div>
  );
}

interface GridProps extends Pick<TimeChartProps, 'format'> {
  readonly ticks: readonly number[];
  readonly width: number;
  readonly y: (value: number) => number;
}

function Grid({ ticks, width, y, format }: GridProps) {
  return ticks.map((value) => (
    <g key={value}>
      <line x1={left} x2={width - right} y1={y(value)} y2={y(value)} class="grid" />
      <text x={left - 6} y={y(value) + 4} text-anchor="end">
        {format(value)}
      </text>
    </g>
  ));
}

interface HistogramProps {
  readonly label: string;
  readonly bars: readonly HistogramBucket[];
  /** Seconds. */
  readonly step: number;
  /** Milliseconds since 1970: the end of what was searched, within the last bar. */
  readonly untilMs: number;
  /** Not all are in the bars: there are this many, or more. */
  readonly atLeast?: number | undefined;
  readonly onSpan: (fromMs: number, toMs: number) => void;
}

/** Bars by outcome. A click selects the time of a bar, a drag the time of several; on the keyboard, arrows and Enter do. */
export function Histogram({ label, bars, step, untilMs, atLeast, onSpan }: HistogramProps) {
  const height = 68;
  const [start, setStart] = useState<number | undefined>();
  const {
    place,
    width,
    cursor,
    shownAt,
    at: barAt,
    slider,
  } = usePlot(bars.length, (share) => Math.floor(share * bars.length));
  const sumOf = (bar: HistogramBucket): number => outcomeClasses.reduce((sum, part) => sum + bar[part], 0);
  const ticks = ticksOf(Math.max(1, ...bars.map(sumOf)));
  const most = ticks.at(-1) ?? 1;
  const room = (width - left - right) / Math.max(1, bars.length);
  const y = (value: number): number => top + (1 - value / most) * (height - top - bottom);
  const today = useToday();
  const clock = (at: string): string => localTime(at, today, step < 60);
  const endMs = Math.min(untilMs, Date.parse(bars.at(-1)?.at ?? '') + step * 1000);
  const reading = (bar: HistogramBucket | undefined): string =>
    bar === undefined
      ? ''
      : `${clock(bar.at)}: ${
          outcomeClasses
            .filter((part) => bar[part] > 0)
            .map((part) => `${countWords(bar[part])} ${partWord(part)}`)
            .join(', ') || 'nothing'
        }`;
  const take = (one: number, other: number): void => {
    const [first, last] = [bars[Math.min(one, other)], bars[Math.max(one, other)]];
    if (first !== undefined && last !== undefined)
      onSpan(Date.parse(first.at), Date.parse(last.at) + step * 1000);
  };
  /** The first and the last bar that the readout is about. */
  const [from, to] =
    cursor === undefined
      ? [0, bars.length - 1]
      : [Math.min(start ?? cursor, cursor), Math.max(start ?? cursor, cursor)];
  const every = Math.max(1, Math.ceil(bars.length / Math.max(2, Math.floor(width / 120))));
  return (
    <div class="chart bars" ref={place}>
      <div
        {...slider}
        aria-label={`${label}: the time that is read; Enter searches it, Shift and arrows take several`}
        aria-valuetext={reading(bars[shownAt]) || 'nothing'}
        onKeyDown={(event) => {
          slider.onKeyDown(event);
          if (event.key !== 'Enter') return setStart(event.shiftKey ? (start ?? shownAt) : undefined);
          event.preventDefault();
          event.stopPropagation();
          if (cursor !== undefined) take(start ?? cursor, cursor);
        }}
        onPointerDown={(event) => {
          slider.onPointerDown(event);
          setStart(barAt(event));
        }}
        onPointerUp={(event) => {
          if (start !== undefined) take(start, barAt(event));
          setStart(undefined);
        }}
        onPointerLeave={() => {
          slider.onPointerLeave();
          setStart(undefined);
        }}
      >
        <svg viewBox={`0 0 ${width} ${height}`} height={height} aria-hidden="true">
          <Grid ticks={[0, most]} width={width} y={y} format={countWords} />
          {cursor !== undefined && (
            <rect
              class="marked"
              x={left + from * room}
              y={top}
              width={(to - from + 1) * room}
              height={height - top - bottom}
            />
          )}
          {bars.map((bar, at) => {
            let below = 0;
            return (
              <g key={bar.at}>
                {outcomeClasses.map((part) => {
                  const value = bar[part];
                  if (value === 0) return null;
                  const foot = y(below);
                  below += value;
                  // A few failures are visible even among many commands.
                  const high = Math.max(foot - y(below), part === 'ok' ? 1 : 2);
                  return (
                    <rect
                      key={part}
                      class={`bar-part s-${outcomeSign(part).tone}`}
                      x={left + at * room + Math.min(1, room / 6)}
                      y={foot - high}
                      width={Math.max(1, room - Math.min(2, room / 3))}
                      height={high}
                    />
                  );
                })}
                {at % every === 0 && (
                  <text x={left + (at + 0.5) * room} y={height - 4} text-anchor="middle">
                    {clock(bar.at)}
                  </text>
                )}
              </g>
            );
          })}
        </svg>
      </div>
      <p class="legend">
        {cursor === undefined && (
          <span>
            found {atLeast === undefined ? '' : 'at least '}
            <b class="number">{countWords(atLeast ?? bars.reduce((all, bar) => all + sumOf(bar), 0))}</b>
          </span>
        )}
        {outcomeClasses.map((part) => {
          const sum = bars.slice(from, to + 1).reduce((all, bar) => all + bar[part], 0);
          return sum === 0 ? null : (
            <span key={part}>
              <span class={`swatch s-${outcomeSign(part).tone}`} />
              {partWord(part)} <b class="number">{countWords(sum)}</b>
            </span>
          );
        })}
        <span class={cursor === undefined ? 'wide-only' : undefined}>
          {cursor === undefined
            ? `${clock(bars[0]?.at ?? '')} to ${Number.isNaN(endMs) ? '' : clock(new Date(endMs).toISOString())}`
            : clock(bars[from]?.at ?? '')}
        </span>
      </p>
    </div>
  );
}
