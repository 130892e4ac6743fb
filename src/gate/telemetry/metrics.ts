// The numbers of the daemon for Prometheus: events are counted as they happen; present values come from one snapshot per read. No client
// can add a series: `command` is a name of the catalog or `other`, `principal` is one of the five largest writers while the journal fills,
// every other label is from the configuration or a closed list. An observer never throws and never waits. An unknown value is absent, never
// 0, and a value that cannot be made takes no other with it.

import { Counter, Gauge, Registry } from 'prom-client';
import { messageOf } from '../../host/ports/faults.js';
import { isUp, noticeState, type Running, whyNotReady } from '../now/running.js';
import { type EngineEvent, type ExchangeEnded, isEngineEvent } from '../outcome/events.js';
import { ownerOf } from '../outcome/owner.js';
import { Durations, Tally } from './tally.js';

export interface MetricsOptions {
  /** The names of commands, of the catalog and of the configuration: the only values of the label `command` besides `other`. */
  readonly commands: Pick<ReadonlySet<string>, 'has'>;
  /** The present values; called at each `render`, must not wait. Reading one may throw, and then what is made of it is absent. */
  readonly snapshot: () => Running;
  /** Called for values that could not be made; a bug of ours. */
  readonly onError: (text: string) => void;
}

export type Metrics = ReturnType<typeof createMetrics>;

/** Commands that ended since the start. Labels as in the metrics; there can be tens of thousands, so none is made an object. */
export type CountedExchanges = Metrics['exchanges'];

/** Seconds. From a local command to the longest permitted one. */
const exchangeBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600];
const waitBuckets = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30];
const syncBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 2, 5];
const lagBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function createMetrics(options: MetricsOptions) {
  const { commands } = options;
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
    'Commands that were sent to a backend, or would have been but for a fault of it, by outcome and who can change that (-: it is ok).',
    'backend',
    'outcome',
    'owner',
  );
  const shadowDiffers = tally(
    'shadow_differs_total',
    'Commands that would have ended differently under the candidate of their policy, by what it would have done.',
    'policy',
    'outcome',
  );
  const exchangeSeconds = histogram(
    'exchange_duration_seconds',
    'From a command line to the end of its reply, of commands that were sent to a backend.',
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
    'Tries to log in by their result: ok, remembered, certificate; failed, crowded, gone, malformed, in-clear, ambiguous, tls-failed.',
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
  const setGauges = createGauges(registry, options.onError);
  // Present from the start, so that a rate includes the first byte.
  relayed.add(0, 'in');
  relayed.add(0, 'out');
  relayed.add(0, 'up');

  function exchangeEnded(event: ExchangeEnded): void {
    const { exchange, backend, decision, outcome, bytesIn, bytesOut, bytesUp, waitMs, durationMs } = event;
    const { listener, command } = exchange;
    const label = command !== undefined && commands.has(command) ? command : 'other';
    exchanges.add(1, listener, label, decision, outcome);
    if (event.shadow !== undefined) shadowDiffers.add(1, event.policy, event.shadow);
    relayed.add(bytesIn, 'in');
    relayed.add(bytesOut, 'out');
    relayed.add(bytesUp, 'up');
    if (backend !== undefined) {
      const owner = outcome === 'ok' ? '-' : ownerOf(event);
      if (event.isSent || owner === 'server') backendExchanges.add(1, backend, outcome, owner);
      if (event.isSent) exchangeSeconds.add(durationMs / 1000, listener, backend);
    }
    if (waitMs !== undefined) waitSeconds.add(waitMs / 1000);
  }

  return {
    observe(event: EngineEvent): void {
      if (isEngineEvent(event, 'exchange-ended')) exchangeEnded(event);
      else if (isEngineEvent(event, 'backend-log')) logLines.add(1, event.backend, event.type);
      else if (isEngineEvent(event, 'upstream-opened')) dials.add(1, event.backend, 'ok');
      else if (isEngineEvent(event, 'dial-failed')) dials.add(1, event.backend, event.type);
      else if (isEngineEvent(event, 'http-request'))
        httpRequests.add(1, event.listener, String(event.status));
      else if (isEngineEvent(event, 'login')) logins.add(1, event.listener, event.type);
      else if (isEngineEvent(event, 'login-failed')) {
        const { listener, type, account, why } = event;
        logins.add(1, listener, type);
        // Only then is the name one of the configuration, not a client's text.
        if (why !== undefined) keyFailures.add(1, listener, account ?? '-', why);
      }
    },
    lagged: (lagMs: number): void => lagSeconds.add(lagMs / 1000),
    recordsSynced(count: number, durationMs: number): void {
      records.inc(count);
      syncSeconds.add(durationMs / 1000);
    },
    exchanges: {
      /** May name a listener and an outcome more than once. */
      eachOfListeners(visit: (listener: string, outcome: string, count: number) => void): void {
        exchanges.each(([listener = '', , , outcome = ''], count) => visit(listener, outcome, count));
      },
      eachOfBackends(visit: (backend: string, outcome: string, owner: string, count: number) => void): void {
        backendExchanges.each(([backend = '', outcome = '', owner = ''], count) =>
          visit(backend, outcome, owner, count),
        );
      },
      bounds: exchangeSeconds.bounds,
      /** The number in each bucket alone, with one more above all bounds. */
      eachOfDurations(visit: (listener: string, backend: string, counts: readonly number[]) => void): void {
        exchangeSeconds.each(([listener = '', backend = ''], counts) => visit(listener, backend, counts));
      },
    },
    /** All metrics in Prometheus's text format 0.0.4. Rejects only with an error of `snapshot`. */
    async render(): Promise<string> {
      setGauges(options.snapshot());
      return `${await registry.metrics()}${histograms.map((each) => each.render()).join('')}`;
    },
  };
}

/** The values of the labels, then the number. */
type Labelled = readonly [...labels: readonly string[], value: number];
/** Undefined, or no row: unknown, so absent. */
type Values = number | undefined | readonly Labelled[];
type Rows = Readonly<Record<string, readonly [help: string, of: (running: Running) => Values]>>;

/** By the part of the snapshot that they need; `NAME{LABEL,...}`. A name that ends in `_total` is a counter. */
const gauges: Readonly<Record<string, Rows>> = {
  backends: {
    'upstreams{backend,state}': [
      'Upstreams by state.',
      ({ backends }) =>
        backends.flatMap(({ name, dialing, idle, leased, overdue }) => [
          [name, 'dialing', dialing],
          [name, 'idle', idle],
          [name, 'leased', leased],
          [name, 'overdue', overdue],
        ]),
    ],
    'waiters{backend}': [
      'Commands that wait for an upstream.',
      ({ backends }) => backends.map(({ name, waiters }) => [name, waiters]),
    ],
    'backend_up{backend}': [
      '1: its commands are served, as far as anybody knows. 0: it is down or drained.',
      ({ backends }) => backends.map((each) => [each.name, Number(isUp(each))]),
    ],
    'backend_drained{backend}': [
      '1: an operator or the configuration took it out of service.',
      ({ backends }) => backends.map(({ name, health }) => [name, Number(health === 'drained')]),
    ],
    'backend_newer{backend}': [
      '1: it announced a newer minor of the protocol than this dovegate knows.',
      ({ backends }) => backends.map(({ name, newer }) => [name, Number(newer !== undefined)]),
    ],
  },
  readiness: {
    ready: [
      '1: commands are served, as /readyz says. 0: /readyz says why not.',
      (running) => Number(whyNotReady(running).length === 0),
    ],
  },
  exchanges: {
    exchanges_running: ['Commands that run, those that wait included.', ({ exchanges }) => exchanges.length],
    exchange_oldest_seconds: [
      'How long the oldest running command has run; 0: none runs.',
      ({ exchanges }) => exchanges.reduce((most, { durationMs }) => Math.max(most, durationMs), 0) / 1000,
    ],
  },
  listeners: {
    'sessions{listener}': [
      'Sessions whose client has proved who it is.',
      ({ listeners }) => listeners.map(({ name, sessions }) => [name, sessions]),
    ],
    'sessions_unauthenticated{listener}': [
      'Sessions whose client has not proved who it is: in a handshake, before a login or the first key.',
      ({ listeners }) => listeners.map(({ name, unauthenticated }) => [name, unauthenticated]),
    ],
    'sessions_max{listener}': [
      'Sessions that a listener may have at once.',
      ({ listeners }) => listeners.map(({ name, sessionsMax }) => [name, sessionsMax]),
    ],
  },
  journal: {
    audit_writable: [
      '1: records reach the disk in time. 0: what must be synced is refused; after an error of the disk, everything is.',
      ({ journal }) => Number(journal.state === 'writable'),
    ],
    audit_unsynced_seconds: [
      'How long the oldest audit record has waited for the disk: so much a power cut would take.',
      ({ journal }) => journal.unsyncedMs / 1000,
    ],
    audit_free_bytes: [
      'Free bytes of the file system of the audit records.',
      ({ journal }) => journal.freeBytes,
    ],
    audit_young_bytes: [
      'Bytes of audit records younger than audit.keep_min, which must not be removed.',
      ({ journal: { filling } }) => (Number.isFinite(filling.bytesMax) ? filling.youngBytes : undefined),
    ],
    audit_max_bytes: [
      'What audit.max_size is in bytes.',
      ({ journal: { filling } }) => (Number.isFinite(filling.bytesMax) ? filling.bytesMax : undefined),
    ],
    'audit_writer_share{principal}': [
      'Of the young records, the share of each of the five largest writers. Only while these records fill 80 % of audit.max_size.',
      ({ journal }) => journal.filling.largest.map(({ principal, share }) => [principal, share]),
    ],
    audit_in_reserve: [
      '1: the disk of the records is full but for the reserve; only rules with emergency are served.',
      ({ journal }) => Number(journal.space === 'reserve'),
    ],
    audit_lost_total: [
      'Audit records that never reached the disk. 0, or you are blind.',
      ({ journal }) => journal.lost,
    ],
  },
  receivers: {
    audit_ship_up: [
      '1: `dovegate ship` asks the daemon what to send. 0: it does not, and receivers get nothing. Absent without receivers.',
      ({ ship }) => ship && Number(ship.isConnected),
    ],
    'audit_ship_connected{sink}': [
      '1: records can be sent to this receiver.',
      ({ sinks }) => sinks.map(({ name, state }) => [name, Number(state === 'connected')]),
    ],
    'audit_ship_lag_records{sink}': [
      'Audit records on disk that were not shipped yet.',
      ({ sinks }) => sinks.map(({ name, lagRecords }) => [name, lagRecords]),
    ],
    'audit_ship_lag_seconds{sink}': [
      'How long the oldest audit record that was not shipped yet has been on disk.',
      ({ sinks }) => sinks.map(({ name, lagMs }) => [name, lagMs / 1000]),
    ],
    'audit_ship_refused_total{sink}': [
      'Audit records that a collector of OpenTelemetry refused for good, since `dovegate ship` started.',
      ({ sinks }) => sinks.map(({ name, refused = 0 }) => [name, refused]),
    ],
    'audit_ship_forked{sink}': [
      '1: this receiver holds another journal under the id of this one, and gets no more of it.',
      ({ sinks }) => sinks.map(({ name, state }) => [name, Number(state === 'forked')]),
    ],
  },
  certificates: {
    'certificate_expiry_seconds{role,name}': [
      'How long a certificate still holds; below 0: it has expired.',
      ({ certificates }) =>
        certificates.flatMap(({ role, name, leftMs }): readonly Labelled[] =>
          Number.isFinite(leftMs) ? [[role, name, Math.round(leftMs / 1000)]] : [],
        ),
    ],
  },
  keys: {
    'key_expiry_seconds{listener,key}': [
      'How long a key of an HTTP listener still holds; below 0: it has expired. Absent: it does not expire.',
      ({ keys }) => keys.flatMap(({ listener, name, leftMs }) => secondsOf([listener, name], leftMs)),
    ],
    'key_last_used_timestamp_seconds{listener,key}': [
      'When a key was used last, in Unix time. Absent: not since the start.',
      ({ keys }) => keys.flatMap(({ listener, name, lastUsedMs }) => secondsOf([listener, name], lastUsedMs)),
    ],
  },
  log: {
    log_dropped_total: ['Lines of the log that could not be written.', ({ log }) => log.dropped],
    'log_suppressed_total{event}': [
      'Lines of the log above the limit of their code, which are only counted.',
      ({ log }) => [...log.suppressed],
    ],
  },
  configuration: {
    'config_info{hash}': [
      '1; the hash of the configuration that is served.',
      ({ configHash }) => [[configHash, 1]],
    ],
    config_reload_success: [
      '1: the last reload or start took the files. 0: the old configuration is kept.',
      ({ reload }) => Number(reload?.isSuccess !== false),
    ],
  },
  page: {
    page_up: [
      "1: the page's process asks the daemon. 0: it does not, so nobody can open the page. Absent without admin.page.",
      ({ page }) => page && Number(page.told !== undefined),
    ],
    page_people: ['People who are signed in to the page.', ({ page }) => page && (page.told?.people ?? 0)],
  },
  // Reported by `dovegate ship`; without it they are down, and nothing else is known.
  notices: {
    'notices_up{receiver}': [
      '1: the last notice was taken. 0: it was not. Absent before the first since the start of `dovegate ship`, and without it.',
      ({ ship }) =>
        ship?.notices.flatMap((each): readonly Labelled[] => {
          const state = noticeState(each);
          return state === 'unknown' ? [] : [[each.name, Number(state === 'up')]];
        }),
    ],
    'notices_lag_seconds{receiver}': [
      'How long the oldest notice that was not delivered has waited; 0: none waits.',
      ({ ship }) => ship?.notices.map(({ name, lagMs }) => [name, lagMs / 1000]),
    ],
    'notices_delivered_total{receiver}': [
      'Notices that a receiver has taken since `dovegate ship` was started.',
      ({ ship }) => ship?.notices.map(({ name, delivered }) => [name, delivered]),
    ],
    'notices_failed_total{receiver}': [
      'Attempts that failed since `dovegate ship` was started.',
      ({ ship }) => ship?.notices.map(({ name, failed }) => [name, failed]),
    ],
    'notices_dropped_total{receiver}': [
      'Notices that were too old before they could be delivered.',
      ({ ship }) => ship?.notices.map(({ name, dropped }) => [name, dropped]),
    ],
  },
  process: {
    process_cpu_seconds_total: [
      'Processor time of the process, user and system.',
      ({ usage }) => usage?.cpuSeconds,
    ],
    process_resident_memory_bytes: [
      'Memory of the process that is in RAM.',
      ({ usage }) => usage?.residentBytes,
    ],
    process_start_time_seconds: [
      'When the process started, in Unix time.',
      ({ usage }) => usage?.startedSeconds,
    ],
    process_open_fds: ['Descriptors that are open.', ({ usage }) => usage?.openDescriptors],
    process_max_fds: ['Descriptors that may be open at once.', ({ usage }) => usage?.descriptorsMax],
  },
  versions: {
    'build_info{version,node}': [
      '1; the versions of the program and of its runtime.',
      ({ version, runtime }) => [[version, runtime, 1]],
    ],
  },
};

function secondsOf(labels: readonly string[], ms: number | undefined): readonly Labelled[] {
  return ms === undefined ? [] : [[...labels, Math.round(ms / 1000)]];
}

/** Registers all gauges; returns the function that sets them from a snapshot. A value that cannot be made is absent, and reported. */
export function createGauges(registry: Registry, onError: (text: string) => void): (now: Running) => void {
  const steps = Object.entries(gauges).flatMap(([part, rows]) =>
    Object.entries(rows).map(([series, [help, of]]) => {
      const [name = '', ...labelNames] = series.split(/[{,}]/).filter((word) => word !== '');
      const prefix = part === 'process' ? '' : 'dovegate_';
      const options = { name: `${prefix}${name}`, help, labelNames, registers: [registry] };
      const metric = name.endsWith('_total') ? new Counter(options) : new Gauge(options);
      return { part, of, metric, labelNames };
    }),
  );
  return (now) => {
    const missing = new Set<string>();
    for (const { part, of, metric, labelNames } of steps) {
      // Backends, listeners, receivers and keys removed by a reload must disappear, and so must what cannot be known now. One without
      // labels is 0 by itself after a reset, and 0 free bytes would raise an alert.
      if (labelNames.length > 0) metric.reset();
      else metric.remove();
      if (missing.has(part)) continue;
      try {
        const values = of(now) ?? [];
        for (const labelled of typeof values === 'number' ? [[values] as const] : values) {
          const labels = labelNames.map((name, at): [string, string] => [name, String(labelled[at])]);
          metric.inc(Object.fromEntries(labels), Number(labelled.at(-1)));
        }
      } catch (fault) {
        missing.add(part);
        onError(`metrics of ${part}: ${messageOf(fault)}`);
      }
    }
  };
}
