// A command as a user of the library writes it, the lines that it becomes, and the faults that the library throws. Arguments are sent
// word by word, as given. `dovegate-reason` is sent to servers of minor 3 and above only: older ones answer it, which shifts all replies.

import { codes, type Code as FailureReason, type Said } from '../domain/codes/codes.js';
import { TransportFault, UpstreamFault, type UpstreamFaultCode, WireFault } from '../ports/faults.js';
import { encodeCommandLine, encodeOption } from '../protocol/command.js';
import { ofMinor } from '../protocol/minors.js';
import type { LogLine } from '../protocol/reply/reply.js';

/** What `save` and `sieve put` read: text of any size, in pieces or whole. A string is sent as UTF-8. */
export type CommandInput =
  | string
  | Uint8Array
  | Iterable<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>;

/** One command for a server. */
export interface Command {
  /** The mailbox user; commands that name none (`who`, `service status`) ignore it. Default: nobody. */
  readonly user?: string;
  /** The full name: `quota get`. */
  readonly name: string;
  /** Options, then `--`, then positional arguments, as they would be typed. A search query is one word an entry. */
  readonly args?: readonly string[];
  /**
   * Cells of a row, which are not marked in the protocol: `quota get` has 5, `fetch` as many as it is given fields. Default: by the
   * catalog for the series of the server; 1, each cell a row, for unknown commands.
   */
  readonly columns?: number;
  /**
   * What follows the command line. Only for commands that read it, and only with arguments that are right: Dovecot runs the
   * text after a line that it could not parse as command lines. (dovegate does not.)
   */
  readonly input?: CommandInput;
  /** Why this command is run, at most 512 bytes; for dovegate's audit journal, and for its rules with `reason: required`. */
  readonly reason?: string;
  /**
   * What dovegate's journal calls this command, so that its record can be found without an answer (`audit search --text TAG`): 1 to 64
   * letters, digits, `_`, `-`, `.` or `:`. Servers that are not dovegate ignore it.
   */
  readonly tag?: string;
  /** Asks dovegate what would become of the command, which is not run: rows of `what` and `value`. A Dovecot refuses it. */
  readonly dryRun?: boolean;
  /** Asks for the server's debug log lines (`-D`). */
  readonly debug?: boolean;
  /** Asks for more information lines (`-v`). */
  readonly verbose?: boolean;
  /**
   * Aborts the command: one that waits its turn is never sent; one that was sent ends the session, because nothing else stops
   * a server. Rejects with the signal's reason.
   */
  readonly signal?: AbortSignal;
}

/**
 * The lines of a command: its reason, if it states one, and itself. Throws SessionFault `unsendable`; a TypeError that names the key
 * which is not of its type, since programs without types would send something else than they meant.
 */
export function encodeCommand(command: Command, serverMinor: number | undefined): Buffer[] {
  checkTypes(command);
  const { user = '', name, args = [], reason, debug = false, verbose = false } = command;
  const { hasOptions } = ofMinor(serverMinor);
  const parts: Buffer[] = [];
  if (reason !== undefined) {
    if (!hasOptions) throw new SessionFault('unsendable', 'the server takes no reason: it is not dovegate');
    if (Buffer.byteLength(reason) > 512)
      throw new SessionFault('unsendable', 'a reason has at most 512 bytes');
    parts.push(encode(() => encodeOption(`dovegate-reason=${reason}`)));
  }
  if (command.tag !== undefined && hasOptions)
    parts.push(encode(() => encodeOption(`dovegate-tag=${command.tag}`)));
  // A command of dovegate's own, never an option: a Dovecot does not know the one, and would ignore the other and run the command.
  const line =
    command.dryRun === true
      ? {
          user: '',
          name: 'dovegate dry-run',
          args: [...(user === '' ? [] : ['-u', user]), '--', name, ...args],
        }
      : { user, name, args };
  parts.push(encode(() => encodeCommandLine({ ...line, debug, verbose })));
  return parts;
}

/** The error names the type of a value, never the value: it may be a secret. */
export function checkTypes({
  user,
  name,
  args,
  columns,
  reason,
  tag,
}: { readonly [Key in keyof Command]?: unknown }): void {
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
  /** Over HTTP: the input is no UTF-8. Nothing of it is stored. */
  | 'input-not-utf8'
  /** The command cannot be sent: a NUL in an argument, or something that this server does not take. */
  | 'unsendable'
  /** The reply has more than the limit, or not the number of columns that `columns` states. */
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

export type { Code as FailureReason } from '../domain/codes/codes.js';

/** What a failed command means to a program. Never renamed. */
export type FailureKind =
  /** Policy, or the server, does not permit it. */
  | 'denied'
  | 'no-such-user'
  /** The mailbox, the script or what else the command names. */
  | 'not-found'
  /**
   * What was to be made is there already. Known by a log line only: without one (minor 0 to 2, `logs: none` in the policy, Dovecot's own
   * HTTP), and where the server writes other words, it is `invalid`.
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

/** Dovecot's words. At the end of a line only: before it stand names, which may be anything. */
const existsAtEnd = /(?::| that name) (?:Mailbox )?(?:already exists|exists already)\.?$/;
const overQuotaAtEnd = /: Quota exceeded \(mailbox for user is full\)$/;

function kindOf(code: string, why: string, own: Said | undefined): FailureKind {
  if (own?.code === 'exists' || own?.code === 'over-quota') return own.code;
  if (code === 'DATAERR' && existsAtEnd.test(why)) return 'exists';
  if (code === 'UNKNOWN' && overQuotaAtEnd.test(why)) return 'over-quota';
  return kindOfCode.get(code) ?? 'other';
}

/** Only debug lines may follow the line that says why a command failed. */
export function lastOf(logs: readonly LogLine[]): string | undefined {
  return logs.findLast(({ type }) => type !== 'debug')?.text;
}

/** The server answered the command with a status other than `+`. Rows may have come before. */
export class CommandFailed extends Error {
  /** What the failure means, for programs that branch. */
  readonly kind: FailureKind;
  /** Dovecot's word, without the dash: NOUSER, NOPERM, TEMPFAIL, USAGE, NOTFOUND, ...; UNKNOWN for a bare `-`. */
  readonly code: string;
  /** Of a REFERRAL: where the user is. */
  readonly referral: { readonly user: string; readonly host: string } | undefined;
  /** The first log lines that came while the command ran, and the last one, which shows why it failed. */
  readonly logs: readonly LogLine[];
  /**
   * dovegate's word for the failure, from a closed list that is never renamed (docs/messages.md). Undefined: the server is not dovegate,
   * no log line reached this client, or this release does not know the word.
   */
  readonly reason: FailureReason | undefined;
  /**
   * It may have run, wholly or in part. False only where dovegate's code says that nothing ran: without a code, or with an unknown one, this
   * is true.
   */
  readonly mayHaveRun: boolean;
  /** Nothing ran, and the same command may succeed later. */
  readonly mayRetry: boolean;
  /** When it may, where dovegate names a time. */
  readonly retryAfterMs: number | undefined;
  /** Of the exchange in dovegate's journal, where dovegate itself says why. */
  readonly id: string | undefined;
  /** `own`: what dovegate says of it. */
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

/** What the transport or the dialing threw, in the words of this library. */
export function asSessionFault(cause: unknown): unknown {
  if (cause instanceof UpstreamFault) return new SessionFault(cause.code, cause.message, cause);
  if (cause instanceof TransportFault)
    return new SessionFault('closed-early', 'the server ended the session', cause);
  return cause;
}
