// A command as a user of the library writes it, and the lines that it becomes. It knows no command's arguments: what is sent is
// what was given, word by word.
// The rule: `dovegate-reason` goes to servers of minor 3 and above only; older ones would answer it, and shift every reply.

import { encodeCommandLine, encodeOption } from '../wire/command.js';
import { WireFault } from '../wire/wire-fault.js';
import { SessionFault } from './client-fault.js';

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
   * Cells of a row. The protocol has no row marks and no column names, so whoever asks must know: `quota get` has 5, `fetch`
   * as many as it is given fields. Default 1: each cell is a row.
   */
  readonly columns?: number;
  /**
   * What follows the command line. Only for commands that read it, and only with arguments that are right: Dovecot runs the
   * text behind a line that it could not parse as command lines. (dovegate does not.)
   */
  readonly input?: CommandInput;
  /** Why this command is run, at most 512 bytes; for dovegate's audit journal, and for its rules with `reason: required`. */
  readonly reason?: string;
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

/** The lines of a command: its reason, if it states one, and itself. Throws SessionFault `unsendable`. */
export function encodeCommand(command: Command, serverMinor: number | undefined): Buffer[] {
  const { user = '', name, args = [], reason, debug = false, verbose = false } = command;
  const parts: Buffer[] = [];
  if (reason !== undefined) {
    if (serverMinor === undefined || serverMinor < 3)
      throw new SessionFault('unsendable', 'this server knows no reasons: it is not dovegate');
    if (Buffer.byteLength(reason) > 512)
      throw new SessionFault('unsendable', 'a reason has at most 512 bytes');
    parts.push(encode(() => encodeOption(`dovegate-reason=${reason}`)));
  }
  parts.push(encode(() => encodeCommandLine({ user, name, args, debug, verbose })));
  return parts;
}

/** The pieces of an input, whatever it was given as. */
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
