// What is known of a process that connects to a socket: at the accept what policy needs, at once after it what only records hold (program,
// unit, login uid, from /proc). The rule: a fact that may be of another process (the peer ended, its pid was reused) is left out.
// Reading /proc costs 40 us, more than all else of an accept, so what does not change while a program runs is remembered for a second:
// many clients connect again for each command. The program itself is read each time.

import { closeSync, fstatSync, readFileSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import type { Peer } from '../../domain/identity/peer.js';
import type { Clock, Native, PeerCredentials } from '../../ports/machine.js';
import { createAccountNames } from './accounts.js';

/** A peer, and how to learn the rest: to be called within the turn of the accept. */
export interface Arrival {
  /** With the kernel's numbers; nothing but the listener where the kernel does not say them. */
  readonly peer: Peer;
  /** With its name, program and unit too, as far as they are known. Never rejects. */
  readonly describe: () => Promise<Peer>;
}

/** Asks the kernel about who is at the other end of an accepted socket; of a TCP peer its address is all that is known. */
export type FindPeer = (listener: string, descriptor: number | undefined, address?: string) => Arrival;

/** Asks by foreign functions, and the system for names. */
export function createFindPeer(native: Native, clock: Clock): FindPeer {
  const names = createAccountNames(clock);
  const recent = createRecentProcesses(clock);
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
    const peer: Peer = { listener, ...credentials, ...(groups === undefined ? {} : { groups }) };
    return {
      peer,
      async describe() {
        // Before the first wait: a peer may be gone a moment later.
        const process = readPeerProcess(native, descriptor, credentials, clockTicks, recent);
        const user = await names.userName(credentials.uid);
        return { ...peer, ...process, ...(user === undefined ? {} : { user }) };
      },
    };
  };
}

/** What is known; absent: not known. */
export interface ProcessFacts {
  readonly exe?: string;
  /** The system's unit, as `ssh.service`; where there is none, the control group, as `/docker/1f3...`. */
  readonly unit?: string;
  readonly loginUid?: number;
}

/** What was read of processes a moment ago. */
export interface RecentProcesses {
  /** What the process behind a descriptor is known by, as long as this system runs; undefined: this kernel has nothing of that kind. */
  numberOf(descriptor: number): number | undefined;
  find(number: number): RecentProcess | undefined;
  remember(number: number, process: RecentProcess): void;
}

/** One of them. */
export interface RecentProcess {
  readonly pid: number;
  readonly facts: ProcessFacts;
}

/** A unit changes only when the system moves the process, mostly before its program begins: so long may an old one be told. */
const recentMs = 1_000;
const recentMax = 256;
/** PID_FS_MAGIC: descriptors of processes have numbers of their own, never given twice (from Linux 6.9 on). */
const pidfs = 0x50494446;

/** Nothing was read yet. */
export function createRecentProcesses(clock: Clock): RecentProcesses {
  const known = new Map<number, RecentProcess & { readonly readMs: number }>();
  let hasNumbers: boolean | undefined;
  return {
    numberOf(descriptor) {
      hasNumbers ??= statfsSync(`/proc/self/fd/${descriptor}`).type === pidfs;
      return hasNumbers ? fstatSync(descriptor).ino : undefined;
    },
    find(number) {
      const found = known.get(number);
      return found !== undefined && clock.now() - found.readMs < recentMs ? found : undefined;
    },
    remember(number, process) {
      if (known.size >= recentMax) known.clear();
      known.set(number, { ...process, readMs: clock.now() });
    },
  };
}

/** The kernel's word for "nobody logged in". */
const loginUidUnset = 2 ** 32 - 1;

/**
 * The facts about the peer of an accepted socket. `acceptedTicks`: what `clockTicks` says at the accept; only asked on older
 * kernels, on which a pid that was given away between connect and accept is not noticed.
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
      const facts = readFacts(pid, readLink(`/proc/${pid}/exe`));
      return startTicks(pid) === began ? facts : {};
    }
    default:
      return process satisfies never;
  }
}

/** Of the process behind `held`, which has, or had, that pid. */
function heldFacts(native: Native, held: number, pid: number, recent: RecentProcesses): ProcessFacts {
  const number = recent.numberOf(held);
  const exe = readLink(`/proc/${pid}/exe`);
  const known = number === undefined ? undefined : recent.find(number);
  // Where processes have numbers, a hang-up says that the pid was given back: without it the link was read of this process.
  if (known?.pid === pid && known.facts.exe === exe && !native.hasHungUp(held)) return known.facts;
  const facts = readFacts(pid, exe);
  // While it holds its pid nobody else has it, so what was read just now was read of it.
  if (pidBehind(held) !== pid) return {};
  if (number !== undefined) recent.remember(number, { pid, facts });
  return facts;
}

/** Clock ticks (100 a second) since the machine started, as start times of processes are counted. */
export function clockTicks(): number {
  return Math.floor(Number(readProc('uptime')?.split(' ')[0] ?? 0) * 100);
}

/** The unit in the text of /proc/PID/cgroup. */
export function parseUnit(text: string): string | undefined {
  const lines = text.split('\n');
  // Where both hierarchies are there, the newer one may say nothing but its root.
  const line =
    lines.find((each) => each.startsWith('0::/') && each !== '0::/') ??
    lines.find((each) => each.includes(':name=systemd:/'));
  const path = line?.slice(line.indexOf(':/') + 1);
  if (path === undefined || path === '/') return undefined;
  // The first unit on the way down is the system's word. What a user's own manager makes below it is named by that user.
  const unit = path.split('/').find((part) => /.\.(service|scope|socket|mount|swap)$/.test(part));
  return unit?.replace(/^_/, '') ?? path;
}

function readFacts(pid: number, exe: string | undefined): ProcessFacts {
  const unit = parseUnit(readProc(`${pid}/cgroup`) ?? '');
  const loginUid = Number(readProc(`${pid}/loginuid`) ?? loginUidUnset);
  return {
    ...(exe === undefined ? {} : { exe }),
    ...(unit === undefined ? {} : { unit }),
    ...(loginUid === loginUidUnset || Number.isNaN(loginUid) ? {} : { loginUid }),
  };
}

/** The pid that a process descriptor stands for; undefined or -1 when that process is no more. */
function pidBehind(descriptor: number): number | undefined {
  const found = /^Pid:\s*(-?\d+)$/m.exec(readProc(`self/fdinfo/${descriptor}`) ?? '')?.[1];
  return found === undefined ? undefined : Number(found);
}

/** When a process started, in ticks; undefined: it is no more. */
function startTicks(pid: number): number | undefined {
  const text = readProc(`${pid}/stat`);
  // The program's name stands in parentheses and may hold anything, so what counts begins behind the last one.
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
    // It ended, or we may not look.
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
