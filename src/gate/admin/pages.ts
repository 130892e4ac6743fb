// The answers of the admin endpoints: views of the snapshot of the gate, and the metrics. They change nothing. If one part of the status
// cannot be made, the others are shown.

import { bounds } from '../../host/bounds/bounds.js';
import { plainAnswer, type TextAnswer } from '../../host/http/server.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { formatEnd, formatTime } from '../../host/words/instants.js';
import { formatJsonLines } from '../../host/words/text.js';
import { type FoundProblem, failedReload, findProblems, keyOf } from '../now/problems.js';
import { isUp, noticeState, type Running, stateOfRoute, whyNotReady, whyNotUp } from '../now/running.js';

export interface Page {
  /** Useless to a stranger, so it may be seen over TCP without the token. */
  readonly isHarmless: boolean;
  answer(): TextAnswer | Promise<TextAnswer>;
}

export interface PageSources {
  readonly clock: Clock;
  /** Its parts may be made when they are read, and reading one may throw. */
  readonly snapshot: () => Running;
  /** Text format 0.0.4 of Prometheus. */
  readonly metrics: () => Promise<string>;
  /** Resolves when all records of the journal so far are on disk; rejects if that fails. */
  readonly flushed: () => Promise<void>;
  /** Called for a part that could not be made; a bug of ours. */
  readonly onError: (text: string) => void;
}

export function createPages(sources: PageSources): ReadonlyMap<string, Page> {
  const { snapshot } = sources;
  const metrics = renderSeldom(sources);
  return new Map<string, Page>([
    ['/healthz', { isHarmless: true, answer: () => plainAnswer(200, 'ok') }],
    ['/readyz', { isHarmless: true, answer: () => answerReadiness(snapshot(), sources) }],
    ['/metrics', { isHarmless: true, answer: async () => ({ ...prometheus, body: await metrics() }) }],
    ['/flushed', { isHarmless: false, answer: () => answerFlushed(sources) }],
    ['/status.json', { isHarmless: false, answer: () => jsonAnswer(200, statusOf(snapshot(), sources)) }],
  ]);
}

const prometheus = { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' } as const;

function jsonAnswer(status: number, value: unknown): TextAnswer {
  return { status, type: 'application/json; charset=utf-8', body: `${formatJsonLines(value)}\n` };
}

async function answerFlushed({ flushed }: PageSources): Promise<TextAnswer> {
  try {
    await flushed();
    return plainAnswer(200, 'all records are on disk');
  } catch (fault) {
    return plainAnswer(503, messageOf(fault));
  }
}

function renderSeldom({ clock, metrics }: PageSources): () => Promise<string> {
  let last: { readonly atMs: number; readonly text: Promise<string> } | undefined;
  return async () => {
    const nowMs = clock.now();
    if (last === undefined || nowMs - last.atMs >= bounds.metricsAgeMs)
      last = { atMs: nowMs, text: metrics() };
    const asked = last;
    try {
      return await asked.text;
    } catch (fault) {
      if (last === asked) last = undefined;
      throw fault;
    }
  };
}

function answerReadiness(running: Running, sources: PageSources): TextAnswer {
  const reasons = whyNotReady(running);
  return jsonAnswer(reasons.length === 0 ? 200 : 503, {
    ready: reasons.length === 0,
    state: running.state,
    reasons,
    ...statusOf(running, sources, readyParts),
    routes: routesOf(running),
    backends: running.backends.map((each) => ({ backend: each.name, up: isUp(each), text: whyNotUp(each) })),
    journal: running.journal.state,
  });
}

function routesOf({ routes, backends }: Running): unknown {
  return routes.map(({ place, backends: names }) => ({
    route: place,
    state: stateOfRoute(names, backends),
    backends: names,
  }));
}

const statusParts: Readonly<Record<string, (running: Running) => unknown>> = {
  program: () => 'dovegate',
  version: ({ version }) => version,
  state: ({ state }) => state,
  problems: (running) => findProblems(running).map((problem) => problemOf(problem, running)),
  started: ({ started }) => started,
  uptime_ms: ({ uptimeMs }) => Math.round(uptimeMs),
  config: ({ configHash }) => configHash,
  loaded: ({ loaded }) => loaded,
  observing: ({ observing }) => (observing.length === 0 ? undefined : observing),
  candidates: ({ candidates }) => (candidates.length === 0 ? undefined : candidates),
  ready: (running) => whyNotReady(running).length === 0,
  reasons: (running) => whyNotReady(running),
  listeners: ({ listeners }) => jsonOf(listeners),
  backends: ({ backends }) => jsonOf(backends.map((each) => ({ ...each, isUp: isUp(each) }))),
  routes: routesOf,
  journal: ({ journal }) => jsonOf(journal),
  access: ({ access }) => access && { ...access, list: access.list() },
  locks: ({ locks }) => locks,
  shipping: ({ sinks }) => jsonOf(sinks),
  keys: ({ keys }) =>
    jsonOf(
      keys.map(({ expiresMs: ms, ...each }) => ({ ...each, expires: ms === undefined ? ms : formatEnd(ms) })),
    ),
  page: ({ page }) => page && jsonOf({ isConnected: page.told !== undefined, ...page.told }),
  ship: ({ ship }) =>
    ship && jsonOf({ ...ship, notices: ship.notices.map((each) => ({ ...each, state: noticeState(each) })) }),
  reload: ({ reload }) => jsonOf(reload),
  exchanges: ({ exchanges }) => jsonOf(exchanges),
};

/** Times of the snapshot; all its other numbers in `Ms` are durations. */
const times = new Set(['atMs', 'sinceMs', 'countedMs', 'lastUsedMs', 'lastReadMs']);
/** Parts of sentences, and places of secrets. */
const unshown = new Set(['why', 'passwordFiles', 'caFile']);

/**
 * A report as its owner made it, in names of JSON: `lagMs` is `lag_ms` in whole milliseconds, `sinceMs` is `since` as RFC 3339, `isWaiting`
 * is `waiting`. Absent: an infinite number, which stands for an unknown one.
 */
function jsonOf(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(jsonOf);
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]): [string, unknown][] => {
      if (unshown.has(key)) return [];
      const name = key
        .replace(/^is(?=[A-Z])/, '')
        .replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const member = name.replace(/^_/, '');
      if (typeof each !== 'number' || !key.endsWith('Ms')) return [[member, jsonOf(each)]];
      return times.has(key)
        ? [[member.slice(0, -'_ms'.length), formatTime(each)]]
        : [[member, jsonOf(Math.round(each))]];
    }),
  );
}

/** The gate serves, but not with the configuration in the file. */
const readyParts: typeof statusParts = {
  problems(running) {
    const problem = failedReload(running.reload);
    return problem && [problemOf(problem, running)];
  },
};

/** `not_shown`: parts that could not be made. */
function statusOf(
  snapshot: Running,
  { onError }: Pick<PageSources, 'onError'>,
  parts = statusParts,
): Readonly<Record<string, unknown>> {
  const shown: Record<string, unknown> = {};
  const missing: string[] = [];
  for (const [name, make] of Object.entries(parts)) {
    try {
      shown[name] = make(snapshot);
    } catch (fault) {
      missing.push(name);
      onError(`${name} of the status: ${messageOf(fault)}`);
    }
  }
  return { ...shown, not_shown: missing.length === 0 ? undefined : missing };
}

function problemOf(problem: FoundProblem, { acknowledged }: Running): unknown {
  const { code, named, try: hint, backend, isDegrading: degrading } = problem;
  // The same answer has the name in `locks`, so it is shown here, too.
  const { text } = named ?? problem;
  const shown = { code, text: text.replaceAll(/\{([^{}]*)\}/g, '$1'), try: hint, backend, degrading };
  return { ...shown, acknowledged: degrading ? undefined : acknowledged(keyOf(problem)) };
}
