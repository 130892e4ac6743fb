// What a peer sends after its handshake: command lines, and the input of a refused command that is thrown away.
// It reads ahead by at most one chunk while an exchange runs, so that a peer that leaves is noticed.
// The rule: bytes of input are never looked at as lines.

import type { Transport } from '../ports/transport.js';
import { createDotDecoder } from '../wire/dot.js';
import { createLineSplitter, type LineSplitter } from '../wire/lines.js';

/** What comes in behind the handshake. */
export interface SessionInput {
  /**
   * The next line; null once the peer has ended its side (a last line without LF is never run). Rejects with a
   * WireFault for a line above the limit, with a TransportFault when the peer is gone.
   */
  nextLine(): Promise<Buffer | null>;
  /** Reads a dot-stream to its end and drops it. False: the peer ended before the dot. Rejects as `nextLine`, and above the limit. */
  skipDotStream(limits: { readonly inputBytesMax: number }): Promise<boolean>;
  /** Starts to read ahead; `onGone` is called when the peer turns out to be gone before the next `nextLine`. */
  watch(onGone: () => void): void;
  /** The exchange is over: nobody is told any more. */
  unwatch(): void;
}

/** Input that begins with `rest`, what came behind the handshake. */
export function createSessionInput(transport: Transport, rest: Buffer, lineBytesMax: number): SessionInput {
  return new PeerInput(transport, rest, lineBytesMax);
}

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
      const chunk = await this.#read();
      if (chunk === null) return null;
      this.#lines.push(chunk);
    }
  }

  async skipDotStream(limits: { readonly inputBytesMax: number }): Promise<boolean> {
    const dots = createDotDecoder(limits);
    let chunk: Buffer | null = this.#lines.takeRest();
    for (;;) {
      const { isDone, rest } = dots.push(chunk);
      if (isDone) {
        if (rest.length > 0) this.#lines.push(rest);
        return true;
      }
      chunk = await this.#read();
      if (chunk === null) return false;
    }
  }

  watch(onGone: () => void): void {
    this.#transport.onGone(onGone);
    if (this.#ahead !== undefined || this.#isReading) return;
    const ahead = this.#transport.read();
    this.#ahead = ahead;
    // Told by `onGone`, and once more to whoever reads the next line.
    ahead.catch(() => undefined);
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
