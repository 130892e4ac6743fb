// A command's end in the sentence that its client got, and the next step, from its codes. For programs that show records: no gate loads it.

import { codes, isCode, plain, sentenceOf } from '../../doveadm/codes/codes.js';
import { type DecisionCode, decisionCodes, isDecisionCode } from '../../doveadm/codes/decisions.js';
import { ownerWords, type TroubleOwner } from './owner.js';

/** Why policy denied a command, in the same words everywhere, without text of a client. `place`: of the rule; '': none. */
export function denialWords(
  denial: DecisionCode,
  {
    policy,
    place,
    isOffered,
  }: { readonly policy: string; readonly place: string; readonly isOffered: boolean },
): string {
  const rule = place === '' ? '' : `, ${place.slice(place.lastIndexOf('/') + 1)}`;
  const reason = `${plain(decisionCodes[denial][0])}${rule}`;
  return `${sentenceOf('denied', { policy, reason })}${isOffered ? '; available on request' : ''}`;
}

/** The sentence, corrected if the client got a part of the answer, which shows that the command ran. */
export function ranWords(sentence: string, givenBytes: number): string {
  const ran = 'it ran, in part: some of its answer went to the client';
  return givenBytes === 0 ? sentence : sentence.replace(isUnknownRun, ran);
}

/** The end of such sentences. */
const isUnknownRun = /whether (?:the command|it) ran is not known$/;

/** The next step and the person for it, from the codes of a command's end; `place`: of the rule that refused it, or ''. */
export function nextWords(
  owner: TroubleOwner,
  { denial, error, backend, policy, place, until = '' }: NextFacts,
): string {
  if (owner !== 'policy') {
    const ask = isDecisionCode(denial) ? decisionCodes[denial][1] : isCode(error) ? codes[error].ask : '';
    const isAsked = owner === 'requester' || error === 'locked' || error === 'held';
    return `${ownerWords(owner, { backend })}${isAsked && ask ? `: ${plain(ask)}` : ''}`;
  }
  const none = denial === 'rule-misses' ? 'no rule fits it' : 'no rule yet';
  const rule = place === '' ? none : `rule ${place}`;
  const writer = `the person who writes policies, if this should be allowed (${rule}, policy ${policy})`;
  const can =
    error === 'on-request' ? 'ask for access with that command' : until && `send it again after ${until}`;
  return can ? `the requester, who can ${can}; or ${writer}` : writer;
}

interface NextFacts {
  readonly denial?: string | undefined;
  readonly error?: string | undefined;
  readonly backend?: string | undefined;
  readonly policy: string;
  readonly place: string;
  readonly until?: string | undefined;
}
