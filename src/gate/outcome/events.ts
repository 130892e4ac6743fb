// The events for observers: one closed union. An event is its own line of the log: its maker gives code, level, sentence and keys. It holds
// no secret and no undecoded bytes.

import type { DecisionCode } from '../../doveadm/codes/decisions.js';
import type { LogLine, LogType } from '../../doveadm/reply/reply.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import type { UpstreamFaultCode } from '../../host/ports/faults.js';
import type { RecordedOutcome } from '../../journal/records/keys.js';
import type { KeyRefusal } from '../../rules/keys/key.js';
import type { OutcomeKind } from '../../rules/policy/outcome.js';
import type { RulePlace } from '../../rules/policy/policy.js';
import type { ErrorCode, LogLevel } from './outcome.js';

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

/**
 * Kinds of events that are counted above a rate, each by itself: the key `action` of a `limit` record. `refused`: commands that count as
 * denied; `unsent`: others that were not sent; `question`: what dovegate answered itself; `page-refused`: requests of people to the page.
 */
export const floodKinds = [
  'refused',
  'unsent',
  'question',
  'page-refused',
  'session',
  'turned-away',
  'login-failed',
] as const;
export type FloodKind = (typeof floodKinds)[number];

/** An exchange ended; observed once for each, refused ones included. Its line is made where it is written (`exchangeLine`). */
export interface ExchangeEnded {
  readonly kind: 'exchange-ended';
  readonly exchange: ExchangeNames;
  readonly backend: string | undefined;
  readonly upstream: string | undefined;
  readonly decision: 'allow' | 'deny';
  readonly policy: string;
  /** What a candidate for the policy would have made of it; undefined: the same, or there is none. */
  readonly shadow: OutcomeKind | undefined;
  readonly denial: DecisionCode | undefined;
  readonly rule: RulePlace | undefined;
  readonly outcome: RecordedOutcome;
  /** The status line that the client got, without LF. */
  readonly status: string;
  /** Undefined: not logged, as one of a flood of refusals; `flood` says how many. */
  readonly level: LogLevel | undefined;
  readonly error: ErrorCode | undefined;
  /** The sentence for the client, or for the log alone if the client gets none. */
  readonly text: string | undefined;
  /** The sentence repeats words of a client or a backend, which not everybody may read. */
  readonly isQuoting: boolean;
  /** The id of the lock or hold that stopped it. */
  readonly lock?: string | undefined;
  /** Whether a byte of the command went upstream. */
  readonly isSent: boolean;
  /** Bytes of the reply as the backend sent them, and all bytes sent to the client. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes of the client's input (a text, or its half of a duplex exchange) after a command that went upstream. */
  readonly bytesUp: number;
  readonly waitMs: number | undefined;
  readonly durationMs: number;
}

/** Why a login was refused. It is deliberately unknown here whether the name or the password was wrong. */
export const loginFailures = {
  failed: 'wrong name, password or key',
  crowded: 'too many login attempts at once, so this one was not checked',
  gone: 'login attempt canceled by the client',
  'in-clear':
    'a password or key came without TLS, and may be known now: change it, and let that client use TLS (doveadm_port and doveadm_ssl, or https)',
  malformed: 'a login that is malformed, or that this listener does not permit',
  ambiguous: 'a certificate that fits several accounts, so it proves none',
  'tls-failed': 'the TLS handshake failed',
} as const;
export type LoginFailure = keyof typeof loginFailures;

/** Accepted by its hash, by a recent login, or by a client certificate; or why a login was refused. */
export type LoginResult = 'ok' | 'remembered' | 'certificate' | LoginFailure;

/** A line of the log: `kind` is its code, and all keys but `level` and `text` are its keys, as fixed as those of records. */
export interface EventLine<Kind extends string> {
  readonly kind: Kind;
  /** Undefined: it is only counted. */
  readonly level: LogLevel | undefined;
  readonly text?: string | undefined;
  readonly [key: string]: string | number | boolean | undefined;
}

interface Counted<Kind extends string> extends EventLine<Kind> {
  readonly level: undefined;
}

export interface BackendLog extends EventLine<'backend-log'> {
  readonly backend: string;
  readonly upstream: string;
  readonly type: LogType;
  readonly text: string;
}

export interface LoginFailed extends EventLine<'login-failed'> {
  readonly listener: string;
  readonly type: LoginFailure;
  readonly address: string | undefined;
  /** As the peer sent it, cut and made safe to show; unverified. */
  readonly account: string | undefined;
  /** Why a key of the listener was refused, and `account` is the key's name; undefined: it was no key, or another listener's. */
  readonly why: KeyRefusal | undefined;
}

export interface SessionRefused extends EventLine<'session-refused'> {
  readonly listener: string;
  readonly principal: string | undefined;
}

/** All events for observers. The keys that are named here are read by more than the log. */
export type EngineEvent =
  | ExchangeEnded
  | BackendLog
  | LoginFailed
  | SessionRefused
  | (Counted<'login'> & { readonly listener: string; readonly type: Exclude<LoginResult, LoginFailure> })
  /** A request of an HTTP listener was answered. */
  | (Counted<'http-request'> & { readonly listener: string; readonly status: number })
  | (EventLine<'upstream-opened'> & { readonly backend: string })
  | (EventLine<'dial-failed'> & { readonly backend: string; readonly type: UpstreamFaultCode })
  | (EventLine<'backend-down'> & { readonly backend: string; readonly type: UpstreamFaultCode })
  | (EventLine<'backend-up' | 'backend-removed'> & { readonly backend: string; readonly duration_ms: number })
  | (EventLine<'audit-failed'> & { readonly text: string })
  | EventLine<
      | 'session-opened'
      | 'session-closed'
      | 'flood'
      | 'command-overdue'
      | 'upstream-closed'
      | 'password-unread'
      | 'backend-newer'
      | 'lookup-failing'
      | 'lookup-working'
    >;

export const isEngineEvent = predicateOf<EngineEvent>();

/** Reports an event. Never throws, never delays, is never awaited. */
export type Observe = (event: EngineEvent) => void;

const levelOfType = {
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  fatal: 'error',
  panic: 'error',
} as const;

export function backendLog(
  backend: string,
  upstream: string,
  { type, text }: Pick<LogLine, 'type' | 'text'>,
  exchange?: ExchangeNames,
): BackendLog {
  return { kind: 'backend-log', level: levelOfType[type], ...exchange, backend, upstream, type, text };
}

/** The log's codes for exchanges: a refusal has the name of its outcome. `failed` without an error is the backend's own status. */
const codeOf = {
  ok: 'exchange',
  denied: 'denied',
  unparsable: 'unparsable',
  limited: 'limited',
  failed: 'exchange-failed',
  partly: 'exchange-failed',
  unknown: 'exchange-failed',
  timeout: 'exchange-failed',
  aborted: 'exchange-aborted',
} as const satisfies Readonly<Record<RecordedOutcome, string>>;

export type ExchangeCode = (typeof codeOf)[RecordedOutcome];

export function exchangeLine(event: ExchangeEnded): EventLine<ExchangeCode> {
  const { exchange, backend, upstream, decision, outcome, status, error, level, text } = event;
  const isReplied = (outcome === 'failed' || outcome === 'partly') && error === undefined;
  const kind = isReplied ? 'exchange' : codeOf[outcome];
  const named = { kind, level, text, ...exchange, backend, upstream, decision, outcome, status, error };
  return { ...named, bytes: event.bytesOut, duration_ms: toMicroseconds(event.durationMs) };
}

export function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
