// The events for observers: one closed union, in the words of the log's `event` key. An event holds no secret and no undecoded bytes.

import type { RulePlace } from '../../domain/judging/policy/policy.js';
import type { KeyRefusal } from '../../domain/people/keys/key.js';
import type { RecordedOutcome } from '../../domain/records/audit/record.js';
import { predicateOf } from '../../kinds/kinds.js';
import type { UpstreamFaultCode, UpstreamPhase } from '../../ports/faults.js';
import type { CloseReason } from '../../ports/transport.js';
import type { Server } from '../../protocol/releases.js';
import type { LogType } from '../../protocol/reply/reply.js';
import type { DenialCode, ErrorCode, LogLevel } from './outcome.js';

/** The exchange that an event belongs to; every log line about it carries these keys. */
export interface ExchangeNames {
  readonly listener: string;
  readonly session: string;
  readonly id: string;
  readonly principal: string;
  readonly user: string;
  /** The catalog's name, else undefined: a client's text never becomes a label. */
  readonly command: string | undefined;
}

export interface BackendLog {
  readonly kind: 'backend-log';
  readonly backend: string;
  readonly upstream: string;
  readonly exchange: ExchangeNames | undefined;
  readonly type: LogType;
  readonly text: string;
  /** The status of its command blames the user or the arguments, not a server. */
  readonly isUsersFault?: boolean;
}

/** Kinds of events that are counted above a rate, each by itself: the key `action` of a `limit` record. */
export const floodKinds = ['refused', 'session', 'turned-away', 'login-failed'] as const;
export type FloodKind = (typeof floodKinds)[number];

/** An exchange ended; observed once for each, refused ones included. */
export interface ExchangeEnded {
  readonly kind: 'exchange-ended';
  /** False: one of a flood of refusals, of which `flood` says how many. */
  readonly isTold: boolean;
  readonly exchange: ExchangeNames;
  readonly backend: string | undefined;
  readonly upstream: string | undefined;
  readonly decision: 'allow' | 'deny';
  readonly policy: string;
  readonly denial: DenialCode | undefined;
  readonly rule: RulePlace | undefined;
  readonly outcome: RecordedOutcome;
  /** The status line that the client got, without LF. */
  readonly status: string;
  readonly level: LogLevel;
  readonly error: ErrorCode | undefined;
  /** One sentence for operators where the outcome is not `ok`. */
  readonly text: string | undefined;
  /** Bytes of the reply as the backend sent them, and all bytes sent to the client. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes of the client's input (a text, or its half of a duplex exchange) after a command that went upstream. */
  readonly bytesUp: number;
  readonly waitMs: number | undefined;
  readonly durationMs: number;
}

/**
 * How a login attempt ended: right by its hash, by a recent login, or by a client certificate; wrong; not checked, because too many waited
 * or the client canceled it; no password where PLAIN is allowed; a certificate that fits several accounts; no TLS.
 */
export type LoginResult =
  | 'ok'
  | 'remembered'
  | 'certificate'
  | 'failed'
  | 'crowded'
  | 'gone'
  | 'malformed'
  | 'ambiguous'
  | 'tls-failed';

/** What only the log tells: a line with this code, the level of its row (`adapters/telemetry/codes`), and all other keys as they are. */
export type Note =
  | {
      readonly code: 'session-opened';
      readonly listener: string;
      readonly session: string;
      readonly minor: number;
    }
  | {
      readonly code: 'upstream-closed';
      readonly backend: string;
      readonly upstream: string;
      readonly reason: CloseReason;
      readonly exchanges: number;
    }
  | ({
      readonly code: 'command-overdue';
      readonly backend: string | undefined;
      readonly text: string;
    } & ExchangeNames)
  | {
      readonly code: 'password-unread';
      readonly backend: string;
      readonly text: string;
    }
  | {
      readonly code: 'backend-newer';
      readonly backend: string;
      readonly minor: number;
      /** What it gets: the setting of that name. */
      readonly newer: 'serve' | 'reads' | 'refuse';
    };

/** All events for observers. `kind` and the keys are as fixed as those of records; times are milliseconds. */
export type EngineEvent =
  | BackendLog
  | ExchangeEnded
  | {
      readonly kind: 'session-closed';
      readonly listener: string;
      readonly session: string;
      readonly reason: CloseReason;
      readonly exchanges: number;
      readonly text: string | undefined;
      /** False: it never logged in, and the reason was reported already, or so many sessions end like this that it is only counted. */
      readonly isTold: boolean;
    }
  | {
      readonly kind: 'session-refused';
      readonly listener: string;
      readonly principal: string | undefined;
      readonly text: string;
    }
  | {
      readonly kind: 'login';
      readonly listener: string;
      readonly result: LoginResult;
      readonly address: string | undefined;
      /** As the peer sent it, cut and made safe to show; unverified. */
      readonly account: string | undefined;
      /** Why a key of the listener was refused, and `account` is the key's name; undefined: it was no key, or another listener's. */
      readonly keyRefusal?: KeyRefusal | undefined;
      /** False: it succeeded, or so many fail that this one is only counted. */
      readonly isTold: boolean;
      readonly text: string | undefined;
    }
  /** A request of an HTTP listener was answered. `status`: the answer's. */
  | { readonly kind: 'http-request'; readonly listener: string; readonly status: number }
  | {
      readonly kind: 'upstream-opened';
      readonly backend: string;
      readonly upstream: string;
      readonly server: Server;
      /** 0: it announced none. */
      readonly serverMinor: number;
      readonly durationMs: number;
    }
  | {
      readonly kind: 'dial-failed';
      readonly backend: string;
      readonly code: UpstreamFaultCode;
      readonly phase: UpstreamPhase;
      readonly text: string;
      /** The last dial before this one did not fail. */
      readonly isFirst: boolean;
    }
  /** No connection to it is open and it cannot be dialed: commands for it are refused at once. `code`, `text`: why. */
  | {
      readonly kind: 'backend-down';
      readonly backend: string;
      readonly code: UpstreamFaultCode;
      readonly text: string;
    }
  | { readonly kind: 'backend-up'; readonly backend: string; readonly downMs: number }
  | { readonly kind: 'audit-failed'; readonly text: string }
  /** The number of further events within a second that are not reported one by one; of a principal, or of a network at a listener. */
  | {
      readonly kind: 'flood';
      readonly action: FloodKind;
      readonly count: number;
      readonly principal: string | undefined;
      readonly listener: string | undefined;
      readonly address: string | undefined;
    }
  /** Once per change: the auth service at `socket` does not answer (`code` says why), or answers again. */
  | { readonly kind: 'lookup-failing'; readonly socket: string; readonly code: string }
  | { readonly kind: 'lookup-working'; readonly socket: string }
  | ShipEvent
  | ({ readonly kind: 'note' } & Note);

export const isEngineEvent = predicateOf<EngineEvent>();

/** Why records do not go to a receiver. A closed list: logs and dashboards hold it. */
export type ShipFaultCode =
  | 'dial-refused' // nobody listens, no route, no such name
  | 'dial-timeout' // no connection or no TLS handshake in time
  | 'tls-failed' // certificate, name, pin, or a file of ours
  | 'closed-early' // it ended the connection
  | 'stalled' // it takes nothing any more
  | 'auth-rejected' // it does not know us
  | 'no-rights' // we may not write there, or not ask what is there
  | 'no-stream' // there is no such stream, or the servers have no JetStream
  | 'stream-full' // the stream takes no more
  | 'wrong-sequence' // somebody else writes there, or it changes its mind about what it has
  | 'refused' // the server refuses, with words of its own
  | 'library-missing' // the optional packages are not installed
  | 'journal-unreadable' // not its fault: a file of the journal cannot be read
  | 'internal'; // a bug of ours

/** An event on the way of the records to a receiver; `sink` is its `HOST:PORT`. Each is reported once, when it begins. */
export type ShipEvent =
  /** `lagRecords`: records on disk that are not sent yet. */
  | { readonly kind: 'ship-connected'; readonly sink: string; readonly lagRecords: number }
  | {
      readonly kind: 'ship-away';
      readonly sink: string;
      readonly code: ShipFaultCode;
      readonly text: string;
      readonly lagRecords: number;
    }
  /** Records that this receiver will never get: they were removed before they were sent, or are damaged. */
  | { readonly kind: 'ship-missing'; readonly sink: string; readonly from: number; readonly to: number }
  | { readonly kind: 'ship-damaged'; readonly sink: string; readonly text: string }
  /** Records are sent again: the journal is another one, the position is unknown, or the receiver lost some. */
  | { readonly kind: 'ship-restarted'; readonly sink: string; readonly text: string }
  /** The receiver holds another journal under this journal's id: it gets no more of this one. */
  | { readonly kind: 'audit-forked'; readonly sink: string; readonly text: string }
  /** The position cannot be written to disk: after a restart more than necessary would be sent again. */
  | { readonly kind: 'ship-position-failed'; readonly sink: string; readonly text: string };

/** Reports an event. Never throws, never delays, is never awaited. */
export type Observe = (event: EngineEvent) => void;
