// Foreign functions of the C library: the only file that imports the foreign-function package. It is loaded at the first use and tested
// before anything relies on it: a package that loads and returns wrong answers would be worse than none.

import { closeSync, constants as fileConstants, openSync } from 'node:fs';
import { constants } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Native, SocketKind } from '../ports/machine.js';

/** LOCK_EX | LOCK_NB of <sys/file.h>, the same on Linux and the BSDs. */
const lockExclusiveNow = 2 | 4;

/** Of Linux on x86, ARM and RISC-V: SOL_SOCKET, SO_PEERCRED, AF_UNIX, SOCK_STREAM; struct ucred is pid, uid, gid. */
const solSocket = 1;
const soPeercred = 17;
const pollHup = 0x10;
const afUnix = 1;
const sockStream = 1;
const ucredBytes = 12;
const mfdCloexec = 1;
const soPeergroups = 59;
const soPeerpidfd = 77;
const siocoutq = 0x5411;
/** A first guess at the number of groups; the kernel reports if there are more. */
const groupsGuessed = 64;
/** The limit of Linux (NGROUPS_MAX). */
const groupsMax = 65_536;

/** PROT_READ, PROT_WRITE, MAP_SHARED, MAP_POPULATE and MAP_FAILED of Linux. */
const protRead = 1;
const protWrite = 2;
const mapShared = 1;
const mapPopulate = 0x8000;
const mapFailed = 0xffff_ffff_ffff_ffffn;

/** RLIMIT_CORE and PR_SET_DUMPABLE of Linux. */
const rlimitCore = 4;
const prSetDumpable = 4;

let loaded: Promise<Native> | undefined;

/** Loaded once. Rejects if the package or its compiled part is not installed (`--omit=optional`) or does not work. */
export function loadNative(): Promise<Native> {
  loaded ??= load();
  return loaded;
}

/** The memory at an address of this process; two threads may share it. */
export type MemoryView = (address: bigint, bytes: number) => ArrayBuffer;

/** For a thread that needs only this; undefined if the package is not installed. */
export async function loadMemoryView(): Promise<MemoryView | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    return (address, bytes) => koffi.view(address, bytes);
  } catch {
    return undefined;
  }
}

/** A function that not every C library has; undefined where it is missing. */
function optional<Found>(find: () => Found): Found | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

/** A context that is made while the flag is set has the function `gc`. Those that exist already do not get it. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  try {
    // This kind also shrinks the space for new objects.
    runInNewContext("gc({ type: 'major', flavor: 'last-resort' })");
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}

async function load(): Promise<Native> {
  const { default: koffi } = await import('koffi');
  // The program's own symbols, which include the C library under any file name.
  const library = koffi.load(null);
  const flock = library.func('int flock(int, int)');
  const getsockopt = library.func('int getsockopt(int, int, int, void *, void *)');
  const socketpair = library.func('int socketpair(int, int, int, void *)');
  const poll = library.func('int poll(void *, unsigned long, int)');
  const ioctl = library.func('int ioctl(int, unsigned long, void *)');
  const exitNow = library.func('void _exit(int)');
  const mmap = library.func('void *mmap(void *, size_t, int, int, int, int64_t)');
  const memfdCreate = library.func('int memfd_create(const char *, unsigned int)');
  const prctl = library.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
  const setrlimit = library.func('int setrlimit(int, void *)');
  const trim = optional(() => library.func('int malloc_trim(size_t)'));
  // Made once, as plain memory: every accept makes several calls, and koffi's conversions cost twice as much as the call.
  const answerBytes = Buffer.alloc(4);
  const ucred = Buffer.alloc(ucredBytes);
  const pidfd = Buffer.alloc(4);
  const queued = Buffer.alloc(4);
  const fewGroups = Buffer.alloc(groupsGuessed * 4);
  /** struct pollfd: int fd, short events, short revents. */
  const polled = Buffer.alloc(8);
  /** Reads an option of a socket. False: the kernel refuses. `answerBytes` has the length, or the needed length. */
  const ask = (descriptor: number, option: number, answer: Buffer): boolean => {
    answerBytes.writeUInt32LE(answer.length, 0);
    return Number(getsockopt(descriptor, solSocket, option, answer, answerBytes)) === 0;
  };
  const native: Native = {
    lockExclusive(descriptor) {
      if (Number(flock(descriptor, lockExclusiveNow)) === 0) return true;
      const code = koffi.errno();
      if (code === constants.errno.EWOULDBLOCK) return false;
      throw new Error(`flock failed with errno ${code}`);
    },
    peerCredentials(descriptor) {
      if (!ask(descriptor, soPeercred, ucred) || answerBytes.readUInt32LE(0) !== ucredBytes) return undefined;
      return { pid: ucred.readInt32LE(0), uid: ucred.readUInt32LE(4), gid: ucred.readUInt32LE(8) };
    },
    mapShared(path, bytes) {
      const descriptor = openSync(path, fileConstants.O_RDWR | fileConstants.O_NOFOLLOW);
      const pointer: unknown = mmap(
        null,
        bytes,
        protRead | protWrite,
        mapShared | mapPopulate,
        descriptor,
        0,
      );
      closeSync(descriptor);
      const address = koffi.address(pointer);
      if (address === mapFailed) throw new Error(`mmap failed with errno ${koffi.errno()}`);
      return { address, memory: koffi.view(pointer, bytes) };
    },
    hasHungUp(descriptor) {
      // POLLHUP is reported without a request.
      polled.writeInt32LE(descriptor, 0);
      return Number(poll(polled, 1, 0)) === 1 && (polled.readInt16LE(6) & pollHup) !== 0;
    },
    queuedBytes(descriptor) {
      return Number(ioctl(descriptor, siocoutq, queued)) === 0 ? queued.readInt32LE(0) : undefined;
    },
    leave(exitCode) {
      exitNow(exitCode);
    },
    ...serviceFunctions((prototype) => library.func(prototype), koffi.errno),
    ...fileFunctions((prototype) => library.func(prototype), koffi.errno),
    peerGroups(descriptor) {
      for (let gids = fewGroups; ; ) {
        const isAnswered = ask(descriptor, soPeergroups, gids);
        const needed = answerBytes.readUInt32LE(0) / 4;
        if (isAnswered) {
          const found: number[] = [];
          for (let at = 0; at < needed; at += 1) found.push(gids.readUInt32LE(at * 4));
          return found;
        }
        if (koffi.errno() !== constants.errno.ERANGE || needed * 4 <= gids.length || needed > groupsMax)
          return undefined;
        gids = Buffer.alloc(needed * 4);
      }
    },
    peerProcess(descriptor) {
      if (ask(descriptor, soPeerpidfd, pidfd)) return { kind: 'held', descriptor: pidfd.readInt32LE(0) };
      // ENOPROTOOPT: the kernel has no such option. Other errors concern this peer.
      return { kind: koffi.errno() === constants.errno.ENOPROTOOPT ? 'unsupported' : 'gone' };
    },
    forbidCoreDumps() {
      // Two unsigned longs, both 0: no dump, and none can be permitted again.
      if (Number(setrlimit(rlimitCore, Buffer.alloc(16))) !== 0)
        throw new Error(`setrlimit failed with errno ${koffi.errno()}`);
      // A dump to a program (core_pattern with a pipe) ignores the limit.
      if (Number(prctl(prSetDumpable, 0, 0, 0, 0)) !== 0)
        throw new Error(`prctl failed with errno ${koffi.errno()}`);
    },
    releaseMemory() {
      collectGarbage();
      trim?.(0);
    },
  };
  testLock(native, Number(memfdCreate('dovegate', mfdCloexec)));
  const pair = Buffer.alloc(8);
  if (Number(socketpair(afUnix, sockStream, 0, pair)) !== 0) throw new Error('no pair of UNIX sockets');
  testCredentials(native, [pair.readInt32LE(0), pair.readInt32LE(4)]);
  return native;
}

/** On a file in memory: a container may have no writable place. */
function testLock(native: Native, file: number): void {
  if (file < 0) throw new Error('no file in memory');
  const descriptors = [file];
  try {
    for (let count = 0; count < 2; count += 1) descriptors.push(openSync(`/proc/self/fd/${file}`, 'r+'));
    const taken = descriptors.slice(1).map((descriptor) => native.lockExclusive(descriptor));
    if (taken[0] !== true || taken[1] !== false) throw new Error('flock does not exclude a second holder');
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}

function testCredentials(native: Native, pair: readonly number[]): void {
  try {
    for (const descriptor of pair) {
      const own = native.peerCredentials(descriptor);
      if (own?.pid !== process.pid || own.uid !== process.getuid?.() || own.gid !== process.getgid?.()) {
        throw new Error('SO_PEERCRED does not name this process as the peer of its own socket');
      }
      const groups = native.peerGroups(descriptor);
      const ownGroups = process.getgroups?.() ?? [];
      if (groups !== undefined && !groups.every((gid) => ownGroups.includes(gid) || gid === own.gid)) {
        throw new Error('SO_PEERGROUPS names groups that this process is not in');
      }
    }
  } finally {
    for (const descriptor of pair) closeSync(descriptor);
  }
}

export type ForeignFunction = (...args: readonly unknown[]) => unknown;

type ServiceFunctions = Pick<Native, 'socketKind' | 'duplicate' | 'sendDatagram' | 'reap' | 'runOn'>;

/** Of Linux on x86, ARM and RISC-V. */
const soType = 3;
const soAcceptconn = 30;
const soDomain = 39;
const families = new Map<number, 'unix' | 'tcp'>([
  [afUnix, 'unix'],
  [2, 'tcp'],
  [10, 'tcp'],
]);
const sockDgramCloexec = 2 | 0o2000000;
const msgDontwaitNosignal = 0x40 | 0x4000;
const fDupfdCloexec = 1030;
const wnohang = 1;
/** A bit for each processor; Linux has 8192 at most. */
const processorBytes = 1024;
/** sun_path of sockaddr_un. */
const pathBytesMax = 108;

/** The functions. `find` throws for a function that the library lacks; `errno` is that of the last call. */
function serviceFunctions(
  find: (prototype: string) => ForeignFunction,
  errno: () => number,
): ServiceFunctions {
  const getsockopt = find('int getsockopt(int, int, int, void *, _Inout_ uint32_t *)');
  const fcntl = find('int fcntl(int, int, ...)');
  const socket = find('int socket(int, int, int)');
  const sendto = find('intptr_t sendto(int, const void *, uintptr_t, int, const void *, uint32_t)');
  const close = find('int close(int)');
  const waitpid = find('int waitpid(int, void *, int)');
  const setAffinity = find('int sched_setaffinity(int, size_t, const void *)');

  function option(descriptor: number, name: number): number | undefined {
    const value = Buffer.alloc(4);
    return Number(getsockopt(descriptor, solSocket, name, value, [value.length])) === 0
      ? value.readInt32LE(0)
      : undefined;
  }

  return {
    socketKind(descriptor): SocketKind {
      const domain = option(descriptor, soDomain);
      if (domain === undefined) return { kind: 'other', text: 'no socket' };
      const family = families.get(domain);
      if (family === undefined) return { kind: 'other', text: 'neither a UNIX nor a TCP socket' };
      if (option(descriptor, soType) !== sockStream)
        return { kind: 'other', text: 'no stream socket (use ListenStream=)' };
      if (option(descriptor, soAcceptconn) !== 1)
        return { kind: 'other', text: 'a socket that does not listen (use Accept=no)' };
      return { kind: 'listening', family };
    },
    duplicate(descriptor) {
      const made = Number(fcntl(descriptor, fDupfdCloexec, 'int', 3));
      if (made < 0) throw new Error(`fcntl(F_DUPFD_CLOEXEC) failed with errno ${errno()}`);
      return made;
    },
    sendDatagram(address, text) {
      const to = socketAddress(address);
      const bytes = Buffer.from(text);
      const descriptor = Number(socket(afUnix, sockDgramCloexec, 0));
      if (descriptor < 0) throw new Error(`socket failed with errno ${errno()}`);
      try {
        const sent = Number(sendto(descriptor, bytes, bytes.length, msgDontwaitNosignal, to, to.length));
        if (sent === bytes.length) return true;
        const code = errno();
        if (code === constants.errno.EAGAIN || code === constants.errno.ENOBUFS) return false;
        throw new Error(`sendto failed with errno ${code}`);
      } finally {
        close(descriptor);
      }
    },
    reap: (pid) => Number(waitpid(pid, null, wnohang)) === pid,
    runOn(thread, processors) {
      const mask = Buffer.alloc(processorBytes);
      for (const each of processors) {
        const at = each >>> 3;
        mask.writeUInt8(mask.readUInt8(at) | (1 << (each & 7)), at);
      }
      return Number(setAffinity(thread, mask.length, mask)) === 0;
    },
  };
}

/** struct sockaddr_un: the family in host order, then the path followed by a NUL, or the abstract name without one. */
function socketAddress(address: string): Buffer {
  const isAbstract = address.startsWith('\0');
  const name = Buffer.from(isAbstract ? address : `${address}\0`);
  if (name.length > pathBytesMax) throw new Error(`the address of a socket has ${name.length} bytes`);
  const family = Buffer.alloc(2);
  family.writeUInt16LE(afUnix);
  return Buffer.concat([family, name]);
}

/** The same number on all architectures of Linux. */
const sysOpenat2 = 437;
const atFdcwd = -100;
const oPathCloexec = 0o10000000n | 0o2000000n;
const resolveNoSymlinks = 0x04n;
const resolveCached = 0x20n;
const atEmptyPath = 0x1000;
const atStatxDontSync = 0x4000;
const statxIno = 0x100;
/** A change elsewhere in the tree can disturb one attempt. */
const attemptsMax = 3;

/**
 * Uses only what the kernel has in memory: the peer chooses the path, and on a file system of its own, or over the network, a usual stat
 * could block forever. For a running program the kernel has every directory on the way. `find` and `errno`: as for `serviceFunctions`.
 */
export function fileFunctions(
  find: (prototype: string) => ForeignFunction,
  errno: () => number,
): Pick<Native, 'fileAt' | 'fileBehind'> {
  let statx: ForeignFunction;
  try {
    statx = find('int statx(int, const char *, int, unsigned int, void *)');
  } catch {
    // An old C library.
    return { fileAt: () => undefined, fileBehind: () => undefined };
  }
  const syscall = find('long syscall(long, ...)');
  const close = find('int close(int)');
  /** struct open_how: flags, mode, resolve. */
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(oPathCloexec, 0);
  how.writeBigUInt64LE(resolveNoSymlinks | resolveCached, 16);
  const found = Buffer.alloc(256);
  const identity = (descriptor: number, path: string, flags: number): string | undefined => {
    if (Number(statx(descriptor, path, flags | atStatxDontSync, statxIno, found)) !== 0) return undefined;
    return `${found.readUInt32LE(136)}:${found.readUInt32LE(140)} ${found.readBigUInt64LE(32)}`;
  };
  return {
    fileAt(path) {
      for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
        const descriptor = Number(
          syscall(sysOpenat2, 'int', atFdcwd, 'const char *', path, 'void *', how, 'size_t', how.length),
        );
        if (descriptor < 0) {
          if (errno() === constants.errno.EAGAIN) continue;
          return undefined;
        }
        const answer = identity(descriptor, '', atEmptyPath);
        close(descriptor);
        return answer;
      }
      return undefined;
    },
    fileBehind: (procLink) => identity(atFdcwd, procLink, 0),
  };
}
