// Foreign functions for a program that is run by a service manager or as the first process of a container: datagrams,
// inherited sockets, orphans. It gets the foreign-function package from native.ts and knows it only as two functions.

import { constants } from 'node:os';
import type { Native, SocketKind } from '../../ports/native.js';

/** A function of the C library by its prototype. */
export type ForeignFunction = (...args: readonly unknown[]) => unknown;

type ServiceFunctions = Pick<Native, 'socketKind' | 'duplicate' | 'sendDatagram' | 'reap'>;

/** Of Linux on x86, ARM and RISC-V. */
const solSocket = 1;
const soType = 3;
const soAcceptconn = 30;
const soDomain = 39;
const afUnix = 1;
const families = new Map<number, 'unix' | 'tcp'>([
  [afUnix, 'unix'],
  [2, 'tcp'],
  [10, 'tcp'],
]);
const sockStream = 1;
const sockDgramCloexec = 2 | 0o2000000;
const msgDontwaitNosignal = 0x40 | 0x4000;
const fDupfdCloexec = 1030;
const wnohang = 1;
/** sun_path of sockaddr_un. */
const pathBytesMax = 108;

/** The functions. `find` throws where the library has no such function; `errno` is that of the last call. */
export function serviceFunctions(
  find: (prototype: string) => ForeignFunction,
  errno: () => number,
): ServiceFunctions {
  const getsockopt = find('int getsockopt(int, int, int, void *, _Inout_ uint32_t *)');
  const fcntl = find('int fcntl(int, int, ...)');
  const socket = find('int socket(int, int, int)');
  const sendto = find('intptr_t sendto(int, const void *, uintptr_t, int, const void *, uint32_t)');
  const close = find('int close(int)');
  const waitpid = find('int waitpid(int, void *, int)');

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
  };
}

/** struct sockaddr_un: the family in host order, then the path with a NUL behind it or the abstract name without one. */
function socketAddress(address: string): Buffer {
  const isAbstract = address.startsWith('\0');
  const name = Buffer.from(isAbstract ? address : `${address}\0`);
  if (name.length > pathBytesMax) throw new Error(`the address of a socket has ${name.length} bytes`);
  const family = Buffer.alloc(2);
  family.writeUInt16LE(afUnix);
  return Buffer.concat([family, name]);
}
