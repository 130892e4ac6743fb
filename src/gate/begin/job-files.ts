// Files of jobs, and crontabs, as root reads and replaces them. Their owners are other users, who may change them meanwhile: no link is
// followed, nothing is done in a folder that a third user may write to, and a user's folder is changed with the rights of that user only.

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
  writeFileSync,
} from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { withRightsOf } from '../../host/machine/accounts.js';
import { whyFailed, whyUnsafe } from '../../host/machine/files.js';
import { openRegular, tooLarge } from '../../host/machine/regular-file.js';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';

export interface JobFile {
  readonly text: string;
  /** Replaces the whole text. Throws a CommandFault, also if it was changed since it was read. */
  readonly write: (text: string) => void;
}

const { O_RDONLY, O_WRONLY, O_TRUNC, O_DIRECTORY, O_NOFOLLOW } = constants;

/** The one form of a name: `crontab:USER`, or the absolute path. */
export function nameOfJob(given: string): string {
  return /^crontab:./.test(given) ? given : resolve(given);
}

/** `name`: as `nameOfJob` returns it. Throws a CommandFault. */
export function openJobFile(name: string): JobFile {
  const [, user] = /^crontab:(.+)$/.exec(name) ?? [];
  try {
    return user === undefined ? openFile(name) : openCrontab(user);
  } catch (cause) {
    if (cause instanceof CommandFault) throw cause;
    throw refused(`${name}: ${isIrregular(cause) ? 'it is a link, or no plain file' : whyFailed(cause)}`);
  }
}

const isIrregular = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && cause.code === 'EFTYPE';

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

function statOfFolder(within: string): Stats {
  const folder = openSync(`${within}/.`, O_RDONLY | O_DIRECTORY);
  try {
    return fstatSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Throws a CommandFault if others than its owner and root can write the file, or a folder on the way, or it has a second name. */
function refuseUnsafe(path: string, within: string, { uid, nlink }: Stats): void {
  const unsafe = whyUnsafe(path, false, { owners: [0, uid], writers: [0], readers: [] });
  if (unsafe !== undefined) throw refused(`not touched: ${unsafe.text}`);
  // In a folder as /tmp others cannot replace the file, but put another one where it was.
  if ((statOfFolder(within).mode & 0o002) !== 0)
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
  const { uid, gid } = statOfFolder(within);
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
        writeThrough(`/proc/self/fd/${file}`, fresh);
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

function writeThrough(path: string, text: string): void {
  const out = openSync(path, O_WRONLY | O_TRUNC);
  try {
    writeFileSync(out, text);
    fsyncSync(out);
  } finally {
    closeSync(out);
  }
}
