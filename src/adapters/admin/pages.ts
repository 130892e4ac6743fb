// What each admin endpoint answers, from a snapshot or from the metrics; nothing is changed here. Readiness reports every reason that
// holds, not only the first, and follows from our own state alone (`ReadinessFacts`), never from what another process says. A code is never
// renamed: alerts hold it. A part of the status that cannot be made takes no other with it.

import { bounds } from '../../bounds/bounds.js';
import type { NoticeReceiver } from '../../domain/admin/notices/receiver.js';
import type { FoundProblem } from '../../domain/admin/now/problems.js';
import { formatJsonLines } from '../../domain/records/audit/encode.js';
import { formatEnd, formatTime } from '../../domain/records/audit/record.js';
import type { ExchangeNames } from '../../gateway/outcome/events.js';
import type { JournalFill, JournalSpace } from '../../gateway/outcome/journal.js';
import { messageOf } from '../../ports/faults.js';
import type { Clock } from '../../ports/machine.js';
import { plainAnswer, type TextAnswer } from '../http/server.js';

export interface DaemonSnapshot {
  readonly version: string;
  /** RFC 3339. */
  readonly started: string;
  readonly uptimeMs: number;
  readonly state: 'serving' | 'draining' | 'closed';
  /** Of a daemon in state `closed`: its problems, as `check` prints them. */
  readonly problems?: readonly string[];
  /** Of a daemon that serves: what is wrong, worst first. */
  readonly found?: readonly FoundProblem[] | undefined;
  readonly configHash: string;
  readonly observing?: readonly string[];
  readonly listeners: readonly {
    readonly name: string;
    readonly address: string;
    readonly sessions: number;
    readonly unauthenticated: number;
    readonly sessionsMax: number;
  }[];
  readonly backends: readonly BackendSnapshot[];
  /** In the order in which they are tried, named by the place where they were written. */
  readonly routes: readonly { readonly place: string; readonly backends: readonly string[] }[];
  readonly journal: {
    readonly state: 'writable' | 'failed';
    /** `reserve`: only commands for emergencies are recorded, and so served. */
    readonly space: JournalSpace;
    readonly fault: { readonly code: string; readonly text: string } | undefined;
    readonly lost: number;
    readonly unsyncedMs: number;
    /** Of its file system; undefined: not known yet. */
    readonly freeBytes: number | undefined;
    readonly filling?: JournalFill | undefined;
    /** The last record whose file was taken away, and since when; undefined: none. */
    readonly missing?: { readonly seq: number; readonly sinceMs: number | undefined } | undefined;
    /** Where records survive a crash until they are on disk; undefined: nowhere, so every command waits for the disk. */
    readonly memory: string | undefined;
    readonly whyNoMemory: string | undefined;
  };
  /** Access on request: how many wait, live, and were granted without an approval and not reviewed; the first of them. */
  readonly access?: {
    readonly requests: number;
    readonly grants: number;
    readonly unreviewed: number;
    /** Users of `persons` whose uid was never known, and those who have several. */
    readonly unknown_users: readonly string[];
    readonly moved_users: readonly { readonly user: string; readonly uids: readonly number[] }[];
    readonly list: () => readonly unknown[];
  };
  readonly sinks: readonly {
    readonly name: string;
    readonly state: 'connecting' | 'connected' | 'away' | 'forked';
    readonly fault: { readonly code: string; readonly text: string } | undefined;
    /** Records on disk that were not sent yet, and how long the oldest of them has been there. */
    readonly lagRecords: number;
    readonly lagMs: number;
    readonly safeSeq: number;
  }[];
  readonly keys: readonly KeyShown[];
  readonly exchanges?: readonly (ExchangeNames & {
    readonly backend: string | undefined;
    readonly isWaiting?: boolean;
    /** Its client has been answered, and its backend has not replied yet. */
    readonly isOverdue?: boolean;
    readonly durationMs: number;
    /** How long an upstream has waited for its client to read or send. */
    readonly clientMs?: number;
    /** The deadline; undefined: the reply has begun, or no deadline is known yet. */
    readonly deadlineMs?: number | undefined;
  })[];
  /** `told`: the last report of the page's process about itself. `untold`: receivers of notices that get nothing while there is none. */
  readonly page?:
    | {
        readonly untold: readonly string[];
        readonly told:
          | {
              readonly version: string;
              readonly people: number;
              readonly watchers: number;
              readonly signIns: number;
              readonly refusedSignIns: number;
              readonly problem?: string | undefined;
              readonly notices?: readonly NoticeReceiver[] | undefined;
            }
          | undefined;
      }
    | undefined;
  readonly reload?:
    | {
        /** RFC 3339. */
        readonly time: string;
        readonly isSuccess: boolean;
        readonly problems: readonly string[];
        /** Settings that changed and are read only at a start. */
        readonly restart: readonly string[];
      }
    | undefined;
}

/** A key of an HTTP listener; times of the wall clock in milliseconds. */
export interface KeyShown {
  readonly listener: string;
  readonly name: string;
  readonly policy: string;
  /** Undefined: it does not expire. `leftMs` is 0 or below once it has. */
  readonly expiresMs: number | undefined;
  readonly leftMs: number | undefined;
  readonly lastUsedMs: number | undefined;
  readonly failures: number;
}

export interface BackendSnapshot {
  readonly name: string;
  readonly address: string;
  readonly series: string | undefined;
  /** What it gets, being newer than dovegate knows: the setting of that name. Undefined: it is not. */
  readonly newer?: string | undefined;
  readonly isUp: boolean;
  /** up, pausing, retrying (dials fail while others live), down, probing, drained. */
  readonly health: string;
  /** Why it is down, as a sentence; undefined while it is up. */
  readonly text: string | undefined;
  readonly connections: number;
  readonly dialing: number;
  readonly idle: number;
  readonly leased: number;
  /** Held for overdue commands, beside the others. */
  readonly overdue?: number;
  readonly waiters: number;
  readonly oldestWaitMs?: number;
  /** Since when its health is up, or down; RFC 3339. */
  readonly since?: string;
  /** Of the fault, while it is down. */
  readonly code?: string | undefined;
  /** Who took it out of service: the configuration, an operator (with name and time), both, or nobody. */
  readonly drained?: readonly string[];
  /** Failures so far, by the step that failed: dial, tls, greeting, authentication, reply. */
  readonly failed: Readonly<Record<string, number>>;
}

export interface Page {
  /** Of no use to a stranger: may be seen over TCP without the token. */
  readonly isHarmless: boolean;
  answer(): TextAnswer | Promise<TextAnswer>;
}

export interface PageSources {
  readonly clock: Clock;
  /** Its parts may be made when they are read, and reading one may throw. */
  readonly snapshot: () => DaemonSnapshot;
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
    ['/readyz', { isHarmless: true, answer: () => answerReadiness(snapshot()) }],
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

function answerReadiness(snapshot: DaemonSnapshot): TextAnswer {
  const readiness = judgeReadiness(snapshot);
  return jsonAnswer(readiness.isReady ? 200 : 503, {
    ready: readiness.isReady,
    state: snapshot.state,
    reasons: readiness.reasons,
    routes: routesOf(readiness),
    backends: snapshot.backends.map(({ name, isUp, text }) => ({ backend: name, up: isUp, text })),
    journal: snapshot.journal.state,
  });
}

const statusParts: Readonly<Record<string, (snapshot: DaemonSnapshot) => unknown>> = {
  program: () => 'dovegate',
  version: ({ version }) => version,
  state: ({ state }) => state,
  problems: ({ problems, found }) => problems ?? found?.map(problemOf),
  started: ({ started }) => started,
  uptime_ms: ({ uptimeMs }) => Math.round(uptimeMs),
  config: ({ configHash }) => configHash,
  observing: ({ observing }) => (observing?.length === 0 ? undefined : observing),
  ready: (snapshot) => judgeReadiness(snapshot).isReady,
  reasons: (snapshot) => judgeReadiness(snapshot).reasons,
  listeners: ({ listeners }) =>
    listeners.map(({ name, address, sessions, unauthenticated, sessionsMax }) => ({
      listener: name,
      address,
      sessions,
      unauthenticated,
      sessions_max: sessionsMax,
    })),
  backends: ({ backends }) =>
    backends.map(({ name, isUp, oldestWaitMs, ...rest }) => ({
      backend: name,
      up: isUp,
      ...rest,
      oldest_wait_ms: oldestWaitMs === undefined ? undefined : Math.round(oldestWaitMs),
    })),
  routes: (snapshot) => routesOf(judgeReadiness(snapshot)),
  journal: ({ journal }) => ({
    state: journal.state,
    space: journal.space,
    fault: journal.fault,
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
    missing_since: journal.missing?.sinceMs === undefined ? undefined : formatTime(journal.missing.sinceMs),
    memory: journal.memory,
    memory_fault: journal.whyNoMemory,
  }),
  access: ({ access }) => access && { ...access, list: access.list() },
  shipping: ({ sinks }) =>
    sinks.map(({ name, state, fault, lagRecords, lagMs, safeSeq }) => ({
      sink: name,
      state,
      fault,
      lag_records: lagRecords,
      lag_ms: Math.round(lagMs),
      safe_seq: safeSeq,
    })),
  keys: ({ keys }) =>
    keys.map(({ listener, name, policy, expiresMs, leftMs, lastUsedMs, failures }) => ({
      listener,
      key: name,
      policy,
      expires: expiresMs === undefined ? undefined : formatEnd(expiresMs),
      expired: leftMs !== undefined && leftMs <= 0 ? true : undefined,
      last_used: lastUsedMs === undefined ? undefined : formatTime(lastUsedMs),
      failures,
    })),
  page: ({ page }) => page && pageOf(page),
  reload: ({ reload }) =>
    reload && {
      time: reload.time,
      success: reload.isSuccess,
      problems: reload.problems,
      restart_needed: reload.restart,
    },
  exchanges: ({ exchanges }) =>
    exchanges?.map(({ isWaiting, isOverdue, durationMs, clientMs = 0, deadlineMs, ...names }) => ({
      ...names,
      waiting: isWaiting === true ? true : undefined,
      overdue: isOverdue === true ? true : undefined,
      duration_ms: Math.round(durationMs),
      client_ms: clientMs > 0 ? Math.round(clientMs) : undefined,
      deadline_ms: deadlineMs === undefined ? undefined : Math.round(deadlineMs),
    })),
};

/** `not_shown`: parts that could not be made. */
function statusOf(snapshot: DaemonSnapshot, { onError }: Pick<PageSources, 'onError'>): unknown {
  const shown: Record<string, unknown> = {};
  const missing: string[] = [];
  for (const [name, make] of Object.entries(statusParts)) {
    try {
      shown[name] = make(snapshot);
    } catch (fault) {
      missing.push(name);
      onError(`${name} of the status: ${messageOf(fault)}`);
    }
  }
  return { ...shown, not_shown: missing.length === 0 ? undefined : missing };
}

function pageOf({ told, untold }: NonNullable<DaemonSnapshot['page']>): unknown {
  if (told === undefined) {
    const notices = untold.map((receiver) => ({ receiver, told: false }));
    return { connected: false, notices: notices.length === 0 ? undefined : notices };
  }
  const { version, people, watchers, signIns, refusedSignIns, problem, notices } = told;
  return {
    connected: true,
    problem,
    version,
    people,
    watchers,
    sign_ins: signIns,
    refused_sign_ins: refusedSignIns,
    notices: notices?.map(({ name, delivered, failed, dropped, lagMs, fault }) => ({
      receiver: name,
      delivered,
      failed,
      dropped,
      lag_ms: Math.round(lagMs),
      fault: fault && { code: fault.code, status: fault.status, for_ms: Math.round(fault.forMs) },
    })),
  };
}

function knownBytes(bytes: number | undefined): number | undefined {
  return bytes === undefined || !Number.isFinite(bytes) ? undefined : bytes;
}

function problemOf({ code, text, try: hint, backend }: FoundProblem): unknown {
  return { code, text: text.replaceAll(/\{([^{}]*)\}/g, '$1'), try: hint, backend };
}

function routesOf(readiness: Readiness): unknown {
  return readiness.routes.map(({ place, state, backends }) => ({ route: place, state, backends }));
}

interface Readiness {
  readonly isReady: boolean;
  readonly reasons: readonly { readonly code: NotReadyCode; readonly text: string }[];
  /** `partial`: some of its backends are up, others not. */
  readonly routes: readonly {
    readonly place: string;
    readonly state: 'up' | 'partial' | 'down';
    readonly backends: readonly string[];
  }[];
}

type NotReadyCode =
  | 'draining' // we are stopping
  | 'not-configured' // the configuration had problems at the start
  | 'audit-failed' // records do not reach the disk in time, so at least what must be synced is refused
  | 'audit-reserve' // the disk of the records is full but for its reserve
  | 'backends-down'; // no backend is up

export type ReadinessFacts = Pick<DaemonSnapshot, 'state' | 'problems' | 'routes'> & {
  readonly journal: Pick<DaemonSnapshot['journal'], 'state' | 'space' | 'fault'>;
  readonly backends: readonly Pick<BackendSnapshot, 'name' | 'isUp' | 'text'>[];
};

/** Judges a snapshot. One backend that is up is enough: the state of each route says whom the others are missing to. */
export function judgeReadiness(snapshot: ReadinessFacts): Readiness {
  const { state, journal, backends, routes } = snapshot;
  const reasons: Readiness['reasons'][number][] = [];
  if (state === 'closed') {
    const text = `dovegate is not configured: ${snapshot.problems?.[0]?.split('\n', 1).join('') ?? ''}`;
    return { isReady: false, reasons: [{ code: 'not-configured', text }], routes: [] };
  }
  if (state === 'draining') reasons.push({ code: 'draining', text: 'dovegate is stopping' });
  if (journal.state === 'failed') {
    const why = journal.fault === undefined ? '' : `: ${journal.fault.text}`;
    reasons.push({ code: 'audit-failed', text: `audit records do not reach the disk${why}` });
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

function routeState(
  names: readonly string[],
  backends: ReadinessFacts['backends'],
): 'up' | 'partial' | 'down' {
  const up = names.filter((name) => backends.some((backend) => backend.name === name && backend.isUp));
  if (up.length === 0) return 'down';
  return up.length === names.length ? 'up' : 'partial';
}
