// How the gate is at one moment. `status`, readiness, metrics, present problems, the door and the page are views of this snapshot, and
// read nothing else. Its parts are made when they are read first: a view that reads one makes no other, and reading one may throw.

import type { ShownLock } from '../../doveadm/codes/locks.js';
import type { OpenJournal } from '../../journal/files/journal.js';
import type { NoticeReceiver, SinkReport } from '../../rules/config/receiver.js';
import type { RunningExchange } from '../command/overdue.js';
import type { PoolSnapshot } from '../pool/pool.js';
import type { BackendHealth } from './now.js';
import type { Drain, Loaded } from './operator.js';
import type { FailedLogins, RefusedKey } from './refused-logins.js';

/** The meaning of a code, and the advice if its table has one. */
export type Meaning = readonly [means: string, ask?: string];

/** `text` may quote another program: for the log and operators only. `why` holds no word but ours. */
export interface Fault {
  readonly code: string;
  readonly text: string;
  readonly why: Meaning;
}

/** Times in `Ms` that are no durations are Unix milliseconds. */
export interface Running {
  readonly version: string;
  readonly runtime: string;
  /** Resources of the process. `openDescriptors` undefined: unknown; `descriptorsMax` undefined: no limit. */
  readonly usage?: {
    readonly cpuSeconds: number;
    readonly residentBytes: number;
    readonly startedSeconds: number;
    readonly openDescriptors: number | undefined;
    readonly descriptorsMax: number | undefined;
  };
  readonly atMs: number;
  /** RFC 3339. */
  readonly started: string;
  readonly uptimeMs: number;
  readonly state: 'serving' | 'draining';
  readonly configHash: string;
  readonly loaded: Loaded;
  readonly observing: readonly string[];
  /** The candidates beside policies, their FILE:LINE, and how many commands would have ended differently since the start. */
  readonly candidates: readonly {
    readonly policy: string;
    readonly place: string;
    readonly differing: number;
  }[];
  readonly listeners: readonly RunningListener[];
  readonly backends: readonly RunningBackend[];
  /** In the order in which they are tried; `place`: FILE:LINE. */
  readonly routes: readonly { readonly place: string; readonly backends: readonly string[] }[];
  readonly journal: RunningJournal;
  /** Access on request: numbers of undecided requests, live grants, and unreviewed grants without approval; `list`: the first of them. */
  readonly access?: {
    readonly requests: number;
    readonly grants: number;
    readonly unreviewed: number;
    /** Users of `persons` whose uid was never known, and those who have several. */
    readonly unknown_users: readonly string[];
    readonly moved_users: readonly { readonly user: string; readonly uids: readonly number[] }[];
    readonly list: () => readonly unknown[];
  };
  readonly locks: readonly ShownLock[];
  readonly sinks: readonly RunningSink[];
  readonly certificates: readonly RunningCertificate[];
  readonly keys: readonly RunningKey[];
  readonly exchanges: readonly RunningExchange[];
  /** The page's process; undefined: the settings name no page. */
  readonly page?:
    | {
        /** Its last report; undefined: it is not connected. */
        readonly told: PageTold | undefined;
      }
    | undefined;
  /** The process that ships records and notices; undefined: the settings name no receivers. */
  readonly ship?:
    | {
        readonly isConnected: boolean;
        /** It is not connected for longer than its restart takes. */
        readonly isAbsent: boolean;
        /** The age of its last report. */
        readonly ageMs: number;
        readonly problem?: string | undefined;
        /** All receivers; they get nothing while it is not connected. */
        readonly names: readonly string[];
        /** The state of each of them `ageMs` ago. */
        readonly notices: readonly RunningNotices[];
      }
    | undefined;
  /** `problems`: why the old configuration was kept, else warnings. `restart`: changed settings that are read only at a start. */
  readonly reload?:
    | {
        readonly atMs: number;
        readonly isSuccess: boolean;
        readonly problems: readonly string[];
        readonly restart: readonly string[];
        /** The file had problems at the start: when the configuration that is served in its place was read. */
        readonly lastReadMs?: number | undefined;
      }
    | undefined;
  /** Sockets of Dovecot's auth service that do not answer. */
  readonly lookups: readonly { readonly socket: string; readonly sinceMs: number; readonly why: Meaning }[];
  readonly refusedKeys: readonly RefusedKey[];
  readonly failedLogins: FailedLogins;
  /** Hashes of lists of policies: those that an operator has seen last, and those that are served. */
  readonly policies: { readonly seen: string; readonly served: string };
  /** Who acknowledged a problem that degrades nothing, by its key, and until when (RFC 3339). */
  readonly acknowledged: (key: string) => { readonly by: string; readonly until: string } | undefined;
  /** The longest stall of the event loop in the last minute. */
  readonly stall: { readonly atMs: number; readonly durationMs: number } | undefined;
  readonly log: {
    readonly dropped: number;
    /** Lines above the limit of their code, so far, by code. */
    readonly suppressed: ReadonlyMap<string, number>;
  };
}

export interface RunningListener {
  readonly name: string;
  readonly address: string;
  readonly sessions: number;
  readonly unauthenticated: number;
  readonly sessionsMax: number;
}

/** A backend: what its pool reports, with what others know of it. */
export interface RunningBackend extends Omit<PoolSnapshot, 'isNewer' | 'fault'> {
  readonly name: string;
  readonly address: string;
  /** Undefined: this host. */
  readonly host: string | undefined;
  /** The setting of this name, if the backend is newer than dovegate knows; else undefined. */
  readonly newer: string | undefined;
  /** Why it is down. `system`: the system's code, such as ECONNREFUSED. */
  readonly fault:
    | (Fault & {
        readonly system?: string | undefined;
        readonly tlsCause?: TlsCause | undefined;
        /** A connection came about, and then nothing came in time. */
        readonly isSilent?: boolean | undefined;
      })
    | undefined;
  /** Who drained it: the configuration, an operator, both, or nobody. */
  readonly drained: readonly Drain[];
  /** Commands that failed since it is down or stuck. */
  readonly lost: number;
  /** Commands that failed because it is drained, and how many are each second. */
  readonly refused: number;
  readonly refusedPerSecond: number;
  readonly connections: number;
  readonly passwordFiles: readonly string[];
  readonly caFile: string | undefined;
}

export type TlsCause = 'expired' | 'not-valid-yet' | 'name' | 'issuer' | 'key';

const served: Readonly<Record<BackendHealth, boolean>> = {
  up: true,
  pausing: true,
  retrying: true,
  probing: false,
  down: false,
  drained: false,
};

/** Whether its commands are served, as far as anybody knows. */
export function isUp({ health }: Pick<RunningBackend, 'health'>): boolean {
  return served[health];
}

/** The journal, by its own report. `space` is `reserve`: only commands for emergencies are recorded, and so served. */
export interface RunningJournal
  extends Pick<OpenJournal, 'state' | 'space' | 'seq' | 'lost' | 'unsyncedMs' | 'filling' | 'missing'> {
  readonly fault: Fault | undefined;
  readonly directory: string;
  /** Free bytes of its file system; undefined: not known yet. */
  readonly freeBytes: number | undefined;
  /** The start found that the journal differs from its last checkpoint (`isDamaged`), or has lines that no run wrote (`isAppended`). */
  readonly isDamaged: boolean;
  readonly isAppended: boolean;
  /** Where records survive a crash until they are on disk; undefined: nowhere, so every command waits for the disk. */
  readonly memory: string | undefined;
  readonly memoryFault: string | undefined;
}

export const forkedMeans: Meaning = ['the store holds another journal under the id of this one'];

/** A receiver of records, by its own report. `forked`: as `forkedMeans`. */
export interface RunningSink extends Omit<SinkReport, 'fault' | 'sentSeq' | 'safe'> {
  readonly fault?: Fault | undefined;
  /** Records on disk that were not sent yet, and how long this run has known the oldest of them. */
  readonly lagRecords: number;
  readonly lagMs: number;
  /** The last record that the receiver certainly has; this journal has it, too. */
  readonly safeSeq: number;
}

export interface RunningCertificate {
  readonly role: 'listener' | 'client-ca' | 'backend' | 'receiver' | 'receiver-client';
  readonly name: string;
  /** Below 0: it has expired. */
  readonly leftMs: number;
  readonly file?: string | undefined;
}

/** A key of an HTTP listener. */
export interface RunningKey {
  readonly listener: string;
  readonly name: string;
  readonly policy: string;
  /** Undefined: it does not expire. `leftMs` is 0 or below once it has. */
  readonly expiresMs: number | undefined;
  readonly leftMs: number | undefined;
  readonly lastUsedMs: number | undefined;
  readonly failures: number;
}

/** A client that moves no byte for this time is slow. */
export const slowMsMin = 1_000;

export interface PageTold {
  readonly version: string;
  readonly people: number;
  readonly watchers: number;
  readonly signIns: number;
  readonly refusedSignIns: number;
  readonly problem?: string | undefined;
  readonly ageMs: number;
}

/** A receiver of notices, by its own report. */
export interface RunningNotices extends Omit<NoticeReceiver, 'fault'> {
  readonly fault?: (NonNullable<NoticeReceiver['fault']> & { readonly why: Meaning }) | undefined;
}

/** `unknown`: none has been sent since `dovegate ship` was started. */
export function noticeState({
  delivered,
  fault,
}: Pick<RunningNotices, 'delivered'> & { readonly fault?: unknown }): 'up' | 'failing' | 'unknown' {
  if (fault !== undefined) return 'failing';
  return delivered > 0 ? 'up' : 'unknown';
}

/** Why commands are not served. A code is never renamed: alerts hold it. */
export interface NotReady {
  readonly code:
    | 'draining' // the gate is stopping
    | 'audit-failed' // records do not reach the disk in time, so at least what must be synced is refused
    | 'audit-reserve' // the disk of the records is full but for its reserve
    | 'backends-down'; // no backend is up
  readonly text: string;
}

/** Every reason that holds, from our own state alone; empty: it is ready. One backend that is up is enough. */
export function whyNotReady(running: Pick<Running, 'state' | 'journal' | 'backends'>): NotReady[] {
  const { state, journal, backends } = running;
  const reasons: NotReady[] = [];
  if (state === 'draining') reasons.push({ code: 'draining', text: 'dovegate is stopping' });
  if (journal.state === 'failed') {
    const why = journal.fault === undefined ? '' : `: ${journal.fault.text}`;
    reasons.push({ code: 'audit-failed', text: `audit records do not reach the disk${why}` });
  } else if (journal.space === 'reserve') {
    const text = 'the disk of the audit records is full but for its reserve';
    reasons.push({ code: 'audit-reserve', text });
  }
  if (!backends.some(isUp)) {
    const why = backends.map((backend) => `${backend.name}: ${whyNotUp(backend) ?? ''}`).join('; ');
    reasons.push({ code: 'backends-down', text: `no backend is up (${why})` });
  }
  return reasons;
}

/** For operators; undefined: it is up. */
export function whyNotUp({ health, fault }: Pick<RunningBackend, 'health' | 'fault'>): string | undefined {
  if (fault !== undefined) return `${fault.code}, ${fault.text}`;
  return served[health] ? undefined : health;
}

/** `partial`: some of its backends are up, others not. */
export function stateOfRoute(
  names: readonly string[],
  backends: readonly Pick<RunningBackend, 'name' | 'health'>[],
): 'up' | 'partial' | 'down' {
  const up = names.filter((name) => backends.some((backend) => backend.name === name && isUp(backend)));
  if (up.length === 0) return 'down';
  return up.length === names.length ? 'up' : 'partial';
}
