// Makes sentences about recent refusals and failures from the codes that the gate reports. They repeat nothing that a client or a
// backend sent.

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

/** As the client got it; where that repeats words of a client or a backend, what its code means. */
function textOf({ denial, error, said, lock, policy, place, givenBytes }: EndedFacts): string {
  if (denial !== undefined)
    return sentence(denialWords(denial, { policy, place, isOffered: error === 'on-request' }));
  // The name of a mail user is for some only, and so is the reason; Now has both for them under that id.
  if (lock !== undefined) return said === undefined ? `A mailbox is locked or held: ${lock}.` : `${said}.`;
  return sentence(ranWords(said ?? meaningIn(errorCodes, error ?? '')[0], givenBytes));
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
