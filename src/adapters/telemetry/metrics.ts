// The numbers of the daemon for Prometheus: events are counted as they happen; what is there now comes from one snapshot per read.
// The rules: no client can add a series: `command` is a name of the catalog or `other`, every other label is from the configuration or from
// a closed list; an observer never throws and never waits; a value that is not known is absent, never 0.

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EngineEvent, ExchangeEnded } from '../../gateway/outcome/events.js';
import type { Clock } from '../../ports/machine.js';
import { watchLoopLag } from './loop-lag.js';
import { createTally } from './tally.js';

/** What the metrics need. */
export interface MetricsOptions {
  /** Version of the program and of its runtime. */
  readonly version: string;
  readonly runtime: string;
  /** Every name of the catalog: the only values of the label `command` besides `other`. */
  readonly commands: ReadonlySet<string>;
  readonly clock: Clock;
  /** What is there now; asked at each `render`, must not wait. */
  readonly snapshot: () => MetricsSnapshot;
}

/** The metrics of one daemon. */
export interface Metrics {
  /** An observer for the engine. */
  observe(event: EngineEvent): void;
  /** A group of records reached the disk; how long its write and sync took. */
  recordsSynced(records: number, durationMs: number): void;
  /** All of it as Prometheus reads it (text format 0.0.4). Rejects only with what `snapshot` throws. */
  render(): Promise<string>;
  /** Ends the measurement of the event loop. */
  close(): void;
}

/** Seconds. From a local command to one that takes as long as commands may. */
const exchangeBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600];
const waitBuckets = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30];
const syncBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 2, 5];
const lagBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Metrics in a registry of their own. */
export function createMetrics(options: MetricsOptions): Metrics {
  const { commands, clock } = options;
  const registry = new Registry();
  const registers = [registry];

  const exchanges = createTally(
    registry,
    'dovegate_exchanges_total',
    'Commands by listener, command, decision and outcome; also those that were refused.',
    ['listener', 'command', 'decision', 'outcome'],
  );
  const exchangeSeconds = new Histogram({
    name: 'dovegate_exchange_duration_seconds',
    help: 'From a command line to the end of its reply, of commands that were allowed and had a backend.',
    labelNames: ['listener', 'backend'],
    buckets: exchangeBuckets,
    registers,
  });
  const waitSeconds = new Histogram({
    name: 'dovegate_lease_wait_seconds',
    help: 'How long a command waited for an upstream that it got.',
    buckets: waitBuckets,
    registers,
  });
  const dials = createTally(
    registry,
    'dovegate_dials_total',
    'Upstreams that were opened (result ok), and dials that failed, by the code of the fault.',
    ['backend', 'result'],
  );
  const logins = createTally(
    registry,
    'dovegate_logins_total',
    'Tries to log in by their result: ok, remembered, certificate; failed, crowded, gone, malformed, ambiguous, tls-failed.',
    ['listener', 'result'],
  );
  const relayed = createTally(
    registry,
    'dovegate_relayed_bytes_total',
    'Bytes of replies: in from backends, out to clients (framing and log lines included); up: of what clients send behind a command.',
    ['direction'],
  );
  const logLines = createTally(
    registry,
    'dovegate_log_lines_total',
    'Log lines that backends sent, by level.',
    ['backend', 'level'],
  );
  const records = new Counter({
    name: 'dovegate_audit_records_total',
    help: 'Audit records that reached the disk.',
    registers,
  });
  const syncSeconds = new Histogram({
    name: 'dovegate_audit_sync_seconds',
    help: 'Write and sync of a group of audit records.',
    buckets: syncBuckets,
    registers,
  });
  const lagSeconds = new Histogram({
    name: 'dovegate_event_loop_lag_seconds',
    help: 'By how much a timer of the event loop came late, ten times a second.',
    buckets: lagBuckets,
    registers,
  });
  const gauges = createGauges(registry, options);
  const lag = watchLoopLag(clock, (lagMs) => lagSeconds.observe(lagMs / 1000));
  // Known from the start, so that a rate can be made of the first byte.
  relayed.add(0, 'in');
  relayed.add(0, 'out');
  relayed.add(0, 'up');

  function exchangeEnded(event: ExchangeEnded): void {
    const { exchange, backend, decision, outcome, bytesIn, bytesOut, bytesUp, waitMs, durationMs } = event;
    const { listener } = exchange;
    const command = exchange.command;
    const label = command !== undefined && commands.has(command) ? command : 'other';
    exchanges.add(1, listener, label, decision, outcome);
    relayed.add(bytesIn, 'in');
    relayed.add(bytesOut, 'out');
    relayed.add(bytesUp, 'up');
    if (backend !== undefined) exchangeSeconds.observe({ listener, backend }, durationMs / 1000);
    if (waitMs !== undefined) waitSeconds.observe(waitMs / 1000);
  }

  return {
    observe(event) {
      switch (event.kind) {
        case 'exchange-ended':
          return exchangeEnded(event);
        case 'backend-log':
          return logLines.add(1, event.backend, event.type);
        case 'upstream-opened':
          return dials.add(1, event.backend, 'ok');
        case 'dial-failed':
          return dials.add(1, event.backend, event.code);
        case 'login':
          return logins.add(1, event.listener, event.result);
        case 'session-opened':
        case 'session-closed':
        case 'session-refused':
        case 'upstream-closed':
        case 'audit-failed':
        case 'flood':
        case 'lookup-failing':
        case 'lookup-working':
        case 'backend-down':
        case 'backend-up':
        case 'ship-connected':
        case 'ship-away':
        case 'ship-missing':
        case 'ship-damaged':
        case 'ship-restarted':
        case 'ship-position-failed':
          return;
        default:
          return event satisfies never;
      }
    },
    recordsSynced(count, durationMs) {
      records.inc(count);
      syncSeconds.observe(durationMs / 1000);
    },
    async render() {
      gauges.take(options.snapshot());
      return registry.metrics();
    },
    close: () => lag.end(),
  };
}

/** What is there now. */
export interface MetricsSnapshot {
  /** Hash of the configuration that is served. */
  readonly configHash: string;
  /** Whether the last reload replaced the configuration; true where there was none. */
  readonly isReloadSuccess: boolean;
  /** Sessions by the name of their listener. */
  readonly sessions: ReadonlyMap<string, number>;
  readonly backends: readonly BackendCounts[];
  readonly journal: JournalCounts;
  /** Records on disk that were not sent yet, by receiver. */
  readonly shipLag: ReadonlyMap<string, number>;
  /** How long certificates still hold. */
  readonly certificates: readonly CertificateLeft[];
  /** Lines of our own log that could not be written, so far. */
  readonly logDropped: number;
}

/** One backend's upstreams by state, and who waits for them. */
export interface BackendCounts {
  readonly name: string;
  readonly isUp: boolean;
  readonly dialing: number;
  readonly idle: number;
  readonly leased: number;
  readonly waiters: number;
}

/** A certificate, by what it is for and whose it is. */
export interface CertificateLeft {
  readonly role: string;
  readonly name: string;
  /** Below 0: it has ended. */
  readonly leftMs: number;
}

/** The journal's state. */
export interface JournalCounts {
  readonly isWritable: boolean;
  /** Records that will never reach the disk, so far. */
  readonly lost: number;
  /** Of the journal's file system; undefined: nobody has looked yet. */
  readonly freeBytes: number | undefined;
}

/** The metrics that snapshots set. */
export interface Gauges {
  take(snapshot: MetricsSnapshot): void;
}

/** Gauges of `registry`. */
export function createGauges(
  registry: Registry,
  program: { readonly version: string; readonly runtime: string },
): Gauges {
  const gauge = <T extends string>(name: string, help: string, ...labelNames: readonly T[]): Gauge<T> =>
    new Gauge({ name: `dovegate_${name}`, help, labelNames, registers: [registry] });
  const total = (name: string, help: string): Counter =>
    new Counter({ name: `dovegate_${name}`, help, registers: [registry] });

  const upstreams = gauge('upstreams', 'Upstreams by state.', 'backend', 'state');
  const waiters = gauge('waiters', 'Commands that wait for an upstream.', 'backend');
  const backendUp = gauge(
    'backend_up',
    '1: its commands are served, as far as anybody knows. 0: it is down or drained.',
    'backend',
  );
  const sessions = gauge('sessions', 'Sessions that run, those that are being greeted included.', 'listener');
  const writable = gauge('audit_writable', '1: records reach the disk. 0: strict commands are refused.');
  const freeBytes = gauge('audit_free_bytes', 'Free bytes of the file system of the audit records.');
  const shipLag = gauge('audit_ship_lag_records', 'Audit records on disk that were not shipped yet.', 'sink');
  const expiry = gauge(
    'certificate_expiry_seconds',
    'How long a certificate still holds; below 0: it has expired.',
    'role',
    'name',
  );
  const lost = total('audit_lost_total', 'Audit records that never reached the disk. 0, or you are blind.');
  const logDropped = total('log_dropped_total', 'Lines of the log that could not be written.');
  const config = gauge('config_info', '1; the hash of the configuration that is served.', 'hash');
  const reloadSuccess = gauge(
    'config_reload_success',
    '1: the last reload was taken, or there was none. 0: the old configuration is kept.',
  );
  gauge('build_info', '1; the versions of the program and of its runtime.', 'version', 'node').set(
    { version: program.version, node: program.runtime },
    1,
  );

  return {
    take(snapshot) {
      for (const each of [upstreams, waiters, backendUp, sessions, config, shipLag, expiry]) each.reset();
      for (const { name: backend, isUp, ...counts } of snapshot.backends) {
        upstreams.set({ backend, state: 'dialing' }, counts.dialing);
        upstreams.set({ backend, state: 'idle' }, counts.idle);
        upstreams.set({ backend, state: 'leased' }, counts.leased);
        waiters.set({ backend }, counts.waiters);
        backendUp.set({ backend }, isUp ? 1 : 0);
      }
      for (const [listener, count] of snapshot.sessions) sessions.set({ listener }, count);
      for (const [sink, records] of snapshot.shipLag) shipLag.set({ sink }, records);
      for (const { role, name, leftMs } of snapshot.certificates) {
        if (Number.isFinite(leftMs)) expiry.set({ role, name }, Math.round(leftMs / 1000));
      }
      config.set({ hash: snapshot.configHash }, 1);
      reloadSuccess.set(snapshot.isReloadSuccess ? 1 : 0);
      const { journal } = snapshot;
      writable.set(journal.isWritable ? 1 : 0);
      // A gauge without labels is 0 by itself, and 0 free bytes would wake somebody up.
      if (journal.freeBytes === undefined) freeBytes.remove();
      else freeBytes.set(journal.freeBytes);
      replace(lost, journal.lost);
      replace(logDropped, snapshot.logDropped);
    },
  };
}

function replace(counter: Counter, count: number): void {
  counter.reset();
  counter.inc(count);
}
