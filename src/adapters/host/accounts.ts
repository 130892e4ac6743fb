// Users and groups of the system, and the process at the other end of a socket. Names and numbers are looked up in the files first, then
// with `getent`, which reads directories too. Facts for policy are read at the accept; facts for records only (program, unit, login uid,
// from /proc) right after it.
// The rules: no service of a client waits for a directory on the event loop; a directory without an answer costs a name, never a session. A
// fact that may belong to another process (the peer ended, its pid was reused) is left out.

import { execFile, execFileSync } from 'node:child_process';
import { closeSync, fstatSync, readFileSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { bounds } from '../../bounds/bounds.js';
import type { Peer } from '../../domain/identity/peer.js';
import type { Clock, Native, PeerCredentials } from '../../ports/machine.js';

/** Converts names to numbers; undefined: there is no such name. */
export interface NameNumbers {
  readonly uidOf: (name: string) => number | undefined;
  readonly gidOf: (name: string) => number | undefined;
}

type Database = 'passwd' | 'group';

/** Ids have 32 bits, and the last one means "no change" to chown: a socket would silently stay root's. */
const idMax = 2 ** 32 - 2;

/** Time limit of a program of the system. */
const askTimeoutMs = bounds.directoryAnswerMs;

/** The system's name of a uid; undefined: it has none. */
export function userNameOf(uid: number): string | undefined {
  return localUserName(uid) ?? nameIn(ask('getent', ['passwd', String(uid)]), uid);
}

/** The name of a uid in the system's own file. */
export function localUserName(uid: number): string | undefined {
  return nameIn(readLines('/etc/passwd'), uid);
}

/** The name of a gid in the system's own file. */
export function localGroupName(gid: number): string | undefined {
  return nameIn(readLines('/etc/group'), gid);
}

/** The name of a uid in lines as /etc/passwd has them; or of a gid, as /etc/group does. */
export function nameIn(lines: readonly string[], id: number): string | undefined {
  const name = lines.find((each) => each.split(':')[2] === String(id))?.split(':')[0];
  return name === '' ? undefined : name;
}

/** Connect to a socket, read a directory or a file, or reach what is in a directory. */
type WantedRight = 'connect' | 'read' | 'enter';

const groupBit: Readonly<Record<WantedRight, number>> = { connect: 0o020, read: 0o040, enter: 0o010 };

/**
 * Explains EACCES for a socket or a file: its owner, as far as visible, and what to do. If a group has the right, the advice is membership,
 * not root.
 */
export function whyDenied(path: string, right: WantedRight = 'connect'): string {
  const owner = findOwner(path, right);
  if (owner === undefined) {
    const above = dirname(path);
    // What is below a closed folder cannot be looked at; the folder can.
    return above === path ? `permission denied: ${path}` : whyDenied(above, 'enter');
  }
  const { user, group, mode, isMember } = owner;
  if (group === undefined)
    return `permission denied: ${path} is for "${user}" only (mode ${mode}); run it as root (sudo)`;
  const todo = isMember
    ? 'this user is in the group since the last login: log in again'
    : `ask to be added to the group "${group}" (usermod --append --groups ${group} NAME), and log in again`;
  return `permission denied: ${path} is for "${user}" and the group "${group}" (mode ${mode}); ${todo}`;
}

/** Whether a socket was refused because of its mode, however deep that stands. */
export function isAccessDenied(fault: unknown): boolean {
  if (!(fault instanceof Error)) return false;
  return ('code' in fault && fault.code === 'EACCES') || isAccessDenied(fault.cause);
}

/** `group`: the one that has the right; undefined: none has it. Undefined result: the file is not accessible. */
function findOwner(
  path: string,
  right: WantedRight,
):
  | {
      readonly user: string;
      readonly group: string | undefined;
      readonly mode: string;
      /** By the system's database, which counts from the next login on. */
      readonly isMember: boolean;
    }
  | undefined {
  let found: { readonly uid: number; readonly gid: number; readonly mode: number };
  try {
    found = statSync(path);
  } catch {
    return undefined;
  }
  const { uid, gid, mode } = found;
  const isForGroup = (mode & groupBit[right]) !== 0;
  const own = ourselves();
  return {
    user: userNameOf(uid) ?? String(uid),
    group: isForGroup ? (nameIn(ask('getent', ['group', String(gid)]), gid) ?? String(gid)) : undefined,
    mode: (mode & 0o777).toString(8).padStart(4, '0'),
    isMember: isForGroup && !own.gids.includes(gid) && gidsOf(own.uid).includes(gid),
  };
}

/** The uid of a user name, or of a number as text; undefined: there is none. */
export function uidOf(name: string): number | undefined {
  return numberOf('passwd', name);
}

/** The gid of a group name, or of a number as text; undefined: there is none. */
export function gidOf(name: string): number | undefined {
  return numberOf('group', name);
}

/** Asks the system at each call; takes seconds if a directory does not answer. */
export const systemNumbers: NameNumbers = { uidOf, gidOf };

/** The numbers of these names, looked up without blocking the event loop. Never rejects. */
export async function lookUpNumbers(names: {
  readonly users: readonly string[];
  readonly groups: readonly string[];
}): Promise<NameNumbers> {
  const numbersOf = async (database: Database, all: readonly string[]): Promise<Map<string, number>> => {
    const found = new Map<string, number>();
    for (const name of new Set(all)) {
      const number = localNumber(database, name) ?? fromLines(await askLater(database, name), name);
      if (number !== undefined) found.set(name, number);
    }
    return found;
  };
  const [uids, gids] = await Promise.all([
    numbersOf('passwd', names.users),
    numbersOf('group', names.groups),
  ]);
  return { uidOf: (name) => uids.get(name), gidOf: (name) => gids.get(name) };
}

/** The lines of a database for a key, as `getent` prints them; empty if there are none or no answer. Never rejects. */
export async function askLater(database: Database, key: string): Promise<readonly string[]> {
  return (await answerOf(database, key)) ?? [];
}

/** The same; undefined: no answer. */
function answerOf(database: Database, key: string): Promise<readonly string[] | undefined> {
  return new Promise((resolve) => {
    execFile('getent', [database, '--', key], { timeout: askTimeoutMs }, (fault, stdout) => {
      if (fault === null) resolve(stdout.split('\n'));
      else resolve(fault.code === noSuchKey ? [] : undefined);
    });
  });
}

/** The uid of a name. Never rejects. */
export async function askUid(
  name: string,
): Promise<{ kind: 'found'; id: number } | { kind: 'none' } | { kind: 'unanswered' }> {
  const local = localNumber('passwd', name);
  if (local !== undefined) return { kind: 'found', id: local };
  const lines = await answerOf('passwd', name);
  const id = lines && fromLines(lines, name);
  return id !== undefined ? { kind: 'found', id } : { kind: lines === undefined ? 'unanswered' : 'none' };
}

/** Whether names of users come from more than files of this machine. */
export function hasDirectory(): boolean {
  const services =
    readLines('/etc/nsswitch.conf')
      .find((line) => line.startsWith('passwd:'))
      ?.split(/\s+/)
      .slice(1) ?? [];
  return services.some(
    (each) => !['files', 'compat', 'systemd', 'db'].includes(each) && !each.startsWith('['),
  );
}

/** An exit code of `getent`. */
const noSuchKey = 2;

let nameQuestions = 0;

/** Whether the system has a user of that name; undefined: its directory does not answer, or too many questions wait. Never rejects. */
export async function hasUser(name: string): Promise<boolean | undefined> {
  if (fromLines(readLines('/etc/passwd'), name) !== undefined) return true;
  if (nameQuestions >= questionsMax) return undefined;
  nameQuestions += 1;
  const lines = await answerOf('passwd', name);
  nameQuestions -= 1;
  return lines && fromLines(lines, name) !== undefined;
}

/** The groups that a user would get at a login now, its own one included; empty for a uid unknown to the system. */
export function gidsOf(uid: number): readonly number[] {
  const name = userNameOf(uid);
  if (name === undefined) return [];
  const words = ask('id', ['-G', name]).join(' ').split(' ');
  return words.filter((word) => /^\d+$/.test(word)).map(Number);
}

/** The name of a uid and its present groups, looked up without blocking the event loop. Never rejects. */
export async function lookUpUser(
  uid: number,
): Promise<{ readonly name: string | undefined; readonly gids: readonly number[] }> {
  const name = localUserName(uid) ?? nameIn(await askLater('passwd', String(uid)), uid);
  if (name === undefined) return { name, gids: [] };
  const words = await new Promise<string>((resolve) => {
    execFile('id', ['-G', '--', name], { timeout: askTimeoutMs }, (fault, stdout) =>
      resolve(fault === null ? stdout : ''),
    );
  });
  const gids = words.split(/\s+/).filter((word) => /^\d+$/.test(word));
  return { name, gids: gids.map(Number) };
}

/**
 * Runs `use` with the rights of another user and returns its result; undefined: this process may not take these rights. All threads of the
 * process have them meanwhile, so this is for programs that do nothing else, and `use` must be synchronous.
 */
export function withRightsOf<Result>(
  { uid, gids }: { readonly uid: number; readonly gids: readonly number[] },
  use: () => Result,
): Result | undefined {
  const own = { uid: process.geteuid?.(), gid: process.getegid?.(), groups: process.getgroups?.() ?? [] };
  const [gid] = gids;
  if (own.uid !== 0 || own.gid === undefined || gid === undefined) return undefined;
  try {
    // The Node 20 of Debian refuses every call (CVE-2024-22017): this call detects that before anything has changed.
    process.seteuid?.(own.uid);
  } catch {
    return undefined;
  }
  /** The steps that give the rights back, the last change first: without permission for a change there is none for its reversal. */
  const back: (() => void)[] = [];
  try {
    process.setgroups?.([...gids]);
    back.unshift(() => process.setgroups?.(own.groups));
    process.setegid?.(gid);
    back.unshift(() => process.setegid?.(own.gid ?? 0));
    process.seteuid?.(uid);
    back.unshift(() => process.seteuid?.(own.uid ?? 0));
    return use();
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EPERM') return undefined;
    throw cause;
  } finally {
    for (const restore of back) restore();
  }
}

/** The user of this process; `gids`: all of its groups. */
export function ourselves(): {
  readonly isRoot: boolean;
  readonly uid: number;
  readonly gids: readonly number[];
} {
  const uid = process.geteuid?.() ?? -1;
  return { isRoot: uid === 0, uid, gids: [process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])] };
}

function numberOf(database: Database, name: string): number | undefined {
  return localNumber(database, name) ?? fromLines(ask('getent', [database, '--', name]), name);
}

/** A number as it is; a name from the system's own file. */
function localNumber(database: Database, name: string): number | undefined {
  if (/^\d{1,10}$/.test(name)) return Number(name) <= idMax ? Number(name) : undefined;
  return fromLines(readLines(`/etc/${database}`), name);
}

function fromLines(lines: readonly string[], name: string): number | undefined {
  for (const line of lines) {
    const [found, , id] = line.split(':');
    if (found === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  return undefined;
}

function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function ask(program: string, args: readonly string[]): readonly string[] {
  try {
    const text = execFileSync(program, args, {
      encoding: 'utf8',
      timeout: askTimeoutMs,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text.split('\n');
  } catch {
    return [];
  }
}

/** Looks up a uid in a directory: its lines in the form of /etc/passwd; empty if there are none or no answer. Never rejects. */
export type AskDirectory = (uid: number) => Promise<readonly string[]>;

const askSystem: AskDirectory = (uid) => askLater('passwd', String(uid));

/** How long an answer is cached, and for how many uids. */
const rememberedMs = 60_000;
const rememberedMax = bounds.accountNames;
/** Each look-up is a process, and one user can have thousands of uids (user namespaces). */
const questionsMax = bounds.accountQuestions;

/** Starts with an empty cache. */
export function createAccountNames(clock: Clock, askDirectory: AskDirectory = askSystem) {
  /** An entry may be pending: later callers wait for the same answer. */
  const known = new Map<number, { readonly name: Promise<string | undefined>; readonly askedMs: number }>();
  let questions = 0;

  async function nameOf(uid: number): Promise<string | undefined> {
    questions += 1;
    const lines = await askDirectory(uid);
    questions -= 1;
    return nameIn(lines, uid);
  }

  return {
    /** The system's name; undefined: it has none, or the directory does not answer. Never rejects. */
    userName(uid: number): Promise<string | undefined> {
      const nowMs = clock.now();
      const before = known.get(uid);
      if (before !== undefined && nowMs - before.askedMs < rememberedMs) return before.name;
      const local = localUserName(uid);
      // Above the limit a uid gets no name now; it is looked up when it connects again.
      if (local === undefined && questions >= questionsMax) return Promise.resolve(undefined);
      const name = local === undefined ? nameOf(uid) : Promise.resolve(local);
      known.delete(uid);
      const [oldest] = known.keys();
      if (oldest !== undefined && known.size >= rememberedMax) known.delete(oldest);
      known.set(uid, { name, askedMs: nowMs });
      return name;
    },
  };
}

/** A peer, and a function for further facts: call it within the turn of the accept. */
export interface Arrival {
  /** With the kernel's numbers; only the listener if the kernel provides none. */
  readonly peer: Peer;
  /** Adds its name, program and unit, as far as known. Never rejects. */
  readonly describe: () => Promise<Peer>;
}

/** Asks the kernel for the process at the other end of an accepted socket; for a TCP peer only the address is known. */
export type FindPeer = (listener: string, descriptor: number | undefined, address?: string) => Arrival;

/** Uses foreign functions, and the system for names. */
export function createFindPeer(native: Native, clock: Clock): FindPeer {
  const names = createAccountNames(clock);
  const recent = new RecentProcesses(clock);
  return (listener, descriptor, address) => {
    if (address !== undefined) {
      const peer = { listener, address };
      return { peer, describe: () => Promise.resolve(peer) };
    }
    const credentials = descriptor === undefined ? undefined : native.peerCredentials(descriptor);
    if (descriptor === undefined || credentials === undefined) {
      const peer = { listener };
      return { peer, describe: () => Promise.resolve(peer) };
    }
    const groups = native.peerGroups(descriptor);
    const { uid, gid, pid } = credentials;
    const peer: Peer = { listener, uid, gid, pid, groups };
    return {
      peer,
      async describe() {
        // Before the first await: a moment later the peer may be gone.
        const process = readPeerProcess(native, descriptor, credentials, clockTicks, recent);
        const { exe, exeUnproven, unit, unitUnproven, loginUid, hasNoLogin } = process;
        const user = await names.userName(uid);
        const isOther = loginUid !== undefined && loginUid !== uid;
        const loginUser = isOther ? await names.userName(loginUid) : undefined;
        // Spread, each object would get a hidden class of its own, which is larger than the object.
        return {
          listener,
          uid,
          gid,
          pid,
          groups,
          user,
          exe,
          exeUnproven,
          unit,
          unitUnproven,
          loginUid,
          loginUser,
          hasNoLogin,
        };
      },
    };
  };
}

/** Absent: not known. */
export interface ProcessFacts {
  /** The program: its path leads to the same file for the daemon. */
  readonly exe?: string;
  /** The path of the program if the peer may have chosen it. Never together with `exe`. */
  readonly exeUnproven?: string;
  /** The unit of the system's manager, such as `ssh.service`. */
  readonly unit?: string;
  /** The control group if it does not begin with a unit of that manager, such as `/docker/1f3...`. Never together with `unit`. */
  readonly unitUnproven?: string;
  readonly loginUid?: number;
  /** The kernel says that it belongs to no login. */
  readonly hasNoLogin?: true;
}

export interface RecentProcess {
  readonly pid: number;
  /** Device and inode of its program. */
  readonly file: string | undefined;
  readonly facts: ProcessFacts;
}

/** A unit changes only when the system moves the process, usually before its program begins: an old one may be used for this time. */
const recentMs = 1_000;
const recentMax = bounds.processFacts;
/** PID_FS_MAGIC: descriptors of processes have numbers of their own, never given twice (from Linux 6.9 on). */
const pidfs = 0x50494446;

/**
 * Facts about processes from the last second. Reading /proc costs 40 us, more than the rest of an accept, so facts that do not change while
 * a program runs are cached: many clients connect again for each command. Path and inode of the program are read each time.
 */
export class RecentProcesses {
  readonly #clock: Clock;
  readonly #known = new Map<number, RecentProcess & { readonly readMs: number }>();
  #hasNumbers: boolean | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A number of the process behind a descriptor that is unique while this system runs; undefined: this kernel has none. */
  numberOf(descriptor: number): number | undefined {
    this.#hasNumbers ??= statfsSync(`/proc/self/fd/${descriptor}`).type === pidfs;
    return this.#hasNumbers ? fstatSync(descriptor).ino : undefined;
  }

  find(number: number): RecentProcess | undefined {
    const found = this.#known.get(number);
    return found !== undefined && this.#clock.now() - found.readMs < recentMs ? found : undefined;
  }

  remember(number: number, process: RecentProcess): void {
    if (this.#known.size >= recentMax) this.#known.clear();
    this.#known.set(number, { ...process, readMs: this.#clock.now() });
  }
}

/** The kernel's value for "no login". */
const loginUidUnset = 2 ** 32 - 1;

/**
 * The facts about the peer of an accepted socket. `acceptedTicks`: the value of `clockTicks` at the accept; used on older kernels only,
 * where the reuse of a pid between connect and accept is not noticed.
 */
export function readPeerProcess(
  native: Native,
  descriptor: number,
  credentials: PeerCredentials,
  acceptedTicks: () => number,
  recent: RecentProcesses,
): ProcessFacts {
  const { pid, uid } = credentials;
  // 0: a process of another pid namespace, which has no number here.
  if (pid <= 0) return {};
  const process = native.peerProcess(descriptor);
  switch (process.kind) {
    case 'gone':
      return {};
    case 'held':
      try {
        return heldFacts(native, process.descriptor, pid, recent);
      } finally {
        closeSync(process.descriptor);
      }
    case 'unsupported': {
      const nowTicks = acceptedTicks();
      const began = startTicks(pid);
      if (began === undefined || began >= nowTicks || ownerOf(pid) !== uid) return {};
      const facts = readFacts(pid, readProgram(native, pid));
      return startTicks(pid) === began ? facts : {};
    }
    default:
      return process satisfies never;
  }
}

/** Facts of the process behind `held`, which has, or had, that pid. */
function heldFacts(native: Native, held: number, pid: number, recent: RecentProcesses): ProcessFacts {
  const number = recent.numberOf(held);
  const known = number === undefined ? undefined : recent.find(number);
  const link = exeLinkOf(pid);
  const path = readLink(link);
  const file = native.fileBehind(link);
  const isSame = known?.pid === pid && file !== undefined && file === known.file && path === known.facts.exe;
  // Where processes have numbers, a hang-up means that the pid was released; without one, the link was read from this process.
  if (isSame && !native.hasHungUp(held)) return known.facts;
  const facts = readFacts(pid, readProgram(native, pid));
  // While it holds its pid no other process has it, so the facts belong to it.
  if (pidBehind(held) !== pid) return {};
  if (number !== undefined) recent.remember(number, { pid, file, facts });
  return facts;
}

/** Clock ticks (100 a second) since the machine started, as start times of processes are counted. */
export function clockTicks(): number {
  return Math.floor(Number(readProc('uptime')?.split(' ')[0] ?? 0) * 100);
}

type Program = Pick<ProcessFacts, 'exe' | 'exeUnproven'>;

/**
 * The program of a process. Its path is that of the mount namespace in which the file was opened, and the creator of the namespace chose
 * it. It counts if the daemon finds the same file there (device and inode), and the process is in the namespace of the daemon or of the
 * system: in another one the same program can run with other libraries.
 */
function readProgram(native: Native, pid: number): Program {
  const link = exeLinkOf(pid);
  const path = readLink(link);
  if (path === undefined) return {};
  const namespace = readLink(`/proc/${pid}/ns/mnt`);
  const isKnown = namespace !== undefined && ownNamespaces().has(namespace);
  const file = isKnown ? native.fileAt(path) : undefined;
  return file !== undefined && file === native.fileBehind(link) ? { exe: path } : { exeUnproven: path };
}

function exeLinkOf(pid: number): string {
  return `/proc/${pid}/exe`;
}

let namespaces: ReadonlySet<string> | undefined;

/** The mount namespaces of the daemon and of process 1, which differ where systemd gave the daemon one of its own. Neither changes. */
function ownNamespaces(): ReadonlySet<string> {
  namespaces ??= new Set(['self', '1'].flatMap((pid) => readLink(`/proc/${pid}/ns/mnt`) ?? []));
  return namespaces;
}

/** Parses the text of /proc/PID/cgroup. */
export function parseUnit(text: string): Pick<ProcessFacts, 'unit' | 'unitUnproven'> {
  const lines = text.split('\n');
  // With both hierarchies, the newer one may have only its root.
  const line =
    lines.find((each) => each.startsWith('0::/') && each !== '0::/') ??
    lines.find((each) => each.includes(':name=systemd:/'));
  const path = line?.slice(line.indexOf(':/') + 1);
  if (path === undefined || path === '/') return {};
  // The first name below slices is reliable: the system's manager delegates only units, and delegates choose all names below. A tree that
  // begins with another name is a container's, whose owner can make a group of any name in it.
  const names = path.split('/').slice(1);
  const first = names.find((name) => !/.\.slice$/.test(name)) ?? '';
  return /.\.(service|scope|socket|mount|swap)$/.test(first)
    ? { unit: first.replace(/^_/, '') }
    : { unitUnproven: path };
}

function readFacts(pid: number, program: Program): ProcessFacts {
  const unit = parseUnit(readProc(`${pid}/cgroup`) ?? '');
  const written = readProc(`${pid}/loginuid`)?.trim() ?? '';
  const loginUid = /^\d+$/.test(written) ? Number(written) : undefined;
  return {
    ...program,
    ...unit,
    ...(loginUid === undefined ? {} : loginUid === loginUidUnset ? { hasNoLogin: true } : { loginUid }),
  };
}

/** The pid of a process descriptor; undefined or -1 if that process has ended. */
function pidBehind(descriptor: number): number | undefined {
  const found = /^Pid:\s*(-?\d+)$/m.exec(readProc(`self/fdinfo/${descriptor}`) ?? '')?.[1];
  return found === undefined ? undefined : Number(found);
}

/** The start time of a process, in ticks; undefined: it has ended. */
function startTicks(pid: number): number | undefined {
  const text = readProc(`${pid}/stat`);
  // The program's name is in parentheses and may contain anything, so the fields begin after the last one.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields?.[19]);
  return Number.isInteger(ticks) ? ticks : undefined;
}

function ownerOf(pid: number): number | undefined {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
}

function readProc(name: string): string | undefined {
  try {
    return readFileSync(`/proc/${name}`, 'utf8').trimEnd();
  } catch {
    // It ended, or access is denied.
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
