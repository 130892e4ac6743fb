// What is shown of the daemon now, as the page's process gets it: complete states, with the mail users of each row beside it. Who may see
// whose name is the page's to decide. A sentence is made of codes and names of the configuration, never of what a client or a backend said.

import { hostName, programVersion } from '../adapters/host/process.js';
import { bounds } from '../bounds/bounds.js';
import type { MadeNow } from '../domain/admin/door/door.js';
import { type FoundProblem, stateOf, whyDown } from '../domain/admin/now/problems.js';
import type { BackendNow, JournalNow, Now, Problem, RunningCommand } from '../domain/admin/page/api.js';
import { formatTime } from '../domain/records/audit/record.js';
import { type Shown, showRunning } from './endpoints.js';
import type { NowWatch } from './now-watch.js';
import { downFacts, type LookedAt, lookAtPools, type Running, receiversOf, slowMsMin } from './running.js';

export interface NowParts {
  readonly running: Running;
  readonly watch: NowWatch;
  /** When the daemon was started; RFC 3339. */
  readonly started: string;
}

const runningMax = bounds.runningShown;

export function judge({ running, watch }: NowParts, shown: Shown): readonly FoundProblem[] {
  const problems = shown.found ?? [];
  const isReachable = shown.backends.some(({ isUp }) => isUp);
  const state = stateOf(shown.state === 'draining', problems, isReachable);
  watch.standing.judge(state, problems, running.clock.wallMs());
  return problems;
}

export function makeNow(parts: NowParts): MadeNow {
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
function runningFirst(one: Exchange, other: Exchange): number {
  const waits = Number(one.isWaiting === true) - Number(other.isWaiting === true);
  return waits === 0 ? other.durationMs - one.durationMs : waits;
}

function runningOf(exchange: Exchange): RunningCommand {
  const { id, principal, listener, command, backend, durationMs, deadlineMs, clientMs } = exchange;
  const { isWaiting, isOverdue } = exchange;
  return {
    id,
    principal,
    listener,
    command: command ?? '-',
    ...(backend === undefined ? {} : { backend }),
    ...(isWaiting === true ? { isWaiting } : {}),
    ...(isOverdue === true ? { isOverdue } : {}),
    durationMs: Math.round(durationMs),
    ...(deadlineMs === undefined ? {} : { deadlineMs: Math.round(deadlineMs) }),
    ...(clientMs === undefined || clientMs < slowMsMin ? {} : { clientMs: Math.round(clientMs) }),
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
  return backends.map((backend, at): BackendNow => {
    const { name, address, series, isUp, health, since, connections, dialing, idle, leased } = backend;
    const pool = looked[at]?.pool;
    const isDrained = health === 'drained';
    const facts = pool?.fault === undefined || isDrained ? undefined : downFacts(pool.fault, pool);
    const down = facts && whyDown(facts);
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
      ...(facts?.mayBeLonger === true ? { mayBeLonger: true } : {}),
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

function sum<T>(all: readonly T[], count: (each: T) => number): number {
  return all.reduce((total, each) => total + count(each), 0);
}
