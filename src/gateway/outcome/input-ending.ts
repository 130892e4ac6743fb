// How exchanges end that only commands with input can end by, and the verdict on each; outcome.ts asks here for them.
// The rule: a text without its final dot is never carried out by a backend (measured on 2.3.13 to 2.4.5), so such an ending is
// no `unknown`.

import type { Status } from '../../protocol/status.js';
import type { ErrorCode } from './error-code.js';
import type { LogLevel, Outcome, Verdict } from './verdict.js';

/** Why an exchange with input is over. */
export type InputEnding =
  /** The client's text will never be whole: what went upstream of it has no end. `command-like`: sent on, it would not be safe. */
  | { readonly kind: 'input-ended'; readonly why: 'cut' | 'too-long' | 'late' | 'slow' | 'command-like' }
  /** The backend did not wait for the end of the text: it said something, or broke off. */
  | {
      readonly kind: 'input-refused';
      readonly backend: string;
      readonly answer: Status | 'no-status' | 'broke-off';
    }
  /** A command that speaks both ways: the backend had said `+`, and this is how it came to its end. */
  | { readonly kind: 'duplex-ended'; readonly backend: string; readonly how: DuplexEnd };

/**
 * Who ended what speaks both ways. `ended`: one of them did, in order; either does when both are done. Whether they got what they
 * wanted stands in bytes that nobody here looks at.
 */
export type DuplexEnd =
  | 'ended'
  | 'backend-broke'
  | 'idle'
  | 'client-stall'
  | 'client-gone'
  | 'draining'
  | 'killed';

/** Total. */
export function judgeInputEnding(ending: InputEnding): Verdict {
  switch (ending.kind) {
    case 'input-ended':
      return verdictOfInput(ending.why);
    case 'input-refused':
      return verdictOfRefusedInput(ending.backend, ending.answer);
    case 'duplex-ended':
      return verdictOfDuplex(ending.backend, ending.how);
    default:
      return ending satisfies never;
  }
}

function ended(code: string, outcome: Outcome, error: ErrorCode, text: string): Verdict {
  return { code, outcome, error, text, isTold: true, level: 'warn' };
}

function verdictOfInput(why: Extract<InputEnding, { kind: 'input-ended' }>['why']): Verdict {
  switch (why) {
    case 'cut':
      return ended('TEMPFAIL', 'aborted', 'input-cut', 'the input ended before its final dot: not done');
    case 'too-long':
      return ended('DATAERR', 'limited', 'input-too-long', 'the input is longer than limits.input: not done');
    case 'late':
      return ended(
        'TEMPFAIL',
        'timeout',
        'input-late',
        'the input was not complete within limits.input_time: not done',
      );
    case 'slow':
      return ended(
        'TEMPFAIL',
        'aborted',
        'client-slow',
        'the input came slower than limits.min_rate while others waited for the backend: not done',
      );
    case 'command-like':
      return ended(
        'DATAERR',
        'failed',
        'input-command-like',
        'a line of the input could become a command if this backend were stopped within it: not done',
      );
    default:
      return why satisfies never;
  }
}

function verdictOfRefusedInput(backend: string, answer: Status | 'no-status' | 'broke-off'): Verdict {
  if (answer === 'broke-off') {
    const text = `backend ${backend} broke off within the input: not done`;
    return ended('TEMPFAIL', 'failed', 'closed-early', text);
  }
  if (answer !== 'no-status' && answer.kind === 'failed') {
    const text = `backend ${backend} refused the command before its input was complete`;
    return ended(answer.code, 'failed', 'early-answer', text);
  }
  const text = `backend ${backend} answered before the input was complete; whether the command ran is not known`;
  return ended('TEMPFAIL', 'unknown', 'early-answer', text);
}

/** The backend has said `+` before, and nothing can be told to the client any more. */
function verdictOfDuplex(backend: string, how: DuplexEnd): Verdict {
  const quiet = (outcome: Outcome, error: ErrorCode, text: string, level: LogLevel): Verdict => ({
    code: undefined,
    outcome,
    error,
    text,
    isTold: false,
    level,
  });
  switch (how) {
    case 'ended':
      return {
        code: undefined,
        outcome: 'ok',
        error: undefined,
        text: undefined,
        isTold: false,
        level: 'info',
      };
    case 'backend-broke':
      return quiet('unknown', 'closed-early', `backend ${backend} broke off`, 'warn');
    case 'idle':
      return quiet('timeout', 'reply-timeout', `nothing came from the client or backend ${backend}`, 'warn');
    case 'client-stall':
      return quiet('aborted', 'client-stall', 'the client does not read', 'warn');
    case 'client-gone':
      return quiet('aborted', 'client-gone', 'the client left', 'info');
    case 'draining':
      return quiet('unknown', 'draining', 'dovegate had to stop', 'warn');
    case 'killed':
      return quiet('unknown', 'killed', 'an operator ended it', 'warn');
    default:
      return how satisfies never;
  }
}
