// The daemon's complete state for the page's process, with the mail users of rows apart from the rows: the page decides who may see which
// name. Sentences are made of codes and names of the configuration, never of text from a client or a backend.

import { hostName } from '../../host/machine/process.js';
import { formatTime } from '../../host/words/instants.js';
import type { RunningExchange } from '../command/overdue.js';
import type { DoorNow } from '../door/door.js';
import type { BackendNow, JournalNow, ReceiverNow, RunningCommand } from '../now/now.js';
import type { Loaded } from '../now/operator.js';
import { type FoundProblem, findProblems, keyOf, stateOf, whyDown } from '../now/problems.js';
import { isUp, type Running, slowMsMin } from '../now/running.js';
import type { NowWatch } from './now-watch.js';

const runningMax = 200;

/** Returns the problems. `watch.standing` keeps the resulting state and the time of its start. */
export function judge(running: Running, watch: NowWatch): readonly FoundProblem[] {
  const problems = findProblems(running);
  const state = stateOf(running.state === 'draining', problems, running.backends.some(isUp));
  watch.standing.judge(state, problems, running.atMs);
  return problems;
}

export function makeNow(running: Running, watch: NowWatch, nowMs: number): DoorNow {
  const { exchanges, atMs, version, started, configHash, policies } = running;
  const loaded = withoutFiles(running.loaded);
  const found = judge(running, watch);
  const problems = found.map((problem) => {
    const { code, text, try: hint, backend, isDegrading } = problem;
    const key = keyOf(problem);
    return { code, text, try: hint, backend, isDegrading, key, acknowledged: running.acknowledged(key) };
  });
  const { state, sinceMs } = watch.standing;
  const [, socket] = running.listeners.map(({ address }) => /^unix:(.*)$/s.exec(address)).find(Boolean) ?? [];
  const oldest = exchanges.toSorted(runningFirst).slice(0, runningMax);
  const troubles = watch.troubles();
  const [at, since] = [formatTime(atMs), formatTime(sinceMs)];
  return {
    now: {
      at,
      head: {
        host: hostName(),
        version,
        state,
        since,
        started,
        configHash,
        policies,
        loaded,
        socket,
        problems,
      },
      tiles: {
        ...watch.history.rates(nowMs),
        waiting: running.backends.reduce((sum, { waiters }) => sum + waiters, 0),
        oldestWaitMs: Math.round(Math.max(0, ...running.backends.map(({ oldestWaitMs }) => oldestWaitMs))),
        journal: journalOf(running),
      },
      running: oldest.map(runningOf),
      runningCount: exchanges.length,
      waitingCount: exchanges.filter(({ isWaiting }) => isWaiting).length,
      troubles: troubles.map(({ row }) => row),
      troublesSince: watch.troublesSince,
      backends: backendsOf(running),
    },
    runningUsers: oldest.map(({ user }) => user),
    troubleUsers: troubles.map(({ user }) => user),
    namedProblems: found.flatMap((problem) =>
      problem.named ? [{ key: keyOf(problem), ...problem.named }] : [],
    ),
  };
}

/** Running before waiting, then the oldest first: a command that holds an upstream for long makes the others wait. */
function runningFirst(one: RunningExchange, other: RunningExchange): number {
  const waits = Number(one.isWaiting) - Number(other.isWaiting);
  return waits === 0 ? other.durationMs - one.durationMs : waits;
}

function runningOf(exchange: RunningExchange): RunningCommand {
  const { id, principal, listener, command, backend, durationMs, deadlineMs, clientMs } = exchange;
  return {
    id,
    principal,
    listener,
    command: command ?? '-',
    backend,
    isWaiting: exchange.isWaiting || undefined,
    isOverdue: exchange.isOverdue || undefined,
    durationMs: Math.round(durationMs),
    deadlineMs: deadlineMs === undefined ? undefined : Math.round(deadlineMs),
    clientMs: clientMs < slowMsMin ? undefined : Math.round(clientMs),
  };
}

function journalOf({ journal, sinks }: Running): JournalNow {
  const { state, space, seq, unsyncedMs, freeBytes, missing } = journal;
  return {
    state: state === 'failed' ? 'failed' : space === 'reserve' ? 'reserve' : 'writable',
    seq,
    unsyncedMs: Math.round(unsyncedMs),
    freeBytes,
    missingSeq: missing?.seq,
    receivers: receiversOf(sinks),
  };
}

/** `text` is the meaning of the fault's code. The text of the fault itself is in the log only. */
export function receiversOf(sinks: Running['sinks']): readonly ReceiverNow[] {
  return sinks.map(({ name, state, fault, lagRecords, safeSeq }) => ({
    name,
    state,
    text: fault?.why[0],
    lagRecords,
    safeSeq,
  }));
}

function backendsOf({ backends, certificates, atMs }: Running): readonly BackendNow[] {
  return backends.map((backend): BackendNow => {
    const { name, address, series, health, fault, sinceMs, oldestWaitMs } = backend;
    const { connections, dialing, idle, leased, waiters: waiting, failed, drained } = backend;
    const ends = certificates.find((each) => each.role === 'backend' && each.name === name);
    return {
      name,
      address,
      series,
      isUp: isUp(backend),
      health,
      text: fault && whyDown(fault),
      since: health === 'drained' ? undefined : formatTime(sinceMs),
      mayBeLonger: backend.mayBeLonger || undefined,
      connections,
      dialing,
      idle,
      leased,
      waiting,
      oldestWaitMs: Math.round(oldestWaitMs),
      failed,
      countedSince: formatTime(backend.countedMs),
      certificateEnds:
        ends !== undefined && Number.isFinite(ends.leftMs) ? formatTime(atMs + ends.leftMs) : undefined,
      drained,
    };
  });
}

/** The incident of a reload names the changed files, so they are left out here. */
function withoutFiles({ since, by, before }: Loaded): Loaded {
  return { since, by, before: before && { since: before.since, by: before.by } };
}
