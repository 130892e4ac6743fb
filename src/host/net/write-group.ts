// Writes to one socket, in order, with few system calls and no copies of long buffers. Held bytes are written in the same turn.

import type { Writable } from 'node:stream';
import type { Clock } from '../ports/machine.js';

/** Parts that are smaller together are copied into one. */
const joinedBytesMax = 2 * 1024;

/** Bytes that are held back: four TLS records, the result of one read of the socket below them. */
const heldBytesMax = 64 * 1024;

/** Writes groups of parts to one socket. A class, to use little memory: each idle session has one. */
export class GroupWriter {
  readonly #clock: Clock;
  #isHolding = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False: the buffer is full. */
  write(socket: Writable, parts: readonly Buffer[]): boolean {
    const [only] = parts;
    const isOne = parts.length === 1 && only !== undefined && only.length <= joinedBytesMax;
    const small = isOne ? only : joinSmall(parts);
    if (small !== undefined) return socket.write(small) || this.#isHolding;
    if (parts.length > 0) this.#hold(socket);
    for (const part of parts) socket.write(part);
    if (socket.writableLength >= heldBytesMax) this.#release(socket);
    // Even if the kernel took everything, Node announces a drain, which need not be awaited.
    return this.#isHolding || socket.writableLength === 0 || !socket.writableNeedDrain;
  }

  /** A long reply is several TLS records of 16 KiB in one turn, each in its own callback: they leave together at its end. */
  #hold(socket: Writable): void {
    if (this.#isHolding) return;
    this.#isHolding = true;
    socket.cork();
    void this.#clock.nextTurn().then(() => this.#release(socket));
  }

  #release(socket: Writable): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    socket.uncork();
  }
}

/** Undefined: too long to be copied, or empty. A short reply is a few tiny parts, and a vectored write has a cost for each. */
function joinSmall(parts: readonly Buffer[]): Buffer | undefined {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length === 0 || length > joinedBytesMax) return undefined;
  return Buffer.concat(parts, length);
}
