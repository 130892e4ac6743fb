// Listens to an upstream while a text goes up to it, when it should say nothing. It does not know what is sent.
// The rules: log lines are heard as they come; anything else, and the end, is the upstream's last word: it is closed in the
// same moment, because what it has not read yet would not be a text to it any more.

import type { LogLine } from '../../protocol/log-line.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { Upstream, UpstreamEvent } from '../pool/upstream.js';
import type { ReplySource } from './relay.js';

/** What came before the text was sent whole. */
export type EarlyWord =
  | { readonly kind: 'answer'; readonly events: readonly UpstreamEvent[] }
  | { readonly kind: 'fault'; readonly fault: unknown };

/** Hears until it is handed over. */
export interface EarlyEar {
  /** Undefined: nothing yet. */
  readonly word: EarlyWord | undefined;
  /** Resolves when there is a word; of an upstream that is gone it always comes. */
  readonly spoke: Promise<EarlyWord>;
  /** The text is sent: what comes from now on is its reply, and whoever relays it reads it here. */
  handOver(): ReplySource;
}

/** Starts to listen. `onWord` is called when the upstream was closed for a word. */
export function listenEarly(
  upstream: Upstream,
  onLog: (line: LogLine) => void,
  onWord: () => void,
): EarlyEar {
  let pending: Promise<readonly UpstreamEvent[]> | undefined = upstream.next();
  let isHandedOver = false;
  let word: EarlyWord | undefined;

  function say(said: EarlyWord): EarlyWord {
    word = said;
    const isGarbage = said.kind === 'fault' && said.fault instanceof WireFault;
    upstream.close(said.kind === 'answer' ? 'not-reusable' : isGarbage ? 'wire-fault' : 'peer-gone', true);
    onWord();
    return said;
  }

  const spoke = new Promise<EarlyWord>((resolve) => {
    const hear = (): void => {
      pending?.then(
        (events) => {
          if (isHandedOver) return;
          if (events.some((event) => event.kind !== 'log')) {
            resolve(say({ kind: 'answer', events }));
            return;
          }
          for (const event of events) if (event.kind === 'log') onLog(event.line);
          pending = upstream.next();
          hear();
        },
        (fault: unknown) => {
          if (!isHandedOver) resolve(say({ kind: 'fault', fault }));
        },
      );
    };
    hear();
  });

  return {
    get word() {
      return word;
    },
    spoke,
    handOver() {
      isHandedOver = true;
      return {
        pace: upstream.pace,
        next() {
          const first = pending;
          pending = undefined;
          return first ?? upstream.next();
        },
        close: (reason, isAbrupt) => upstream.close(reason, isAbrupt),
      };
    },
  };
}
