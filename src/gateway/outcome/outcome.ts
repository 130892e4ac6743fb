// How an exchange ended, as one total function from the cause to everything that is made of it: what the client is
// told, what is journalled, counted and logged. They cannot disagree, because nothing else decides any of them.

import { TransportFault } from '../../ports/transport-fault.js';
import { UpstreamFault } from '../../ports/upstream-fault.js';
import type { Status } from '../../protocol/status.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { ErrorCode, UnreadableCode } from './error-code.js';
import { type InputEnding, judgeInputEnding } from './input-ending.js';
import { JournalFault } from './journal-fault.js';
import type { LogLevel, Outcome, Verdict } from './verdict.js';

/** Why an exchange is over. */
export type Ending =
  /** `peer`: whether the client was there to take the whole reply. */
  | {
      readonly kind: 'replied';
      readonly status: Status;
      readonly peer: 'ready' | 'client-stall' | 'client-slow' | 'client-gone';
    }
  /** One of our own commands was answered here. */
  | { readonly kind: 'answered' }
  | { readonly kind: 'denied'; readonly reason: string; readonly policy: string }
  | { readonly kind: 'unparsable'; readonly code: UnreadableCode; readonly reason: string }
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
      readonly why: 'queue-full' | 'queue-timeout' | 'draining' | 'audit-reserve';
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
      readonly outcome: Outcome;
      readonly error: ErrorCode | undefined;
      readonly text: string | undefined;
    }
  /** We stop, and the time for what runs is over; or an operator ended it. */
  | { readonly kind: 'cut-off'; readonly isSent: boolean; readonly by?: 'operator' }
  | { readonly kind: 'client-gone'; readonly isSent: boolean }
  | { readonly kind: 'client-stall' }
  /** Others waited for the backend, and it read less than it must then. */
  | { readonly kind: 'client-slow' }
  | InputEnding;

const refusals = {
  'queue-full': 'too many commands are waiting; try again',
  'queue-timeout': 'no upstream became free in time; try again',
  draining: 'dovegate is stopping; try again',
  'audit-reserve': 'the disk of the audit records is full: only commands for emergencies are served',
} as const;

function told(
  code: string,
  outcome: Outcome,
  error: ErrorCode | undefined,
  text: string,
  level: LogLevel,
): Verdict {
  return { code, outcome, error, text, isTold: true, level };
}

function verdictOfFault(fault: unknown, isSent: boolean, backend: string): Verdict {
  const outcome = isSent ? 'unknown' : 'failed';
  if (fault instanceof JournalFault) {
    return told('TEMPFAIL', outcome, 'audit-failed', 'the audit record could not be written', 'error');
  }
  if (fault instanceof UpstreamFault) {
    const text = isSent
      ? `backend ${backend} broke off (${fault.code}); whether the command ran is not known`
      : `backend ${backend} is not reachable (${fault.code})`;
    return told('TEMPFAIL', outcome, fault.code, text, 'warn');
  }
  if (fault instanceof WireFault) {
    const text = `backend ${backend} sent what is not of the protocol (${fault.code})`;
    return told('TEMPFAIL', outcome, `reply-${fault.code}`, text, 'warn');
  }
  if (fault instanceof TransportFault) {
    const text = isSent
      ? `backend ${backend} broke off; whether the command ran is not known`
      : `the way to backend ${backend} broke`;
    return told('TEMPFAIL', outcome, 'closed-early', text, 'warn');
  }
  return told('TEMPFAIL', outcome, 'internal', 'internal error of dovegate', 'error');
}

/** The command ran and ended, whoever was left to hear of it. */
function replied(outcome: 'ok' | 'failed', error: ErrorCode | undefined, level: LogLevel): Verdict {
  return { code: undefined, outcome, error, text: undefined, isTold: false, level };
}

/**
 * Nearly every exchange comes to this one. What simply went well has its records: a line of the log for each would be most of
 * the log, and cost more than they do.
 */
const wentWell = replied('ok', undefined, 'debug');

/** The verdict on an ending; total. */
export function judgeEnding(ending: Ending): Verdict {
  switch (ending.kind) {
    case 'replied': {
      const isOk = ending.status.kind === 'ok';
      if (isOk && ending.peer === 'ready') return wentWell;
      return replied(isOk ? 'ok' : 'failed', ending.peer === 'ready' ? undefined : ending.peer, 'info');
    }
    case 'answered':
      return { code: '', outcome: 'ok', error: undefined, text: undefined, isTold: false, level: 'info' };
    case 'denied':
      return told(
        'NOPERM',
        'denied',
        undefined,
        `denied by policy ${ending.policy} (${ending.reason})`,
        'warn',
      );
    case 'unparsable':
      return told(
        'USAGE',
        'unparsable',
        ending.code,
        `not understood, so not sent: ${ending.reason}`,
        'warn',
      );
    case 'limited': {
      const when = ending.retryAfterMs === undefined ? '' : ` in ${Math.ceil(ending.retryAfterMs / 1000)} s`;
      const limit =
        ending.policy === undefined ? '60 questions a minute' : `a limit of policy ${ending.policy}`;
      const text = `over ${limit}; try again${when}`;
      return told(
        'TEMPFAIL',
        'limited',
        ending.retryAfterMs === undefined ? 'limits-full' : 'over-limit',
        text,
        'warn',
      );
    }
    case 'unroutable':
      return told('TEMPFAIL', 'failed', 'no-route', ending.reason, 'warn');
    case 'unresolved': {
      const text = `the userdb could not be asked who is meant (${ending.code}); try again`;
      return told('TEMPFAIL', 'failed', `lookup-${ending.code}`, text, 'warn');
    }
    case 'refused':
      return told('TEMPFAIL', 'failed', ending.why, refusals[ending.why], 'warn');
    case 'drained': {
      const text = `backend ${ending.backend} is drained; try again when it is back in service`;
      return told('TEMPFAIL', 'failed', 'backend-drained', text, 'warn');
    }
    case 'fault':
      return verdictOfFault(ending.fault, ending.isSent, ending.backend);
    case 'reply-timeout':
      return told(
        'TEMPFAIL',
        'timeout',
        'reply-timeout',
        `backend ${ending.backend} did not answer in time`,
        'warn',
      );
    case 'referral': {
      const text = `backend ${ending.backend} refers to another host, ${ending.reason ?? 'and nobody followed'}`;
      return told('TEMPFAIL', 'failed', 'referral', text, 'warn');
    }
    case 'joined': {
      const { code, outcome, error } = ending;
      if (code === '') return { code, outcome, error, text: undefined, isTold: false, level: 'debug' };
      return told(code, outcome, error, `not every backend answered: ${ending.text ?? ''}`, 'warn');
    }
    case 'input-ended':
    case 'input-refused':
    case 'duplex-ended':
      return judgeInputEnding(ending);
    case 'cut-off': {
      const outcome = ending.isSent ? 'unknown' : 'failed';
      if (ending.by === 'operator') {
        const text = `an operator ended it${ending.isSent ? '; whether the command ran is not known' : ''}`;
        return told('TEMPFAIL', outcome, 'killed', text, 'warn');
      }
      const text = ending.isSent
        ? 'dovegate had to stop; whether the command ran is not known'
        : refusals.draining;
      return told('TEMPFAIL', outcome, 'draining', text, 'warn');
    }
    case 'client-gone':
      return {
        code: 'TEMPFAIL',
        outcome: 'aborted',
        error: 'client-gone',
        text: 'the client left',
        isTold: false,
        level: 'info',
      };
    case 'client-stall':
      return {
        code: 'TEMPFAIL',
        outcome: 'aborted',
        error: 'client-stall',
        text: 'the client does not read',
        isTold: false,
        level: 'warn',
      };
    case 'client-slow': {
      const text = 'the reply was read slower than limits.min_rate while others waited for the backend';
      return told('TEMPFAIL', 'aborted', 'client-slow', text, 'warn');
    }
    default:
      return ending satisfies never;
  }
}
