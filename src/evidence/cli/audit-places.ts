// The journals that a subcommand of `audit` reads: the directory of a configuration, or the named files. Of the other files that
// the configuration names, only the journal's keys are read: auditors may read the journal, but not passwords of backends.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { ask } from '../../host/http/ask.js';
import { systemClock } from '../../host/machine/clock.js';
import { whyDenied } from '../../host/machine/denied.js';
import { whyNoRight } from '../../host/machine/files.js';
import { packaged, standardConfig } from '../../host/machine/packaged.js';
import { readFromDisk } from '../../host/machine/process.js';
import { readLinked, readNamed } from '../../host/machine/regular-file.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatWords, printable } from '../../host/words/text.js';
import { findTrail, type Trail } from '../../journal/files/trail.js';
import type { Settings } from '../../rules/config/settings.js';
import { ownSignKeyName, publicKeyName } from '../../rules/keys/sign-key.js';
import type { MirroredHost } from './fleet-places.js';

const answerMs = 5000;

/** As given on the command line; without any, the journal of the standard configuration. */
export interface Places {
  readonly config: string | undefined;
  readonly paths: readonly string[];
  /** fleet.yaml, or the directory of a mirror: the journals of all hosts. */
  readonly fleet?: string | undefined;
  /** Patterns of mail users: a limited view, which shows only what concerns these users. */
  readonly view?: readonly string[] | undefined;
  /** `admin.page.unix` of a daemon, which is asked instead. */
  readonly socket?: string | undefined;
  /** All words of the command line after the name of the program. */
  readonly words?: readonly string[];
}

export interface Journals {
  /** Directories and files to read, at least one unless they are of a fleet. */
  readonly paths: readonly string[];
  /** The hosts of a fleet, also those without a journal. */
  readonly hosts?: readonly MirroredHost[] | undefined;
  /** The expected private signing key, and the key of digests; undefined: not known. */
  readonly signKeyFile?: string | undefined;
  readonly stateDirectory?: string | undefined;
  readonly hmacKeyFile?: string | undefined;
  /** `admin.unix` of the daemon that writes there; undefined: not known. */
  readonly adminSocket?: string | undefined;
  /** `admin.page.unix` of that daemon. */
  readonly pageSocket?: string | undefined;
}

/**
 * The chosen journals. Problems of a configuration outside of `audit` are only a warning on stderr: auditors need the journal
 * even if the daemon could not start with this file. Without `sign_key`, `signKeyFile` is the one in `state`. Throws a
 * CommandFault with the problems that prevent finding the journal or its keys.
 */
export async function journalsOf(screen: Screen, places: Places): Promise<Journals> {
  const { config = standardConfig(), paths, socket } = places;
  if (places.fleet !== undefined) {
    if (socket !== undefined || places.config !== undefined || paths.length > 0)
      throw new CommandFault(exitCodes.usage, 'give --fleet FILE alone: it names the journals');
    const { mirroredHosts } = await import('./fleet-places.js');
    const hosts = mirroredHosts(screen, places.fleet);
    for (const { host, paths: own } of hosts)
      if (own.length === 0) screen.complain(`dovegate: the mirror holds no journal of ${host}`);
    return { paths: hosts.flatMap((host) => host.paths), hosts };
  }
  if (socket !== undefined)
    throw new CommandFault(exitCodes.usage, 'give --socket PATH, or --config FILE or directories, not both');
  if (places.config !== undefined && paths.length > 0)
    throw new CommandFault(exitCodes.usage, 'give --config FILE or directories, not both');
  for (const path of paths) {
    if (whyNoRight(path, 'read') !== 'EACCES') continue;
    throw notForThisUser(path, whatWorks(places, undefined, packaged.pageSocket));
  }
  if (paths.length > 0) return { paths };
  // Loaded on demand: the YAML parser takes longer to load than a search takes, and a named directory does not need it.
  const { findSettings, parseSettings } = await import('../../rules/config/parse-settings.js');
  const { formatProblem } = await import('../../rules/config/problem.js');
  const journalsIn = ({ audit, state, admin }: Settings, isStateSaid = true): Journals => ({
    paths: [audit.directory],
    ...(admin?.unix !== undefined && { adminSocket: admin.unix }),
    ...(admin?.page?.socket !== undefined && { pageSocket: admin.page.socket.path }),
    ...(isStateSaid && { stateDirectory: state, signKeyFile: join(state, ownSignKeyName) }),
    ...audit,
  });
  const { settings, problems } = parseSettings(config, readFromDisk);
  if (settings !== undefined) return journalsIn(settings);
  const found = findSettings(config, readFromDisk);
  if (found.settings === undefined || found.hiding.length > 0) {
    const lines = found.hiding.map((problem) => formatProblem(problem, found.texts.get(problem.file)));
    if (whyNoRight(config, 'read') === 'EACCES') {
      const why = whyNoRight(packaged.journal, 'read', 'enter');
      // Auditors need the journal, not the configuration.
      const works = whatWorks(places, why === undefined ? packaged.journal : undefined, packaged.pageSocket);
      if (works !== undefined) throw new CommandFault(exitCodes.configuration, works);
      if (why === 'EACCES') lines.push(whyDenied(packaged.journal, 'read'));
    }
    throw new CommandFault(exitCodes.configuration, lines.join('\n'));
  }
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const count = errors === 1 ? 'is an error' : `are ${errors} errors`;
  const text = `warning: ${config}: there ${count} (dovegate check prints them); the journal is ${found.settings.audit.directory}`;
  screen.complain(`dovegate: ${printable(text)}`);
  return journalsIn(found.settings, found.isStateSaid);
}

/** The same for a subcommand that reads records: the latest ones are on disk, if the daemon answers. */
export async function flushedJournalsOf(screen: Screen, places: Places): Promise<Journals> {
  const journals = await journalsOf(screen, places);
  const [directory = ''] = journals.paths;
  if (
    journals.hosts === undefined &&
    places.paths.length === 0 &&
    whyNoRight(directory, 'read', 'enter') === 'EACCES'
  ) {
    const { pageSocket } = journals;
    throw notForThisUser(directory, pageSocket && whatWorks(places, undefined, pageSocket));
  }
  await askFlushed(screen, journals.adminSocket);
  return journals;
}

/** Subcommands that can ask the daemon instead of the files. */
const askers = new Set(['search', 'show', 'report', 'export', 'verify', 'access']);

/** The same command with the access of a user who may not read the configuration or the journal; undefined: none. */
function whatWorks(
  { words = [], paths }: Places,
  directory: string | undefined,
  socket: string,
): string | undefined {
  const kept = words.filter(
    (word, at) => !/^--config(=|$)/.test(word) && words[at - 1] !== '--config' && !paths.includes(word),
  );
  const isAsker = askers.has(words[1] ?? '') && whyNoRight(socket, 'write') === undefined;
  const place = directory === undefined ? (isAsker ? ['--socket', socket] : undefined) : [directory];
  if (words.length === 0 || place === undefined) return undefined;
  // For a directory alone, verify checks no signature, and fails.
  const keyFile = directory === undefined ? undefined : join(directory, publicKeyName);
  const isKeyless = words[1] === 'verify' && !words.some((word) => /^--(key|unsigned)(=|$)/.test(word));
  const isReadable = keyFile !== undefined && whyNoRight(keyFile, 'read') === undefined;
  const key = isKeyless && isReadable ? ['--key', keyFile] : [];
  return `this user may run: dovegate ${formatWords([...kept, ...key, ...place])}`;
}

/** `works`: what this user may run instead; the message then says nothing else. */
function notForThisUser(path: string, works: string | undefined): CommandFault {
  return new CommandFault(exitCodes.configuration, works ?? whyDenied(path, 'read'));
}

export interface HostTrail extends Trail {
  /** Set for a fleet. */
  readonly host?: string | undefined;
}

/** The chosen journals with all their files. Throws a CommandFault or a JournalFault if there is none. */
export async function trailsOf(screen: Screen, places: Places): Promise<readonly HostTrail[]> {
  const journals = await flushedJournalsOf(screen, places);
  if (places.view !== undefined) screen.complain(`dovegate: ${viewWords('--view', places.view)}`);
  const trails: HostTrail[] = [];
  for (const path of journals.paths) trails.push({ ...trailAt(path), host: hostOf(journals, path)?.host });
  return trails;
}

/** What a limited view shows; `name`: whose it is. */
export function viewWords(name: string, users: readonly string[]): string {
  return `${name} sees the records of ${users.map((each) => printable(each)).join(' ')} only: commands that touch other users too, or all of them, are hidden`;
}

/** Undefined: the journal is of no fleet. */
export function hostOf({ hosts }: Journals, path: string): MirroredHost | undefined {
  return hosts?.find(({ paths }) => paths.includes(path));
}

/** The trail at one path; `state`: of its daemon. Throws a CommandFault or a JournalFault if there is none. */
export function trailAt(path: string, state?: string): Trail {
  const trail = findTrail([path], state);
  if (trail.files.length === 0 && trail.kept.length === 0) {
    throw new CommandFault(exitCodes.configuration, `${path} holds no journal`);
  }
  return trail;
}

/** Longer than any key file, or any part of a log with a checkpoint. */
const textBytesMax = 1 << 20;

/** The first bytes of a plain file, as text; empty: it is not one (such as a pipe), or unreadable. */
export function readBeginning(path: string): string {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) return '';
    const bytes = Buffer.alloc(64);
    return bytes.toString('latin1', 0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } catch {
    return '';
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** A small file, whole; `isNamed`: a person named it, so it may be a pipe. Throws a CommandFault. */
export function readSmallFile(path: string, isNamed = false): string {
  try {
    return (isNamed ? readNamed : readLinked)(path, textBytesMax).toString('utf8');
  } catch (error) {
    const isLong = error instanceof Error && 'code' in error && error.code === 'EFBIG';
    const text = isLong ? `${path} is longer than ${textBytesMax} bytes` : `${path} cannot be read`;
    throw new CommandFault(exitCodes.configuration, text, error);
  }
}

/** No daemon runs there, or the socket is not for this user: auditors may have access to the files only. */
const silentCodes: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'EACCES', 'EPERM']);

const reasonCharsMax = 200;

/** `socket`: `admin.unix`; undefined: none is configured. Always resolves; a warning says why the last records may be missing. */
export async function askFlushed(screen: Screen, socket: string | undefined): Promise<void> {
  if (socket === undefined) return;
  try {
    const limits = { clock: systemClock, ms: answerMs, bytesMax: bounds.daemonAnswerBytes };
    const where = { socketPath: socket, path: '/flushed', agent: false };
    const { status, body } = await ask(where, undefined, limits);
    if (status === 200) return;
    complain(body.trimEnd().slice(0, reasonCharsMax));
  } catch (fault) {
    if (fault instanceof Error && 'code' in fault && silentCodes.has(fault.code)) return;
    complain(fault instanceof Error ? fault.message : String(fault));
  }

  function complain(why: string): void {
    const text = `the daemon at ${socket} does not confirm that all records are on disk (${why})`;
    screen.complain(`dovegate: warning: ${printable(text)}; those of the last moment may be missing`);
  }
}
