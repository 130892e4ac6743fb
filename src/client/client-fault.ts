// What goes wrong for a user of the library: a command that the server refused or could not do, or a session that is over.
// The rule: a message holds what this end knows, never a password.

import type { UpstreamFaultCode } from '../ports/upstream-fault.js';
import type { LogLine } from '../protocol/log-line.js';

/** Why a session is over, or never began. Never renamed. */
export type SessionFaultCode =
  | UpstreamFaultCode
  /** What the server sent is not of the protocol. */
  | 'wire-fault'
  /** The session was closed, or ended for another command's sake. */
  | 'closed'
  /** The input of a command could not be read, or took too long: nothing of it is stored. */
  | 'input-failed'
  /**
   * A line of the input could be taken for a command if the server gave the input up within it. Over TCP without TLS that is a TAB, anything,
   * a TAB and the name of a command of Dovecot; over all else only 16 KiB of what begins a command. Nothing of it is stored.
   */
  | 'input-command-like'
  /** The command cannot be sent: a NUL in an argument, or something that this server does not know. */
  | 'unsendable'
  /** The reply has more than the limit, or not the columns that were said. */
  | 'unexpected-reply';

/** The session is over, or was never there. Commands that waited on it reject with one each. */
export class SessionFault extends Error {
  readonly code: SessionFaultCode;
  /** The command, or a part of it, was sent, and no status came: it may have run, wholly or in part. */
  readonly mayHaveRun: boolean;
  constructor(code: SessionFaultCode, message: string, cause?: unknown, mayHaveRun = false) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SessionFault';
    this.code = code;
    this.mayHaveRun = mayHaveRun;
  }
}

/** The server answered the command with a status other than `+`. Rows may have come before. */
export class CommandFailed extends Error {
  /** Dovecot's word, without the dash: NOUSER, NOPERM, TEMPFAIL, USAGE, NOTFOUND, ...; UNKNOWN for a bare `-`. */
  readonly code: string;
  /** Of a REFERRAL: where the user is. */
  readonly referral: { readonly user: string; readonly host: string } | undefined;
  /** The first log lines that came while the command ran; they say why. */
  readonly logs: readonly LogLine[];
  constructor(code: string, referral: CommandFailed['referral'], logs: readonly LogLine[]) {
    const why = logs.findLast((line) => line.type !== 'debug')?.text;
    super(why === undefined ? `the server said ${code}` : `the server said ${code}: ${why}`);
    this.name = 'CommandFailed';
    this.code = code;
    this.referral = referral;
    this.logs = logs;
  }
}
