// What each admin endpoint answers: views of the snapshot of the gate, and the metrics. Nothing is changed here. A part of the status that
// cannot be made takes no other with it.

import { bounds } from '../../host/bounds/bounds.js';
import { plainAnswer, type TextAnswer } from '../../host/http/server.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { formatEnd, formatTime } from '../../host/words/instants.js';
import { formatJsonLines } from '../../host/words/text.js';
import { type FoundProblem, failedReload, findProblems, keyOf } from '../now/problems.js';
import {
  type Fault,
  isUp,
  noticeState,
  type Running,
  stateOfRoute,
  whyNotReady,
  whyNotUp,
} from '../now/running.js';

export interface Page {
  /** Of no use to a stranger: may be seen over TCP without the token. */
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

/** How old metrics may be, so that a client that asks in a loop takes little processor time. */
const metricsAgeMsMax = bounds.metricsAgeMs;

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
    if (last === undefined || nowMs - last.atMs >= metricsAgeMsMax) last = { atMs: nowMs, text: metrics() };
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
  listeners: ({ listeners }) =>
    listeners.map(({ name, sessionsMax, ...each }) => ({
      listener: name,
      ...each,
      sessions_max: sessionsMax,
    })),
  backends: ({ backends }) =>
    backends.map((each) => {
      const { name, address, series, newer, connections, drained, health, fault, sinceMs } = each;
      const { dialing, idle, leased, overdue, waiters, failed, countedMs, oldestWaitMs } = each;
      const [up, text, since] = [isUp(each), whyNotUp(each), formatTime(sinceMs)];
      const state = { backend: name, up, address, series, newer, connections, drained, health, text, since };
      const counts = { dialing, idle, leased, overdue, waiters };
      const dials = { failed, failed_since: formatTime(countedMs) };
      return { ...state, code: fault?.code, ...counts, ...dials, oldest_wait_ms: Math.round(oldestWaitMs) };
    }),
  routes: routesOf,
  journal: ({ journal }) => ({
    state: journal.state,
    space: journal.space,
    fault: faultOf(journal.fault),
    lost: journal.lost,
    unsynced_ms: Math.round(journal.unsyncedMs),
    free_bytes: journal.freeBytes,
    young_bytes: journal.filling?.youngBytes,
    max_bytes: knownBytes(journal.filling?.bytesMax),
    largest_writers: journal.filling?.largest.map(({ principal, share }) => ({
      principal,
      share: Math.round(1000 * share) / 1000,
    })),
    missing_seq: journal.missing?.seq,
    missing_since: timeOf(journal.missing?.sinceMs),
    memory: journal.memory,
    memory_fault: journal.whyNoMemory,
  }),
  access: ({ access }) => access && { ...access, list: access.list() },
  locks: ({ locks }) => locks,
  shipping: ({ sinks }) =>
    sinks.map(({ name, state, fault, lagRecords, lagMs, safeSeq, refused }) => ({
      sink: name,
      state,
      fault: faultOf(fault),
      lag_records: lagRecords,
      lag_ms: Math.round(lagMs),
      safe_seq: safeSeq,
      refused,
    })),
  keys: ({ keys }) =>
    keys.map(({ name, expiresMs, leftMs, lastUsedMs, ...each }) => ({
      key: name,
      ...each,
      expires: expiresMs === undefined ? undefined : formatEnd(expiresMs),
      expired: leftMs !== undefined && leftMs <= 0 ? true : undefined,
      last_used: timeOf(lastUsedMs),
    })),
  page: ({ page }) => page && pageOf(page),
  ship: ({ ship }) => ship && shipOf(ship),
  reload: ({ reload }) =>
    reload && {
      time: timeOf(reload.atMs),
      success: reload.isSuccess,
      problems: reload.problems,
      restart_needed: reload.restart,
      last_read: timeOf(reload.lastMs),
    },
  exchanges: ({ exchanges }) =>
    exchanges.map(({ isWaiting, isOverdue, durationMs, clientMs, deadlineMs, ...each }) => ({
      listener: each.listener,
      session: each.session,
      id: each.id,
      principal: each.principal,
      user: each.user,
      command: each.command,
      backend: each.backend,
      waiting: isWaiting ? true : undefined,
      overdue: isOverdue ? true : undefined,
      duration_ms: Math.round(durationMs),
      client_ms: clientMs > 0 ? Math.round(clientMs) : undefined,
      deadline_ms: deadlineMs === undefined ? undefined : Math.round(deadlineMs),
    })),
};

function timeOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : formatTime(ms);
}

function faultOf(fault: Fault | undefined): unknown {
  return fault && { code: fault.code, text: fault.text };
}

/** It serves, but not by the file. */
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

function pageOf({ told }: NonNullable<Running['page']>): unknown {
  if (told === undefined) return { connected: false };
  const { version, people, watchers, signIns, refusedSignIns, problem } = told;
  return {
    connected: true,
    problem,
    version,
    people,
    watchers,
    sign_ins: signIns,
    refused_sign_ins: refusedSignIns,
  };
}

function shipOf({ isThere, problem, notices }: NonNullable<Running['ship']>): unknown {
  return {
    connected: isThere,
    problem,
    notices: notices.map(({ name, lagMs, fault, ...counts }) => ({
      receiver: name,
      state: noticeState({ ...counts, fault }),
      ...counts,
      lag_ms: Math.round(lagMs),
      fault: fault && { code: fault.code, status: fault.status, for_ms: Math.round(fault.forMs) },
    })),
  };
}

function knownBytes(bytes: number | undefined): number | undefined {
  return bytes === undefined || !Number.isFinite(bytes) ? undefined : bytes;
}

function problemOf(problem: FoundProblem, { acknowledged }: Running): unknown {
  const { code, named, try: hint, backend, isDegrading: degrading } = problem;
  // The same answer has the name in `locks`, so it is shown here, too.
  const { text } = named ?? problem;
  const shown = { code, text: text.replaceAll(/\{([^{}]*)\}/g, '$1'), try: hint, backend, degrading };
  return { ...shown, acknowledged: degrading ? undefined : acknowledged(keyOf(problem)) };
}
