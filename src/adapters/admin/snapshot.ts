// What the admin endpoints show: the daemon at one moment. Types only.

import type { ExchangeNames } from '../../gateway/outcome/events.js';

/** The daemon at one moment. */
export interface DaemonSnapshot {
  readonly version: string;
  /** RFC 3339. */
  readonly started: string;
  readonly uptimeMs: number;
  readonly state: 'serving' | 'draining' | 'closed';
  /** Of a daemon that is `closed`: why, as `check` prints it. */
  readonly problems?: readonly string[];
  /** Hash of the configuration that is served. */
  readonly configHash: string;
  readonly listeners: readonly ListenerSnapshot[];
  readonly backends: readonly BackendSnapshot[];
  /** In the order in which they are tried. */
  readonly routes: readonly RouteSnapshot[];
  readonly journal: JournalSnapshot;
  readonly sinks: readonly SinkSnapshot[];
  /** Exchanges that run; undefined: nobody knows them. */
  readonly exchanges?: readonly RunningExchange[];
  /** The last reload; undefined: there was none. */
  readonly reload?: ReloadSnapshot | undefined;
}

/** A bound listener. */
export interface ListenerSnapshot {
  readonly name: string;
  readonly address: string;
  readonly sessions: number;
  readonly sessionsMax: number;
}

/** A backend, its upstreams by state, and who waits for them. */
export interface BackendSnapshot {
  readonly name: string;
  readonly address: string;
  /** Undefined: not known yet. */
  readonly series: string | undefined;
  readonly isUp: boolean;
  /** up, pausing, retrying (dials fail while others live), down, probing, drained. */
  readonly health: string;
  /** Why it is down, as a sentence; undefined while it is up. */
  readonly text: string | undefined;
  /** Upstreams at most. */
  readonly connections: number;
  readonly dialing: number;
  readonly idle: number;
  readonly leased: number;
  readonly waiters: number;
  /** Who took it out of service: the configuration, an operator (with name and time), both, or nobody. */
  readonly drained?: readonly string[];
  /** Failures so far, by the step that failed: dial, tls, greeting, authentication, reply. */
  readonly failed: Readonly<Record<string, number>>;
}

/** A route, named by the place where it was written. */
export interface RouteSnapshot {
  readonly place: string;
  readonly backends: readonly string[];
}

/** The journal's state. */
export interface JournalSnapshot {
  readonly state: 'writable' | 'failed';
  /** `reserve`: only commands for emergencies are recorded, and so served. */
  readonly space: 'normal' | 'reserve';
  /** Why it failed. */
  readonly fault: { readonly code: string; readonly text: string } | undefined;
  /** Records that will never reach the disk. */
  readonly lost: number;
  /** Of its file system; undefined: nobody has looked yet. */
  readonly freeBytes: number | undefined;
}

/** A receiver of the records. */
export interface SinkSnapshot {
  readonly name: string;
  readonly state: 'connecting' | 'connected' | 'away';
  /** Why it is away. */
  readonly fault: { readonly code: string; readonly text: string } | undefined;
  /** Records on disk that were not sent yet. */
  readonly lagRecords: number;
  /** The last record that it certainly has. */
  readonly safeSeq: number;
}

/** How the last reload came out. */
export interface ReloadSnapshot {
  /** RFC 3339. */
  readonly time: string;
  readonly isSuccess: boolean;
  readonly problems: readonly string[];
  /** Settings that changed and are read only at a start. */
  readonly restart: readonly string[];
}

/** An exchange that runs. */
export interface RunningExchange extends ExchangeNames {
  readonly backend: string | undefined;
  readonly durationMs: number;
}
