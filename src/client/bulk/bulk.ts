// `dovegate send --users`: one command for each user of a list, one exchange each. This file reads the options, the list and the
// state file, and prints the summary; run.ts sends.

import { createHash } from 'node:crypto';
import { readSentCommand } from '../../doveadm/commands/typed-command.js';
import type { NameCase } from '../../doveadm/names/user-name.js';
import { randomBytes, systemClock } from '../../host/machine/clock.js';
import { endUnread } from '../../host/machine/outputs.js';
import { holdProcess, onSignal } from '../../host/machine/process.js';
import { CommandFault, formatFault, plain, stderr, wrongUsage } from '../../host/output/output.js';
import { openScreen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { foldAscii } from '../../host/words/text.js';
import { countWords, plural } from '../../host/words/words.js';
import { CommandFailed, SessionFault } from '../connect.js';
import { askUsers, readWholeInput } from '../doveadm/ask.js';
import { printingFaults, type SendOptions } from '../doveadm/doveadm.js';
import { type DoorOptions, findServerDoor } from '../doveadm/server-door.js';
import { createDryRun } from './dry-run.js';
import { createPace } from './pace.js';
import {
  type BulkFormat,
  type Counts,
  createBulkProgress,
  describeCounts,
  describeGivenUp,
  formatResult,
  tableHead,
} from './results.js';
import { runForUsers } from './run.js';
import { forgetfulState, openRunState, type RunState, readRunState, sysexits } from './run-state.js';
import { type BulkCommand, createUserSender, isHarmless, type UserResult } from './send-user.js';
import { bareNameAmongOthers, linesOf, listSourceOf, makeUserList, readNames } from './user-list.js';

export interface BulkOptions
  extends DoorOptions,
    Pick<SendOptions, 'socket' | 'reason' | 'timeout' | 'dryRun'> {
  /** A file, `-` or a mask. */
  readonly users: string;
  /** Commands a second. */
  readonly rate?: number;
  readonly jobs?: number;
  readonly resume?: string;
  readonly format?: string;
}

/** When it is stopped, running commands have this time to end. */
const graceMs = 30_000;

/** Resolves to the exit code: 0 all ok, 1 some not, else of <sysexits.h>. */
export async function bulk(options: BulkOptions, words: readonly string[]): Promise<number> {
  const letGo = holdProcess();
  try {
    return await printingFaults('dovegate: ', () => run(options, words));
  } finally {
    letGo();
  }
}

async function run(options: BulkOptions, words: readonly string[]): Promise<number> {
  const { resume, jobs = 1, rate } = options;
  const format = formatOf(options.format);
  const command = await readCommand(options, words);
  const stop = new AbortController();
  const cancel = new AbortController();
  const endNow = (why: string): void => {
    offSignals();
    endUnread();
    cancel.abort(new CommandFault(sysexits.tempFail, why));
  };
  const stopAfter = (why: string): void => {
    if (stop.signal.aborted) return endNow(why);
    stop.abort(new CommandFault(sysexits.tempFail, why));
    systemClock.setTimer(graceMs, () => endNow(why));
    progress?.clear();
    stderr(`dovegate: ${why}: waits for what runs; again, and it ends at once`);
  };
  let progress: ReturnType<typeof createBulkProgress> | undefined;
  const offSignals = onSignal(['SIGINT', 'SIGTERM'], () => stopAfter('stopped'));
  const timer =
    options.timeout === undefined
      ? undefined
      : systemClock.setTimer(options.timeout, () => stopAfter('the time of --timeout is over'));
  let state: RunState | undefined;
  try {
    const { isDryRun } = command;
    const isSafeTwice = isHarmless(command);
    if (resume === undefined) state = forgetfulState();
    else state = isDryRun ? await readRunState(resume) : await openRunState(resume, !isSafeTwice);
    const { read } = state;
    const { list, header } = await readList(options, command, state, stop.signal);
    await state.adopt(header);
    const counts: Counts = { ok: 0, failed: 0, unknown: 0 };
    let before = 0;
    const screen = openScreen();
    // Users that are no longer in the list are not reported. A dry run counts its own answers.
    const isOfList = (name: string): boolean => !isDryRun && list.users.has(name);
    for (const [name, how] of read.ended) if (isOfList(name)) counts[how] += 1;
    // Leaves equal answers out of the table; programs get an answer for each user.
    const dryRun = isDryRun ? createDryRun() : undefined;
    if (format === 'table') await screen.print(tableHead());
    const lost = new Set<string>();
    const message = 'it was being sent when the run before ended';
    for (const [number, name] of read.open) {
      // Sending a read twice does no harm.
      if (isHarmless({ ...command, isDryRun: false })) {
        state.end(number, 'released');
        continue;
      }
      lost.add(name);
      if (isDryRun) continue;
      const user = list.users.get(name);
      if (user !== undefined)
        await show(user, `${header.id}-${number}`, { kind: 'unknown', message, id: undefined });
      state.end(number, 'unknown');
    }
    const isDone = (name: string): boolean => read.ended.has(name) || lost.has(name);
    let done = 0;
    for (const name of list.users.keys()) if (isDone(name)) done += 1;
    if (read.header !== undefined)
      stderr(
        `dovegate: ${isDryRun ? 'leaves out what was sent by' : 'goes on with'} ${header.id}: ${countWords(done)} of ${plural(list.users.size, 'user')} have a result`,
      );
    if (isDryRun) before = done;
    const terminal = process.stderr.isTTY ? (text: string) => process.stderr.write(text) : undefined;
    progress = createBulkProgress(systemClock, screen, terminal, list.users.size, done);
    await screen.flush();

    const ended = await runForUsers({
      clock: systemClock,
      state,
      // A resumed run keeps its tags.
      id: isDryRun ? newRunId() : header.id,
      users: list.users,
      isDone,
      isHarmless: isSafeTwice,
      jobs,
      pace: createPace(systemClock, rate),
      createSender: () => createUserSender(command),
      onResult: show,
      onWait: (ms, why) => progress?.waits(ms, why),
      stop: stop.signal,
      cancel: cancel.signal,
    });
    progress.clear();
    const closing = state.close();
    state = undefined;
    // The rest is reported even if the last results could not be saved.
    const unnoted = await closing.then(
      () => undefined,
      (cause: unknown) => {
        if (cause instanceof CommandFault) return cause;
        throw cause;
      },
    );
    const { left, givenUp, fault = unnoted } = ended;
    await screen.flush();
    if (fault !== undefined && fault !== stop.signal.reason) stderr(`dovegate: ${formatFault(fault)}`);
    const summary = dryRun === undefined ? describeCounts(counts) : plain(dryRun.summary(before));
    stderr(
      `dovegate: ${summary}${list.repeated === 0 ? '' : ` (${list.repeated} lines of the list named a user again)`}`,
    );
    if (counts.unknown > 0)
      stderr(
        `dovegate: of unknown users the command may have run: dovegate audit search --text ${header.id} has the records`,
      );
    const goOn = isDryRun ? 'a dry run notes nothing: begin it again' : howToGoOn(resume);
    if (left > 0) stderr(plain(`dovegate: ${plural(left, 'user')} left; ${goOn}`));
    if (givenUp > 0) {
      const again = isDryRun || resume !== undefined ? goOn : 'make a list of them';
      stderr(plain(`dovegate: ${describeGivenUp(givenUp, isDryRun)}; ${again}`));
    }
    if (fault !== undefined && fault.exitCode !== sysexits.tempFail) return fault.exitCode;
    if (left + givenUp > 0) return sysexits.tempFail;
    return counts.failed + counts.unknown > 0 ? exitCodes.failed : exitCodes.ok;

    async function show(user: string, tag: string | undefined, result: UserResult): Promise<void> {
      counts[result.kind] += 1;
      progress?.clear();
      const difference = dryRun === undefined ? result : dryRun.take(result);
      const shown = format === 'table' ? difference : result;
      if (shown !== undefined) {
        await screen.print(formatResult(format, user, tag, shown, screen.columns));
        await screen.flush();
      }
      progress?.draw(before + counts.ok + counts.failed + counts.unknown, counts);
      // Further results would be lost.
      if (screen.isGone && !stop.signal.aborted) stopAfter('the results cannot be written any more');
    }
  } finally {
    timer?.cancel();
    offSignals();
    await state?.close().catch(() => undefined);
  }
}

function howToGoOn(resume: string | undefined): string {
  return resume === undefined
    ? 'without --resume FILE there is nothing to go on with'
    : `go on with the same command and --resume ${resume}`;
}

function formatOf(format: string | undefined): BulkFormat {
  if (format === undefined || format === 'table' || format === 'tab' || format === 'json')
    return format ?? 'table';
  throw wrongUsage(
    'with --users the format is table, tab for a line a row, or json for one line of JSON a user',
  );
}

async function readCommand(options: BulkOptions, words: readonly string[]): Promise<BulkCommand> {
  const typed = readSentCommand(words);
  if (
    (typed.command.scope !== 'user' && !typed.command.isAdded) ||
    typed.isAllUsers ||
    typed.userFile !== undefined ||
    typed.user !== undefined ||
    typed.socket !== undefined
  )
    throw wrongUsage('--users is for a command for one mailbox user, without -u, -A, -F and -S');
  const isDryRun = options.dryRun === true;
  // A dry run needs the text only to compare it with a state.
  const text = isDryRun && options.resume === undefined ? undefined : typed.input;
  if (text !== undefined && text.file === undefined && options.users === '-')
    throw wrongUsage('stdin cannot be the list and the text of the command: give the text as a file');
  const door = await findServerDoor(options.socket, process.env, options);
  if (door === undefined) throw wrongUsage('no socket: give one with --socket');
  const input = text === undefined ? undefined : await readWholeInput(text.file);
  return {
    words,
    typed,
    isDryRun,
    reason: options.reason,
    input,
    door,
  };
}

/** Reads the list. `header` names its run: that of the state file, or a new one. */
async function readList(
  { users }: BulkOptions,
  command: BulkCommand,
  { read }: RunState,
  signal: AbortSignal,
) {
  const source = listSourceOf(users);
  // Never spread: a server may know more users than a call takes arguments.
  const names =
    source.kind === 'mask'
      ? await askUsers(source.mask, command.door, signal)
      : await readNames(linesOf(source.path, signal));
  const bare = bareNameAmongOthers(names);
  const realm = read.header?.realm ?? (bare === undefined ? '' : await askRealm(bare, command, signal));
  const folded = makeUserList(names, realm, 'fold');
  const kept = makeUserList(names, realm, 'keep');
  const capital = names.find((name) => foldAscii(name) !== name);
  const isAsked = capital !== undefined && kept.users.size > folded.users.size;
  const list = isAsked && (await askCase(capital, command, signal)) === 'keep' ? kept : folded;
  if (list.users.size === 0) throw new CommandFault(sysexits.dataErr, `no user in ${users}`);
  if (command.typed.command.isAdded) await refuseOthers([...list.users.values()][0] ?? '', command, signal);
  const { typed, input, door } = command;
  const hash = createHash('sha256');
  const inputHash = input === undefined ? '' : createHash('sha256').update(input).digest('hex');
  // A mask may match other users tomorrow, which does not affect users that are done.
  const whom = source.kind === 'mask' ? `mask ${source.mask}` : list.hash;
  const parts = [door.name, 'run', typed.command.name, ...typed.args, inputHash, whom];
  hash.update(JSON.stringify(parts));
  const id = read.header?.id ?? newRunId();
  return { list, header: { id, hash: hash.digest('hex'), realm } };
}

function newRunId(): string {
  return `bulk-${Buffer.from(randomBytes(8)).toString('hex')}`;
}

/** The name that the server makes of a name; empty if it does not say. */
async function askName(
  name: string,
  { door, typed }: Pick<BulkCommand, 'door' | 'typed'>,
  signal: AbortSignal,
): Promise<string> {
  try {
    await using session = await door.open(() => undefined, signal);
    const args = ['-u', name, '--', typed.command.name, ...typed.args];
    const rows = await session.run({ name: 'dovegate explain', args, columns: 2, signal });
    const [, concerns = ''] = rows.find(([what]) => what === 'concerns') ?? [];
    return concerns.split(',')[0] ?? '';
  } catch (fault) {
    if (!(fault instanceof CommandFailed || fault instanceof SessionFault)) throw fault;
    return '';
  }
}

/** Only the server knows a command that is missing in the catalog here. Rejects with a CommandFault if it is not for one mailbox user. */
async function refuseOthers(user: string, command: BulkCommand, signal: AbortSignal): Promise<void> {
  const named = await askName(user, command, signal);
  if (foldAscii(named).startsWith(foldAscii(user))) return;
  throw wrongUsage(
    `the server knows no command "${plain(command.words.slice(0, 2).join(' '))}" for one mailbox user`,
  );
}

/** Whether two names of a list that differ in case only are two users. Rejects with a CommandFault if the server does not say. */
async function askCase(capital: string, command: BulkCommand, signal: AbortSignal): Promise<NameCase> {
  const named = await askName(capital, command, signal);
  if (named.startsWith(capital)) return 'keep';
  if (named.startsWith(foldAscii(capital))) return 'fold';
  const text = `the list has names that differ in case only (as "${plain(capital)}"), and the server does not say whether they are one user`;
  throw new CommandFault(sysexits.dataErr, `${text}; write each user once`);
}

/** What the server appends to names without a domain; empty: nothing. Rejects with a CommandFault if it does not say. */
async function askRealm(bare: string, command: BulkCommand, signal: AbortSignal): Promise<string> {
  const named = await askName(bare, command, signal);
  if (foldAscii(named) === foldAscii(bare)) return '';
  const isBare = foldAscii(named).startsWith(`${foldAscii(bare)}@`);
  const realm = isBare ? named.slice(bare.length + 1) : '';
  if (/^[^\s@]+$/.test(realm)) return realm;
  const text = `the list has names with a domain and names without one ("${plain(bare)}"), and the server does not say what it makes of these`;
  throw new CommandFault(sysexits.dataErr, `${text}; write all of them alike`);
}
