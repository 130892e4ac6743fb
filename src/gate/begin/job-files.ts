// Reads and replaces scripts and crontabs of other users, as root. Their owners may change them at the same time: no link is followed,
// nothing is done in a folder that a third user may write to, and a user's folder is changed with the rights of that user only.

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { withRightsOf } from '../../host/machine/accounts.js';
import { listFiles, readIfThere, whyFailed, whyUnsafe } from '../../host/machine/files.js';
import { openRegular, tooLarge } from '../../host/machine/regular-file.js';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { bytesWords } from '../../host/words/words.js';
import { kindOf, namesDoveadm } from './jobs.js';

export interface JobFile {
  readonly text: string;
  /** Replaces the whole text. Throws a CommandFault, also if it was changed since it was read. */
  readonly write: (text: string) => void;
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** The one form of a name: `crontab:USER`, or the absolute path. */
export function nameOfJob(given: string): string {
  return /^crontab:./.test(given) ? given : resolve(given);
}

/** `name`: as `nameOfJob` returns it. Throws a CommandFault. */
export function openJobFile(name: string): JobFile {
  const [, user] = /^crontab:(.+)$/.exec(name) ?? [];
  try {
    const job = user === undefined ? openFile(name) : openCrontab(user);
    // Another user wrote it, and the time to read it grows with the square of its length.
    if (job.text.length > bounds.jobBytes)
      throw refused(`${name} has more than ${bytesWords(bounds.jobBytes)}`);
    return job;
  } catch (cause) {
    if (cause instanceof CommandFault) throw cause;
    throw refused(`${name}: ${whyFailed(cause)}`);
  }
}

function refused(text: string, cause?: unknown): CommandFault {
  return new CommandFault(exitCodes.configuration, text, cause);
}

function openCrontab(user: string): JobFile {
  const crontab = (args: readonly string[], input = ''): string => {
    const done = spawnSync('crontab', ['-u', user, ...args], { encoding: 'utf8', input });
    if (done.error !== undefined) throw refused(`crontab -u ${user}`, done.error);
    if (done.status !== 0) throw refused(`crontab -u ${user} ${args.join(' ')}: ${done.stderr.trim()}`);
    return done.stdout;
  };
  const text = crontab(['-l']);
  const write = (fresh: string): void => {
    if (crontab(['-l']) !== text) throw refused(`the crontab of ${user} was changed meanwhile`);
    crontab(['-'], fresh);
  };
  return { text, write };
}

function openFile(path: string): JobFile {
  if (/^\/(?:var\/spool\/cron|etc\/crontabs)\//.test(path))
    throw refused(`${path} belongs to cron: name it as crontab:${basename(path)}`);
  const { text, found } = inFolder(path, (within) => {
    const file = openRegular(`${within}/${basename(path)}`);
    try {
      const stats = fstatSync(file);
      refuseUnsafe(path, within, stats);
      if (stats.size > bounds.configurationFileBytes) throw tooLarge(path, bounds.configurationFileBytes);
      const bytes = readFileSync(file);
      if (!Buffer.from(bytes.toString('utf8')).equals(bytes)) throw refused(`${path} holds more than text`);
      return { text: bytes.toString('utf8'), found: stats };
    } finally {
      closeSync(file);
    }
  });
  const write = (fresh: string): void =>
    inFolder(path, (within) => {
      refuseUnsafe(path, within, found);
      replaceFile(path, within, { fresh, found });
    });
  return { text, write };
}

/** Everything below uses the descriptor of the folder: another folder in its place has no effect. */
function inFolder<Result>(path: string, use: (within: string) => Result): Result {
  const folder = openSync(dirname(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const within = `/proc/self/fd/${folder}`;
    const real = readlinkSync(within);
    if (real !== dirname(path))
      throw refused(`${path}: a symbolic link is on the way; name ${real}/${basename(path)}`);
    return use(within);
  } finally {
    closeSync(folder);
  }
}

/** Throws a CommandFault if others than its owner and root can write the file, or a folder on the way, or it has a second name. */
function refuseUnsafe(path: string, within: string, { uid, nlink }: Stats): void {
  const unsafe = whyUnsafe(path, false, { owners: [0, uid], writers: [0], readers: [] });
  if (unsafe !== undefined) throw refused(`not touched: ${unsafe.text}`);
  // In a folder as /tmp others cannot replace the file, but put another one where it was.
  if ((statSync(`${within}/.`).mode & 0o002) !== 0)
    throw refused(`not touched: every user may make files in ${dirname(path)}`);
  if (nlink > 1) throw refused(`not touched: ${path} has ${nlink} names (hard links)`);
}

/** cron, run-parts, systemd and logrotate read no file of such a name. */
const unfinishedOf = (path: string): string => `.${basename(path)}.dovegate.new`;

function replaceFile(
  path: string,
  within: string,
  { fresh, found }: { readonly fresh: string; readonly found: Stats },
): void {
  const [name, unfinished] = [basename(path), unfinishedOf(path)];
  const at = `${within}/${unfinished}`;
  // The owner of the folder: root, or the owner of the file.
  const { uid, gid } = statSync(`${within}/.`);
  const asOwner = (use: () => void): void => {
    const run = (): true => {
      use();
      return true;
    };
    if ((uid === 0 ? run() : withRightsOf({ uid, gids: [gid] }, run)) !== true)
      throw refused(`${path}: this process cannot take the rights of its owner`);
  };
  asOwner(() => rmSync(at, { force: true }));
  try {
    // cp keeps access lists and labels, which Node cannot write; what it copies is replaced below.
    const copied = spawnSync('cp', ['-a', '--', name, unfinished], {
      cwd: within,
      uid,
      gid,
      stdio: 'ignore',
    });
    if (copied.status !== 0) throw refused(`${path} could not be copied in its folder`, copied.error);
    asOwner(() => {
      const file = openSync(at, O_RDONLY | O_NOFOLLOW);
      try {
        fchmodSync(file, (found.mode & 0o7777) | 0o200);
        writeFileSync(`/proc/self/fd/${file}`, fresh);
        fsyncSync(file);
        fchmodSync(file, found.mode & 0o7777);
        const made = fstatSync(file);
        if (made.uid !== found.uid || made.gid !== found.gid || made.mode !== found.mode || made.nlink !== 1)
          throw refused(`${path}: its owner, group and mode cannot be kept`);
      } finally {
        closeSync(file);
      }
      const now = lstatSync(`${within}/${name}`);
      if (now.ino !== found.ino || now.mtimeMs !== found.mtimeMs || now.ctimeMs !== found.ctimeMs)
        throw refused(`${path} was changed meanwhile; nothing was written`);
      renameSync(at, `${within}/${name}`);
    });
  } finally {
    asOwner(() => rmSync(at, { force: true }));
  }
}

const places = [
  '/etc/crontab',
  '/etc/cron.d/*',
  ...['hourly', 'daily', 'weekly', 'monthly'].map((often) => `/etc/cron.${often}/*`),
  '/var/spool/cron/*',
  '/var/spool/cron/crontabs/*',
];

/** Jobs of cron that call doveadm themselves, or by a script that they name: for each UNIX user the names for `move jobs`. */
export function jobsHere(root = ''): ReadonlyMap<string, ReadonlySet<string>> {
  const jobs = new Map<string, Set<string>>();
  const add = (user: string, name: string): void =>
    void jobs.set(user, (jobs.get(user) ?? new Set()).add(name));
  const scripts = new Map<string, boolean>();
  const isJob = (script: string): boolean => {
    const known = scripts.get(script);
    if (known !== undefined || scripts.size >= bounds.jobScripts) return known === true;
    const text = textOf(root, script);
    const found = text.startsWith('#!') && namesDoveadm(text);
    scripts.set(script, found);
    return found;
  };
  for (const path of places.flatMap((pattern) => pathsOf(root, pattern))) {
    const text = textOf(root, path);
    const own = path.startsWith('/var/spool/') ? basename(path) : undefined;
    if (own === undefined && kindOf(path, text) !== 'crontab') {
      if (namesDoveadm(text)) add('root', path);
      continue;
    }
    for (const line of text.split('\n').filter((each) => !/^\s*#/.test(each))) {
      const user = own ?? line.trim().split(/\s+/)[line.startsWith('@') ? 1 : 5] ?? 'root';
      if (namesDoveadm(line)) add(user, own === undefined ? path : `crontab:${own}`);
      for (const [, script = ''] of line.matchAll(/\s(\/[\w./-]+)/g)) {
        if (isJob(script)) add(user, script);
      }
    }
  }
  return jobs;
}

function pathsOf(root: string, pattern: string): readonly string[] {
  try {
    return listFiles(`${root}${pattern}`).map((path) => path.slice(root.length));
  } catch {
    return [];
  }
}

/** Empty for what is no file, or cannot be read. */
function textOf(root: string, path: string): string {
  try {
    return readIfThere(`${root}${path}`, bounds.jobBytes) ?? '';
  } catch {
    return '';
  }
}
