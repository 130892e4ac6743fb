// The input from a peer after its handshake: command lines, and after some of them a text or raw bytes. While an exchange runs it reads
// ahead by at most one chunk, to notice a peer that leaves.
// The rules: bytes of input are never parsed as lines; a text is read within its limits; it is read to its end, or the session is over.

import { TransportFault, WireFault } from '../../ports/faults.js';
import type { Clock } from '../../ports/machine.js';
import type { CloseReason, Transport } from '../../ports/transport.js';
import { LineSplitter } from '../../protocol/lines.js';
import { DotDecoder } from '../../protocol/text.js';
import type { ClientInput, TextPiece } from '../relay/relay.js';

function ignore(): void {}

/** Reads reject with a WireFault for a line above the limit, with a TransportFault when the peer is gone. */
export class SessionInput {
  readonly #transport: Transport;
  readonly #lines: LineSplitter;
  #ahead: Promise<Buffer | null> | undefined;
  #isReading = false;

  /** `rest`: bytes after the handshake. */
  constructor(transport: Transport, rest: Buffer, lineBytesMax: number) {
    this.#transport = transport;
    this.#lines = new LineSplitter({ lineBytesMax });
    if (rest.length > 0) this.#lines.push(rest);
  }

  /** The next line; null once the peer has ended its side (a last line without LF is never run). */
  async nextLine(): Promise<Buffer | null> {
    for (;;) {
      const line = this.#lines.next();
      if (line !== undefined) return line;
      const chunk = await this.nextChunk();
      if (chunk === null) return null;
      this.#lines.push(chunk);
    }
  }

  /**
   * The next chunk, after `takeLine` found no line; pass it to `giveBack`. This is `nextLine` in steps, which saves a promise for each
   * command.
   */
  nextChunk(): Promise<Buffer | null> {
    const ahead = this.#ahead ?? this.#transport.read();
    this.#ahead = undefined;
    return ahead;
  }

  /** The next line if it is complete already. Throws a WireFault for a line above the limit. */
  takeLine(): Buffer | undefined {
    return this.#lines.next();
  }

  /** Raw bytes after the last line; null once the peer has ended its side. */
  nextBytes(): Promise<Buffer | null> {
    const rest = this.#lines.takeRest();
    return rest.length > 0 ? Promise.resolve(rest) : this.#read();
  }

  /** Returns bytes of `nextBytes` that are lines again. */
  giveBack(bytes: Buffer): void {
    this.#lines.push(bytes);
  }

  /** Reads one chunk ahead, so that the end of the peer is noticed. */
  readAhead(): void {
    if (this.#ahead !== undefined || this.#isReading) return;
    const ahead = this.#transport.read();
    this.#ahead = ahead;
    // The transport's listener reports the fault, and so does the next read.
    ahead.catch(ignore);
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

export interface CommandInputOptions {
  readonly inputBytesMax: number;
  readonly inputTimeMs: number;
  readonly clock: Clock;
  readonly close: (reason: CloseReason) => void;
}

/** The input of the command whose line was read last. */
export class PeerInput implements ClientInput {
  readonly timeMs: number;
  readonly isHere = false;
  readonly #input: SessionInput;
  readonly #options: CommandInputOptions;
  #dots: DotDecoder | undefined;
  #pending: Promise<TextPiece> | undefined;
  #isWhole = false;

  constructor(input: SessionInput, options: CommandInputOptions) {
    this.#input = input;
    this.#options = options;
    this.timeMs = options.inputTimeMs;
  }

  async nextText(): Promise<TextPiece> {
    this.#pending ??= this.#decode();
    try {
      return await this.#pending;
    } finally {
      this.#pending = undefined;
    }
  }

  async skipText(): Promise<'skipped' | CloseReason> {
    if (this.#isWhole) return 'skipped';
    const { clock, close, inputTimeMs } = this.#options;
    let isLate = false;
    const timer = clock.setTimer(inputTimeMs, () => {
      isLate = true;
      close('input-limit');
    });
    try {
      while (!this.#isWhole) if ((await this.nextText()).kind === 'cut') return 'peer-ended';
      return 'skipped';
    } catch (fault) {
      if (isLate || fault instanceof WireFault) return 'input-limit';
      if (fault instanceof TransportFault) return 'peer-gone';
      throw fault;
    } finally {
      timer.cancel();
    }
  }

  readRaw(): Promise<Buffer | null> {
    return this.#input.nextBytes();
  }

  async #decode(): Promise<TextPiece> {
    this.#dots ??= new DotDecoder(this.#options);
    const chunk = await this.#input.nextBytes();
    if (chunk === null) return { kind: 'cut' };
    const { parts, isDone, rest } = this.#dots.push(chunk);
    if (isDone) {
      this.#isWhole = true;
      if (rest.length > 0) this.#input.giveBack(rest);
    }
    return { kind: 'piece', parts, isLast: isDone };
  }
}
