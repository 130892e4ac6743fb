// `dovegate move jobs` adds the line that makes the calls of a script or a crontab go to dovegate; `dovegate move back` takes it out.
// Before a change the text is copied to a folder that only root can open. A copy beside the file could be run by cron or systemd, and
// others could read the passwords in it.

import { closeSync, constants, fsyncSync, lstatSync, openSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ourselves } from '../../host/machine/accounts.js';
import { systemClock } from '../../host/machine/clock.js';
import { readText, whyUnsafe } from '../../host/machine/files.js';
import { NewFiles, NewFilesFault } from '../../host/machine/new-files.js';
import { CommandFault, formatFault, plain, stderr, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { asNumber, asText, asTexts, parseLine, type StoredRecord } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import { type JobFile, nameOfJob, openJobFile } from './job-files.js';
import { type Job, kindOf, readJob, withLines, withoutLines } from './jobs.js';

export interface MoveOptions {
  readonly write: boolean;
  readonly copies: string;
  readonly socket?: string;
}

/** Exit code 0: all calls go to dovegate, or will with --write; 1: some do not, or a file was refused; 77: only root writes. */
export function moveJobs(names: readonly string[], { write, copies, socket }: MoveOptions): number {
  if (socket !== undefined && !/^\/[\w./-]+$/.test(socket))
    throw new CommandFault(exitCodes.usage, '--socket is the path of a socket, in letters, digits and ./_-');
  if (write) demandRoot();
  const left = names.map(nameOfJob).filter((name) =>
    reporting(name, () => {
      const file = openJobFile(name);
      const job = readJob(kindOf(name, file.text), file.text, socket);
      const isWanted = job.added.length > 0;
      if (write && isWanted) moveOne(copies, name, file, job);
      stdout(sayJob(name, job, write));
      return job.calls.every(({ why }) => why === undefined) && (isWanted || job.isMoved);
    }),
  );
  if (!write)
    stdout('nothing was written; --write writes the lines with a + (dovegate move back takes them out)');
  return left.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** Exit code 0: each is as it was; 1: some are not; 64: nothing of this name was moved; 77: only root writes. */
export function moveBack(given: readonly string[], { copies }: Pick<MoveOptions, 'copies'>): number {
  demandRoot();
  const list = openList(copies);
  const names = given.map(nameOfJob);
  const wanted = movedIn(list).filter(({ name }) => names.length === 0 || names.includes(name));
  const unknown = names.find((name) => !wanted.some((each) => each.name === name));
  if (unknown !== undefined)
    throw new CommandFault(exitCodes.usage, `${unknown} is not in the list of what was moved (${copies})`);
  if (wanted.length === 0) stdout('nothing is moved');
  const left = wanted.filter((move) => reporting(move.name, () => restore(list, move)));
  return left.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** True: it is left as it was found, or not wholly done. The reason of a fault is printed. */
function reporting(name: string, run: () => boolean): boolean {
  try {
    return !run();
  } catch (fault) {
    if (!(fault instanceof CommandFault)) throw fault;
    stderr(`${plain(name)}: ${formatFault(fault).replace(`${plain(name)}: `, '')}`);
    return true;
  }
}

function demandRoot(): void {
  if (!ourselves().isRoot) throw new CommandFault(exitCodes.notPermitted, 'only root writes jobs of others');
}

function sayJob(name: string, { calls, hindrance, isMoved, added, at }: Job, isWritten: boolean): string {
  const going = calls.filter(({ why }) => why === undefined).length;
  const where = at === 0 ? 'at the beginning' : `after line ${at}`;
  const head = isMoved
    ? 'the line is there already'
    : hindrance === undefined
      ? `${isWritten ? 'added' : 'to add'} ${where}`
      : `not changed: ${hindrance}`;
  return [
    `${plain(name)}: ${going} of ${calls.length} calls of doveadm ${hindrance === undefined ? 'go' : 'could go'} to dovegate; ${plain(head)}`,
    ...added.map((line) => `  + ${plain(line)}`),
    ...calls.map(
      ({ number, text, why }) =>
        `  ${number}: ${plain(text)}${why === undefined ? '' : `\n     ${plain(why)}`}`,
    ),
  ].join('\n');
}

interface Move {
  readonly number: number;
  readonly name: string;
  readonly added: readonly string[];
}

const copyOf = (list: string, number: number): string => join(dirname(list), `${number}.copy`);

function moveOne(copies: string, name: string, file: JobFile, job: Job): void {
  const list = openList(copies);
  const number = entriesOf(list).length + 1;
  new NewFiles().file(dirname(list), basename(copyOf(list, number)), file.text, 0o600, undefined);
  // In the list before it is written: after a fault the file still is as it was, which `restore` finds.
  note(list, { number, name, added: job.added });
  file.write(withLines(file.text, job));
}

/** Whether it is as it was. */
function restore(list: string, { number, name, added }: Move): boolean {
  const file = openJobFile(name);
  const copy = copyOf(list, number);
  const before = readText(copy);
  const text = withoutLines(file.text, added);
  if (file.text === before) stdout(`${plain(name)}: is as it was`);
  else if (text === before) stdout(`${plain(name)}: restored`);
  else {
    const changed = changesBetween(before, text ?? file.text).map((line) => `  ${plain(line)}`);
    const head =
      text === undefined
        ? 'it was changed since, and the line is not in it: left as it is'
        : 'the line is out';
    stdout([`${plain(name)}: ${head}; the copy is ${copy}; changed since, and kept:`, ...changed].join('\n'));
    if (text === undefined) return false;
  }
  if (text !== undefined) file.write(text);
  note(list, { back: number });
  return true;
}

/** Lines that only one of both has. */
function changesBetween(before: string, after: string): readonly string[] {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  return [
    ...old.filter((line) => !fresh.includes(line)).map((line) => `- ${line}`),
    ...fresh.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
}

const rootAlone = { owners: [0], writers: [0], readers: [0] };

/** The path of the list; the copies are beside it. Throws a CommandFault unless the folder is root's alone. */
function openList(copies: string): string {
  const folder = resolve(copies);
  const list = join(folder, 'list.jsonl');
  try {
    new NewFiles().folder(folder, 0o700, undefined);
    append(list, '');
  } catch (cause) {
    if (cause instanceof NewFilesFault) throw new CommandFault(exitCodes.configuration, cause.message);
    throw new CommandFault(exitCodes.configuration, `${list} cannot be written`, cause);
  }
  const { uid, mode } = lstatSync(folder);
  const unsafe = whyUnsafe(list, true, rootAlone)?.text;
  if (uid !== 0 || (mode & 0o077) !== 0 || unsafe !== undefined)
    throw new CommandFault(exitCodes.configuration, unsafe ?? `${folder} is to be root's alone (mode 0700)`);
  return list;
}

function entriesOf(list: string): readonly StoredRecord[] {
  return readText(list)
    .split('\n')
    .map(parseLine)
    .filter((entry) => entry !== undefined);
}

/** What is not back yet, the newest first. */
function movedIn(list: string): readonly Move[] {
  const all = entriesOf(list);
  const back = new Set(all.map((entry) => asNumber(entry['back'])));
  return all
    .flatMap(moveOf)
    .filter(({ number }) => !back.has(number))
    .toReversed();
}

function note(list: string, entry: StoredRecord): void {
  append(list, `${JSON.stringify({ time: formatTime(systemClock.wallMs()), ...entry })}\n`);
}

function moveOf(entry: StoredRecord): Move[] {
  const [number, name] = [asNumber(entry['number']), asText(entry['name'])];
  return number === undefined || name === undefined ? [] : [{ number, name, added: asTexts(entry['added']) }];
}

function append(path: string, line: string): void {
  const file = openSync(
    path,
    constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    writeFileSync(file, line);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
