// How an exchange ended, as one total function from the cause to everything that is made of it: what the client is
// told, what is journaled, counted and logged. They cannot disagree, because nothing else decides any of them.
// The rule: a text without its final dot is never carried out by a backend (measured on 2.3.13 to 2.4.5), so such an ending is
// no `unknown`.

import type { RecordedOutcome } from '../../domain/audit/record.js';
import { type Code, codes, sentenceOf } from '../../domain/codes/codes.js';
import type { ObstacleCode, UnjudgeableCode } from '../../domain/policy/assess.js';
import { JournalFault, TransportFault, UpstreamFault, WireFault } from '../../ports/faults.js';
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
  /** One sentence: for our log, and for the client where `clientCode` is set. */
  readonly text: string | undefined;
  /** The code that the client reads with the sentence; undefined: it reads neither. */
  readonly clientCode: Code | undefined;
  /** When the same command may succeed, in seconds. */
  readonly retryAfterS: number | undefined;
  readonly level: LogLevel;
}

/** Every word of the key; of a lookup, its code follows. */
export type ErrorCode = Code | `lookup-${string}`;

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
      readonly why:
        | 'queue-full'
        | 'queue-timeout'
        | 'draining'
        | 'audit-reserve'
        | 'audit-share'
        | 'changed-meanwhile';
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

/** The client reads the sentence of this code. */
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

/** The client reads no sentence. Without a code its status is the backend's, or none can be sent any more. */
function withoutSentence(
  code: string | undefined,
  outcome: RecordedOutcome,
  error: ErrorCode | undefined,
  level: LogLevel,
  text?: string,
): Verdict {
  return { code, outcome, error, text, clientCode: undefined, retryAfterS: undefined, level };
}

/** The code of the error alone would say that nothing ran. `reason`: the start of a sentence. */
function mayHaveRun(
  outcome: RecordedOutcome,
  error: Code,
  reason: string,
  level: LogLevel = 'warn',
): Verdict {
  return withSentence(outcome, 'outcome-unknown', { reason }, { error, level });
}

/** The code of the error alone would say that it may have run. `reason`: a sentence. */
function notDone(outcome: RecordedOutcome, error: Code, reason: string, code = 'TEMPFAIL'): Verdict {
  return withSentence(outcome, 'not-done', { reason }, { error, code });
}

/**
 * Nearly every exchange comes to this one. What simply went well has its records: a line of the log for each would be most of
 * the log, and cost more than they do.
 */
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

/** The verdict on an ending; total. `isSeveral`: the command changes several things, of which a failed one may have done some. */
export function judgeEnding(ending: Ending, isSeveral = false): Verdict {
  switch (ending.kind) {
    case 'replied': {
      const isOk = ending.status.kind === 'ok';
      if (isOk && ending.peer === 'ready') return wentWell;
      const error = ending.peer === 'ready' ? undefined : ending.peer;
      return withoutSentence(undefined, isOk ? 'ok' : failedAs(ending.status, isSeveral), error, 'info');
    }
    case 'answered':
      return withoutSentence('', 'ok', undefined, 'info');
    case 'denied': {
      const { policy, reason } = ending;
      return withSentence('denied', 'denied', { policy, reason }, { error: undefined });
    }
    case 'unparsable':
      return withSentence('unparsable', ending.code, { reason: ending.reason });
    case 'limited': {
      const { policy, retryAfterMs } = ending;
      const limit = policy === undefined ? '60 questions a minute' : `a limit of policy ${policy}`;
      if (retryAfterMs === undefined) return withSentence('limited', 'limits-full', { limit });
      return withSentence(
        'limited',
        'over-limit',
        { limit },
        { retryAfterS: Math.ceil(retryAfterMs / 1000) },
      );
    }
    case 'unroutable':
      return withSentence('failed', 'no-route', { reason: ending.reason });
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
    case 'referral': {
      const { backend, reason = 'and nobody followed' } = ending;
      return withSentence('failed', 'referral', { backend, reason });
    }
    case 'joined': {
      const { code, outcome, error, text: reason = '' } = ending;
      if (code === '') return withoutSentence(code, outcome, error, 'debug');
      return withSentence(outcome, 'not-all-backends', { reason }, { code, error });
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

/** A backend that does not know the user of a line has done nothing. */
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

function judgeCutOff(isSent: boolean, by: 'operator' | undefined): Verdict {
  const code = by === 'operator' ? 'killed' : 'draining';
  if (!isSent) return withSentence('failed', code);
  return mayHaveRun('unknown', code, by === 'operator' ? sentenceOf(code) : 'dovegate had to stop');
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

/** The backend has said `+` before, and nothing can be told to the client any more. */
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
