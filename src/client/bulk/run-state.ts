// The file of a bulk run that can be resumed; it is locked while a run uses it. A user that was begun and has no end may have
// been sent, and is never sent again; only an incomplete last line is dropped, and a file that was changed otherwise is refused.
//
//     dovegate-bulk 1 bulk-8f3a0c1d2e4b5a69 SHA-256 REALM|-      the run, its command and list, the domain of names without one
//     > 1 alice@example.com                                      about to be sent; on disk before that, where it changes something
//     + 1                                                        the server said yes
//     > 2 bob@example.com
//     - 2 NOUSER                                                 the server said no
//     ? 3                                                        nobody knows whether it ran
//     = 4                                                        nothing was sent; it will be begun again

import { constants, type Stats } from 'node:fs';
import { type FileHandle, open as openFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { lockHolder } from '../../host/machine/find-peer.js';
import { loadNative } from '../../host/machine/native.js';
import { openRegularFile, syncFolder } from '../../host/machine/regular-file.js';
import { CommandFault } from '../../host/output/output.js';

/** Exit codes of <sysexits.h> for problems with files. */
export const sysexits = { dataErr: 65, cantCreat: 73, ioErr: 74, tempFail: 75 } as const;

export interface RunHeader {
  readonly id: string;
  readonly hash: string;
  /** The domain that the server appends to names without one; empty: none. */
  readonly realm: string;
}

export type UserEnd = 'ok' | 'failed' | 'unknown';

export interface ReadState {
  readonly header: RunHeader | undefined;
  readonly ended: ReadonlyMap<string, UserEnd>;
  readonly open: ReadonlyMap<number, string>;
  readonly count: number;
  /** Bytes of whole lines; the rest is dropped. */
  readonly bytes: number;
}

const headerLine = /^dovegate-bulk 1 (bulk-[0-9a-f]{16}) ([0-9a-f]{64}) (\S+)$/;
const stateLine =
  /^(?:> (\d{1,15}) ([^\p{Cc}\p{Zl}\p{Zp}\ufffd]+)|([+?=]) (\d{1,15})|- (\d{1,15}) ([A-Z]{1,32}))$/u;

/** Throws a CommandFault for a file that is not a state file, or was changed. */
export function readState(text: string, path: string): ReadState {
  const ended = new Map<string, UserEnd>();
  const open = new Map<number, string>();
  const nothing = { header: undefined, ended, open, count: 0, bytes: 0 };
  const firstEnd = text.indexOf('\n');
  const found = headerLine.exec(text.slice(0, firstEnd < 0 ? undefined : firstEnd));
  if (firstEnd < 0 || found === null) {
    // From a run that ended before its first line was complete; any other content is a foreign file.
    if (firstEnd < 0 && (text === '' || isBeginOfHeader(text))) return nothing;
    throw new CommandFault(sysexits.dataErr, `${path} is not the state of a bulk run; it is left as it is`);
  }
  const [, id = '', hash = '', realm = ''] = found;
  const known = new Set<string>();
  let count = 0;
  let at = firstEnd + 1;
  let number = 1;
  for (let end = text.indexOf('\n', at); end >= 0; end = text.indexOf('\n', at)) {
    number += 1;
    if (!take(text.slice(at, end))) {
      // After a power cut anything may follow the last synced line, but no valid line.
      const rest = text
        .slice(end + 1)
        .split('\n')
        .slice(0, -1);
      if (rest.some((line) => stateLine.test(line)))
        throw new CommandFault(sysexits.dataErr, `${path}:${number}: damaged; nothing is sent`);
      break;
    }
    at = end + 1;
  }
  const header = { id, hash, realm: realm === '-' ? '' : realm };
  return { header, ended, open, count, bytes: Buffer.byteLength(text.slice(0, at)) };

  function take(line: string): boolean {
    const [, begun, name = '', mark, marked, failed] = stateLine.exec(line) ?? [];
    if (begun !== undefined) {
      if (Number(begun) !== count + 1 || known.has(name)) return false;
      count += 1;
      known.add(name);
      open.set(count, name);
      return true;
    }
    const which = Number(marked ?? failed);
    const user = open.get(which);
    if (user === undefined) return false;
    open.delete(which);
    if (mark === '=') known.delete(user);
    else ended.set(user, mark === '+' ? 'ok' : mark === '?' ? 'unknown' : 'failed');
    return true;
  }
}

/** NUL bytes too: the file's length may reach the disk before its text. */
function isBeginOfHeader(text: string): boolean {
  return (
    text.length < 256 &&
    ('dovegate-bulk 1 '.startsWith(text) || /^(?:dovegate-bulk 1 \S{0,21}|\0+$)/.test(text))
  );
}

/** The state of a run, kept in a file or (without one) not at all. */
export interface RunState {
  readonly read: ReadState;
  /** A new file is written and synced. An existing one must have the same header; rejects with a CommandFault otherwise. */
  adopt(header: RunHeader): Promise<void>;
  /** When this resolves, the user may be sent. Returns its number. Rejects with a CommandFault if it cannot be written. */
  begin(name: string): Promise<number>;
  /** `released`: nothing was sent. `code`: of a failure. */
  end(number: number, how: UserEnd | 'released', code?: string): void;
  /** Everything is written; rejects with a CommandFault if that failed. */
  close(): Promise<void>;
}

export function forgetfulState(read = readState('', ''), path = ''): RunState {
  let count = 0;
  return {
    read,
    async adopt(header) {
      if (read.header !== undefined && !isSameRun(read.header, header)) throw otherRun(path);
    },
    begin() {
      count += 1;
      return Promise.resolve(count);
    },
    end() {},
    close: () => Promise.resolve(),
  };
}

function isSameRun(one: RunHeader, other: RunHeader): boolean {
  return one.hash === other.hash && one.id === other.id && one.realm === other.realm;
}

function otherRun(path: string): CommandFault {
  const other = 'is of a run with another command, list or server';
  return new CommandFault(sysexits.dataErr, `${path} ${other}; name another file to begin a new one`);
}

const stateBytesMax = 512 * 1024 ** 2;

/** For a dry run, which skips users with a result: never made, locked or written. Rejects with a CommandFault. */
export async function readRunState(path: string): Promise<RunState> {
  let file: FileHandle;
  try {
    file = await openRegularFile(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return forgetfulState();
    throw new CommandFault(sysexits.cantCreat, `the state file ${path} cannot be opened`, cause);
  }
  try {
    checkState(await file.stat(), path);
    return forgetfulState(readState(await file.readFile('utf8'), path), path);
  } catch (cause) {
    if (cause instanceof CommandFault) throw cause;
    throw new CommandFault(sysexits.ioErr, `the state file ${path} cannot be read`, cause);
  } finally {
    await file.close();
  }
}

/** Throws a CommandFault for an unsafe file. */
function checkState(found: Stats, path: string): void {
  // Its owner could remove lines, and their users would be sent twice.
  const isOurs = found.uid === process.geteuid?.();
  if (!found.isFile() || !isOurs || (found.mode & 0o022) !== 0 || found.nlink > 1)
    throw new CommandFault(
      sysexits.cantCreat,
      `${path} must be a plain file of yours with one name that nobody else can change`,
    );
  if (found.size > stateBytesMax) throw new CommandFault(sysexits.dataErr, `${path} is too long`);
}

/** Mode 0600, locked. `isSynced`: a begin is on disk before its user is sent, for a power cut. Rejects with a CommandFault. */
export async function openRunState(path: string, isSynced: boolean): Promise<RunState> {
  const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  let file: FileHandle;
  try {
    file = await openFile(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw new CommandFault(sysexits.cantCreat, `the state file ${path} cannot be opened`, cause);
  }
  try {
    checkState(await file.stat(), path);
    const native = await loadNative();
    if (!native.lockExclusive(file.fd))
      throw new CommandFault(
        sysexits.tempFail,
        `${lockHolder(file.fd)}, another run, has the state file ${path}`,
      );
    checkState(await file.stat(), path);
    const read = readState(await file.readFile('utf8'), path);
    return fileState(path, file, read, isSynced);
  } catch (cause) {
    await file.close();
    if (cause instanceof CommandFault) throw cause;
    throw new CommandFault(sysexits.ioErr, `the state file ${path} cannot be read or locked`, cause);
  }
}

function fileState(path: string, file: FileHandle, read: ReadState, isSynced: boolean): RunState {
  let { count } = read;
  let pending = '';
  let waiting: { readonly resolve: () => void; readonly reject: (fault: unknown) => void }[] = [];
  let isWriting = false;
  let written = Promise.resolve();
  let fault: CommandFault | undefined;

  return {
    read,
    async adopt(header) {
      if (read.header !== undefined) {
        if (!isSameRun(read.header, header)) throw otherRun(path);
        await file.truncate(read.bytes);
        return;
      }
      const { id, hash, realm } = header;
      try {
        await file.truncate(0);
        await file.appendFile(`dovegate-bulk 1 ${id} ${hash} ${realm === '' ? '-' : realm}\n`);
        await file.sync();
        await syncFolder(dirname(path));
      } catch (cause) {
        throw failed(cause);
      }
    },
    async begin(name) {
      if (fault !== undefined) throw fault;
      count += 1;
      const number = count;
      pending += `> ${number} ${name}\n`;
      await new Promise<void>((resolve, reject) => {
        waiting.push({ resolve, reject });
        write();
      });
      return number;
    },
    end(number, how, code = 'UNKNOWN') {
      if (fault !== undefined) return;
      const marks = { ok: '+', unknown: '?', released: '=' } as const;
      const word = /^[A-Z]{1,32}$/.test(code) ? code : 'UNKNOWN';
      pending += how === 'failed' ? `- ${number} ${word}\n` : `${marks[how]} ${number}\n`;
      write();
    },
    async close() {
      try {
        await written;
        if (fault === undefined) await file.sync();
      } catch (cause) {
        failed(cause);
      } finally {
        await file.close();
      }
      if (fault !== undefined) throw fault;
    },
  };

  /** One write and one sync for all begins that came meanwhile. */
  function write(): void {
    if (isWriting) return;
    isWriting = true;
    written = writeAll();
  }

  async function writeAll(): Promise<void> {
    while (pending !== '' && fault === undefined) {
      const text = pending;
      const begun = waiting;
      pending = '';
      waiting = [];
      try {
        await file.appendFile(text);
        if (isSynced && begun.length > 0) await file.datasync();
        for (const { resolve } of begun) resolve();
      } catch (cause) {
        for (const { reject } of [...begun, ...waiting]) reject(failed(cause));
        waiting = [];
      }
    }
    // Cleared at once: the next begin starts a write of its own.
    isWriting = false;
  }

  function failed(cause: unknown): CommandFault {
    fault ??= new CommandFault(sysexits.ioErr, `the state file ${path} cannot be written`, cause);
    return fault;
  }
}
