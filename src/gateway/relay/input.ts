// What follows a command line: nothing, a text that goes up with the command, or bytes both ways.
// The rules: a text is gathered before an upstream is asked for; no more is read than can be used; the client has `timeMs` in all,
// not counting the time that we made it wait; whatever became of the command, no byte of its input is ever looked at as a command
// line: it is read to its end, or the session ends.

import type { ByteBudget } from '../../concurrency/limits.js';
import type { InputMeter, RecordedInput } from '../../domain/audit/record.js';
import type { FollowingInput } from '../../domain/policy/assess.js';
import type { Clock } from '../../ports/machine.js';
import type { CloseReason } from '../../ports/transport.js';
import type { Ending } from '../outcome/outcome.js';
import type { LeaseEnd } from '../pool/lease.js';
import { duplex } from './duplex.js';
import { type ClientInput, type Conversation, converse } from './relay.js';
import { type TextEnd, UploadBuffer, upload } from './upload.js';

/** What a command's input needs of the engine. */
export interface InputParts {
  readonly clock: Clock;
  /** Input of all sessions that is held. */
  readonly buffered: ByteBudget;
  readonly meterInput: () => InputMeter;
}

/** The input of one command. */
export class CommandInput {
  /** Both ways until its connection ends, so the upstream must be one on which nothing ran before. */
  readonly isDuplex: boolean;
  /** Gathered; undefined: no text goes up with the command. */
  #text: UploadBuffer | undefined;
  /** Of a command that streams both ways. */
  #upBytes: number | undefined;
  readonly #parts: InputParts;
  readonly #principal: string;
  readonly #following: FollowingInput;
  readonly #open: () => ClientInput;
  #client: ClientInput | undefined;

  /** `principal`: whose command it is. */
  constructor(
    parts: InputParts,
    principal: string,
    following: FollowingInput,
    isDuplex: boolean,
    open: () => ClientInput,
  ) {
    this.#parts = parts;
    this.#principal = principal;
    this.#following = following;
    this.isDuplex = isDuplex;
    this.#open = open;
  }

  /** One for the whole command: it holds how far the text was read. */
  #opened(): ClientInput {
    this.#client ??= this.#open();
    return this.#client;
  }

  /** Before a lease: undefined when it may be asked for, else how the exchange ends. Rejects with the signal's reason. */
  async gather(signal: AbortSignal): Promise<Ending | undefined> {
    const { clock, buffered, meterInput } = this.#parts;
    const text = new UploadBuffer(this.#opened(), meterInput(), buffered, this.#principal, clock);
    this.#text = text;
    try {
      const end = await text.gather(signal);
      if (end === undefined) return undefined;
      return end === 'client-gone' ? { kind: end, isSent: false } : { kind: 'input-ended', why: end };
    } catch (fault) {
      text.close();
      throw fault;
    }
  }

  /** Carries the command out with its input, on the upstream that it got. Never rejects. */
  carryOut(talk: Conversation): Promise<LeaseEnd<Ending>> {
    if (this.#text !== undefined) return upload(talk, this.#text);
    if (!this.isDuplex) return converse(talk);
    let up = 0;
    this.#upBytes = up;
    return duplex(talk, this.#opened(), (bytes) => {
      up += bytes;
      this.#upBytes = up;
    });
  }

  /**
   * Reads what is left of the input to its end, but not where the session ends anyhow. Resolves to why the session must end, if
   * it must.
   */
  async settle(isSessionOver: boolean): Promise<CloseReason | undefined> {
    this.#text?.close();
    if (isSessionOver || this.#following === 'none') return undefined;
    if (this.#following === 'unknown') return 'input-unknown';
    const end = this.#text?.end;
    if (end !== undefined) return closeReasons[end];
    const skipped = await this.#opened().skipText();
    return skipped === 'skipped' ? undefined : skipped;
  }

  /** Once. */
  recorded(): RecordedInput | undefined {
    return this.#upBytes === undefined ? this.#text?.recorded() : { bytes: this.#upBytes };
  }
}

const closeReasons: Readonly<Record<TextEnd, CloseReason>> = {
  cut: 'peer-ended',
  'client-gone': 'peer-gone',
  'too-long': 'input-limit',
  late: 'input-limit',
  slow: 'client-slow',
  'over-share': 'over-share',
};
