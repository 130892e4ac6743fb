// The machine as seen by everything above `host/machine`: time, the kernel calls that Node does not offer, and the exit codes of the
// process. The clock of the globals is never used.

export interface Timer {
  /** Stops it; does nothing if it has fired or was canceled already. */
  cancel(): void;
}

/** Time and timers. Milliseconds everywhere. */
export interface Clock {
  /** Milliseconds since some fixed instant, with fractions; monotonic. For durations. */
  now(): number;
  /** Milliseconds since 1970 by the wall clock, whole; may leap. For records and expiry only. */
  wallMs(): number;
  /** Calls `run` once after `ms`; the timer does not keep the process alive. */
  setTimer(ms: number, run: () => void): Timer;
  /** Resolves in a later turn of the event loop: lets other work run between the steps of long work. */
  nextTurn(): Promise<void>;
}

/** The process that connected a UNIX socket, as recorded by the kernel at the moment of the connect. */
export interface PeerCredentials {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** The kind of a descriptor, for code that accepts clients. */
export type SocketKind =
  | { readonly kind: 'listening'; readonly family: 'unix' | 'tcp' }
  | { readonly kind: 'other' /** What it is instead, for a sentence. */; readonly text: string };
/**
 * A handle of the process that connected a UNIX socket. `held`: a descriptor of exactly this process, not of a later one with the same pid;
 * the caller closes it. `gone`: the process has ended. `unsupported`: the kernel is older than 6.5.
 */
export type PeerProcess =
  | { readonly kind: 'held'; readonly descriptor: number }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unsupported' };

export interface Native {
  /**
   * Takes the exclusive lock (flock) of an open file, without waiting; false: another open file has it. The lock is released with the last
   * descriptor of that open file, so at the latest with the process. Throws when the file system has no locks.
   */
  lockExclusive(descriptor: number): boolean;
  /** Maps a file to read and write, shared, for the life of the process; all its pages must exist. Throws if the kernel refuses. */
  mapShared(path: string, bytes: number): { readonly memory: ArrayBuffer; readonly address: bigint };
  /** SO_PEERCRED of an accepted UNIX socket; undefined if the kernel does not provide it. */
  peerCredentials(descriptor: number): PeerCredentials | undefined;
  /** Ends the process now. Node's own exit joins its threads, so it never returns while one hangs in the kernel, as on a silent disk. */
  leave(exitCode: number): void;
  /**
   * Whether the other end of a connected UNIX socket is closed in both directions. There is no event for this if the socket is not read, or
   * if the other end had stopped sending before.
   */
  hasHungUp(descriptor: number): boolean;
  /**
   * SIOCOUTQ of a connected socket: written bytes that the other end has not taken (TCP: not acknowledged; UNIX: not read, with the
   * kernel's overhead). Undefined if the kernel does not provide it.
   */
  queuedBytes(descriptor: number): number | undefined;
  /** Whether a descriptor is a stream socket that listens, UNIX or TCP. */
  socketKind(descriptor: number): SocketKind;
  /** A second descriptor of the same open socket, not inherited by children. Throws if none can be made. */
  duplicate(descriptor: number): number;
  /**
   * Sends one datagram to a UNIX socket, without waiting. `address`: a path, or an abstract name with a leading NUL. False: its queue is
   * full, and a later try may succeed. Throws an Error for everything else.
   */
  sendDatagram(address: string, text: string): boolean;
  /** Removes an ended child from the process table; true: it was there and is removed. */
  reap(pid: number): boolean;
  /** From now on, the thread, and those that it begins, run on these processors only. False: the kernel refuses. */
  runOn(thread: number, processors: readonly number[]): boolean;
  /** SO_PEERGROUPS: its supplementary groups at the moment of the connect; undefined if the kernel does not provide them. */
  peerGroups(descriptor: number): readonly number[] | undefined;
  /** SO_PEERPIDFD of an accepted UNIX socket. */
  peerProcess(descriptor: number): PeerProcess;
  /**
   * Device and inode of the file at exactly this path, without following symbolic links, as one text. Undefined: there is none, or the
   * answer would need a file system that is not local. Never waits. Needs Linux 5.12.
   */
  fileAt(path: string): string | undefined;
  /** The same for the target of a link in /proc, whatever path the link shows. */
  fileBehind(procLink: string): string | undefined;
  /** From now on the kernel writes no core dump of this process, and only root can inspect it. Throws if the kernel refuses. */
  forbidCoreDumps(): void;
  /** Collects garbage, which blocks the thread, and gives freed memory back to the kernel if the C library can (glibc). */
  releaseMemory(): void;
}

/** Exit codes from sysexits. Scripts use these numbers: their meanings never change. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 64,
  /** The answer leaves out what could not be read. */
  incomplete: 65,
  unavailable: 69,
  bug: 70,
  /** Allowed, but not possible now: there is no route, or no answer. */
  notCarriedOut: 75,
  notPermitted: 77,
  configuration: 78,
} as const;

/** Bytes that are kept until the last one has arrived: in memory, or in a file without a name that disappears with the process. */
export interface HeldBytes {
  readonly length: number;
  readonly memoryBytes: number;
  /** Announces a number of bytes before the first is read: rejects with a RoomFault if there is no room for them now. */
  expect(bytes: number): Promise<void>;
  /** Appends; takes over the chunk. One call at a time. Rejects with a RoomFault, or with the system's error. */
  append(chunk: Buffer): Promise<void>;
  /** At most `most` bytes from there on, at least one; the caller must not change them. Rejects with the system's error. */
  read(from: number, most: number): Promise<Buffer>;
  close(): void;
}
