// How an exchange ended, as one total function from the cause to everything that is made of it: what the client is
// told, what is journaled, counted and logged. They cannot disagree, because nothing else decides any of them.
// The rule: a text without its final dot is never carried out by a backend (measured on 2.3.13 to 2.4.5), so such an ending is
// no `unknown`.

import type { RecordedOutcome } from '../../domain/audit/record.js';
import type { ObstacleCode, UnjudgeableCode } from '../../domain/policy/assess.js';
import {
  JournalFault,
  TransportFault,
  UpstreamFault,
  type UpstreamFaultCode,
  WireFault,
  type WireFaultCode,
} from '../../ports/faults.js';
import type { Status } from '../../protocol/reply/reply.js';

/** Levels of our own log. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What follows from an ending. */
export interface Verdict {
  /** Code of the status line for the client (`''` is `+`); undefined: the backend's own status line is passed on. */
  readonly code: string | undefined;
  readonly outcome: RecordedOutcome;
  /** Code for the record's `error` key. */
  readonly error: ErrorCode | undefined;
  /** One sentence: for the client's log channel (if it has one and `isTold`) and for our log. */
  readonly text: string | undefined;
  /** Whether the sentence is for the client too. */
  readonly isTold: boolean;
  readonly level: LogLevel;
}

/** Every word of the key. */
export type ErrorCode =
  | UnjudgeableCode
  | ObstacleCode
  | UpstreamFaultCode
  /** What the backend said is not of the protocol. */
  | `reply-${WireFaultCode}`
  /** The auth service could not say who is meant; what follows is the code of the lookup. */
  | `lookup-${string}`
  | 'audit-failed'
  | 'audit-reserve'
  | 'audit-share'
  | 'backend-drained'
  | 'client-gone'
  | 'client-slow'
  | 'client-stall'
  | 'draining'
  | 'early-answer'
  | 'input-command-like'
  | 'input-cut'
  | 'input-late'
  | 'input-too-long'
  | 'internal'
  | 'killed'
  | 'limits-full'
  | 'no-route'
  | 'over-limit'
  | 'over-share'
  | 'queue-full'
  | 'queue-timeout'
  | 'referral';

/** Why an exchange is over. */
export type Ending =
  /** `peer`: whether the client was there to take the whole reply. */
  | {
      readonly kind: 'replied';
      readonly status: Status;
      readonly peer: 'ready' | 'client-stall' | 'client-slow' | 'over-share' | 'client-gone';
    }
  /** One of our own commands was answered here. */
  | { readonly kind: 'answered' }
  | { readonly kind: 'denied'; readonly reason: string; readonly policy: string }
  | { readonly kind: 'unparsable'; readonly code: UnjudgeableCode | ObstacleCode; readonly reason: string }
  /**
   * `policy`: whose limit; undefined: the rate of questions to dovegate itself. `retryAfterMs`: when it would be within the limits
   * again; undefined: the tables are full.
   */
  | {
      readonly kind: 'limited';
      readonly policy: string | undefined;
      readonly retryAfterMs: number | undefined;
    }
  | { readonly kind: 'unroutable'; readonly reason: string }
  /** The userdb could not say who is meant; `code` says why. */
  | { readonly kind: 'unresolved'; readonly code: string }
  | {
      readonly kind: 'refused';
      readonly why: 'queue-full' | 'queue-timeout' | 'draining' | 'audit-reserve' | 'audit-share';
    }
  /** An operator, or the configuration, took it out of service. */
  | { readonly kind: 'drained'; readonly backend: string }
  /** A fault that was thrown; `isSent`: whether a byte of the command went upstream. */
  | { readonly kind: 'fault'; readonly fault: unknown; readonly isSent: boolean; readonly backend: string }
  /** The backend took longer than the deadline of the command's effect, or fell silent within its reply. */
  | { readonly kind: 'reply-timeout'; readonly backend: string }
  /** `target`: where the backend points; undefined: it said nothing that could be read. `reason`: why it was not followed. */
  | {
      readonly kind: 'referral';
      readonly backend: string;
      readonly target: Status['referral'];
      readonly reason?: string;
    }
  /** One ending made of those on several backends; `code` is `''` for success. */
  | {
      readonly kind: 'joined';
      readonly code: string;
      readonly outcome: RecordedOutcome;
      readonly error: ErrorCode | undefined;
      readonly text: string | undefined;
    }
  /** We stop, and the time for what runs is over; or an operator ended it. */
  | { readonly kind: 'cut-off'; readonly isSent: boolean; readonly by?: 'operator' }
  | { readonly kind: 'client-gone'; readonly isSent: boolean }
  | { readonly kind: 'client-stall' }
  /** Others waited for the backend, and it read less than it must then. */
  | { readonly kind: 'client-slow' }
  /** Others had waited long for the backend, and its principal held more upstreams than its share. */
  /** `isSent` false: it was the search before the command. */
  | { readonly kind: 'over-share'; readonly isSent?: false }
  /** The client's text will never be whole: what went upstream of it has no end. `command-like`: sent on, it would not be safe. */
  | { readonly kind: 'input-ended'; readonly why: InputEnd }
  /** The backend did not wait for the end of the text: it said something, or broke off. */
  | {
      readonly kind: 'input-refused';
      readonly backend: string;
      readonly answer: Status | 'no-status' | 'broke-off';
    }
  /** A command that streams both ways: the backend had said `+`, and this is how it came to its end. */
  | { readonly kind: 'duplex-ended'; readonly backend: string; readonly how: DuplexEnd };

/** Why a client's text will never be whole. */
export type InputEnd = 'cut' | 'too-long' | 'late' | 'slow' | 'over-share' | 'command-like';

/**
 * How a command that streams both ways ended. `ended`: one side closed in order; either does when both are done. Whether they got
 * what they wanted stands in bytes that are not read here.
 */
export type DuplexEnd =
  | 'ended'
  | 'backend-broke'
  | 'idle'
  | 'client-stall'
  | 'client-gone'
  | 'draining'
  | 'killed';

const refusals = {
  'queue-full': 'too many commands are waiting; try again',
  'queue-timeout': 'no upstream became free in time; try again',
  draining: 'dovegate is stopping; try again',
  'audit-reserve': 'the disk of the audit records is full: only commands for emergencies are served',
  'audit-share':
    'the audit journal is nearly full, and most of it comes from this account: send fewer commands, or ask the operators to raise audit.max_size',
} as const;

/** The client is told this code and the sentence. */
function told(
  code: string,
  outcome: RecordedOutcome,
  error: ErrorCode | undefined,
  text: string,
  level: LogLevel = 'warn',
): Verdict {
  return { code, outcome, error, text, isTold: true, level };
}

/** The client reads no sentence. Without a code its status is the backend's, or none can be told any more. */
function untold(
  code: string | undefined,
  outcome: RecordedOutcome,
  error: ErrorCode | undefined,
  level: LogLevel,
  text?: string,
): Verdict {
  return { code, outcome, error, text, isTold: false, level };
}

/**
 * Nearly every exchange comes to this one. What simply went well has its records: a line of the log for each would be most of
 * the log, and cost more than they do.
 */
const wentWell = untold(undefined, 'ok', undefined, 'debug');

const inputEnds: Readonly<Record<InputEnd, Verdict>> = {
  cut: told('TEMPFAIL', 'aborted', 'input-cut', 'the input ended before its final dot: not done'),
  'too-long': told('DATAERR', 'limited', 'input-too-long', 'the input is longer than limits.input: not done'),
  late: told(
    'TEMPFAIL',
    'timeout',
    'input-late',
    'the input was not complete within limits.input_time: not done',
  ),
  slow: told(
    'TEMPFAIL',
    'aborted',
    'client-slow',
    'the input came slower than limits.min_rate while others waited for the backend: not done',
  ),
  'over-share': told(
    'TEMPFAIL',
    'aborted',
    'over-share',
    'the input was ended because others waited for the backend and this client held more than its share: not done',
  ),
  'command-like': told(
    'DATAERR',
    'failed',
    'input-command-like',
    'a line of the input could become a command if this backend were stopped within it: not done',
  ),
};

/** The verdict on an ending; total. `isSeveral`: the command changes several things, of which a failed one may have done some. */
export function judgeEnding(ending: Ending, isSeveral = false): Verdict {
  switch (ending.kind) {
    case 'replied': {
      const isOk = ending.status.kind === 'ok';
      if (isOk && ending.peer === 'ready') return wentWell;
      const error = ending.peer === 'ready' ? undefined : ending.peer;
      return untold(undefined, isOk ? 'ok' : failedAs(ending.status, isSeveral), error, 'info');
    }
    case 'answered':
      return untold('', 'ok', undefined, 'info');
    case 'denied':
      return told('NOPERM', 'denied', undefined, `denied by policy ${ending.policy} (${ending.reason})`);
    case 'unparsable':
      return told('USAGE', 'unparsable', ending.code, `not understood, so not sent: ${ending.reason}`);
    case 'limited': {
      const { policy, retryAfterMs } = ending;
      const limit = policy === undefined ? '60 questions a minute' : `a limit of policy ${policy}`;
      if (retryAfterMs === undefined) {
        return told('TEMPFAIL', 'limited', 'limits-full', `over ${limit}; try again`);
      }
      const text = `over ${limit}; try again in ${Math.ceil(retryAfterMs / 1000)} s`;
      return told('TEMPFAIL', 'limited', 'over-limit', text);
    }
    case 'unroutable':
      return told('TEMPFAIL', 'failed', 'no-route', ending.reason);
    case 'unresolved': {
      const text = `the userdb could not be asked who is meant (${ending.code}); try again`;
      return told('TEMPFAIL', 'failed', `lookup-${ending.code}`, text);
    }
    case 'refused': {
      const outcome = ending.why === 'audit-share' ? 'limited' : 'failed';
      return told('TEMPFAIL', outcome, ending.why, refusals[ending.why]);
    }
    case 'drained': {
      const text = `backend ${ending.backend} is drained; try again when it is back in service`;
      return told('TEMPFAIL', 'failed', 'backend-drained', text);
    }
    case 'fault':
      return judgeFault(ending.fault, ending.isSent, ending.backend);
    case 'reply-timeout': {
      const text = `backend ${ending.backend} did not answer in time`;
      return told('TEMPFAIL', 'timeout', 'reply-timeout', text);
    }
    case 'referral': {
      const text = `backend ${ending.backend} refers to another host, ${ending.reason ?? 'and nobody followed'}`;
      return told('TEMPFAIL', 'failed', 'referral', text);
    }
    case 'joined': {
      const { code, outcome, error, text = '' } = ending;
      if (code === '') return untold(code, outcome, error, 'debug');
      return told(code, outcome, error, `not every backend answered: ${text}`);
    }
    case 'cut-off':
      return judgeCutOff(ending.isSent, ending.by);
    case 'client-gone':
      return untold('TEMPFAIL', 'aborted', 'client-gone', 'info', 'the client left');
    case 'client-stall':
      return untold('TEMPFAIL', 'aborted', 'client-stall', 'warn', 'the client does not read');
    case 'client-slow': {
      const text = 'the reply was read slower than limits.min_rate while others waited for the backend';
      return told('TEMPFAIL', 'aborted', 'client-slow', text);
    }
    case 'over-share': {
      const what = ending.isSent === false ? 'the search before the command' : 'the reply';
      const done = ending.isSent === false ? ': not done' : '';
      const text = `${what} was ended because others waited for the backend and this client held more than its share${done}`;
      return told('TEMPFAIL', 'aborted', 'over-share', text);
    }
    case 'input-ended':
      return inputEnds[ending.why];
    case 'input-refused':
      return judgeRefusedInput(ending.backend, ending.answer);
    case 'duplex-ended':
      return judgeDuplex(ending.backend, ending.how);
    default:
      return ending satisfies never;
  }
}

/** A backend that does not know the user of a line has done nothing. */
function failedAs({ code }: Status, isSeveral: boolean): RecordedOutcome {
  return isSeveral && code !== 'NOUSER' ? 'partly' : 'failed';
}

/** Sentences of commands of which nothing was sent. */
const tryAgain = new RegExp(
  `^(?:${[
    'over (?:60 questions a minute|a limit of policy .+); try again(?: in (\\d+) s)?',
    'too many commands are waiting; try again',
    'no upstream became free in time; try again',
    'dovegate is stopping; try again',
    'the userdb could not be asked who is meant \\([\\w-]+\\); try again',
    'the configuration changed while the command waited; try again',
    'the backend turned out to be Dovecot [\\d.]+; try again',
    'backend \\S+ is drained; try again when it is back in service',
    'backend \\S+ is not reachable \\([\\w-]+\\)',
    'more than \\d+ sessions(?: of .+)? at once',
  ].join('|')})$`,
);

/**
 * For a client that got `-TEMPFAIL` with this sentence, as it came: the same command may be sent again, a change too, since nothing of it
 * was sent. `afterMs`: when it may succeed. Undefined: nobody can tell, or it would fail again.
 */
export function readTryAgain(said: string): { readonly afterMs: number | undefined } | undefined {
  const found = tryAgain.exec(withoutFrame(said));
  if (found === null) return undefined;
  return { afterMs: found[1] === undefined ? undefined : Number(found[1]) * 1000 };
}

const mayHaveRun =
  /^backend .* (?:did not answer in time|sent what is not of the protocol \([\w-]+\))$|whether the command ran is not known$|^(?:the audit record could not be written|internal error of dovegate|the reply was (?:read slower than|ended because) .*)$/s;

/** For a client that got `-TEMPFAIL` with this sentence, as it came: the command may have run, wholly or in part. */
export function saysMayHaveRun(said: string): boolean {
  return mayHaveRun.test(withoutFrame(said));
}

/** A sentence without what the client's log channel has around it. */
function withoutFrame(said: string): string {
  return said.replace(/^dovegate: /, '').replace(/, id [0-9A-Z]{26}$/, '');
}

function judgeFault(fault: unknown, isSent: boolean, backend: string): Verdict {
  const outcome = isSent ? 'unknown' : 'failed';
  if (fault instanceof JournalFault) {
    return told('TEMPFAIL', outcome, 'audit-failed', 'the audit record could not be written', 'error');
  }
  if (fault instanceof UpstreamFault) {
    const text = isSent
      ? `backend ${backend} broke off (${fault.code}); whether the command ran is not known`
      : `backend ${backend} is not reachable (${fault.code})`;
    return told('TEMPFAIL', outcome, fault.code, text);
  }
  if (fault instanceof WireFault) {
    const text = `backend ${backend} sent what is not of the protocol (${fault.code})`;
    return told('TEMPFAIL', outcome, `reply-${fault.code}`, text);
  }
  if (fault instanceof TransportFault) {
    const text = isSent
      ? `backend ${backend} broke off; whether the command ran is not known`
      : `the way to backend ${backend} broke`;
    return told('TEMPFAIL', outcome, 'closed-early', text);
  }
  return told('TEMPFAIL', outcome, 'internal', 'internal error of dovegate', 'error');
}

function judgeCutOff(isSent: boolean, by: 'operator' | undefined): Verdict {
  const outcome = isSent ? 'unknown' : 'failed';
  const unknown = isSent ? '; whether the command ran is not known' : '';
  if (by === 'operator') return told('TEMPFAIL', outcome, 'killed', `an operator ended it${unknown}`);
  const text = isSent ? `dovegate had to stop${unknown}` : refusals.draining;
  return told('TEMPFAIL', outcome, 'draining', text);
}

function judgeRefusedInput(backend: string, answer: Status | 'no-status' | 'broke-off'): Verdict {
  if (answer === 'broke-off') {
    const text = `backend ${backend} broke off within the input: not done`;
    return told('TEMPFAIL', 'failed', 'closed-early', text);
  }
  if (answer !== 'no-status' && answer.kind === 'failed') {
    const text = `backend ${backend} refused the command before its input was complete`;
    return told(answer.code, 'failed', 'early-answer', text);
  }
  const text = `backend ${backend} answered before the input was complete; whether the command ran is not known`;
  return told('TEMPFAIL', 'unknown', 'early-answer', text);
}

/** The backend has said `+` before, and nothing can be told to the client any more. */
function judgeDuplex(backend: string, how: DuplexEnd): Verdict {
  switch (how) {
    case 'ended':
      return untold(undefined, 'ok', undefined, 'info');
    case 'backend-broke':
      return untold(undefined, 'unknown', 'closed-early', 'warn', `backend ${backend} broke off`);
    case 'idle': {
      const text = `nothing came from the client or backend ${backend}`;
      return untold(undefined, 'timeout', 'reply-timeout', 'warn', text);
    }
    case 'client-stall':
      return untold(undefined, 'aborted', 'client-stall', 'warn', 'the client does not read');
    case 'client-gone':
      return untold(undefined, 'aborted', 'client-gone', 'info', 'the client left');
    case 'draining':
      return untold(undefined, 'unknown', 'draining', 'warn', 'dovegate had to stop');
    case 'killed':
      return untold(undefined, 'unknown', 'killed', 'warn', 'an operator ended it');
    default:
      return how satisfies never;
  }
}
