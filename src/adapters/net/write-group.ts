// What is written to one socket, in as few calls of the kernel as it takes.
// The rules: what is long is not copied; nothing overtakes; what is held back leaves in the turn in which it was written.

import type { Writable } from 'node:stream';
import { bounds } from '../../bounds/bounds.js';
import type { Clock } from '../../ports/machine.js';

/** Parts that are smaller together are copied into one. */
const joinedBytesMax = 2 * 1024;

/** Writes groups of parts to one socket. */
export interface GroupWriter {
  /** False: there is no room for more. */
  write(socket: Writable, parts: readonly Buffer[]): boolean;
}

/** So much is held back: four records of TLS, which is what one read of the socket below them brings. */
const heldBytesMax = bounds.tlsHeldBytes;

/** Nothing is held back yet. */
export function createGroupWriter(clock: Clock): GroupWriter {
  let isHolding = false;
  /**
   * A long reply comes as TLS records of 16 KiB, several of them in one turn, each in a callback of its own: they leave
   * together when all of them are there.
   */
  function hold(socket: Writable): void {
    if (isHolding) return;
    isHolding = true;
    socket.cork();
    void clock.nextTurn().then(() => release(socket));
  }

  function release(socket: Writable): void {
    if (!isHolding) return;
    isHolding = false;
    socket.uncork();
  }

  return {
    write(socket, parts) {
      const [only] = parts;
      const isOne = parts.length === 1 && only !== undefined && only.length <= joinedBytesMax;
      const small = isOne ? only : joinSmall(parts);
      if (small !== undefined) return socket.write(small) || isHolding;
      if (parts.length > 0) hold(socket);
      for (const part of parts) socket.write(part);
      if (socket.writableLength >= heldBytesMax) release(socket);
      // Where the kernel took all of it, Node still announces a drain; nobody needs to wait for that.
      return isHolding || socket.writableLength === 0 || !socket.writableNeedDrain;
    },
  };
}

/**
 * The parts as one, or undefined: they are too long to be copied, or empty. A short reply is a handful of tiny parts, and a vectored
 * write of Node has its price for each.
 */
function joinSmall(parts: readonly Buffer[]): Buffer | undefined {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length === 0 || length > joinedBytesMax) return undefined;
  return Buffer.concat(parts, length);
}
