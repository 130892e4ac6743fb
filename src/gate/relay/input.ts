// The input after a command line: none, a text that goes up with the command, or bytes both ways. A text is gathered before an upstream is
// requested. No more is read than can be used. The client has `timeMs` in all, not counting waits that we cause. Whatever happens to the
// command, no byte of its input is ever parsed as a command line: it is read to its end, or the session ends.

import type { ByteBudget } from '../../host/concurrency/limits.js';
import type { Clock } from '../../host/ports/machine.js';
import type { CloseReason } from '../../host/ports/transport.js';
import type { RecordedInput } from '../../journal/records/keys.js';
import type { InputMeter } from '../../journal/records/redact.js';
import type { FollowingInput } from '../../rules/policy/judge.js';
import type { Ending } from '../outcome/outcome.js';
import type { LeaseEnd } from '../pool/lease.js';
import { duplex } from './duplex.js';
import { type ClientInput, type Conversation, converse } from './relay.js';
import { type TextEnd, UploadBuffer, upload } from './upload.js';

export interface InputParts {
  readonly clock: Clock;
  readonly buffered: ByteBudget;
  readonly meterInput: () => InputMeter;
}

export class CommandInput {
  /** The input goes both ways until the connection ends, so the upstream must be one on which nothing ran before. */
  readonly isDuplex: boolean;
  #text: UploadBuffer | undefined;
  #upBytes: number | undefined;
  readonly #parts: InputParts;
  readonly #origin: string;
  readonly #following: FollowingInput;
  readonly #open: () => ClientInput;
  #client: ClientInput | undefined;

  constructor(
    parts: InputParts,
    origin: string,
    following: FollowingInput,
    isDuplex: boolean,
    open: () => ClientInput,
  ) {
    this.#parts = parts;
    this.#origin = origin;
    this.#following = following;
    this.isDuplex = isDuplex;
    this.#open = open;
  }

  /** One object for the whole command: it holds the position in the text. */
  #opened(): ClientInput {
    this.#client ??= this.#open();
    return this.#client;
  }

  /** Called before a lease: undefined when an upstream may be requested, else how the exchange ends. Rejects with the signal's reason. */
  async gather(signal: AbortSignal): Promise<Ending | undefined> {
    const { clock, buffered, meterInput } = this.#parts;
    const text = new UploadBuffer(this.#opened(), meterInput(), buffered, this.#origin, clock);
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

  /** Runs the command with its input on the leased upstream. Never rejects. */
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

  /** Reads the rest of the input to its end, unless the session ends anyway. Resolves to the reason to end the session, if there is one. */
  async settle(isSessionOver: boolean): Promise<CloseReason | undefined> {
    this.#text?.close();
    if (isSessionOver || this.#following === 'none') return undefined;
    if (this.#following === 'unknown') return 'input-unknown';
    const end = this.#text?.end;
    if (end !== undefined) return closeReasons[end];
    const skipped = await this.#opened().skipText();
    return skipped === 'skipped' ? undefined : skipped;
  }

  get textDigest(): string | undefined {
    return this.#text?.recorded()?.hmac;
  }

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
