// What each admin endpoint answers, from a snapshot or from the metrics; nothing is changed here.
// The rule: readiness reports every reason that holds, not only the first, and a code is never renamed: alerts hold it.

import type { Clock } from '../../ports/machine.js';
import type { BackendSnapshot, DaemonSnapshot } from './snapshot.js';

/** One answer. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** An endpoint. */
export interface Page {
  /** Of no use to a stranger: may be seen over TCP without the token. */
  readonly isHarmless: boolean;
  answer(): Answer | Promise<Answer>;
}

/** Where answers come from. */
export interface PageSources {
  readonly clock: Clock;
  readonly snapshot: () => DaemonSnapshot;
  /** Text format 0.0.4 of Prometheus. */
  readonly metrics: () => Promise<string>;
}

const plain = 'text/plain; charset=utf-8';
const json = 'application/json; charset=utf-8';
const prometheus = 'text/plain; version=0.0.4; charset=utf-8';

/** How old metrics may be: whoever asks in a loop does not take the processor from those who are served. */
const metricsAgeMsMax = 100;

/** The endpoints by their paths. */
export function createPages(sources: PageSources): ReadonlyMap<string, Page> {
  const { snapshot } = sources;
  const metrics = renderSeldom(sources);
  return new Map<string, Page>([
    ['/healthz', { isHarmless: true, answer: () => ({ status: 200, type: plain, body: 'ok\n' }) }],
    [
      '/readyz',
      {
        isHarmless: true,
        answer() {
          const now = snapshot();
          const readiness = judgeReadiness(now);
          return { status: readiness.isReady ? 200 : 503, type: json, body: showReadiness(now, readiness) };
        },
      },
    ],
    [
      '/metrics',
      {
        isHarmless: true,
        answer: async () => ({ status: 200, type: prometheus, body: await metrics() }),
      },
    ],
    [
      '/status.json',
      { isHarmless: false, answer: () => ({ status: 200, type: json, body: showStatus(snapshot()) }) },
    ],
  ]);
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

function showReadiness(snapshot: DaemonSnapshot, readiness: Readiness): string {
  return show({
    ready: readiness.isReady,
    state: snapshot.state,
    reasons: readiness.reasons,
    routes: routesOf(readiness),
    backends: snapshot.backends.map(({ name, isUp, text }) => ({ backend: name, up: isUp, text })),
    journal: snapshot.journal.state,
  });
}

function showStatus(snapshot: DaemonSnapshot): string {
  const { journal, exchanges } = snapshot;
  const readiness = judgeReadiness(snapshot);
  return show({
    program: 'dovegate',
    version: snapshot.version,
    state: snapshot.state,
    problems: snapshot.problems,
    started: snapshot.started,
    uptime_ms: Math.round(snapshot.uptimeMs),
    config: snapshot.configHash,
    ready: readiness.isReady,
    reasons: readiness.reasons,
    listeners: snapshot.listeners.map(({ name, address, sessions, sessionsMax }) => ({
      listener: name,
      address,
      sessions,
      sessions_max: sessionsMax,
    })),
    backends: snapshot.backends.map(({ name, isUp, ...rest }) => ({ backend: name, up: isUp, ...rest })),
    routes: routesOf(readiness),
    journal: {
      state: journal.state,
      space: journal.space,
      fault: journal.fault,
      lost: journal.lost,
      free_bytes: journal.freeBytes,
    },
    shipping: snapshot.sinks.map(({ name, state, fault, lagRecords, safeSeq }) => ({
      sink: name,
      state,
      fault,
      lag_records: lagRecords,
      safe_seq: safeSeq,
    })),
    reload: snapshot.reload && {
      time: snapshot.reload.time,
      success: snapshot.reload.isSuccess,
      problems: snapshot.reload.problems,
      restart_needed: snapshot.reload.restart,
    },
    exchanges: exchanges?.map(({ durationMs, ...names }) => ({
      ...names,
      duration_ms: Math.round(durationMs),
    })),
  });
}

function routesOf(readiness: Readiness): unknown {
  return readiness.routes.map(({ place, state, backends }) => ({ route: place, state, backends }));
}

function show(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Why the daemon is not ready. */
export type NotReadyCode =
  | 'draining' // we are stopping
  | 'not-configured' // the configuration had problems at the start
  | 'audit-failed' // no record reaches the disk, so strict commands are refused
  | 'audit-reserve' // the disk of the records is full but for its reserve
  | 'backends-down'; // no backend is up

/** A reason with a sentence for people. */
export interface NotReady {
  readonly code: NotReadyCode;
  readonly text: string;
}

/** `partial`: some of its backends are up, others not. */
export type RouteState = 'up' | 'partial' | 'down';

/** What follows from a snapshot. */
export interface Readiness {
  readonly isReady: boolean;
  readonly reasons: readonly NotReady[];
  readonly routes: readonly {
    readonly place: string;
    readonly state: RouteState;
    readonly backends: readonly string[];
  }[];
}

/** Judges a snapshot. One backend that is up is enough: the state of each route says whom the others are missing to. */
export function judgeReadiness(snapshot: DaemonSnapshot): Readiness {
  const { state, journal, backends, routes } = snapshot;
  const reasons: NotReady[] = [];
  if (state === 'closed') {
    const text = `dovegate is not configured: ${snapshot.problems?.[0]?.split('\n', 1).join('') ?? ''}`;
    return { isReady: false, reasons: [{ code: 'not-configured', text }], routes: [] };
  }
  if (state === 'draining') reasons.push({ code: 'draining', text: 'dovegate is stopping' });
  if (journal.state === 'failed') {
    const why = journal.fault === undefined ? '' : `: ${journal.fault.text}`;
    reasons.push({ code: 'audit-failed', text: `no audit record can be written${why}` });
  } else if (journal.space === 'reserve') {
    const text = 'the disk of the audit records is full but for its reserve';
    reasons.push({ code: 'audit-reserve', text });
  }
  if (!backends.some((backend) => backend.isUp)) {
    const why = backends.map((backend) => `${backend.name}: ${backend.text ?? 'down'}`).join('; ');
    reasons.push({ code: 'backends-down', text: `no backend is up (${why})` });
  }
  return {
    isReady: reasons.length === 0,
    reasons,
    routes: routes.map((route) => ({ ...route, state: routeState(route.backends, backends) })),
  };
}

function routeState(names: readonly string[], backends: readonly BackendSnapshot[]): RouteState {
  const up = names.filter((name) => backends.some((backend) => backend.name === name && backend.isUp));
  if (up.length === 0) return 'down';
  return up.length === names.length ? 'up' : 'partial';
}
