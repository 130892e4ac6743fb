// What follows the command line of one exchange, and what is done with it: nothing, a text that goes up with the command, bytes both
// ways. It does not know how a lease comes about or what is recorded.
// The rules: a text is gathered before an upstream is asked for; whatever became of the command, no byte of its input is ever
// looked at as a command line: it is read to its end, or the session ends.

import type { RecordedInput } from '../audit/record.js';
import type { LeaseEnd } from '../backend/lease.js';
import type { Ending } from '../engine/outcome.js';
import type { Judgement } from '../judgement/judge.js';
import type { CloseReason } from '../ports/close-reason.js';
import type { ClientInput } from '../relay/client-input.js';
import { type Conversation, converse } from '../relay/converse.js';
import { duplex } from '../relay/duplex.js';
import { createHeldText, type HeldText, type TextEnd } from '../relay/held-text.js';
import { upload } from '../relay/upload.js';
import type { ExchangeContext } from './exchange-context.js';

/** The input of one exchange. */
export interface ExchangeInput {
  /** It goes both ways until its connection ends, so the upstream must be one on which nothing ran before. */
  readonly isDuplex: boolean;
  /** Before a lease: undefined when it may be asked for; else how the exchange ends. Rejects with the signal's reason. */
  gather(signal: () => AbortSignal): Promise<Ending | undefined>;
  /** Carries the command out, with its input. Never rejects. */
  carryOut(conversation: Conversation): Promise<LeaseEnd<Ending>>;
  /**
   * Sees to what is left of the input: reads it to its end, but not where the session ends anyhow. Resolves to why it must
   * end, if it must.
   */
  settle(isSessionOver: boolean): Promise<CloseReason | undefined>;
  /** What is recorded of it; once. */
  recorded(): RecordedInput | undefined;
}

/** The input behind the line that was judged so. */
export function createExchangeInput(
  context: ExchangeContext,
  judgement: Judgement,
  client: ClientInput,
): ExchangeInput {
  const isAllowed = judgement.kind === 'judged' && judgement.decision.kind === 'allow';
  const isDuplex = isAllowed && judgement.attempt.command.input === 'duplex';
  const { clock, buffered } = context;
  let text: HeldText | undefined;
  let upBytes: number | undefined;
  return {
    isDuplex,
    async gather(signal) {
      if (judgement.input !== 'dot') return undefined;
      text = createHeldText({ client, meter: context.meterInput(), buffered, clock });
      try {
        return endingOf(await text.gather(signal()));
      } catch (fault) {
        text.close();
        throw fault;
      }
    },
    carryOut(conversation) {
      if (text !== undefined) return upload(conversation, text);
      if (!isDuplex) return converse(conversation);
      upBytes = 0;
      const onUp = (bytes: number): void => {
        upBytes = (upBytes ?? 0) + bytes;
      };
      return duplex({ ...conversation, client, onUp });
    },
    async settle(isSessionOver) {
      text?.close();
      if (isSessionOver) return undefined;
      switch (judgement.input) {
        case 'none':
          return undefined;
        case 'unknown':
          return 'input-unknown';
        case 'dot': {
          if (text?.end !== undefined) return closeAfter(text.end);
          const skipped = await client.skipText();
          return skipped === 'skipped' ? undefined : skipped;
        }
        default:
          return judgement.input satisfies never;
      }
    },
    recorded: () => (upBytes === undefined ? text?.recorded() : { bytes: upBytes }),
  };
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
    default:
      return end satisfies never;
  }
}
