// How an exchange ended: one total function from the cause to the client's answer, the record, the metric and the log line. They cannot
// disagree, because nothing else decides any of them. A backend never carries out a text without its final dot (measured on 2.3.13 to
// 2.4.5), so such an ending is not `unknown`.

import { type Code, codes, sentenceOf } from '../../doveadm/codes/codes.js';
import type { DecisionCode } from '../../doveadm/codes/decisions.js';
import type { Status } from '../../doveadm/reply/reply.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { JournalFault, TransportFault, UpstreamFault, WireFault } from '../../host/ports/faults.js';
import type { RecordedOutcome } from '../../journal/records/keys.js';
import type { UnjudgeableCode } from '../../rules/policy/judge.js';
import type { ObstacleCode } from '../../rules/policy/route.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Verdict {
  /** Code of the status line for the client (`''` is `+`); undefined: the backend's own status line is passed on. */
  readonly code: string | undefined;
  readonly outcome: RecordedOutcome;
  readonly error: ErrorCode | undefined;
  /** One sentence: for our log, and for the client where `clientCode` is set. */
  readonly text: string | undefined;
  /** The sentence repeats words of a client or a backend, which not everybody may read. */
  readonly isQuoting?: boolean;
  /** The code that the client reads with the sentence; undefined: the client gets neither. */
  readonly clientCode: Code | undefined;
  readonly retryAfterS: number | undefined;
  readonly level: LogLevel;
  /** Set if, and only if, policy denied it. */
  readonly denial?: DecisionCode;
  readonly lock?: string;
}

/** Every value of the key `error`; `lookup-` is followed by the code of the look-up. */
export type ErrorCode = Code | `lookup-${string}`;

export type Ending =
  /**
   * `peer`: whether the client was able to take the whole reply; `reply-timeout`: it was answered at the deadline, before the backend
   * replied.
   */
  | {
      readonly kind: 'replied';
      readonly status: Status;
      readonly peer:
        | 'ready'
        | 'client-stall'
        | 'client-slow'
        | 'over-share'
        | 'client-gone'
        | 'reply-timeout';
    }
  /** The backend's own settings do not allow the command: nothing ran. */
  | { readonly kind: 'backend-refused'; readonly backend: string }
  | { readonly kind: 'answered' }
  /** `request`: the command that asks for access; undefined: no request could lift the denial. */
  | {
      readonly kind: 'denied';
      readonly reason: string;
      readonly policy: string;
      readonly code: DecisionCode;
      readonly request?: string | undefined;
    }
  | { readonly kind: 'grant-over'; readonly grant: string; readonly policy: string }
  /** `lock`: the id of the lock that stops it. */
  | {
      readonly kind: 'locked';
      readonly code: 'locked' | 'held' | 'lock-unread';
      readonly lock: string;
      /** Whether the sentence may say whose mailbox it is, for a lock of a mail user. */
      readonly isNamed: boolean;
      readonly values: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'access'; readonly code: AccessCode; readonly reason: string }
  | { readonly kind: 'unparsable'; readonly code: UnjudgeableCode | ObstacleCode; readonly reason: string }
  /** `limit`: its name and size. `retryAfterMs`: the time until the command is within the limit again; undefined: the tables are full. */
  | { readonly kind: 'limited'; readonly limit: string; readonly retryAfterMs: number | undefined }
  | { readonly kind: 'unroutable'; readonly reason: string }
  | { readonly kind: 'unresolved'; readonly code: string }
  | {
      readonly kind: 'refused';
      readonly why:
        | 'queue-full'
        | 'queue-timeout'
        | 'draining'
        | 'audit-reserve'
        | 'audit-share'
        | 'changed-meanwhile';
    }
  | { readonly kind: 'drained'; readonly backend: string }
  /** A fault that was thrown; `isSent`: whether a byte of the command went upstream. */
  | { readonly kind: 'fault'; readonly fault: unknown; readonly isSent: boolean; readonly backend: string }
  /** The backend exceeded the deadline of the command's effect, or stopped sending within its reply. */
  | { readonly kind: 'reply-timeout'; readonly backend: string }
  /** The same command, of exchange `first`, got no answer within its deadline and may still run. */
  | { readonly kind: 'still-running'; readonly first: string; readonly backend: string }
  /** `target`: where the backend points; undefined: its answer was not readable. `reason`: why it was not followed. */
  | {
      readonly kind: 'referral';
      readonly backend: string;
      readonly target: Status['referral'];
      readonly reason?: string;
    }
  /** One ending for several backends; `code` is `''` for success. */
  | {
      readonly kind: 'joined';
      readonly code: string;
      readonly outcome: RecordedOutcome;
      readonly error: ErrorCode | undefined;
      readonly text: string | undefined;
      readonly isQuoting?: boolean;
    }
  /** The daemon stops and the time for running commands is over; or an operator, or the end of its grant, ended this one. */
  | { readonly kind: 'cut-off'; readonly isSent: boolean; readonly by?: 'operator' | 'grant' }
  | { readonly kind: 'client-gone'; readonly isSent: boolean }
  | { readonly kind: 'client-stall' }
  /** Others waited for the backend, and the client read less than the minimum rate. */
  | { readonly kind: 'client-slow' }
  /** Others had waited long for the backend, and its principal had more than its share. `isSent` false: the search before it was ended. */
  | { readonly kind: 'over-share'; readonly isSent?: false }
  /** The client's text will never be complete: the part that went upstream has no end. `command-like`: it would not be safe to send it. */
  | { readonly kind: 'input-ended'; readonly why: InputEnd }
  | {
      readonly kind: 'input-refused';
      readonly backend: string;
      readonly answer: Status | 'no-status' | 'broke-off';
    }
  /** A command that streams both ways, after the backend's `+`; `how`: which side ended it. */
  | { readonly kind: 'duplex-ended'; readonly backend: string; readonly how: DuplexEnd };

export const isEnding = predicateOf<Ending>();

export type InputEnd = 'cut' | 'too-long' | 'late' | 'slow' | 'over-share' | 'command-like';

/**
 * How a command that streams both ways ended. `ended`: one side closed in order; either side does so when both are done. Success or failure
 * is in bytes that are not parsed here.
 */
export type DuplexEnd =
  | 'ended'
  | 'backend-broke'
  | 'idle'
  | 'client-stall'
  | 'client-gone'
  | 'draining'
  | 'killed';

function withSentence(
  outcome: RecordedOutcome,
  code: Code,
  values: Readonly<Record<string, string>> = {},
  more: Partial<Verdict> = {},
): Verdict {
  const text = sentenceOf(code, values);
  const { status } = codes[code];
  return {
    code: status,
    outcome,
    error: code,
    text,
    clientCode: code,
    retryAfterS: undefined,
    level: 'warn',
    ...more,
  };
}

/** An ending without a sentence for the client. Without a code, the status is the backend's, or none can be sent any more. */
function withoutSentence(
  code: string | undefined,
  outcome: RecordedOutcome,
  error: ErrorCode | undefined,
  level: LogLevel,
  text?: string,
): Verdict {
  return { code, outcome, error, text, clientCode: undefined, retryAfterS: undefined, level };
}

/** For an error whose code alone would mean that nothing ran. `reason`: the start of a sentence. */
function mayHaveRun(
  outcome: RecordedOutcome,
  error: Code,
  reason: string,
  level: LogLevel = 'warn',
): Verdict {
  return withSentence(outcome, 'outcome-unknown', { reason }, { error, level });
}

/** For an error whose code alone would mean that it may have run. `reason`: a sentence. */
function notDone(outcome: RecordedOutcome, error: Code, reason: string, code = 'TEMPFAIL'): Verdict {
  return withSentence(outcome, 'not-done', { reason }, { error, code });
}

/** The most frequent verdict. Success has its records: a log line for each would be most of the log, and cost more than they do. */
const wentWell = withoutSentence(undefined, 'ok', undefined, 'debug');

const searchOverShare = notDone(
  'aborted',
  'over-share',
  'the search before the command was ended because others waited for the backend and this client held more than its share: not done',
);

const inputEnds: Readonly<Record<InputEnd, Verdict>> = {
  cut: withSentence('aborted', 'input-cut'),
  'too-long': withSentence('limited', 'input-too-long'),
  late: withSentence('timeout', 'input-late'),
  slow: notDone(
    'aborted',
    'client-slow',
    'the input came slower than limits.min_rate while others waited for the backend: not done',
  ),
  'over-share': notDone(
    'aborted',
    'over-share',
    'the input was ended because others waited for the backend and this client held more than its share: not done',
  ),
  'command-like': withSentence('failed', 'input-command-like'),
};

/** The verdict on an ending; total. `isSeveral`: the command changes several things, so a failed one may have done a part. */
export function judgeEnding(ending: Ending, isSeveral = false): Verdict {
  switch (ending.kind) {
    case 'replied': {
      const isOk = ending.status.kind === 'ok';
      if (isOk && ending.peer === 'ready') return wentWell;
      const error = ending.peer === 'ready' ? undefined : ending.peer;
      const outcome = isOk ? 'ok' : failedAs(ending.status, isSeveral);
      const late =
        error === 'reply-timeout'
          ? `answered after the deadline: ${isOk ? '+' : `-${ending.status.code}`}`
          : undefined;
      return withoutSentence(undefined, outcome, error, 'info', late);
    }
    case 'backend-refused':
      return withSentence('failed', ending.kind, { backend: ending.backend });
    case 'answered':
      return withoutSentence('', 'ok', undefined, 'info');
    case 'denied': {
      const { policy, reason, request, code: denial } = ending;
      const more = { denial, isQuoting: true };
      if (request !== undefined) return withSentence('denied', 'on-request', { policy, request }, more);
      return withSentence('denied', 'denied', { policy, reason }, { ...more, error: undefined });
    }
    case 'grant-over':
      return withSentence('denied', 'grant-over', { reason: ending.grant });
    case 'locked':
      return withSentence('denied', ending.code, ending.values, {
        lock: ending.lock,
        isQuoting: ending.isNamed && ending.values['target']?.startsWith('user ') === true,
      });
    case 'access':
      return judgeAccess(ending.code, ending.reason);
    case 'unparsable':
      return withSentence('unparsable', ending.code, { reason: ending.reason }, { isQuoting: true });
    case 'limited': {
      const { limit, retryAfterMs } = ending;
      if (retryAfterMs === undefined) return withSentence('limited', 'limits-full', { limit });
      return withSentence(
        'limited',
        'over-limit',
        { limit },
        { retryAfterS: Math.ceil(retryAfterMs / 1000) },
      );
    }
    case 'unroutable':
      return withSentence('failed', 'no-route', { reason: ending.reason }, { isQuoting: true });
    case 'unresolved': {
      const { code: reason } = ending;
      return withSentence('failed', 'lookup-failed', { reason }, { error: `lookup-${reason}` });
    }
    case 'refused':
      return withSentence(ending.why === 'audit-share' ? 'limited' : 'failed', ending.why);
    case 'drained':
      return withSentence('failed', 'backend-drained', { backend: ending.backend });
    case 'fault':
      return judgeFault(ending.fault, ending.isSent, ending.backend);
    case 'reply-timeout':
      return withSentence('timeout', 'reply-timeout', { backend: ending.backend });
    case 'still-running':
      return withSentence('failed', ending.kind, { first: ending.first, backend: ending.backend });
    case 'referral': {
      const { backend, reason = 'and nobody followed' } = ending;
      return withSentence('failed', 'referral', { backend, reason });
    }
    case 'joined': {
      const { code, outcome, error, text: reason = '', isQuoting = false } = ending;
      if (code === '') return withoutSentence(code, outcome, error, 'debug');
      return withSentence(outcome, 'not-all-backends', { reason }, { code, error, isQuoting });
    }
    case 'cut-off':
      return judgeCutOff(ending.isSent, ending.by);
    case 'client-gone':
      return withoutSentence('TEMPFAIL', 'aborted', 'client-gone', 'info', 'the client left');
    case 'client-stall':
      return withoutSentence('TEMPFAIL', 'aborted', 'client-stall', 'warn', 'the client does not read');
    case 'client-slow':
      return withSentence('aborted', ending.kind);
    case 'over-share':
      return ending.isSent === false ? searchOverShare : withSentence('aborted', ending.kind);
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

export type AccessCode = Extract<Code, `access-${string}`>;

function judgeAccess(code: AccessCode, reason: string): Verdict {
  const isDenial = codes[code].status !== 'TEMPFAIL';
  const outcome = code === 'access-limit' ? 'limited' : isDenial ? 'denied' : 'failed';
  // A denial holds words of the policy and of the system only.
  return withSentence(outcome, code, { reason }, { isQuoting: code !== 'access-denied' });
}

/** A backend without the line's user has done nothing. */
function failedAs({ code }: Status, isSeveral: boolean): RecordedOutcome {
  return isSeveral && code !== 'NOUSER' ? 'partly' : 'failed';
}

function judgeFault(fault: unknown, isSent: boolean, backend: string): Verdict {
  if (fault instanceof JournalFault) {
    const code = 'audit-failed';
    return isSent
      ? mayHaveRun('unknown', code, sentenceOf(code), 'error')
      : withSentence('failed', code, {}, { level: 'error' });
  }
  if (fault instanceof UpstreamFault) {
    const { code } = fault;
    const values = { backend, reason: code };
    const isOpen = codes[code].repeat === 'unsafe';
    if (isSent === isOpen) return withSentence(isSent ? 'unknown' : 'failed', code, values);
    return isSent
      ? mayHaveRun('unknown', code, `backend ${backend} broke off (${code})`)
      : notDone('failed', code, `backend ${backend} is not reachable (${code})`);
  }
  if (fault instanceof WireFault) {
    const code = `reply-${fault.code}` as const;
    const values = { backend, reason: fault.code };
    return isSent ? withSentence('unknown', code, values) : notDone('failed', code, sentenceOf(code, values));
  }
  if (fault instanceof TransportFault) {
    return isSent
      ? withSentence('unknown', 'closed-early', { backend })
      : notDone('failed', 'closed-early', `the way to backend ${backend} broke`);
  }
  return withSentence(isSent ? 'unknown' : 'failed', 'internal', {}, { level: 'error' });
}

function judgeCutOff(isSent: boolean, by: 'operator' | 'grant' | undefined): Verdict {
  const code = by === 'operator' ? 'killed' : by === 'grant' ? 'grant-ended' : 'draining';
  if (!isSent) return withSentence('failed', code);
  return mayHaveRun('unknown', code, code === 'draining' ? 'dovegate had to stop' : sentenceOf(code));
}

function judgeRefusedInput(backend: string, answer: Status | 'no-status' | 'broke-off'): Verdict {
  if (answer === 'broke-off') {
    return notDone('failed', 'closed-early', `backend ${backend} broke off within the input: not done`);
  }
  if (answer !== 'no-status' && answer.kind === 'failed') {
    const reason = `backend ${backend} refused the command before its input was complete`;
    return notDone('failed', 'early-answer', reason, answer.code);
  }
  return withSentence('unknown', 'early-answer', { backend });
}

/** The backend has sent `+` before, so no status can be sent to the client any more. */
function judgeDuplex(backend: string, how: DuplexEnd): Verdict {
  switch (how) {
    case 'ended':
      return withoutSentence(undefined, 'ok', undefined, 'info');
    case 'backend-broke':
      return withoutSentence(undefined, 'unknown', 'closed-early', 'warn', `backend ${backend} broke off`);
    case 'idle': {
      const text = `nothing came from the client or backend ${backend}`;
      return withoutSentence(undefined, 'timeout', 'reply-timeout', 'warn', text);
    }
    case 'client-stall':
      return withoutSentence(undefined, 'aborted', 'client-stall', 'warn', 'the client does not read');
    case 'client-gone':
      return withoutSentence(undefined, 'aborted', 'client-gone', 'info', 'the client left');
    case 'draining':
      return withoutSentence(undefined, 'unknown', 'draining', 'warn', 'dovegate had to stop');
    case 'killed':
      return withoutSentence(undefined, 'unknown', 'killed', 'warn', 'an operator ended it');
    default:
      return how satisfies never;
  }
}
