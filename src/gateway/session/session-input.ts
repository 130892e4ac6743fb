// What a peer sends after its handshake: command lines, and behind some of them what is no line. It reads ahead by at most one
// chunk while an exchange runs, so that a peer that leaves is noticed. It does not know which command has input.
// The rule: who asks for the next line decides that it is one; bytes of input are never looked at as lines.

import type { Transport } from '../../ports/transport.js';
import { createLineSplitter, type LineSplitter } from '../../protocol/lines.js';

/** What comes in behind the handshake. */
export interface SessionInput {
  /**
   * The next line; null once the peer has ended its side (a last line without LF is never run). Rejects with a
   * WireFault for a line above the limit, with a TransportFault when the peer is gone.
   */
  nextLine(): Promise<Buffer | null>;
  /** The next line if all of it is here already. Throws a WireFault for a line above the limit. */
  takeLine(): Buffer | undefined;
  /**
   * What comes next, for who has found no line: to be given back with `giveBack`. As `nextLine` in steps, which spares each
   * command a promise. Null and rejections as of `nextLine`.
   */
  nextChunk(): Promise<Buffer | null>;
  /** What came behind the last line and the next chunks, as they are; null once the peer has ended its side. Rejects as `nextLine`. */
  nextBytes(): Promise<Buffer | null>;
  /** Bytes of `nextBytes` that are lines again. */
  giveBack(bytes: Buffer): void;
  /** Starts to read ahead; `onGone` is called when the peer turns out to be gone before the next `nextLine`. */
  watch(onGone: () => void): void;
  /** The exchange is over: nobody is told any more. */
  unwatch(): void;
}

/** Input that begins with `rest`, what came behind the handshake. */
export function createSessionInput(transport: Transport, rest: Buffer, lineBytesMax: number): SessionInput {
  return new PeerInput(transport, rest, lineBytesMax);
}

function ignore(): void {}

class PeerInput implements SessionInput {
  readonly #transport: Transport;
  readonly #lines: LineSplitter;
  #ahead: Promise<Buffer | null> | undefined;
  #isReading = false;

  constructor(transport: Transport, rest: Buffer, lineBytesMax: number) {
    this.#transport = transport;
    this.#lines = createLineSplitter({ lineBytesMax });
    if (rest.length > 0) this.#lines.push(rest);
  }

  async nextLine(): Promise<Buffer | null> {
    for (;;) {
      const line = this.#lines.next();
      if (line !== undefined) return line;
      const chunk = await this.nextChunk();
      if (chunk === null) return null;
      this.#lines.push(chunk);
    }
  }

  nextChunk(): Promise<Buffer | null> {
    const ahead = this.#ahead ?? this.#transport.read();
    this.#ahead = undefined;
    return ahead;
  }

  takeLine(): Buffer | undefined {
    return this.#lines.next();
  }

  nextBytes(): Promise<Buffer | null> {
    const rest = this.#lines.takeRest();
    return rest.length > 0 ? Promise.resolve(rest) : this.#read();
  }

  giveBack(bytes: Buffer): void {
    this.#lines.push(bytes);
  }

  watch(onGone: () => void): void {
    this.#transport.onGone(onGone);
    if (this.#ahead !== undefined || this.#isReading) return;
    const ahead = this.#transport.read();
    this.#ahead = ahead;
    // Told by `onGone`, and once more to whoever reads the next line.
    ahead.catch(ignore);
  }

  unwatch(): void {
    this.#transport.onGone(undefined);
  }

  async #read(): Promise<Buffer | null> {
    const ahead = this.#ahead ?? this.#transport.read();
    this.#ahead = undefined;
    this.#isReading = true;
    try {
      return await ahead;
    } finally {
      this.#isReading = false;
    }
  }
}
