// What a peer sends behind one command line: a text up to its dot, or bytes as they are. It does not know what is done with them.
// The rules: a text is read within its limits, whoever wants it; a piece that nobody waits for any more is still a piece, so a
// text is left at its end or the session is over.

import type { Clock } from '../../ports/clock.js';
import type { CloseReason } from '../../ports/close-reason.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { createDotDecoder, type DotDecoder } from '../../protocol/dot.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { ClientInput, TextPiece } from '../relay/upload-buffer.js';
import type { SessionInput } from './session-input.js';

/** Limits of a text, and how a session is ended that goes beyond its time. */
export interface CommandInputOptions {
  readonly inputBytesMax: number;
  readonly inputTimeMs: number;
  readonly clock: Clock;
  readonly close: (reason: CloseReason) => void;
}

/** The input of the command whose line was read last from `input`. */
export function createCommandInput(input: SessionInput, options: CommandInputOptions): ClientInput {
  return new CommandInput(input, options);
}

class CommandInput implements ClientInput {
  readonly timeMs: number;
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
    this.#dots ??= createDotDecoder(this.#options);
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
