// What must be back at the end: quiet samples of the last minute against those of the first.
import { type Entry, nameArrival, nameEntry } from './evidence.js';
import { count, type Json, text } from './read-lines.js';
import type { Report } from './report.js';

const mib = 1024 * 1024;
const descriptorsSlack = 12;
const threadsSlack = 4;
/** The heap grows with the first load and stays: a run of a few minutes may end at more than twice of what it began with. */
const memorySlack = 400 * mib;
const memoryFactor = 3;
/** Growth under load, of one process: its last quarter against its second, in what is left after collections. */
const growthSamplesMin = 15;
const growthSlack = 80 * mib;
const growthFactor = 1.3;

/**
 * Of a reply that its client does not read, the gate holds 128 KiB at most (docs/limits.md). The kernel's buffers on both sides of it and
 * the recorder's own hold some megabytes more.
 */
const unreadMax = 24 * mib;

export function checkUnread(entries: readonly Entry[], report: Report): void {
  for (const entry of entries)
    for (const arrival of entry.arrivals) {
      const bytes = arrival.reply?.bytes ?? 0;
      if (entry.isUnread && bytes > unreadMax)
        report.add(
          'leak',
          `${nameEntry(entry)} read nothing, and the gate took in ${bytes} bytes of its reply`,
          nameArrival(arrival),
        );
    }
}

export function checkLeaks(samples: readonly Json[], report: Report): void {
  const processes = new Set(samples.map((one) => text(one.process)));
  for (const name of processes) {
    checkGrowth(
      name,
      samples.filter((one) => one.process === name),
      report,
    );
    const quiet = samples.filter((one) => one.process === name && one.quiet === true);
    const gap = largestGap(quiet);
    if (gap === 0) continue;
    const first = quiet.slice(0, gap);
    // The last half of the last minute: what waits for a timer has had time to end.
    const last = quiet.slice(gap);
    compareProcess(name, first, last.slice(Math.floor(last.length / 2)), report);
  }
}

function checkGrowth(name: string, samples: readonly Json[], report: Report): void {
  for (const pid of new Set(samples.map((one) => count(one.pid) ?? 0))) {
    const left = samples
      .filter((one) => one.pid === pid && one.quiet !== true)
      .flatMap((one) => count(one.left) ?? []);
    if (left.length < growthSamplesMin) continue;
    const quarter = Math.floor(left.length / 4);
    const before = median(left.slice(quarter, 2 * quarter));
    const after = median(left.slice(3 * quarter));
    if (after > before * growthFactor && after > before + growthSlack)
      report.add(
        'leak',
        `left ${after} in the last quarter, ${before} in the second`,
        `process ${name}, pid ${pid}`,
      );
  }
}

/** Quiet samples are of the first and of the last minute; the run itself lies between. */
function largestGap(samples: readonly Json[]): number {
  let at = 0;
  let largest = 0;
  for (let place = 1; place < samples.length; place += 1) {
    const gap = (count(samples[place]?.at) ?? 0) - (count(samples[place - 1]?.at) ?? 0);
    if (gap > largest) {
      largest = gap;
      at = place;
    }
  }
  return at;
}

function compareProcess(name: string, first: readonly Json[], last: readonly Json[], report: Report): void {
  const where = `process ${name}`;
  const compare = (key: string, limit: (before: number) => number): void => {
    const before = median(first.map((one) => count(one[key]) ?? 0));
    const after = Math.min(...last.map((one) => count(one[key]) ?? 0));
    if (last.length > 0 && after > limit(before))
      report.add('leak', `${key} ${after}, at the beginning ${before}`, where);
  };
  compare('fds', (before) => before + descriptorsSlack);
  compare('threads', (before) => before + threadsSlack);
  compare('rss', (before) => Math.max(before * memoryFactor, before + memorySlack));
  const metrics = last.map((one) => text(one.metrics)).filter((one) => one !== '');
  if (metrics.length === 0) return;
  const begun = first.map((one) => text(one.metrics)).findLast((one) => one !== '') ?? '';
  checkGauges(metrics, begun, where, report);
}

/** Gauges that are zero while no client runs; one look may fall on a probe, so the lowest of several counts. */
function checkGauges(metrics: readonly string[], begun: string, where: string, report: Report): void {
  const isWatched = (name: string): boolean =>
    /^dovegate_(?:sessions|sessions_unauthenticated|waiters)\{/.test(name) ||
    /^dovegate_upstreams\{.*state="(?:leased|dialing)"/.test(name);
  const before = parseMetrics(begun);
  const lowest = new Map<string, number>();
  for (const one of metrics.map(parseMetrics))
    for (const [name, value] of one)
      if (isWatched(name)) lowest.set(name, Math.min(lowest.get(name) ?? Infinity, value));
  for (const [name, value] of lowest) {
    const allowed = before.get(name) ?? 0;
    if (value > allowed) report.add('leak', `${name} is ${value}, at the beginning ${allowed}`, where);
  }
}

export function parseMetrics(page: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of page.split('\n')) {
    const found = /^([a-z_]+(?:\{.*\})?) ([-+0-9.eE]+)$/.exec(line);
    if (found !== null) values.set(found[1] ?? '', Number(found[2]));
  }
  return values;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
