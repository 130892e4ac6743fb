// What follows the command line of one exchange, and what is done with it: nothing, a text that goes up with the command, bytes both
// ways. It does not know how a lease comes about or what is recorded.
// The rules: a text is gathered before an upstream is asked for; whatever became of the command, no byte of its input is ever
// looked at as a command line: it is read to its end, or the session ends.

import type { Abortable } from '../../concurrency/abortable.js';
import type { RecordedInput } from '../../domain/audit/record.js';
import type { Judgement } from '../../domain/policy/judge.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { Ending } from '../outcome/outcome.js';
import type { LeaseEnd } from '../pool/lease.js';
import { type Conversation, converse } from '../relay/converse.js';
import { duplex } from '../relay/duplex.js';
import { upload } from '../relay/upload.js';
import {
  type ClientInput,
  createUploadBuffer,
  type TextEnd,
  type UploadBuffer,
} from '../relay/upload-buffer.js';
import type { ExchangeContext, ExchangeSession } from './exchange-context.js';

/** The input of one exchange. */
export interface ExchangeInput {
  /** It goes both ways until its connection ends, so the upstream must be one on which nothing ran before. */
  readonly isDuplex: boolean;
  /**
   * Before a lease: undefined when it may be asked for (at once, where there is no text); else how the exchange ends. Rejects
   * with what `abortable` was aborted with.
   */
  gather(abortable: Abortable): Promise<Ending | undefined> | undefined;
  /** Carries the command out, with its input. Never rejects. */
  carryOut(conversation: Conversation): Promise<LeaseEnd<Ending>>;
  /**
   * Sees to what is left of the input: reads it to its end, but not where the session ends anyhow. Resolves to why it must
   * end, if it must; undefined at once where there is no input.
   */
  settle(isSessionOver: boolean): Promise<CloseReason | undefined> | CloseReason | undefined;
  /** What is recorded of it; once. */
  recorded(): RecordedInput | undefined;
}

/** The input behind the line that was judged so. */
export function createExchangeInput(
  context: ExchangeContext,
  judgement: Judgement,
  session: Pick<ExchangeSession, 'openInput'>,
): ExchangeInput {
  const isDuplex =
    judgement.kind === 'judged' &&
    judgement.decision.kind === 'allow' &&
    judgement.attempt.command.input === 'duplex';
  return judgement.input === 'none' && !isDuplex
    ? noInput
    : new LineInput(context, judgement, isDuplex, session);
}

/** Nearly every command has none. */
const noInput: ExchangeInput = {
  isDuplex: false,
  gather: () => undefined,
  carryOut: converse,
  settle: () => undefined,
  recorded: () => undefined,
};

class LineInput implements ExchangeInput {
  readonly isDuplex: boolean;
  readonly #context: ExchangeContext;
  readonly #judgement: Judgement;
  readonly #session: Pick<ExchangeSession, 'openInput'>;
  #client: ClientInput | undefined;
  #text: UploadBuffer | undefined;
  #upBytes: number | undefined;

  constructor(
    context: ExchangeContext,
    judgement: Judgement,
    isDuplex: boolean,
    session: Pick<ExchangeSession, 'openInput'>,
  ) {
    this.#context = context;
    this.#judgement = judgement;
    this.isDuplex = isDuplex;
    this.#session = session;
  }

  async gather(abortable: Abortable): Promise<Ending | undefined> {
    if (this.#judgement.input !== 'dot') return undefined;
    const { clock, buffered, meterInput } = this.#context;
    const text = createUploadBuffer({ client: this.#input(), meter: meterInput(), buffered, clock });
    this.#text = text;
    try {
      return endingOf(await text.gather(abortable.signal));
    } catch (fault) {
      text.close();
      throw fault;
    }
  }

  carryOut(conversation: Conversation): Promise<LeaseEnd<Ending>> {
    if (this.#text !== undefined) return upload(conversation, this.#text);
    if (!this.isDuplex) return converse(conversation);
    this.#upBytes = 0;
    const { upstream, command, writer, logs, clock, limits, count } = conversation;
    return duplex({
      upstream,
      command,
      writer,
      logs,
      clock,
      limits,
      count,
      cutOff: () => conversation.cutOff(),
      onLog: (line) => conversation.onLog(line),
      client: this.#input(),
      onUp: (bytes) => {
        this.#upBytes = (this.#upBytes ?? 0) + bytes;
      },
    });
  }

  async settle(isSessionOver: boolean): Promise<CloseReason | undefined> {
    const text = this.#text;
    text?.close();
    if (isSessionOver) return undefined;
    const { input } = this.#judgement;
    switch (input) {
      case 'none':
        return undefined;
      case 'unknown':
        return 'input-unknown';
      case 'dot': {
        if (text?.end !== undefined) return closeAfter(text.end);
        const skipped = await this.#input().skipText();
        return skipped === 'skipped' ? undefined : skipped;
      }
      default:
        return input satisfies never;
    }
  }

  recorded(): RecordedInput | undefined {
    return this.#upBytes === undefined ? this.#text?.recorded() : { bytes: this.#upBytes };
  }

  /** One for the whole command: it knows how far the text was read. */
  #input(): ClientInput {
    this.#client ??= this.#session.openInput();
    return this.#client;
  }
}

function endingOf(end: TextEnd | undefined): Ending | undefined {
  if (end === undefined) return undefined;
  if (end === 'client-gone') return { kind: 'client-gone', isSent: false };
  return { kind: 'input-ended', why: end };
}

function closeAfter(end: TextEnd): CloseReason {
  switch (end) {
    case 'cut':
      return 'peer-ended';
    case 'client-gone':
      return 'peer-gone';
    case 'too-long':
    case 'late':
      return 'input-limit';
    case 'slow':
      return 'client-slow';
    default:
      return end satisfies never;
  }
}
