// What the program needs of the kernel that Node does not offer. `host/native` implements it by foreign functions.

/** Who connected a UNIX socket, by the kernel's word, at the moment of the connect. */
export interface PeerCredentials {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** The foreign functions. */
export interface Native {
  /**
   * Takes the exclusive lock (flock) of an open file, without waiting; false: another open file has it. The lock ends
   * with the last descriptor of that open file, so with the process at the latest, however it ends.
   * Throws when the file system has no locks.
   */
  lockExclusive(descriptor: number): boolean;
  /** SO_PEERCRED of an accepted UNIX socket; undefined where the kernel does not say it. */
  peerCredentials(descriptor: number): PeerCredentials | undefined;
  /**
   * Ends the process now. Node's own way waits for its threads, and one that hangs in the kernel, on a disk that does not
   * answer, is waited for as long as the disk likes.
   */
  leave(exitCode: number): void;
}
