// What /proc tells of the process that connected a UNIX socket: its program, its unit, the user who once logged in. For
// records only; nothing of it is an input of policy.
// It does not know sessions. The rule: a fact that may be of another process (the peer ended, its pid was given away) is
// not told at all.

import { closeSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import type { Native, PeerCredentials } from '../ports/native.js';

/** What is known; absent: not known. */
export interface ProcessFacts {
  readonly exe?: string;
  /** The system's unit, as `ssh.service`; where there is none, the control group, as `/docker/1f3...`. */
  readonly unit?: string;
  readonly loginUid?: number;
}

/** The kernel's word for "nobody logged in". */
const loginUidUnset = 2 ** 32 - 1;

/**
 * The facts about the peer of an accepted socket. `acceptedTicks`: what `clockTicks` said at the accept; only older
 * kernels need it, on which a pid that was given away between connect and accept is not noticed.
 */
export function readPeerProcess(
  native: Native,
  descriptor: number,
  credentials: PeerCredentials,
  acceptedTicks: number,
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
        const facts = readFacts(pid);
        // While it holds its number nobody else has it, so what was read just now was read of it.
        return pidBehind(process.descriptor) === pid ? facts : {};
      } finally {
        closeSync(process.descriptor);
      }
    case 'unsupported': {
      const began = startTicks(pid);
      if (began === undefined || began >= acceptedTicks || ownerOf(pid) !== uid) return {};
      const facts = readFacts(pid);
      return startTicks(pid) === began ? facts : {};
    }
    default:
      return process satisfies never;
  }
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

function readFacts(pid: number): ProcessFacts {
  const exe = readLink(`/proc/${pid}/exe`);
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
