// Traffic as the screen Now shows it: which lists a chart takes of a history, and what stands beside each name.

import { durationWords, rateWords } from '../../host/words/words.js';
import { type History, type Series, type Span, spanSteps } from '../answers/history.js';
import type { Values } from './chart.js';

export const spanTexts: readonly { readonly value: Span; readonly text: string }[] = [
  { value: '10m', text: '10 min' },
  { value: '1h', text: '1 h' },
  { value: '24h', text: '24 h' },
];

export type Measure = 'rate' | 'denied' | 'failed' | 'p50' | 'p99';

interface MeasureFacts {
  readonly value: Measure;
  readonly text: string;
  /** Above a column of its values; absent: the text. */
  readonly head?: string;
  readonly label: string;
  readonly format: (value: number) => string;
}

export const measures: readonly MeasureFacts[] = [
  { value: 'rate', text: 'rate', head: 'a second', label: 'Commands a second', format: rateWords },
  { value: 'denied', text: 'denied', label: 'Denied, of all commands', format: shareWords },
  { value: 'failed', text: 'failed', label: 'Failed, of all commands', format: shareWords },
  {
    value: 'p50',
    text: 'p50',
    label: 'Time of half of the commands',
    format: durationWords,
  },
  { value: 'p99', text: 'p99', label: 'Time of 99 of 100 commands', format: durationWords },
];

export function measureOf(text: string | null): MeasureFacts {
  const [first] = measures;
  const found = measures.find(({ value }) => value === text) ?? first;
  if (found === undefined) throw new Error('there is no measure');
  return found;
}

export function spanNamed(text: string | null): Span {
  return spanTexts.find(({ value }) => value === text)?.value ?? '10m';
}

/** What a chart draws. Errors are shares of all that ended: a rate of them says nothing without the other rate. */
export function listOf(series: Series, measure: Measure): Values {
  if (measure !== 'denied' && measure !== 'failed') return series[measure];
  return series[measure].map((value, at) => shareOf(value, series.rate[at] ?? null) ?? null);
}

/** The layers of a chart. For rates: what was served of each name, and on top of them the failures of all. */
export function layersOf(
  { series }: History,
  measure: Measure,
): readonly { readonly name: string; readonly values: Values; readonly color?: string }[] {
  if (measure !== 'rate') return series.map((each) => ({ name: each.name, values: listOf(each, measure) }));
  const served = series.map(({ name, rate, failed }) => ({
    name,
    values: rate.map((all, at) => (all === null ? null : all - (failed[at] ?? 0))),
  }));
  const failed = Array.from({ length: Math.max(0, ...series.map(({ rate }) => rate.length)) }, (_, at) =>
    series.every(({ rate }) => (rate[at] ?? null) === null)
      ? null
      : series.reduce((sum, each) => sum + (each.failed[at] ?? 0), 0),
  );
  return [...served, { name: 'failed', values: failed, color: 's-bad' }];
}

function shareOf(part: number | null, all: number | null): number | undefined {
  return part === null || all === null || all === 0 ? undefined : Math.min(1, part / all);
}

/** Adds empty steps at the beginning, up to the whole span: the page may have begun to count within it. */
export function padded(history: History, span: Span): History {
  const filled = (values: Values): Values => [
    ...Array<null>(Math.max(0, spanSteps[span].count - values.length)).fill(null),
    ...values,
  ];
  return {
    ...history,
    series: history.series.map((each) => ({
      ...each,
      rate: filled(each.rate),
      denied: filled(each.denied),
      failed: filled(each.failed),
      p50: filled(each.p50),
      p99: filled(each.p99),
    })),
  };
}

/** The value of one name at a moment, or for the whole time. Undefined: no sample. */
export function valueOf(series: Series, measure: Measure, at: number | undefined): number | undefined {
  const values = listOf(series, measure);
  const { all } = series;
  if (at !== undefined) return values[at] ?? undefined;
  if (measure === 'denied' || measure === 'failed') return shareOf(all[measure], all.rate);
  return all[measure] ?? undefined;
}

/** Since when averages count, if that is less than their span: RFC 3339; undefined: they count all of it. */
export function shortSince({ since, until }: History, span: Span): string | undefined {
  const { count, seconds } = spanSteps[span];
  return Date.parse(until) - Date.parse(since) < count * seconds * 1000 ? since : undefined;
}

/** How long until the next step is there: an answer just after that has the newest one. */
export function nextLookMs({ until, step }: History, nowMs: number): number {
  const leftMs = Date.parse(until) + step * 1000 + lookDelayMs - nowMs;
  return Math.min(step * 1000, Math.max(lookMsMin, leftMs));
}

/** The page asks the daemon for the counts of a step only when the step is over. */
const lookDelayMs = 700;
const lookMsMin = 2_000;

/** 0 %, < 0.1 %, 0.4 %, 12 %. */
export function shareWords(share: number): string {
  const percent = share * 100;
  if (percent > 0 && percent < 0.1) return '< 0.1 %';
  return `${percent > 0 && percent < 9.95 ? percent.toFixed(1) : Math.round(percent)} %`;
}
