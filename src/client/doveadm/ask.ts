// Sends a typed command to a server, for one user or several in turn, and prints the replies as doveadm does: rows on stdout,
// log lines on stderr, doveadm's exit code. `send` and the drop-in doveadm differ only in their syntax.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  readSentCommand,
  readTypedCommand,
  type TypedCommand,
} from '../../doveadm/commands/typed-command.js';
import { effectOf } from '../../doveadm/meaning/reach.js';
import { CR, LF } from '../../doveadm/protocol/lines.js';
import { serverOf } from '../../doveadm/protocol/releases.js';
import { systemClock } from '../../host/machine/clock.js';
import { onStop } from '../../host/machine/outputs.js';
import { CommandFault, formatFault, plain, stderr } from '../../host/output/output.js';
import { createProgress, openRawOutput } from '../../host/output/screen.js';
import { formatWords } from '../../host/words/text.js';
import {
  type Command,
  CommandFailed,
  type FailureReason,
  type LogLine,
  type Session,
  SessionFault,
} from '../connect.js';
import { createReplyPrinter, parseUserList } from './reply-printer.js';
import type { Format } from './row-printer.js';
import { exitCodeOf, exitCodeOfFault, messageOfFault, type ServerDoor, tempFail } from './server-door.js';

/** The refusals that a grant of access answers. A lock, a hold and a backend that refuses stay what they are. */
const policySays: ReadonlySet<FailureReason | undefined> = new Set([
  'denied',
  'on-request',
  'grant-over',
  'grant-ended',
]);

export type UserSource =
  | { readonly kind: 'one'; readonly user: string }
  | { readonly kind: 'mask'; readonly mask: string }
  /** One name a line; `-` is stdin. */
  | { readonly kind: 'file'; readonly path: string };

export interface Question {
  readonly words: readonly string[];
  readonly typed: TypedCommand;
  readonly users: UserSource;
  readonly door: ServerDoor;
  readonly format: Format | undefined;
  readonly hidesTitles: boolean;
  readonly reason: string | undefined;
  /** Asks for the decision only, and prints the answer; nothing is run. */
  readonly isDryRun: boolean;
  readonly isVerbose: boolean;
  readonly isDebug: boolean;
  /** The options for the server as they were typed. A command that a denial proposes gets the same ones. */
  readonly where: Readonly<Record<'socket' | 'http' | 'key-file' | 'ca', string | undefined>>;
  /** Deadline for everything together; undefined: none. */
  readonly timeoutMs: number | undefined;
  /** Called where dovegate's policy denies the command; nothing is printed then. Needs `users` of kind `one`. */
  readonly onDenied?: (() => void) | undefined;
}

/** Resolves to the exit code. Throws a CommandFault for local errors. */
export async function ask(question: Question): Promise<number> {
  const { typed, users, door, isDebug, timeoutMs } = question;
  const controller = new AbortController();
  const { signal } = controller;
  const abort = (why: string): void => controller.abort(new CommandFault(tempFail, why));
  const timer =
    timeoutMs === undefined
      ? undefined
      : systemClock.setTimer(timeoutMs, () => abort(`not finished after ${timeoutMs} ms`));
  const letGo = onStop(() => abort('Aborted'));
  const isShown = process.stderr.isTTY && !process.stdout.isTTY;
  const progress = createProgress(systemClock, isShown ? (text) => process.stderr.write(text) : undefined);
  const output = openRawOutput();
  const shown = question.isDryRun ? readTypedCommand(['dovegate', 'can']) : typed;
  const { format, hidesTitles } = question;
  const printed = { format, hidesTitles, hasUsers: users.kind !== 'one' };
  const printer = createReplyPrinter(shown.parsed, printed, output.sink, complain);
  let user = '';
  let isDenied = false;
  /** Error lines of a command whose denial would not be printed. */
  let heldErrors: string[] = [];
  try {
    const code = await askAll();
    progress.clear();
    if (!isDenied) printer.end();
    await output.flush();
    return code;
  } catch (fault) {
    letGo();
    progress.clear();
    // Rows received before the fault are printed, with the line of names, as the real program does.
    if (fault instanceof CommandFault && fault.exitCode === tempFail) printer.end();
    await output.flush();
    throw fault;
  } finally {
    timer?.cancel();
    letGo();
  }

  async function askAll(): Promise<number> {
    let code = 0;
    let session: Session | undefined;
    // A dry run takes no input.
    const text = question.isDryRun ? undefined : typed.input;
    const read = text && readInput(text.file, (bytes) => progress.sent(bytes));
    const isChange = !question.isDryRun && effectOf(typed.parsed) !== 'read';
    const input = read !== undefined && users.kind !== 'one' ? await wholeOf(read) : read;
    try {
      for await (const name of listUsers(users, door, signal)) {
        user = name;
        try {
          session ??= await door.open(showLog, signal);
          const failure = await askOne(session, input);
          const broken = printer.endReply();
          // Without a code it is the backend's own answer.
          isDenied = question.onDenied !== undefined && policySays.has(failure?.reason);
          if (isDenied) question.onDenied?.();
          else releaseErrors();
          if (failure === undefined) {
            if (broken === undefined || output.isGone) continue;
            complain(`${door.name}: ${broken}`);
            code = joinExitCodes(code, tempFail);
            continue;
          }
          if (failure.code === 'NOUSER' && name !== '') complain(`${door.name}: No such user: ${name}`);
          if (failure.code === 'TEMPFAIL' && failure.mayHaveRun && isChange)
            complain(`${door.name}: the command may have run, wholly or in part`);
          if (failure.referral !== undefined) complain(`the user is at ${failure.referral.host}`);
          code = joinExitCodes(code, exitCodeOf(failure.code));
          // A server of 2.3 may answer twice after a failure.
          await session.close();
          session = undefined;
        } catch (fault) {
          releaseErrors();
          if (!(fault instanceof SessionFault)) throw fault;
          printer.begin(name, session?.serverMinor, shown.parsed);
          complain(causeOf(fault));
          // Another attempt is useless: the daemon would refuse that text too.
          const isOfText = fault.code === 'input-command-like' || fault.code === 'input-not-utf8';
          return isOfText ? joinExitCodes(code, exitCodeOf('DATAERR')) : exitCodeOfFault(fault, door);
        }
        if (output.isGone) return code;
      }
      return code;
    } finally {
      await session?.close();
    }
  }

  async function askOne(
    session: Session,
    input: AsyncIterable<Buffer> | Buffer | undefined,
  ): Promise<CommandFailed | undefined> {
    const { parsed, command } = commandAt(session, question);
    printer.begin(user, session.serverMinor, question.isDryRun ? shown.parsed : parsed);
    const more = {
      debug: isDebug,
      verbose: question.isVerbose,
      signal,
      ...(input !== undefined && { input }),
    };
    const cells = session.cells({ ...command, user, ...more });
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

  function showLog({ type, text }: LogLine): void {
    if (type === 'debug' && !isDebug) return;
    const line = `${type.charAt(0).toUpperCase()}${type.slice(1)}: remote(${door.name}): ${withServer(text)}`;
    if (question.onDenied !== undefined && type === 'error') heldErrors.push(line);
    else print(line);
  }

  function withServer(text: string): string {
    const typedOptions = Object.entries(question.where).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name} ${formatWords([value])} `],
    );
    if (typedOptions.length === 0) return text;
    // Instead of the socket that the server names: here it may have another path.
    const named = /( available on request: .*?dovegate request )(?:--socket (?:'[^']*'|\S+) )?/;
    return text.replace(named, (_, hint: string) => hint + typedOptions.join(''));
  }

  function releaseErrors(): void {
    for (const line of heldErrors) print(line);
    heldErrors = [];
  }

  function complain(text: string): void {
    print(`Error: cmd ${typed.command.name}: ${text}`);
  }

  function print(text: string): void {
    progress.clear();
    stderr(plain(`${user === '' ? 'doveadm' : `doveadm(${user})`}: ${text}`));
  }

  function causeOf(fault: SessionFault): string {
    const { cause, mayHaveRun } = fault;
    if (cause instanceof CommandFault) return formatFault(cause);
    const what = mayHaveRun ? `Command ${typed.command.name} failed for ${user}: ` : '';
    return `${door.name}: ${what}${messageOfFault(fault, door)}`;
  }
}

/** A typed command as that server parses it, in the form in which it is sent, but without its user and its text. */
export function commandAt(
  { serverMinor }: Session,
  { words, typed, reason, isDryRun }: Pick<Question, 'words' | 'typed' | 'reason' | 'isDryRun'>,
): { readonly parsed: TypedCommand['parsed']; readonly command: Command } {
  // The words were parsed as 2.4 does; a server of 2.3 may parse them differently.
  const { series, hasOptions: takesReasons } = serverOf(serverMinor);
  const { command, args, parsed } = series === '2.3' ? readSentCommand(words, series) : typed;
  return {
    parsed,
    command: {
      name: command.name,
      args,
      ...(reason !== undefined && takesReasons && { reason }),
      ...(isDryRun && { dryRun: true }),
    },
  };
}

/** The exit code for several users: the first failure, but a temporary one overrides it. */
function joinExitCodes(before: number, next: number): number {
  return before === 0 || next === tempFail ? next : before;
}

/** The names, in their order. Throws a CommandFault if they are unreadable. */
async function* listUsers(source: UserSource, door: ServerDoor, signal: AbortSignal): AsyncGenerator<string> {
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

/** The users that match a mask at the server. Rejects with a CommandFault. */
export async function askUsers(
  mask: string,
  door: ServerDoor,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const why = 'the users cannot be listed';
  try {
    await using session = await door.open(() => undefined, signal);
    const rows = await session.run({ name: 'user', args: ['--', mask], signal });
    const users = parseUserList(rows.flat().join(''));
    if (users === undefined)
      throw new CommandFault(tempFail, `${why}: the answer of ${door.name} is not a list of users`);
    return users;
  } catch (fault) {
    if (fault instanceof CommandFailed)
      throw new CommandFault(exitCodeOf(fault.code), `${why}: ${fault.message}`);
    if (fault instanceof SessionFault)
      throw new CommandFault(exitCodeOfFault(fault, door), `${why}: ${messageOfFault(fault, door)}`);
    throw fault;
  }
}

const crLf = Buffer.from('\r\n');
/** Limit for a text that is kept because several users need it. */
const keptBytesMax = 256 * 1024 ** 2;

/** The text of a command, from a file or (undefined) stdin, whole. Rejects with a CommandFault. */
export function readWholeInput(file: string | undefined): Promise<Buffer> {
  return wholeOf(readInput(file, () => undefined));
}

async function wholeOf(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    all.push(piece);
    length += piece.length;
    if (length > keptBytesMax)
      throw new CommandFault(tempFail, `for several users the input may have at most ${keptBytesMax} bytes`);
  }
  return Buffer.concat(all);
}

/** A file, or stdin; line ends become CR LF, as every real client sends them. Calls `onBytes` with the size of each piece. */
async function* readInput(
  file: string | undefined,
  onBytes: (count: number) => void,
): AsyncGenerator<Buffer> {
  let last = 0;
  try {
    // Opened only when it is read: an error event before that would have no listener.
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
    throw new CommandFault(tempFail, `${file ?? 'stdin'}: cannot be read`, cause);
  }
}
