// How the gate is now, as a door and the page show it.

import type { DecisionCode } from '../../doveadm/codes/decisions.js';
import type { TroubleOwner } from '../outcome/owner.js';
import type { Drain, Loaded } from './operator.js';

/** The data of the bar and of the screens "now" and "backends". Times are RFC 3339, durations milliseconds. */
export interface Now {
  readonly at: string;
  readonly head: NowHead;
  readonly tiles: NowTiles;
  /** Oldest first, at most 200; `runningCount` has them all. */
  readonly running: readonly RunningCommand[];
  /** Includes waiting commands. */
  readonly runningCount: number;
  readonly waitingCount: number;
  /** Newest first, at most 60. */
  readonly troubles: readonly Trouble[];
  /** All of them since this time are counted; RFC 3339. */
  readonly troublesSince: string;
  readonly backends: readonly BackendNow[];
}

export interface NowHead {
  readonly host: string;
  readonly version: string;
  /** `blind`: nothing can be recorded, or nothing is known. `not serving`: no backend can be reached. */
  readonly state: 'serving' | 'degraded' | 'not serving' | 'draining' | 'blind';
  readonly since: string;
  /** The start of the process. */
  readonly started: string;
  readonly configHash: string;
  /** Hashes of lists of policies: those that an operator has seen last, and those that are served. */
  readonly policies: { readonly seen: string; readonly served: string };
  /** Without `files`. */
  readonly loaded: Loaded;
  /** The first UNIX socket where commands are taken; absent: there is none. */
  readonly socket?: string | undefined;
  /** Present problems: those that degrade first, which are the red sentences, then the others; the worst of each first. */
  readonly problems: readonly Problem[];
}

export interface Problem {
  /** Never renamed: the code of readiness or of a log event. */
  readonly code: string;
  /** "mail1 has been down since 02:14: connection refused. 3 commands wait." Times in it are marked: {2026-11-21T02:14:00Z}. */
  readonly text: string;
  /** "systemctl status dovecot on mail1" */
  readonly try?: string | undefined;
  readonly backend?: string | undefined;
  /** Commands suffer from it now, so it decides the state. */
  readonly isDegrading: boolean;
  /** Stays the same while the sentence changes. */
  readonly key: string;
  readonly acknowledged?: { readonly by: string; readonly until: string } | undefined;
}

export interface NowTiles {
  /** Commands per second that ended in the last 5 s. */
  readonly perSecond: number;
  /** The same over ten minutes, one for each 5 s, oldest first: at most 120. */
  readonly history: readonly number[];
  /** In the last ten minutes. */
  readonly failed: number;
  readonly denied: number;
  /** Commands that wait for an upstream, and how long the oldest of them has. */
  readonly waiting: number;
  readonly oldestWaitMs: number;
  readonly journal: JournalNow;
}

export interface JournalNow {
  readonly state: 'writable' | 'reserve' | 'failed';
  readonly seq: number;
  readonly unsyncedMs: number;
  readonly freeBytes?: number | undefined;
  /** Records up to this one are missing: their files were taken away. */
  readonly missingSeq?: number | undefined;
  readonly receivers: readonly ReceiverNow[];
}

export interface ReceiverNow {
  readonly name: string;
  readonly state: 'connecting' | 'connected' | 'away' | 'forked';
  readonly text?: string | undefined;
  readonly lagRecords: number;
  readonly safeSeq: number;
}

export interface RunningCommand {
  readonly id: string;
  readonly principal: string;
  readonly listener: string;
  /** The command's name, as `expunge`. */
  readonly command: string;
  /** Only for `audit`, and only if the view covers it. */
  readonly user?: string;
  readonly backend?: string | undefined;
  /** It waits for an upstream: nothing of it runs at the backend yet. */
  readonly isWaiting?: true | undefined;
  /** Its client has been answered at the deadline, and its backend has not replied yet. */
  readonly isOverdue?: true | undefined;
  readonly durationMs: number;
  /** When it is given up; absent: never. */
  readonly deadlineMs?: number | undefined;
  /** How long its client has moved no byte while the command waits for it; absent: its client is not slow. */
  readonly clientMs?: number | undefined;
}

export interface Trouble {
  /** The last one's, where several are the same. */
  readonly at: string;
  /** How many are the same; absent: one. */
  readonly count?: number;
  /** How many of several have a record of their own; absent: all. */
  readonly recorded?: number;
  /** The first one's, where several are the same. */
  readonly since?: string;
  /** The last recorded one's, like `user`; absent: none is recorded. In a flood most are only counted. */
  readonly id?: string;
  readonly kind: 'denied' | 'failed' | 'login';
  readonly principal: string;
  readonly listener?: string;
  readonly command?: string;
  readonly user?: string;
  readonly backend?: string;
  /** The rule or the error, as a sentence; without names of mail users and arguments. */
  readonly text: string;
  readonly owner: TroubleOwner;
  /** The next step, and the person for it. */
  readonly next?: string;
  readonly policy?: string;
}

/** A trouble as the gate sends it: the program that shows it makes the sentence and the next step of a command from its codes. */
export type TroubleFacts = Omit<Trouble, 'text' | 'next' | 'user' | 'policy'> &
  ({ readonly text: string } | { readonly ended: EndedFacts });

export interface EndedFacts {
  readonly denial?: DecisionCode | undefined;
  readonly error?: string | undefined;
  /** The sentence that its client got; absent where that repeats words of a client or a backend. */
  readonly said?: string | undefined;
  /** The lock or hold that stopped it. */
  readonly lock?: string | undefined;
  readonly policy: string;
  /** FILE:LINE of the rule that decided; '': no rule did. */
  readonly place: string;
  /** The value of `givenOf`. */
  readonly givenBytes: number;
}

/**
 * The states of a backend, and the only words for them. `pausing`, `retrying`: a dial failed while other connections live, so it serves.
 * `probing`: it is down, and a handshake that decides is under way. `drained`: the configuration or an operator took it out of service.
 */
export type BackendHealth = 'up' | 'pausing' | 'retrying' | 'probing' | 'down' | 'drained';

export interface BackendNow {
  readonly name: string;
  readonly address: string;
  readonly series?: string | undefined;
  readonly isUp: boolean;
  readonly health: BackendHealth;
  /** Why it is down. */
  readonly text?: string | undefined;
  readonly since?: string | undefined;
  /** Its state may be older than `since`: it was the same when dovegate first looked. */
  readonly mayBeLonger?: boolean | undefined;
  readonly connections: number;
  readonly dialing: number;
  readonly idle: number;
  readonly leased: number;
  readonly waiting: number;
  readonly oldestWaitMs: number;
  /** Dials, by the step that failed, since `countedSince`. */
  readonly failed: Readonly<Record<string, number>>;
  readonly countedSince: string;
  /** The last day of its certificate. */
  readonly certificateEnds?: string | undefined;
  readonly drained: readonly Drain[];
}
