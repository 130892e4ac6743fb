// The process at the other end of a socket. Facts for policy are read at the accept; facts for records only (program, unit, login uid, from
// /proc) right after it; a name that is not known yet comes from the name service. No accept waits, and a session waits only for its own
// name, so a directory without an answer costs a name, never a session. A fact that may belong to another process (the peer ended, its pid
// was reused) is left out.

import { closeSync, fstatSync, readFileSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import type { Clock, Native, PeerCredentials } from '../ports/machine.js';
import type { AccountAnswer, Peer } from '../ports/peer.js';
import type { NameService, UserAnswer } from './name-service.js';

/** A peer, and a function for further facts: call it within the turn of the accept. */
export interface Arrival {
  /** With the kernel's numbers; only the listener if the kernel provides none. */
  readonly peer: Peer;
  /** Adds its name, program and unit, as far as known. Never rejects. */
  readonly describe: () => Promise<Peer>;
}

/** Asks the kernel for the process at the other end of an accepted socket; for a TCP peer only the address is known. */
export type FindPeer = (listener: string, descriptor: number | undefined, address?: string) => Arrival;

export function createFindPeer(native: Native, clock: Clock, names: NamesOfPeers): FindPeer {
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
    const rangeOwners = names.keptOwners(uid);
    const keptUser = names.keptUser(uid);
    const kept = namedBy(keptUser);
    const peer: Peer = {
      listener,
      uid,
      gid,
      pid,
      groups,
      rangeOwners,
      user: kept.user,
      account: kept.account,
    };
    return {
      peer,
      async describe() {
        // Before the first await: a moment later the peer may be gone.
        const process = readPeerProcess(native, descriptor, credentials, clockTicks, recent);
        const { exe, exeUnproven, unit, unitUnproven, loginUid, hasNoLogin } = process;
        const isOther = loginUid !== undefined && loginUid !== uid;
        const isKnown = keptUser !== undefined && !isOther && !Array.isArray(rangeOwners);
        // Together: each may take all the time that a session waits.
        const [own, login, owners, loginOwners] = isKnown
          ? [keptUser, undefined, rangeOwners]
          : await Promise.all([
              keptUser ?? names.userOf(uid),
              isOther ? names.userOf(loginUid) : undefined,
              names.ownersOf(uid),
              isOther ? names.ownersOf(loginUid) : undefined,
            ]);
        const { user, account } = namedBy(own);
        const { user: loginUser, account: loginAccount } = namedBy(login);
        // Spread, each object would get a hidden class of its own, which is larger than the object.
        return {
          listener,
          uid,
          gid,
          pid,
          groups,
          rangeOwners: owners,
          user,
          account,
          exe,
          exeUnproven,
          unit,
          unitUnproven,
          loginUid,
          loginUser,
          loginAccount,
          loginOwners,
          hasNoLogin,
        };
      },
    };
  };
}

type NamesOfPeers = Pick<NameService, 'keptUser' | 'userOf' | 'keptOwners' | 'ownersOf'>;

/** `account` is undefined if the name service was not asked. */
function namedBy(answer: UserAnswer | undefined): {
  readonly user: string | undefined;
  readonly account: AccountAnswer | undefined;
} {
  return {
    user: answer?.kind === 'found' ? answer.name : undefined,
    account: answer?.kind === 'unasked' ? undefined : answer?.kind,
  };
}

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
const recentMax = 256;
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

/** `acceptedTicks`: `clockTicks` at the accept; older kernels do not notice a pid that was reused between connect and accept. */
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
      if (
        began === undefined ||
        began >= nowTicks ||
        statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid !== uid
      )
        return {};
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

/** Who holds the lock (flock) of an open file, as "process 4711 (UNIT)"; "another process": the kernel does not show it to us. */
export function lockHolder(descriptor: number): string {
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  const hex = (part: bigint): string => part.toString(16).padStart(2, '0');
  // As the kernel packs it for user space.
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const file = `${hex(major)}:${hex(minor)}:${ino}`;
  const held = (readProc('locks') ?? '')
    .split('\n')
    .map((line) => line.split(/ +/))
    .filter((line) => line[1] === 'FLOCK' && line[5]?.endsWith(`:${ino}`) === true);
  // On an overlay the device number differs: then it must be a program of ours.
  const isOurs = (line: readonly string[]): boolean =>
    readProc(`${line[4]}/comm`)?.startsWith('dovegate') === true;
  const pid = Number((held.find((line) => line[5] === file) ?? held.find(isOurs))?.[4]);
  // 0: a process of another pid namespace.
  if (!(pid > 0)) return 'another process';
  const { unit } = parseUnit(readProc(`${pid}/cgroup`) ?? '');
  return `process ${pid}${unit === undefined ? '' : ` (${unit})`}`;
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
