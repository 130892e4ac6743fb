// Foreign functions of the C library: the only file that knows the foreign-function package. It is loaded when it is first
// asked for, and tested before anybody relies on it: a package that loads and then answers wrongly would be worse than none.

import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import type { Native } from '../ports/native.js';
import { serviceFunctions } from './service-functions.js';

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

let loaded: Promise<Native> | undefined;

/**
 * The foreign functions, loaded once. Rejects when the package or its compiled part is not installed (`npm install
 * --omit=optional` leaves it out) or does not do what it should.
 */
export function loadNative(): Promise<Native> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Native> {
  const { default: koffi } = await import('koffi');
  // The program's own symbols: the C library is among them under whatever name this system gives it.
  const library = koffi.load(null);
  const flock = library.func('int flock(int, int)');
  const getsockopt = library.func('int getsockopt(int, int, int, void *, _Inout_ uint32_t *)');
  const socketpair = library.func('int socketpair(int, int, int, void *)');
  const poll = library.func('int poll(_Inout_ void *, unsigned long, int)');
  const exitNow = library.func('void _exit(int)');
  const memfdCreate = library.func('int memfd_create(const char *, unsigned int)');
  const native: Native = {
    lockExclusive(descriptor) {
      if (Number(flock(descriptor, lockExclusiveNow)) === 0) return true;
      const code = koffi.errno();
      if (code === constants.errno.EWOULDBLOCK) return false;
      throw new Error(`flock failed with errno ${code}`);
    },
    peerCredentials(descriptor) {
      const ucred = Buffer.alloc(ucredBytes);
      const length = [ucredBytes];
      if (Number(getsockopt(descriptor, solSocket, soPeercred, ucred, length)) !== 0) return undefined;
      if (length[0] !== ucredBytes) return undefined;
      return { pid: ucred.readInt32LE(0), uid: ucred.readUInt32LE(4), gid: ucred.readUInt32LE(8) };
    },
    hasHungUp(descriptor) {
      // struct pollfd: int fd, short events, short revents. POLLHUP is told without being asked for.
      const asked = Buffer.alloc(8);
      asked.writeInt32LE(descriptor, 0);
      return Number(poll(asked, 1, 0)) === 1 && (asked.readInt16LE(6) & pollHup) !== 0;
    },
    leave(exitCode) {
      exitNow(exitCode);
    },
    ...serviceFunctions((prototype) => library.func(prototype), koffi.errno),
  };
  testLock(native, Number(memfdCreate('dovegate', mfdCloexec)));
  const pair = Buffer.alloc(8);
  if (Number(socketpair(afUnix, sockStream, 0, pair)) !== 0) throw new Error('no pair of UNIX sockets');
  testCredentials(native, [pair.readInt32LE(0), pair.readInt32LE(4)]);
  return native;
}

/** On a file in memory: a container may have no place to write one. */
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
    }
  } finally {
    for (const descriptor of pair) closeSync(descriptor);
  }
}
