// What `/api/now` and `/api/backends.csv` show, and to whom.
// The rules: a mail user's name is only in what an `audit` view covers; somebody who has a limited view and no other role sees no exchange and
// nobody's name, since one user is known of a command here, and it may touch others; a sentence is made of codes and names of the configuration, never of
// what a client or a backend said.

import { hostName, programVersion } from '../adapters/host/process.js';
import { type PageCaller, type PageHandler, refusedReply } from '../adapters/page/page-request.js';
import { bounds } from '../bounds/bounds.js';
import { formatTime } from '../domain/audit/record.js';
import { type FoundCode, type FoundProblem, stateOf, whyDown } from '../domain/now/problems.js';
import {
  type BackendNow,
  type Endpoint,
  isAmong,
  type JournalNow,
  type Now,
  type Problem,
  type RunningCommand,
} from '../domain/page/api.js';
import { formatCell } from '../domain/trail/export.js';
import { createCover } from '../domain/views/view.js';
import { messageOf } from '../ports/faults.js';
import { type Shown, showRunning } from './endpoints.js';
import { type MadeNow, NowStream, type Sight } from './now-stream.js';
import type { NowWatch } from './now-watch.js';
import { downFacts, type LookedAt, lookAtPools, type Running, receiversOf } from './running.js';

/** What is shown is made of. */
export interface NowParts {
  readonly running: Running;
  readonly watch: NowWatch;
  /** When the daemon was started; RFC 3339. */
  readonly started: string;
}

/** Streams at once, and of one person. The first one of a person is never refused, since somebody else's second window is not worth it. */
const watchersMax = bounds.watchers;
const watchersEachMax = bounds.watchersEach;
/** Rows of what runs; how many there are is told beside them. */
const runningMax = bounds.runningShown;

export function createNowHandlers(parts: NowParts): Partial<Record<Endpoint, PageHandler>> {
  const { running, watch } = parts;
  // Whoever watches must not end the daemon by a bug of ours.
  const onFailed = (fault: unknown): void => {
    const text = `/api/now: ${messageOf(fault)}`;
    running.log.report({ event: 'admin-failed', level: 'error', text });
  };
  const stream = new NowStream({
    clock: running.clock,
    make: () => makeNow(parts),
    takeChanged: () => watch.takeChanged(),
    onFailed,
    onWatched: (isWatched) => running.pools.setWatched(isWatched),
  });
  // Since when it is in its state is kept also while nobody watches.
  watch.onTurn = () => {
    try {
      judge(parts, showRunning(running));
      stream.hurry();
    } catch (fault) {
      onFailed(fault);
    }
  };
  const byPerson = new Map<string, number>();

  return {
    now: ({ who, signal, isStill }) => {
      const own = byPerson.get(who.name) ?? 0;
      if (own >= watchersEachMax) return Promise.resolve(refusedReply(503, tooManyOwn));
      if (own > 0 && stream.watchers >= watchersMax) return Promise.resolve(refusedReply(503, tooMany));
      byPerson.set(who.name, own + 1);
      const [key, sight] = viewOf(who);
      const pieces = stream.watch(key, sight, signal, isStill, () => {
        const left = (byPerson.get(who.name) ?? 1) - 1;
        if (left === 0) byPerson.delete(who.name);
        else byPerson.set(who.name, left);
      });
      return Promise.resolve({ status: 200, type: 'text/event-stream; charset=utf-8', pieces });
    },
    'backends-csv': ({ who }) => {
      const all = backendsOf(parts, showRunning(running), lookAtPools(running));
      const backends = seesOwnOnly(who) ? all.map(withoutPeople) : all;
      return Promise.resolve({
        status: 200,
        type: 'text/csv; charset=utf-8',
        body: formatBackends(backends),
      });
    },
  };
}

const tooMany = `${watchersMax} windows watch already; close one of them, or use dovegate status --watch`;
const tooManyOwn = `you watch in ${watchersEachMax} windows already; close one of them`;

/** The name of a view, and what it shows. */
function viewOf(who: PageCaller): readonly [string, Sight] {
  const { roles, users } = who;
  if (!roles.includes('audit')) return ['nobody', undefined];
  if (users === undefined) return ['all', 'all'];
  if (seesOwnOnly(who)) return ['narrowed', { narrow }];
  const covers = createCover(users);
  return [JSON.stringify(users), (user) => covers({ user, users: [user], args: [] })];
}

/** Of an auditor with a limited view, who has no role that sees what everybody does. */
export function seesOwnOnly({ roles, users }: Pick<PageCaller, 'roles' | 'users'>): boolean {
  return users !== undefined && !isAmong(roles, ['view', 'operate']);
}

/** Numbers and backends, without exchanges and names of people and programs. */
export function narrow(now: Now): Now {
  const problems = now.head.problems.map((problem) =>
    namesNobody.has(problem.code) ? problem : unnamed(problem),
  );
  return {
    ...now,
    head: { ...now.head, problems },
    running: [],
    troubles: [],
    backends: now.backends.map(withoutPeople),
  };
}

/** Their sentences have codes, numbers and names of backends, receivers and files only. A new one is not shown before it is here. */
const namesNobody: ReadonlySet<string> = new Set<FoundCode>([
  'audit-failed',
  'audit-missing',
  'backends-down',
  'audit-reserve',
  'backend-down',
  'route-down',
  'lookup-failing',
  'audit-unsynced',
  'audit-forked',
  'ship-away',
  'audit-lost',
  'audit-damaged',
  'journal-appended',
  'loop-stalled',
]);

function unnamed({ code }: Problem): Problem {
  return {
    code,
    text: `Something is wrong (${code}). A person with the role "view" or "operate" sees what.`,
  };
}

/** Who took it out of service is said without the name. */
function withoutPeople(backend: BackendNow): BackendNow {
  const drained = backend.drained.map((by) =>
    by === 'configuration' ? by : `an operator${by.slice(by.lastIndexOf(','))}`,
  );
  return { ...backend, drained };
}

function judge({ running, watch }: NowParts, shown: Shown): readonly FoundProblem[] {
  const problems = shown.found ?? [];
  const isReachable = shown.backends.some(({ isUp }) => isUp);
  const state = stateOf(shown.state === 'draining', problems, isReachable);
  watch.standing.judge(state, problems, running.clock.wallMs());
  return problems;
}

function makeNow(parts: NowParts): MadeNow {
  const { running, watch, started } = parts;
  const { clock } = running;
  const looked = lookAtPools(running);
  const shown = showRunning(running, looked);
  const problems = judge(parts, shown);
  const { state, sinceMs } = watch.standing;
  const backends = backendsOf(parts, shown, looked);
  const exchanges = shown.exchanges ?? [];
  const oldest = exchanges.toSorted(runningFirst).slice(0, runningMax);
  const troubles = watch.troubles();
  const now: Now = {
    at: formatTime(clock.wallMs()),
    head: {
      host: hostName(),
      version: programVersion,
      state,
      since: formatTime(sinceMs),
      started,
      configHash: shown.configHash,
      problems: problems.map(problemOf),
    },
    tiles: {
      ...watch.history.rates(clock.now()),
      waiting: sum(backends, ({ waiting }) => waiting),
      oldestWaitMs: Math.max(0, ...backends.map(({ oldestWaitMs }) => oldestWaitMs)),
      journal: journalOf(running, shown),
    },
    running: oldest.map(runningOf),
    runningCount: exchanges.length,
    waitingCount: sum(exchanges, ({ isWaiting }) => Number(isWaiting === true)),
    troubles: troubles.map(({ row }) => row),
    backends,
  };
  return {
    now,
    runningUsers: oldest.map(({ user }) => user),
    troubleUsers: troubles.map(({ user }) => user),
  };
}

function problemOf({ code, text, try: hint, backend }: FoundProblem): Problem {
  return {
    code,
    text,
    ...(hint === undefined ? {} : { try: hint }),
    ...(backend === undefined ? {} : { backend }),
  };
}

type Exchange = NonNullable<Shown['exchanges']>[number];

/** Then the oldest first: what holds an upstream for long makes the others wait. */
export function runningFirst(one: Exchange, other: Exchange): number {
  const waits = Number(one.isWaiting === true) - Number(other.isWaiting === true);
  return waits === 0 ? other.durationMs - one.durationMs : waits;
}

function runningOf(exchange: Exchange): RunningCommand {
  const { id, principal, listener, command, backend, isWaiting, durationMs, deadlineMs } = exchange;
  return {
    id,
    principal,
    listener,
    command: command ?? '-',
    ...(backend === undefined ? {} : { backend }),
    ...(isWaiting === true ? { isWaiting } : {}),
    durationMs: Math.round(durationMs),
    ...(deadlineMs === undefined ? {} : { deadlineMs: Math.round(deadlineMs) }),
  };
}

function journalOf({ journal, shipping }: Running, { journal: shown }: Shown): JournalNow {
  const { state, space, unsyncedMs, freeBytes, missing } = shown;
  return {
    state: state === 'failed' ? 'failed' : space === 'reserve' ? 'reserve' : 'writable',
    seq: journal.seq,
    unsyncedMs: Math.round(unsyncedMs),
    ...(freeBytes === undefined ? {} : { freeBytes }),
    ...(missing === undefined ? {} : { missingSeq: missing.seq }),
    receivers: receiversOf(shipping),
  };
}

function backendsOf(
  { running }: NowParts,
  { backends, certificates }: Shown,
  looked: readonly LookedAt[],
): readonly BackendNow[] {
  const nowMs = running.clock.wallMs();
  return backends.map((backend, at) => {
    const { name, address, series, isUp, health, since, connections, dialing, idle, leased } = backend;
    const fault = looked[at]?.pool.fault;
    const isDrained = health === 'drained';
    const down = fault === undefined || isDrained ? undefined : whyDown(downFacts(fault, nowMs));
    const text = isDrained ? 'taken out of service' : down;
    const ends = certificates.find((each) => each.role === 'backend' && each.name === name);
    return {
      name,
      address,
      ...(series === undefined ? {} : { series }),
      isUp,
      health,
      ...(text === undefined ? {} : { text }),
      ...(since === undefined || isDrained ? {} : { since }),
      connections,
      dialing,
      idle,
      leased,
      waiting: backend.waiters,
      oldestWaitMs: Math.round(backend.oldestWaitMs ?? 0),
      failed: backend.failed,
      ...(ends === undefined || !Number.isFinite(ends.leftMs)
        ? {}
        : { certificateEnds: formatTime(nowMs + ends.leftMs) }),
      drained: backend.drained ?? [],
    };
  });
}

const steps = ['dial', 'tls', 'greeting', 'authentication', 'reply'] as const;

/** The backends as CSV (RFC 4180), safe in a spreadsheet; a line each, after one with the names of the columns. */
export function formatBackends(backends: readonly BackendNow[]): string {
  const columns: readonly (readonly [name: string, cell: (backend: BackendNow) => unknown])[] = [
    ['backend', ({ name }) => name],
    ['address', ({ address }) => address],
    ['series', ({ series }) => series],
    ['status', ({ isUp, drained }) => (drained.length > 0 ? 'DRAIN' : isUp ? 'UP' : 'DOWN')],
    ['health', ({ health }) => health],
    ['since', ({ since }) => since],
    ['error', ({ text }) => text],
    ['connections_max', ({ connections }) => connections],
    ['dialing', ({ dialing }) => dialing],
    ['idle', ({ idle }) => idle],
    ['leased', ({ leased }) => leased],
    ['waiting', ({ waiting }) => waiting],
    ['oldest_wait_ms', ({ oldestWaitMs }) => oldestWaitMs],
    ...steps.map((step) => [`failed_${step}`, ({ failed }: BackendNow) => failed[step] ?? 0] as const),
    ['certificate_ends', ({ certificateEnds }) => certificateEnds],
    ['drained_by', ({ drained }) => drained.join('; ')],
  ];
  const lines = [
    columns.map(([name]) => name),
    ...backends.map((backend) => columns.map(([, cell]) => formatCell(cell(backend)))),
  ];
  return lines.map((cells) => `${cells.join(',')}\r\n`).join('');
}

function sum<T>(all: readonly T[], count: (each: T) => number): number {
  return all.reduce((total, each) => total + count(each), 0);
}
