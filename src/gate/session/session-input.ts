// The input from a peer after its handshake: command lines, and after some of them a text or raw bytes. While an exchange runs it reads
// ahead by at most one chunk, to notice a peer that leaves. Bytes of input are never parsed as lines. A text is read within its limits. It
// is read to its end, or the session is over.

import { LineSplitter } from '../../doveadm/protocol/lines.js';
import { DotDecoder } from '../../doveadm/protocol/text.js';
import { bounds } from '../../host/bounds/bounds.js';
import type { ByteBudget } from '../../host/concurrency/limits.js';
import { TransportFault, WireFault } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { CloseReason, Transport } from '../../host/ports/transport.js';
import type { ClientInput, TextPiece } from '../relay/relay.js';

function ignore(): void {}

const lineFeed = 0x0a;
/** Below this an unfinished line is not counted: a command whose bytes come in two pieces needs no room. */
const uncountedBytes = bounds.uncountedLineBytes;

export interface LineMemory {
  readonly buffered: ByteBudget;
  readonly holder: string;
}

/** Why a line is not taken. Nothing can be read as a line after it: answer, and end the session. */
export type LineRefusal = 'line-too-long' | 'line-no-room';

/** Reads reject with a TransportFault when the peer is gone. */
export class SessionInput {
  readonly #transport: Transport;
  readonly #lines: LineSplitter;
  readonly #memory: LineMemory | undefined;
  #counted = 0;
  #ahead: Promise<Buffer | null> | undefined;
  #isReading = false;

  /** `rest`: bytes after the handshake. Without `memory` nothing is counted: its sessions must be few. */
  constructor(transport: Transport, rest: Buffer, lineBytesMax: number, memory?: LineMemory) {
    this.#transport = transport;
    this.#lines = new LineSplitter({ lineBytesMax });
    this.#memory = memory;
    if (rest.length > 0) this.#lines.push(rest);
  }

  /** The next line; null once the peer has ended its side (a last line without LF is never run). */
  async nextLine(): Promise<Buffer | LineRefusal | null> {
    for (;;) {
      const line = this.takeLine();
      if (line !== undefined) return line;
      const chunk = await this.nextChunk();
      if (chunk === null) return null;
      this.#lines.push(chunk);
    }
  }

  /** The next chunk if `takeLine` found no line; pass it to `giveBack`. `nextLine` in steps: it saves a promise for each command. */
  nextChunk(): Promise<Buffer | null> {
    const ahead = this.#ahead ?? this.#transport.read();
    this.#ahead = undefined;
    return ahead;
  }

  /** The next line if it is complete already. */
  takeLine(): Buffer | LineRefusal | undefined {
    let line: Buffer | undefined;
    try {
      line = this.#lines.next();
    } catch (fault) {
      if (!(fault instanceof WireFault)) throw fault;
      this.close();
      return 'line-too-long';
    }
    if (line !== undefined) {
      this.close();
      return line;
    }
    return this.#count() ? undefined : 'line-no-room';
  }

  /** Counts the unfinished line. Returns false if there is no room for it; then it is dropped. */
  #count(): boolean {
    const bytes = this.#lines.pendingBytes;
    if (this.#memory === undefined || bytes <= uncountedBytes) return true;
    const { buffered, holder } = this.#memory;
    buffered.take(bytes - this.#counted, holder);
    this.#counted = bytes;
    // Each origin has room for one line in any case. Otherwise small limits would refuse every long line.
    if (!buffered.isFullFor(holder) || buffered.heldBy(holder) === bytes) return true;
    this.#lines.takeRest();
    this.close();
    return false;
  }

  /** Gives the memory of an unfinished line back. Idempotent. */
  close(): void {
    if (this.#counted === 0) return;
    this.#memory?.buffered.give(this.#counted, this.#memory.holder);
    this.#counted = 0;
  }

  /**
   * After a refusal: reads the rest of the line and drops it, since a client that still writes does not read its answer yet. Resolves at
   * the end of the line, at the limits of bytes and time, and when the peer ends its side.
   */
  async dropLine(clock: Clock): Promise<void> {
    if (this.#lines.hasCutLineEnd) return;
    let timer: Timer | undefined;
    try {
      // Not `Promise.race` for each chunk: the promise of the timer would hold all chunks until the end.
      await new Promise<void>((resolve, reject) => {
        timer = clock.setTimer(bounds.droppedLineMs, resolve);
        this.#dropRest().then(resolve, reject);
      });
    } finally {
      timer?.cancel();
    }
  }

  async #dropRest(): Promise<void> {
    for (let left = bounds.droppedLineBytes; left > 0; ) {
      const chunk = await this.nextChunk();
      if (chunk === null || chunk.includes(lineFeed)) return;
      left -= chunk.length;
    }
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
