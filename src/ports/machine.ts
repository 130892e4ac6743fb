// What everything above `adapters/host` needs of the machine: time, the calls of the kernel that Node does not offer, and the codes
// with which the process ends. Nobody reads the clock from the globals.

/** A running timer. */
export interface Timer {
  /** Ends it; nothing happens when it has fired or was cancelled already. */
  cancel(): void;
}

/** Time and timers. Milliseconds everywhere. */
export interface Clock {
  /** Milliseconds since some fixed instant, with fractions; never leaps, never goes back. For durations. */
  now(): number;
  /** Milliseconds since 1970 by the wall clock, whole; may leap. For records and expiry only. */
  wallMs(): number;
  /** Calls `run` once after `ms`; the timer does not keep the process alive. */
  setTimer(ms: number, run: () => void): Timer;
  /** Resolves in a later turn of the event loop: whoever has much to do at once lets the others in by it. */
  nextTurn(): Promise<void>;
}

/** Who connected a UNIX socket, by the kernel's word, at the moment of the connect. */
export interface PeerCredentials {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** What a descriptor is, as far as accepting clients goes. */
export type SocketKind =
  | { readonly kind: 'listening'; readonly family: 'unix' | 'tcp' }
  | { readonly kind: 'other' /** What it is instead, for a sentence. */; readonly text: string };
/**
 * A hold on the process that connected a UNIX socket. `held`: a descriptor that names this very process and no later one
 * of the same pid; whoever asked closes it. `gone`: it has ended. `unsupported`: the kernel is older than 6.5.
 */
export type PeerProcess =
  | { readonly kind: 'held'; readonly descriptor: number }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unsupported' };

/** The foreign functions. */
export interface Native {
  /**
   * Takes the exclusive lock (flock) of an open file, without waiting; false: another open file has it. The lock ends
   * with the last descriptor of that open file, so with the process at the latest, however it ends.
   * Throws when the file system has no locks.
   */
  lockExclusive(descriptor: number): boolean;
  /**
   * Maps a file for reading and writing, shared with whoever else does; all its pages must be there. It stays mapped as long as the
   * process lives. Throws where the kernel refuses.
   */
  mapShared(path: string, bytes: number): { readonly memory: ArrayBuffer; readonly address: bigint };
  /** SO_PEERCRED of an accepted UNIX socket; undefined where the kernel does not say it. */
  peerCredentials(descriptor: number): PeerCredentials | undefined;
  /**
   * Ends the process now. Node's own way waits for its threads, and one that hangs in the kernel, on a disk that does not
   * answer, is waited for as long as the disk likes.
   */
  leave(exitCode: number): void;
  /**
   * Whether the other end of a connected UNIX socket is gone altogether, not only its sending side. No event tells that of
   * a socket that is not read, or whose other end had stopped sending before.
   */
  hasHungUp(descriptor: number): boolean;
  /**
   * SIOCOUTQ of a connected socket: bytes written that the other end has not taken (TCP: not acknowledged; UNIX: not read, with what
   * the kernel adds to them). Undefined where the kernel does not say it.
   */
  queuedBytes(descriptor: number): number | undefined;
  /** Whether a descriptor is a stream socket that listens, UNIX or TCP. */
  socketKind(descriptor: number): SocketKind;
  /** A second descriptor of the same open socket, not inherited by children. Throws when there is none to be had. */
  duplicate(descriptor: number): number;
  /**
   * Sends one datagram to a UNIX socket, without waiting. `address`: a path, or an abstract name with NUL in front.
   * False: its queue is full, later it may work. Throws an Error for everything else.
   */
  sendDatagram(address: string, text: string): boolean;
  /** Takes a child that has ended from the process table, if it has; true: it was there and is gone. */
  reap(pid: number): boolean;
  /** SO_PEERGROUPS: its supplementary groups at the moment of the connect; undefined where the kernel does not say them. */
  peerGroups(descriptor: number): readonly number[] | undefined;
  /** SO_PEERPIDFD of an accepted UNIX socket. */
  peerProcess(descriptor: number): PeerProcess;
  /**
   * Device and inode of the file at this very path, symbolic links not followed, as one text. Undefined: there is none, or only a file
   * system that is not local could say so: nothing is waited for. Needs Linux 5.12.
   */
  fileAt(path: string): string | undefined;
  /** The same of the file that a link of /proc leads to, whatever path the link shows. */
  fileBehind(procLink: string): string | undefined;
  /** From now on the kernel writes no image of this process anywhere, and lets nobody but root look into it. Throws where it refuses. */
  forbidCoreDumps(): void;
}

/** Exit codes, as of sysexits. Scripts know these numbers: none is ever given another meaning. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 64,
  /** No daemon there. */
  unavailable: 69,
  bug: 70,
  /** Allowed, and it cannot be carried out now: no route, or nothing answers. */
  notCarriedOut: 75,
  notPermitted: 77,
  configuration: 78,
} as const;

/** Bytes that are kept until their last one is there: in memory, or in a file that has no name and goes with the process. */
export interface HeldBytes {
  /** All so far. */
  readonly length: number;
  /** How many of them are in memory. */
  readonly memoryBytes: number;
  /** Before the first of so many bytes is read: rejects with a RoomFault where there is no room for them now. */
  expect(bytes: number): Promise<void>;
  /** Adds at the end; the chunk is the taker's. One call at a time. Rejects with a RoomFault, or with what the system says. */
  append(chunk: Buffer): Promise<void>;
  /** At most `most` bytes from there on, at least one; the caller must not change them. Rejects with what the system says. */
  read(from: number, most: number): Promise<Buffer>;
  /** To be called once, after the last read. */
  close(): void;
}
