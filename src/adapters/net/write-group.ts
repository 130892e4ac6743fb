// Writes to one socket, with as few system calls as possible.
// The rules: long buffers are not copied; the order is kept; held bytes are written in the same turn.

import type { Writable } from 'node:stream';
import { bounds } from '../../bounds/bounds.js';
import type { Clock } from '../../ports/machine.js';

/** Parts that are smaller together are copied into one. */
const joinedBytesMax = 2 * 1024;

/** Writes groups of parts to one socket. */
export interface GroupWriter {
  /** False: the buffer is full. */
  write(socket: Writable, parts: readonly Buffer[]): boolean;
}

/** Bytes that are held back: four TLS records, the result of one read of the socket below them. */
const heldBytesMax = bounds.tlsHeldBytes;

/** Nothing is held back yet. */
export function createGroupWriter(clock: Clock): GroupWriter {
  let isHolding = false;
  /**
   * A long reply arrives as TLS records of 16 KiB, several of them in one turn, each in a callback of its own: they are written together at
   * the end of the turn.
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
      // Even if the kernel took everything, Node announces a drain, which need not be awaited.
      return isHolding || socket.writableLength === 0 || !socket.writableNeedDrain;
    },
  };
}

/**
 * The parts as one buffer, or undefined: they are too long to be copied, or empty. A short reply is a few tiny parts, and Node's vectored
 * write has a cost for each.
 */
function joinSmall(parts: readonly Buffer[]): Buffer | undefined {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length === 0 || length > joinedBytesMax) return undefined;
  return Buffer.concat(parts, length);
}
