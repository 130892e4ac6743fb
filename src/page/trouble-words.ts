// Sentences about recent refusals and failures, from the codes that the gate reports. They repeat nothing of a client or a backend.

import type { EndedFacts, Trouble, TroubleFacts } from '../gate/now/now.js';
import { denialWords, nextWords, ranWords } from '../gate/outcome/next.js';
import { ownerWords } from '../gate/outcome/owner.js';
import { errorCodes, meaningIn } from '../gate/telemetry/codes.js';

export function troubleOf(facts: TroubleFacts): Trouble {
  if ('text' in facts) return { ...facts, text: sentence(facts.text) };
  const { ended, ...row } = facts;
  const { owner, backend } = row;
  const { denial, policy } = ended;
  const next = nextWords(owner, { ...ended, backend });
  return {
    ...row,
    text: textOf(ended),
    ...(next !== ownerWords(owner, { backend }) && { next }),
    ...((denial !== undefined || owner === 'policy') && { policy }),
  };
}

/** The sentence that the client got; if that repeats words of a client or a backend, the meaning of its code. */
function textOf({ denial, error, said, lock, policy, place, givenBytes }: EndedFacts): string {
  if (denial !== undefined)
    return sentence(denialWords(denial, { policy, place, isOffered: error === 'on-request' }));
  // Only some people may see the name of the mail user and the reason; the screen Now shows them both with the id of the lock.
  if (lock !== undefined) return said === undefined ? `A mailbox is locked or held: ${lock}.` : `${said}.`;
  return sentence(ranWords(said ?? meaningIn(errorCodes, error ?? '')[0], givenBytes));
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
