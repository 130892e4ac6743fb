// Sends a typed command to a server, for one user or several in turn, and prints the replies as doveadm does: rows on
// stdout, log lines on stderr, doveadm's exit code. `send` and the drop-in doveadm differ only in what was typed.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../../adapters/host/clock.js';
import { onSignal } from '../../adapters/host/signals.js';
import { CommandFailed, type LogLine, type Session, SessionFault } from '../../client/connect.js';
import { CommandFault, formatFault, plain, stderr } from '../output/output.js';
import { createProgress, type Progress } from '../output/progress.js';
import type { Format } from '../output/row-printer.js';
import { openRawOutput } from '../output/screen.js';
import {
  exitCodeOf,
  formatOwnError,
  formatRemoteLog,
  joinExitCodes,
  noUser,
  tempFail,
} from './doveadm-exit.js';
import { createReplyPrinter, parseUserList, type ReplyPrinter } from './reply-printer.js';
import type { ServerDoor } from './server-door.js';
import { readTypedCommand, type TypedCommand } from './typed-command.js';

export interface Question {
  readonly words: readonly string[];
  readonly typed: TypedCommand;
  readonly users: UserSource;
  readonly door: ServerDoor;
  readonly format: Format | undefined;
  readonly hidesTitles: boolean;
  readonly reason: string | undefined;
  readonly isVerbose: boolean;
  readonly isDebug: boolean;
  /** Of the whole; undefined: none. */
  readonly timeoutMs: number | undefined;
}

/** Resolves to the exit code. Throws a CommandFault for what went wrong here. */
export async function ask(question: Question): Promise<number> {
  const controller = new AbortController();
  const { timeoutMs } = question;
  const timer =
    timeoutMs === undefined
      ? undefined
      : systemClock.setTimer(timeoutMs, () =>
          controller.abort(new CommandFault(tempFail, `not finished after ${timeoutMs} ms`)),
        );
  const letGo = onSignal(['SIGINT', 'SIGTERM'], () =>
    controller.abort(new CommandFault(tempFail, 'Aborted')),
  );
  const isShown = process.stderr.isTTY && !process.stdout.isTTY;
  const progress = createProgress(systemClock, isShown ? (text) => process.stderr.write(text) : undefined);
  const output = openRawOutput();
  const printer = createReplyPrinter(
    question.typed,
    {
      format: question.format,
      hidesTitles: question.hidesTitles,
      width: process.stdout.isTTY ? process.stdout.columns : undefined,
      hasUsers: question.users.kind !== 'one',
    },
    output,
  );
  try {
    const code = await askAll(question, { signal: controller.signal, output, printer, progress });
    progress.clear();
    printer.end(code);
    await output.flush();
    return code;
  } catch (fault) {
    progress.clear();
    // Rows received before the fault are printed, with the line of names, as the real program does.
    if (fault instanceof CommandFault && fault.exitCode === tempFail) printer.end(tempFail);
    await output.flush();
    throw fault;
  } finally {
    timer?.cancel();
    letGo();
  }
}

interface Asking {
  readonly signal: AbortSignal;
  readonly output: ReturnType<typeof openRawOutput>;
  readonly printer: ReplyPrinter;
  readonly progress: Progress;
}

async function askAll(question: Question, asking: Asking): Promise<number> {
  const { door, typed, users } = question;
  let code = 0;
  let user = '';
  let session: Session | undefined;
  const onLog = (line: LogLine): void => {
    const text = formatRemoteLog(user, door.name, line, question.isDebug);
    if (text === undefined) return;
    asking.progress.clear();
    stderr(plain(text));
  };
  const input = typed.input && openInput(typed.input.file, (bytes) => asking.progress.sent(bytes));
  const kept = input !== undefined && users.kind !== 'one' ? await readInput(input) : input;
  try {
    for await (const name of listUsers(users, door, asking.signal)) {
      user = name;
      try {
        session ??= await door.open(onLog, asking.signal);
        const failure = await askOne(question, name, session, asking, kept);
        if (failure === undefined) continue;
        if (failure.code === 'NOUSER')
          complain(asking, formatOwnError(name, typed.command.name, `${door.name}: No such user: ${name}`));
        if (failure.referral !== undefined)
          complain(
            asking,
            formatOwnError(name, typed.command.name, `the user is at ${failure.referral.host}`),
          );
        code = joinExitCodes(code, failure.code === 'NOUSER' ? noUser : exitCodeOf(failure.code));
        // A server of 2.3 may answer twice after a failure.
        await session.close();
        session = undefined;
      } catch (fault) {
        if (!(fault instanceof SessionFault)) throw fault;
        asking.printer.begin(name, session?.serverMinor, typed.parsed);
        complain(asking, formatOwnError(name, typed.command.name, causeOf(fault, question, name)));
        // Another attempt is useless: the daemon would refuse that text too.
        return fault.code === 'input-command-like' ? joinExitCodes(code, exitCodeOf('DATAERR')) : tempFail;
      }
      if (asking.output.isGone) return code;
    }
    return code;
  } finally {
    await session?.close();
  }
}

async function askOne(
  question: Question,
  user: string,
  session: Session,
  { output, printer, progress, signal }: Asking,
  input: AsyncIterable<Buffer> | Buffer | undefined,
): Promise<CommandFailed | undefined> {
  const { serverMinor } = session;
  // The words were parsed as 2.4 does; a server of 2.3 may parse them differently.
  const isOld = serverMinor !== undefined && serverMinor < 3;
  const typed = isOld ? readTypedCommand(question.words, '2.3') : question.typed;
  const knowsReasons = (serverMinor ?? 0) >= 3;
  printer.begin(user, serverMinor, typed.parsed);
  const cells = session.cells({
    user,
    name: typed.command.name,
    args: typed.args,
    debug: question.isDebug,
    verbose: question.isVerbose,
    signal,
    ...(question.reason !== undefined && knowsReasons && { reason: question.reason }),
    ...(input !== undefined && { input }),
  });
  try {
    for await (const piece of cells) {
      printer.piece(piece);
      progress.received(piece.bytes.length + 1);
      if (output.isFull) await output.flush();
      if (output.isGone) return undefined;
    }
    return undefined;
  } catch (fault) {
    if (fault instanceof CommandFailed) return fault;
    throw fault;
  }
}

function complain({ progress }: Asking, text: string): void {
  progress.clear();
  stderr(plain(text));
}

function causeOf(fault: SessionFault, { door, typed }: Question, user: string): string {
  if (fault.cause instanceof CommandFault) return formatFault(fault.cause);
  if (fault.mayHaveRun)
    return `${door.name}: Command ${typed.command.name} failed for ${user}: ${fault.message}`;
  return `${door.name}: ${fault.message}`;
}

/** Where the names come from. */
export type UserSource =
  | { readonly kind: 'one'; readonly user: string }
  | { readonly kind: 'mask'; readonly mask: string }
  /** One name a line; `-` is stdin. */
  | { readonly kind: 'file'; readonly path: string };

/** The names, in their order. Throws a CommandFault when they cannot be had. */
export async function* listUsers(
  source: UserSource,
  door: ServerDoor,
  signal: AbortSignal,
): AsyncGenerator<string> {
  switch (source.kind) {
    case 'one':
      yield source.user;
      return;
    case 'mask':
      yield* await askUsers(source.mask, door, signal);
      return;
    case 'file': {
      const input = source.path === '-' ? process.stdin : createReadStream(source.path);
      try {
        for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) yield line;
      } catch (cause) {
        throw new CommandFault(tempFail, `${source.path}: cannot be read`, cause);
      }
      return;
    }
    default:
      source satisfies never;
  }
}

async function askUsers(mask: string, door: ServerDoor, signal: AbortSignal): Promise<readonly string[]> {
  const why = 'the users cannot be listed';
  try {
    await using session = await door.open(() => undefined, signal);
    const rows = await session.run({ name: 'user', args: ['--', mask], signal });
    const users = parseUserList(rows.flat().join(''));
    if (users === undefined)
      throw new CommandFault(tempFail, `${why}: what ${door.name} answered is not a list of users`);
    return users;
  } catch (fault) {
    if (fault instanceof CommandFailed)
      throw new CommandFault(exitCodeOf(fault.code), `${why}: ${fault.message}`);
    if (fault instanceof SessionFault) throw new CommandFault(tempFail, `${why}: ${fault.message}`);
    throw fault;
  }
}

const CR = 0x0d;
const LF = 0x0a;
const crLf = Buffer.from('\r\n');
/** More than one user needs the text more than once. */
const keptBytesMax = 256 * 1024 * 1024;
const cannotRead = 75;

/** Opens the input: a file, or stdin. Calls `onBytes` with the size of each piece. */
export function openInput(file: string | undefined, onBytes: (count: number) => void): AsyncIterable<Buffer> {
  return withCrLf(file, onBytes);
}

/** The whole of it, for who needs it again. */
export async function readInput(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    all.push(piece);
    length += piece.length;
    if (length > keptBytesMax)
      throw new CommandFault(
        cannotRead,
        `for several users the input may have at most ${keptBytesMax} bytes`,
      );
  }
  return Buffer.concat(all);
}

/** Line ends become CR LF, as every real client sends them. */
async function* withCrLf(file: string | undefined, onBytes: (count: number) => void): AsyncGenerator<Buffer> {
  let last = 0;
  try {
    // Not before it is read: an error that comes earlier has no one to hear it.
    const source: AsyncIterable<Buffer> = file === undefined ? process.stdin : createReadStream(file);
    for await (const chunk of source) {
      const parts: Buffer[] = [];
      let from = 0;
      for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
        const before = at === 0 ? last : chunk[at - 1];
        if (before === CR) continue;
        parts.push(chunk.subarray(from, at), crLf);
        from = at + 1;
      }
      parts.push(chunk.subarray(from));
      last = chunk[chunk.length - 1] ?? last;
      onBytes(chunk.length);
      yield parts.length === 1 ? chunk : Buffer.concat(parts);
    }
  } catch (cause) {
    throw new CommandFault(cannotRead, `${file ?? 'stdin'}: cannot be read`, cause);
  }
}
