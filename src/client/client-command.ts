// A command as a user of the library writes it, its lines on the wire, and the faults of the library. Words are sent as given;
// `dovegate-reason` only to servers of minor 3 and above, because older ones answer it and all later replies would shift.

import { codes, type Code as FailureReason, type Said } from '../doveadm/codes/codes.js';
import { encodeCommandLine, encodeOption } from '../doveadm/protocol/command.js';
import { serverOf } from '../doveadm/protocol/releases.js';
import type { LogLine } from '../doveadm/reply/reply.js';
import { bounds } from '../host/bounds/bounds.js';
import { TransportFault, UpstreamFault, type UpstreamFaultCode, WireFault } from '../host/ports/faults.js';

/** Dovecot takes lines of up to 1 MiB; dovegate adds something to them, and often takes less (limits.line): its answer says so. */
const { longestLineBytes } = bounds;

/** The input of `save` and `sieve put`: text of any size, in pieces or whole. A string is sent as UTF-8. */
export type CommandInput =
  | string
  | Uint8Array
  | Iterable<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>;

export interface Command {
  /** The mailbox user; commands without a user (`who`, `service status`) ignore it. Default: none. */
  readonly user?: string;
  /** The full name: `quota get`. */
  readonly name: string;
  /** Options, then `--`, then positional arguments, as they would be typed. A search query is one word an entry. */
  readonly args?: readonly string[];
  /**
   * Cells of a row, which the protocol does not mark: `quota get` has 5, `fetch` as many as its fields. Default: from the catalog for the
   * series of the server; for unknown commands 1, each cell a row.
   */
  readonly columns?: number;
  /**
   * The input after the command line. Only for commands that read it, and only with correct arguments: Dovecot runs the text after an
   * unparsable line as command lines. (dovegate does not.)
   */
  readonly input?: CommandInput;
  /** Why this command is run, at most 512 bytes; for dovegate's audit journal, and for its rules with `reason: required`. */
  readonly reason?: string;
  /**
   * The command's name in dovegate's journal, so that its record can be found without an answer (`audit search --text TAG`): 1 to 64
   * letters, digits, `_`, `-`, `.` or `:`. Other servers ignore it.
   */
  readonly tag?: string;
  /** Asks dovegate what would happen to the command, which is not run: rows of `what` and `value`. A Dovecot refuses it. */
  readonly dryRun?: boolean;
  /** Asks for the server's debug log lines (`-D`). */
  readonly debug?: boolean;
  /** Asks for more information lines (`-v`). */
  readonly verbose?: boolean;
  /**
   * Aborts the command: a waiting one is never sent; a sent one ends the session, because nothing else stops a server. Rejects with the
   * signal's reason.
   */
  readonly signal?: AbortSignal;
}

/**
 * The lines of a command: its reason, if any, and itself. Throws SessionFault `unsendable`; or a TypeError that names a key of the wrong
 * type, because programs without types would send something unintended.
 */
export function encodeCommand(command: Command, serverMinor: number | undefined): Buffer[] {
  checkTypes(command);
  const { user = '', name, args = [], reason, debug = false, verbose = false } = command;
  const { hasOptions } = serverOf(serverMinor);
  const parts: Buffer[] = [];
  if (reason !== undefined) {
    if (!hasOptions) throw unsendable('the server takes no reason: it is not dovegate');
    if (Buffer.byteLength(reason) > 512) throw unsendable('a reason has at most 512 bytes');
    parts.push(encode(() => encodeOption(`dovegate-reason=${reason}`)));
  }
  if (command.tag !== undefined && hasOptions)
    parts.push(encode(() => encodeOption(`dovegate-tag=${command.tag}`)));
  // A command of dovegate's own, never an option: a Dovecot refuses an unknown command, but ignores an option and would run the command.
  const line =
    command.dryRun === true
      ? {
          user: '',
          name: 'dovegate dry-run',
          args: [...(user === '' ? [] : ['-u', user]), '--', name, ...args],
        }
      : { user, name, args };
  const encoded = encode(() => encodeCommandLine({ ...line, debug, verbose }));
  if (encoded.length > longestLineBytes)
    throw unsendable(
      `the command line has ${encoded.length} bytes; at most ${longestLineBytes} can be sent: use several commands`,
    );
  parts.push(encoded);
  return parts;
}

/** The error names the type of a value, not the value: it may be a secret. */
export function checkTypes(command: { readonly [Key in keyof Command]?: unknown }): void {
  const { user, name, args, columns, reason, tag } = command;
  const check = (what: string, isRight: boolean, wanted: string, value: unknown): void => {
    if (isRight) return;
    const kind =
      value === null ? 'null' : Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
    throw new TypeError(`${what} must be ${wanted}, not ${kind}`);
  };
  const isText = (value: unknown): boolean => typeof value === 'string';
  check('name', isText(name), 'a string', name);
  check('user', user === undefined || isText(user), 'a string', user);
  check('reason', reason === undefined || isText(reason), 'a string', reason);
  const isTag = typeof tag === 'string' && /^[\w.:-]{1,64}$/.test(tag);
  check('tag', tag === undefined || isTag, '1 to 64 letters, digits, _, -, . or :', tag);
  const isCount = typeof columns === 'number' && Number.isInteger(columns) && columns > 0;
  check('columns', columns === undefined || isCount, 'a whole number above 0', columns);
  if (args === undefined) return;
  check('args', Array.isArray(args), 'an array with a string for each argument', args);
  for (const [at, word] of (Array.isArray(args) ? args : []).entries())
    check(`args[${at}]`, isText(word), 'a string', word);
}

export async function* piecesOf(input: CommandInput): AsyncGenerator<Buffer> {
  if (typeof input === 'string' || input instanceof Uint8Array) {
    yield bufferOf(input);
    return;
  }
  for await (const piece of input) yield bufferOf(piece);
}

function bufferOf(piece: Uint8Array | string): Buffer {
  if (typeof piece === 'string') return Buffer.from(piece);
  return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
}

function encode(run: () => Buffer): Buffer {
  try {
    return run();
  } catch (fault) {
    if (!(fault instanceof WireFault)) throw fault;
    throw new SessionFault('unsendable', `the command cannot be sent: ${fault.message}`, fault);
  }
}

/** Why a session ended or never began. Never renamed. */
export type SessionFaultCode =
  | UpstreamFaultCode
  /** The server broke the protocol. */
  | 'wire-fault'
  /** The session was closed, or was ended by another command. */
  | 'closed'
  /** The input of a command was not readable, or took too long: nothing of it is stored. */
  | 'input-failed'
  /**
   * A line of the input could be taken for a command if the server stopped reading the input inside it. Over plain TCP that is a TAB, any
   * text, a TAB and the name of a Dovecot command; elsewhere only 16 KiB that begin like a command. Nothing of it is stored.
   */
  | 'input-command-like'
  /** Over HTTP: the input is not UTF-8. Nothing of it is stored. */
  | 'input-not-utf8'
  /** The command cannot be sent: a NUL in an argument, or something that this server does not accept. */
  | 'unsendable'
  /** The reply exceeds the limit, or does not have the stated number of `columns`. */
  | 'unexpected-reply';

/** The session ended, or never began. Waiting commands reject with one each. */
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

export function unsendable(message: string): SessionFault {
  return new SessionFault('unsendable', message);
}

/** There was an answer, so the command ran, wholly or in part. */
export function unexpectedReply(message: string): SessionFault {
  return new SessionFault('unexpected-reply', message, undefined, true);
}

/** The meaning of a failed command for a program. Never renamed. */
export type FailureKind =
  /** The policy or the server does not permit it. */
  | 'denied'
  | 'no-such-user'
  /** The mailbox, script or other object of the command does not exist. */
  | 'not-found'
  /**
   * The object to create exists already. Known by a log line only: without one (minor 0 to 2, `logs: none` in the policy, Dovecot's own
   * HTTP), or with other words of the server, the kind is `invalid`.
   */
  | 'exists'
  /** The server does not accept a value. */
  | 'invalid'
  /** The server could not parse the command. */
  | 'usage'
  /** Known by a log line over a socket, by its code over HTTP. */
  | 'over-quota'
  /** The same command may succeed later. */
  | 'temporary'
  /** The user is on the server that `referral` names. */
  | 'elsewhere'
  | 'other';

const kindOfCode: ReadonlyMap<string, FailureKind> = new Map([
  ['NOPERM', 'denied'],
  ['NOUSER', 'no-such-user'],
  ['NOTFOUND', 'not-found'],
  ['DATAERR', 'invalid'],
  ['USAGE', 'usage'],
  ['CANTCREAT', 'over-quota'],
  ['TEMPFAIL', 'temporary'],
  ['REFERRAL', 'elsewhere'],
]);

/** Dovecot's words, at the end of a line only: names before them may contain anything. */
const existsAtEnd = /(?::| that name) (?:Mailbox )?(?:already exists|exists already)\.?$/;
const overQuotaAtEnd = /: Quota exceeded \(mailbox for user is full\)$/;

function kindOf(code: string, why: string, own: Said | undefined): FailureKind {
  if (own?.code === 'exists' || own?.code === 'over-quota') return own.code;
  if (code === 'DATAERR' && existsAtEnd.test(why)) return 'exists';
  if (code === 'UNKNOWN' && overQuotaAtEnd.test(why)) return 'over-quota';
  return kindOfCode.get(code) ?? 'other';
}

/** After the line that explains a failure, only debug lines may follow. */
export function lastOf(logs: readonly LogLine[]): string | undefined {
  return logs.findLast(({ type }) => type !== 'debug')?.text;
}

/** The server answered the command with a status other than `+`. Rows may have come before. */
export class CommandFailed extends Error {
  /** The meaning of the failure, for programs that branch. */
  readonly kind: FailureKind;
  /** Dovecot's word, without the dash: NOUSER, NOPERM, TEMPFAIL, USAGE, NOTFOUND, ...; UNKNOWN for a bare `-`. */
  readonly code: string;
  /** The server of the user, in a REFERRAL. */
  readonly referral: { readonly user: string; readonly host: string } | undefined;
  /** The first log lines of the command, and the last one, which explains the failure. */
  readonly logs: readonly LogLine[];
  /**
   * dovegate's code for the failure, from a closed list that is never renamed (docs/messages.md). Undefined: the server is not dovegate, no
   * log line reached this client, or this release does not have the code.
   */
  readonly reason: FailureReason | undefined;
  /** It may have run, wholly or in part. False only if dovegate's code says that nothing ran; without a known code this is true. */
  readonly mayHaveRun: boolean;
  /** Nothing ran, and the same command may succeed later. */
  readonly mayRetry: boolean;
  /** The time after which the same command may succeed, if dovegate names one. */
  readonly retryAfterMs: number | undefined;
  /** The id of the exchange in dovegate's journal, if dovegate itself refused it. */
  readonly id: string | undefined;
  /** `own`: dovegate's own explanation. */
  constructor(
    code: string,
    referral: CommandFailed['referral'],
    logs: readonly LogLine[],
    own: Said | undefined,
  ) {
    const why = lastOf(logs);
    super(why === undefined ? `the server answered ${code}` : `the server answered ${code}: ${why}`);
    this.name = 'CommandFailed';
    this.kind = kindOf(code, why ?? '', own);
    this.code = code;
    this.referral = referral;
    this.logs = logs;
    this.reason = own?.code;
    const repeat = own === undefined ? 'unsafe' : codes[own.code].repeat;
    this.mayHaveRun = repeat === 'unsafe';
    this.mayRetry = repeat === 'safe';
    this.retryAfterMs = own?.retryAfterS === undefined ? undefined : own.retryAfterS * 1000;
    this.id = own?.id;
  }
}

/** Converts faults of the transport or of dialing to those of this library. */
export function asSessionFault(cause: unknown): unknown {
  if (cause instanceof UpstreamFault) return new SessionFault(cause.code, cause.message, cause);
  if (cause instanceof TransportFault)
    return new SessionFault('closed-early', 'the server ended the session', cause);
  return cause;
}
