// Sends one command for one user of a bulk run, and returns the result. A change gets a connection of its own, because the end
// of an idle one would leave open whether it ran, and nothing that may have run is reported as unsent.

import { readSaid } from '../../doveadm/codes/said.js';
import type { TypedCommand } from '../../doveadm/commands/typed-command.js';
import { replyRowsAt } from '../../doveadm/meaning/columns.js';
import { effectOf } from '../../doveadm/meaning/reach.js';
import { CommandFault } from '../../host/output/output.js';
import { CommandFailed, type Session, SessionFault } from '../connect.js';
import { commandAt } from '../doveadm/ask.js';
import { exitCodeOfFault, messageOfFault, type ServerDoor } from '../doveadm/server-door.js';

/** A row by the names of its columns, or its cells if these are unknown. */
export type BulkRow = Readonly<Record<string, string>> | readonly string[];

export type UserResult =
  | { readonly kind: 'ok'; readonly rows: readonly BulkRow[]; readonly isCut: boolean }
  /** `code`: Dovecot's word; `id`: of the exchange in dovegate's journal. */
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly id: string | undefined;
    }
  | {
      readonly kind: 'unknown';
      readonly message: string;
      readonly id: string | undefined;
      /** All users would fail like this: the run ends, so that they do not become unknown too. */
      readonly endsRun?: boolean;
    };

/** An attempt that may be repeated: nothing ran, or the command only reads. */
export interface TryAgain {
  readonly kind: 'again';
  /** `limited`: all clients wait; `away`: unreachable; `busy`: a resource of this user; `broken`: a read broke off. */
  readonly why: 'limited' | 'away' | 'busy' | 'broken';
  readonly afterMs: number | undefined;
  readonly message: string;
  readonly code: string;
  readonly id: string | undefined;
}

export interface BulkCommand {
  readonly words: readonly string[];
  readonly typed: TypedCommand;
  readonly isDryRun: boolean;
  readonly reason: string | undefined;
  readonly input: Buffer | undefined;
  readonly door: ServerDoor;
}

/** Sends the commands of one worker of a run, one at a time. */
export interface UserSender {
  /** `begin`: called just before the command is sent; its tag. Rejects with a CommandFault if the run must end, or the signal's reason. */
  send(user: string, begin: () => Promise<string>, signal: AbortSignal): Promise<UserResult | TryAgain>;
  close(): Promise<void>;
}

export function isHarmless({ typed, isDryRun }: Pick<BulkCommand, 'typed' | 'isDryRun'>): boolean {
  return isDryRun || effectOf(typed.parsed) === 'read';
}

/** Size of one user's rows that are held for its result. */
const rowsCharsMax = 16 * 1024 ** 2;

/** Repeating does not help against these. */
const lasting: ReadonlySet<string> = new Set([
  'auth-rejected',
  'tls-failed',
  'version-unsupported',
  'wire-fault',
  'unsendable',
  'input-command-like',
  'input-not-utf8',
  'input-failed',
]);

export function createUserSender(command: BulkCommand): UserSender {
  const { door, isDryRun } = command;
  const isAlone = !isHarmless(command);
  let session: Session | undefined;

  async function close(): Promise<void> {
    const closing = session;
    session = undefined;
    await closing?.close();
  }

  async function opened(signal: AbortSignal): Promise<Session | TryAgain> {
    if (session !== undefined) return session;
    try {
      session = await door.open(() => undefined, signal);
      return session;
    } catch (fault) {
      if (!(fault instanceof SessionFault)) throw fault;
      return unsent(fault);
    }
  }

  /** Handles a fault before anything was sent. */
  async function unsent(fault: SessionFault): Promise<TryAgain> {
    await close();
    if (lasting.has(fault.code))
      throw new CommandFault(exitCodeOfFault(fault, door), `${door.name}: ${messageOfFault(fault, door)}`);
    return again('away', fault.message);
  }

  return {
    close,
    async send(user, begin, signal) {
      const open = await opened(signal);
      if ('kind' in open) return open;
      const tag = await begin();
      try {
        return await ask(open, user, tag, signal);
      } catch (fault) {
        await close();
        if (fault instanceof CommandFailed) return judgeFailure(fault, !isAlone);
        if (!(fault instanceof SessionFault)) throw fault;
        if (!fault.mayHaveRun) return await unsent(fault);
        if (!isAlone) return again('broken', fault.message);
        return { kind: 'unknown', message: fault.message, id: undefined, endsRun: lasting.has(fault.code) };
      } finally {
        if (isAlone) await close();
      }
    },
  };

  async function ask(open: Session, user: string, tag: string, signal: AbortSignal): Promise<UserResult> {
    const { parsed, command: named } = commandAt(open, command);
    const form = replyRowsAt(open.serverMinor, parsed);
    const keysFrom = (cells: readonly string[]): string[] | undefined =>
      form?.shapeFrom(cells)?.columns.map(({ key }) => key);
    // A dry run takes no input.
    const text = isDryRun ? undefined : command.input;
    const stream = open.stream({ ...named, user, tag, signal, ...(text !== undefined && { input: text }) });
    const rows: BulkRow[] = [];
    let chars = 0;
    for await (const cells of stream) {
      if (chars > rowsCharsMax) continue;
      for (const cell of cells) chars += cell.length;
      const keys = isDryRun ? undefined : keysFrom(cells);
      const isNamed = keys !== undefined && keys.length === cells.length;
      rows.push(isNamed ? Object.fromEntries(keys.map((key, at) => [key, cells[at] ?? ''])) : cells);
    }
    const isCut = chars > rowsCharsMax;
    return { kind: 'ok', rows: isCut ? [] : rows, isCut };
  }
}

function again(why: TryAgain['why'], message: string, afterMs?: number): TryAgain {
  return { kind: 'again', why, afterMs, message, code: 'TEMPFAIL', id: undefined };
}

/** `isHarmless`: it may be sent again whether it ran or not. */
export function judgeFailure(failure: CommandFailed, isHarmlessOne: boolean): UserResult | TryAgain {
  const { code, id, logs, reason, mayHaveRun, mayRetry, retryAfterMs } = failure;
  const last = logs.findLast(({ type }) => type !== 'debug')?.text ?? failure.message;
  const message = readSaid(last)?.sentence ?? last;
  // Any other status is the answer to this command, and would be the same again.
  if (code !== 'TEMPFAIL') return { kind: 'failed', code, message, id };
  if (mayRetry) {
    const isLimit = reason === 'over-limit' || reason === 'limits-full';
    return { ...again(isLimit ? 'limited' : 'busy', message, retryAfterMs), id };
  }
  // A refusal by dovegate, which would be the same again.
  if (!mayHaveRun) return { kind: 'failed', code, message, id };
  return isHarmlessOne ? { ...again('broken', message), id } : { kind: 'unknown', message, id };
}
