// The metrics of what is there now: they are set from one snapshot when somebody reads, so that nothing is counted beside
// the structure that has it. It does not know where a snapshot comes from.
// The rule: what is not known is absent, never 0; what is gone from the snapshot is gone from the metrics.

import { Counter, Gauge, type Registry } from 'prom-client';

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
