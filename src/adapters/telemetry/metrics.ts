// The numbers of the daemon for Prometheus: events are counted as they happen; present values come from one snapshot per read. No client
// can add a series: `command` is a name of the catalog or `other`, `principal` is one of the five largest writers while the journal fills,
// every other label is from the configuration or a closed list. An observer never throws and never waits. An unknown value is absent, never
// 0, and a value that cannot be made takes no other with it.

import { Counter, Gauge, Registry } from 'prom-client';
import type { NoticeReceiver } from '../../domain/admin/notices/receiver.js';
import { type EngineEvent, type ExchangeEnded, isEngineEvent } from '../../gateway/outcome/events.js';
import type { JournalFill, JournalSpace } from '../../gateway/outcome/journal.js';
import { messageOf } from '../../ports/faults.js';
import type { Clock } from '../../ports/machine.js';
import { watchLoopLag } from './loop-lag.js';
import { Durations, Tally } from './tally.js';

export interface MetricsOptions {
  readonly version: string;
  readonly runtime: string;
  /** The names of commands, of the catalog and of the configuration: the only values of the label `command` besides `other`. */
  readonly commands: Pick<ReadonlySet<string>, 'has'>;
  readonly clock: Clock;
  /** The resources that this process uses; called at each `render`. */
  readonly usage: () => ProcessUsage;
  /** The present values; called at each `render`, must not wait. Reading one may throw, and then what is made of it is absent. */
  readonly snapshot: () => MetricsSnapshot;
  /** Told of values that could not be made; a bug of ours. */
  readonly onError: (text: string) => void;
}

export interface Metrics {
  observe(event: EngineEvent): void;
  recordsSynced(records: number, durationMs: number): void;
  readonly exchanges: CountedExchanges;
  /** All metrics in Prometheus's text format 0.0.4. Rejects only with an error of `snapshot`. */
  render(): Promise<string>;
  close(): void;
}

/** Commands that ended since the start. Labels as in the metrics; there can be tens of thousands, so none is made an object. */
export interface CountedExchanges {
  /** May name a listener and an outcome more than once. */
  eachOfListeners(visit: (listener: string, outcome: string, count: number) => void): void;
  eachOfBackends(visit: (backend: string, outcome: string, count: number) => void): void;
  readonly bounds: readonly number[];
  /** The number in each bucket alone, with one more above all bounds. */
  eachOfDurations(visit: (listener: string, backend: string, counts: readonly number[]) => void): void;
}

/** Seconds. From a local command to the longest permitted one. */
const exchangeBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600];
const waitBuckets = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30];
const syncBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 2, 5];
const lagBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function createMetrics(options: MetricsOptions): Metrics {
  const { commands, clock } = options;
  const registry = new Registry();
  const tally = <const L extends readonly string[]>(name: string, help: string, ...labelNames: L): Tally<L> =>
    new Tally(registry, `dovegate_${name}`, help, labelNames);
  const histograms: Durations<readonly string[]>[] = [];
  const histogram = <const L extends readonly string[]>(
    name: string,
    help: string,
    buckets: readonly number[],
    ...labelNames: L
  ): Durations<L> => {
    const made = new Durations(`dovegate_${name}`, help, buckets, labelNames);
    histograms.push(made);
    return made;
  };

  const exchanges = tally(
    'exchanges_total',
    'Commands by listener, command, decision and outcome; also those that were refused.',
    'listener',
    'command',
    'decision',
    'outcome',
  );
  const backendExchanges = tally(
    'backend_exchanges_total',
    'Commands that were allowed and had a backend, by outcome.',
    'backend',
    'outcome',
  );
  const exchangeSeconds = histogram(
    'exchange_duration_seconds',
    'From a command line to the end of its reply, of commands that were allowed and had a backend.',
    exchangeBuckets,
    'listener',
    'backend',
  );
  const waitSeconds = histogram(
    'lease_wait_seconds',
    'How long a command waited for an upstream that it got.',
    waitBuckets,
  );
  const dials = tally(
    'dials_total',
    'Upstreams that were opened (result ok), and dials that failed, by the code of the fault.',
    'backend',
    'result',
  );
  const logins = tally(
    'logins_total',
    'Tries to log in by their result: ok, remembered, certificate; failed, crowded, gone, malformed, ambiguous, tls-failed.',
    'listener',
    'result',
  );
  const keyFailures = tally(
    'key_failures_total',
    'Refused keys that a listener has, by their name and why: expired, replaced, address, name.',
    'listener',
    'key',
    'reason',
  );
  const httpRequests = tally(
    'http_requests_total',
    'Requests of HTTP listeners, by the status of the answer.',
    'listener',
    'status',
  );
  const relayed = tally(
    'relayed_bytes_total',
    'Bytes of replies: in from backends, out to clients (framing and log lines included); up: of what clients send behind a command.',
    'direction',
  );
  const logLines = tally('log_lines_total', 'Log lines that backends sent, by level.', 'backend', 'level');
  const records = new Counter({
    name: 'dovegate_audit_records_total',
    help: 'Audit records that reached the disk.',
    registers: [registry],
  });
  const syncSeconds = histogram(
    'audit_sync_seconds',
    'Write and sync of a group of audit records.',
    syncBuckets,
  );
  const lagSeconds = histogram(
    'event_loop_lag_seconds',
    'By how much a timer of the event loop came late, ten times a second, until nothing has happened for 10 s.',
    lagBuckets,
  );
  const setGauges = createGauges(registry, options);
  const setUsage = measureProcess(registry);
  const lag = watchLoopLag(clock, (lagMs) => lagSeconds.add(lagMs / 1000));
  // Present from the start, so that a rate includes the first byte.
  relayed.add(0, 'in');
  relayed.add(0, 'out');
  relayed.add(0, 'up');

  function exchangeEnded(event: ExchangeEnded): void {
    const { exchange, backend, decision, outcome, bytesIn, bytesOut, bytesUp, waitMs, durationMs } = event;
    const { listener, command } = exchange;
    const label = command !== undefined && commands.has(command) ? command : 'other';
    exchanges.add(1, listener, label, decision, outcome);
    relayed.add(bytesIn, 'in');
    relayed.add(bytesOut, 'out');
    relayed.add(bytesUp, 'up');
    if (backend !== undefined) {
      backendExchanges.add(1, backend, outcome);
      exchangeSeconds.add(durationMs / 1000, listener, backend);
    }
    if (waitMs !== undefined) waitSeconds.add(waitMs / 1000);
  }

  return {
    observe(event) {
      lag.noted();
      if (isEngineEvent(event, 'exchange-ended')) exchangeEnded(event);
      else if (isEngineEvent(event, 'backend-log')) logLines.add(1, event.backend, event.type);
      else if (isEngineEvent(event, 'upstream-opened')) dials.add(1, event.backend, 'ok');
      else if (isEngineEvent(event, 'dial-failed')) dials.add(1, event.backend, event.code);
      else if (isEngineEvent(event, 'http-request'))
        httpRequests.add(1, event.listener, String(event.status));
      else if (isEngineEvent(event, 'login')) {
        const { listener, result, account, keyRefusal } = event;
        logins.add(1, listener, result);
        // Only then is the name one of the configuration, not a client's text.
        if (keyRefusal !== undefined) keyFailures.add(1, listener, account ?? '-', keyRefusal);
      }
    },
    recordsSynced(count, durationMs) {
      records.inc(count);
      syncSeconds.add(durationMs / 1000);
    },
    exchanges: {
      eachOfListeners(visit) {
        exchanges.each(([listener = '', , , outcome = ''], count) => visit(listener, outcome, count));
      },
      eachOfBackends(visit) {
        backendExchanges.each(([backend = '', outcome = ''], count) => visit(backend, outcome, count));
      },
      bounds: exchangeSeconds.bounds,
      eachOfDurations(visit) {
        exchangeSeconds.each(([listener = '', backend = ''], counts) => visit(listener, backend, counts));
      },
    },
    async render() {
      setGauges(options.snapshot());
      setUsage(options.usage());
      return `${await registry.metrics()}${histograms.map((each) => each.render()).join('')}`;
    },
    close: () => lag.end(),
  };
}

export interface MetricsSnapshot {
  readonly configHash: string;
  /** Whether the last reload replaced the configuration; true if there was none. */
  readonly isReloadSuccess: boolean;
  readonly isReady: boolean;
  /** `told`: what the page's process said of itself. `untold`: receivers that get no notices while that process is away. */
  readonly page?:
    | {
        readonly untold: readonly string[];
        readonly told:
          | {
              readonly people: number;
              /** Receivers of notices; absent: the settings name none. */
              readonly notices?: readonly NoticeReceiver[] | undefined;
            }
          | undefined;
      }
    | undefined;
  readonly listeners: readonly {
    readonly name: string;
    readonly sessions: number;
    readonly unauthenticated: number;
    readonly sessionsMax: number;
  }[];
  readonly backends: readonly {
    readonly name: string;
    readonly isUp: boolean;
    /** The operators who took it out of service; empty: none. */
    readonly drained?: readonly string[];
    /** What it gets, being newer than dovegate knows; undefined: it is not. */
    readonly newer?: string | undefined;
    readonly dialing: number;
    readonly idle: number;
    readonly leased: number;
    readonly overdue?: number;
    readonly waiters: number;
  }[];
  readonly journal: {
    readonly state: 'writable' | 'failed';
    /** `reserve`: the disk is full except for the reserve. */
    readonly space: JournalSpace;
    /** Records that will never reach the disk, so far. */
    readonly lost: number;
    readonly unsyncedMs: number;
    /** Free bytes of the journal's file system; undefined: not known yet. */
    readonly freeBytes: number | undefined;
    readonly filling?: JournalFill | undefined;
  };
  /** Receivers of records, with the number of records on disk that are not sent yet. */
  readonly sinks: readonly {
    readonly name: string;
    readonly state: 'connecting' | 'connected' | 'away' | 'forked';
    readonly lagRecords: number;
    readonly lagMs: number;
  }[];
  readonly exchanges?: readonly { readonly durationMs: number }[];
  /** By purpose and owner. `leftMs` below 0: expired. */
  readonly certificates: readonly {
    readonly role: string;
    readonly name: string;
    readonly leftMs: number;
  }[];
  /** Keys of HTTP listeners. `leftMs`: undefined where it does not expire; `lastUsedMs`: by the wall clock. */
  readonly keys: readonly {
    readonly listener: string;
    readonly name: string;
    readonly leftMs: number | undefined;
    readonly lastUsedMs: number | undefined;
  }[];
  readonly logDropped: number;
  /** Lines above the limit of their code, so far, by code. */
  readonly logSuppressed: ReadonlyMap<string, number>;
}

/** Gauges of `registry`; returns the function that sets them. What cannot be set is absent, and told. */
export function createGauges(
  registry: Registry,
  program: Pick<MetricsOptions, 'version' | 'runtime' | 'onError'>,
): (snapshot: MetricsSnapshot) => void {
  const gauges: { readonly gauge: Gauge; readonly isLabelled: boolean }[] = [];
  const gauge = <T extends string>(name: string, help: string, ...labelNames: readonly T[]): Gauge<T> => {
    const made = new Gauge({ name: `dovegate_${name}`, help, labelNames, registers: [registry] });
    gauges.push({ gauge: made, isLabelled: labelNames.length > 0 });
    return made;
  };
  const total = <T extends string>(name: string, help: string, ...labelNames: readonly T[]): Counter<T> =>
    new Counter({ name: `dovegate_${name}`, help, labelNames, registers: [registry] });

  const upstreams = gauge('upstreams', 'Upstreams by state.', 'backend', 'state');
  const waiting = gauge('waiters', 'Commands that wait for an upstream.', 'backend');
  const backendUp = gauge(
    'backend_up',
    '1: its commands are served, as far as anybody knows. 0: it is down or drained.',
    'backend',
  );
  const backendDrained = gauge(
    'backend_drained',
    '1: an operator or the configuration took it out of service.',
    'backend',
  );
  const backendNewer = gauge(
    'backend_newer',
    '1: it announced a newer minor of the protocol than this dovegate knows.',
    'backend',
  );
  const ready = gauge('ready', '1: commands are served, as /readyz says. 0: /readyz says why not.');
  const exchanges = gauge('exchanges_running', 'Commands that run, those that wait included.');
  const oldest = gauge(
    'exchange_oldest_seconds',
    'How long the oldest running command has run; 0: none runs.',
  );
  const sessions = gauge('sessions', 'Sessions whose client has proved who it is.', 'listener');
  const unauthenticated = gauge(
    'sessions_unauthenticated',
    'Sessions whose client has not proved who it is: in a handshake, before a login or the first key.',
    'listener',
  );
  const sessionsMax = gauge('sessions_max', 'Sessions that a listener may have at once.', 'listener');
  const writable = gauge(
    'audit_writable',
    '1: records reach the disk in time. 0: what must be synced is refused; after an error of the disk, everything is.',
  );
  const unsynced = gauge(
    'audit_unsynced_seconds',
    'How long the oldest audit record has waited for the disk: so much a power cut would take.',
  );
  const freeBytes = gauge('audit_free_bytes', 'Free bytes of the file system of the audit records.');
  const youngBytes = gauge(
    'audit_young_bytes',
    'Bytes of audit records younger than audit.keep_min, which must not be removed.',
  );
  const bytesMax = gauge('audit_max_bytes', 'What audit.max_size is in bytes.');
  const writerShare = gauge(
    'audit_writer_share',
    'Of the young records, the share of each of the five largest writers. Only while these records fill 80 % of audit.max_size.',
    'principal',
  );
  const inReserve = gauge(
    'audit_in_reserve',
    '1: the disk of the records is full but for the reserve; only rules with emergency are served.',
  );
  const shipConnected = gauge('audit_ship_connected', '1: records can be sent to this receiver.', 'sink');
  const shipLag = gauge('audit_ship_lag_records', 'Audit records on disk that were not shipped yet.', 'sink');
  const shipLagSeconds = gauge(
    'audit_ship_lag_seconds',
    'How long the oldest audit record that was not shipped yet has been on disk.',
    'sink',
  );
  const shipForked = gauge(
    'audit_ship_forked',
    '1: this receiver holds another journal under the id of this one, and gets no more of it.',
    'sink',
  );
  const expiry = gauge(
    'certificate_expiry_seconds',
    'How long a certificate still holds; below 0: it has expired.',
    'role',
    'name',
  );
  const keyExpiry = gauge(
    'key_expiry_seconds',
    'How long a key of an HTTP listener still holds; below 0: it has expired. Absent: it does not expire.',
    'listener',
    'key',
  );
  const keyUsed = gauge(
    'key_last_used_timestamp_seconds',
    'When a key was used last, in Unix time. Absent: not since the start.',
    'listener',
    'key',
  );
  const lost = total('audit_lost_total', 'Audit records that never reached the disk. 0, or you are blind.');
  const logDropped = total('log_dropped_total', 'Lines of the log that could not be written.');
  const logSuppressed = total(
    'log_suppressed_total',
    'Lines of the log above the limit of their code, which are only counted.',
    'event',
  );
  const config = gauge('config_info', '1; the hash of the configuration that is served.', 'hash');
  const reloadSuccess = gauge(
    'config_reload_success',
    '1: the last reload was taken, or there was none. 0: the old configuration is kept.',
  );
  const pageUp = gauge(
    'page_up',
    "1: the page's process asks the daemon. 0: it does not, so nobody can open the page. Absent without admin.page.",
  );
  const pagePeople = gauge('page_people', 'People who are signed in to the page.');
  const notices = createNoticeMetrics(registry);
  const build = gauge('build_info', '1; the versions of the program and of its runtime.', 'version', 'node');

  const steps: Readonly<Record<string, (snapshot: MetricsSnapshot) => void>> = {
    backends({ backends }) {
      for (const {
        name: backend,
        isUp,
        drained,
        newer,
        dialing,
        idle,
        leased,
        overdue = 0,
        waiters,
      } of backends) {
        upstreams.set({ backend, state: 'dialing' }, dialing);
        upstreams.set({ backend, state: 'idle' }, idle);
        upstreams.set({ backend, state: 'leased' }, leased);
        upstreams.set({ backend, state: 'overdue' }, overdue);
        waiting.set({ backend }, waiters);
        backendUp.set({ backend }, isUp ? 1 : 0);
        backendDrained.set({ backend }, (drained ?? []).length > 0 ? 1 : 0);
        backendNewer.set({ backend }, newer === undefined ? 0 : 1);
      }
    },
    listeners({ listeners }) {
      for (const { name: listener, ...counts } of listeners) {
        sessions.set({ listener }, counts.sessions);
        unauthenticated.set({ listener }, counts.unauthenticated);
        sessionsMax.set({ listener }, counts.sessionsMax);
      }
    },
    receivers({ sinks }) {
      for (const { name: sink, state, lagRecords, lagMs } of sinks) {
        shipConnected.set({ sink }, state === 'connected' ? 1 : 0);
        shipLag.set({ sink }, lagRecords);
        shipLagSeconds.set({ sink }, lagMs / 1000);
        shipForked.set({ sink }, state === 'forked' ? 1 : 0);
      }
    },
    readiness: ({ isReady }) => ready.set(isReady ? 1 : 0),
    exchanges({ exchanges: running = [] }) {
      exchanges.set(running.length);
      oldest.set(running.reduce((most, { durationMs }) => Math.max(most, durationMs), 0) / 1000);
    },
    certificates({ certificates }) {
      for (const { role, name, leftMs } of certificates)
        if (Number.isFinite(leftMs)) expiry.set({ role, name }, Math.round(leftMs / 1000));
    },
    keys({ keys }) {
      for (const { listener, name: key, leftMs, lastUsedMs } of keys) {
        if (leftMs !== undefined) keyExpiry.set({ listener, key }, Math.round(leftMs / 1000));
        if (lastUsedMs !== undefined) keyUsed.set({ listener, key }, Math.round(lastUsedMs / 1000));
      }
    },
    versions: () => build.set({ version: program.version, node: program.runtime }, 1),
    configuration({ configHash, isReloadSuccess }) {
      config.set({ hash: configHash }, 1);
      reloadSuccess.set(isReloadSuccess ? 1 : 0);
    },
    page({ page }) {
      if (page === undefined) return;
      pageUp.set(page.told === undefined ? 0 : 1);
      pagePeople.set(page.told?.people ?? 0);
    },
    notices: ({ page }) => notices(page?.told?.notices ?? [], page?.untold ?? []),
    journal({ journal }) {
      writable.set(journal.state === 'writable' ? 1 : 0);
      inReserve.set(journal.space === 'reserve' ? 1 : 0);
      unsynced.set(journal.unsyncedMs / 1000);
      replace(lost, journal.lost);
      if (journal.freeBytes !== undefined) freeBytes.set(journal.freeBytes);
      const { filling } = journal;
      if (filling !== undefined && Number.isFinite(filling.bytesMax)) {
        youngBytes.set(filling.youngBytes);
        bytesMax.set(filling.bytesMax);
      }
      for (const { principal, share } of filling?.largest ?? []) writerShare.set({ principal }, share);
    },
    log(snapshot) {
      replace(logDropped, snapshot.logDropped);
      logSuppressed.reset();
      for (const [event, count] of snapshot.logSuppressed) logSuppressed.inc({ event }, count);
    },
  };

  return (snapshot) => {
    // Backends, listeners, receivers and keys removed by a reload must disappear, and so must what cannot be known now. A gauge without
    // labels is 0 by itself after a reset, and 0 free bytes would raise an alert.
    for (const { gauge: each, isLabelled } of gauges)
      if (isLabelled) each.reset();
      else each.remove();
    for (const [name, step] of Object.entries(steps)) {
      try {
        step(snapshot);
      } catch (fault) {
        program.onError(`metrics of ${name}: ${messageOf(fault)}`);
      }
    }
  };
}

/** Of receivers of notices, which the page's process told of; without it they are down, and nothing else is known. */
function createNoticeMetrics(
  registry: Registry,
): (receivers: readonly NoticeReceiver[], untold: readonly string[]) => void {
  const options = (name: string, help: string) => ({
    name: `dovegate_notices_${name}`,
    help,
    labelNames: ['receiver'],
    registers: [registry],
  });
  const up = new Gauge(
    options(
      'up',
      '1: the last notice was taken, or there was none. 0: it was not, or the process of the page does not run.',
    ),
  );
  const lag = new Gauge(
    options('lag_seconds', 'How long the oldest notice that was not delivered has waited; 0: none waits.'),
  );
  const delivered = new Counter(
    options('delivered_total', 'Notices that a receiver has taken since the page was started.'),
  );
  const failed = new Counter(options('failed_total', 'Attempts that failed since the page was started.'));
  const dropped = new Counter(
    options('dropped_total', 'Notices that were too old before they could be delivered.'),
  );
  return (receivers, untold) => {
    for (const each of [up, lag, delivered, failed, dropped]) each.reset();
    for (const receiver of untold) up.set({ receiver }, 0);
    for (const { name: receiver, fault, lagMs, ...counts } of receivers) {
      up.set({ receiver }, fault === undefined ? 1 : 0);
      lag.set({ receiver }, lagMs / 1000);
      delivered.inc({ receiver }, counts.delivered);
      failed.inc({ receiver }, counts.failed);
      dropped.inc({ receiver }, counts.dropped);
    }
  };
}

function replace(counter: Counter, count: number): void {
  counter.reset();
  counter.inc(count);
}

export interface ProcessUsage {
  /** User and system time since the start. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly startedSeconds: number;
  readonly openDescriptors: number | undefined;
  readonly descriptorsMax: number | undefined;
}

/** Registers them in `registry`; returns the function that sets them. */
export function measureProcess(registry: Registry): (usage: ProcessUsage) => void {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers: [registry] });
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time of the process, user and system.',
    registers: [registry],
  });
  const resident = gauge('process_resident_memory_bytes', 'Memory of the process that is in RAM.');
  const started = gauge('process_start_time_seconds', 'When the process started, in Unix time.');
  const open = gauge('process_open_fds', 'Descriptors that are open.');
  const most = gauge('process_max_fds', 'Descriptors that may be open at once.');
  return (usage) => {
    cpu.reset();
    cpu.inc(usage.cpuSeconds);
    resident.set(usage.residentBytes);
    started.set(usage.startedSeconds);
    setOrRemove(open, usage.openDescriptors);
    setOrRemove(most, usage.descriptorsMax);
  };
}

/** A gauge without labels is 0 by itself, and "no limit" differs from a limit of 0. */
function setOrRemove(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}
