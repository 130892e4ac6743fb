// How access on request ended, and what its review said, in words.

import { durationWords } from '../../host/words/words.js';
import { pagePrefix } from '../../journal/records/stored.js';

/** The review of a grant without approval. */
export function reviewWords(by: string | undefined = ''): string {
  return by === '' ? 'not reviewed' : `reviewed by ${personWords(by)}`;
}

/** How a request or a grant ended: `used up`, `revoked by carol@leads`. */
export function endWords(action: string, by: string): string {
  return `${action === 'used-up' ? 'used up' : action}${by && ` by ${personWords(by)}`}`;
}

/** `carol (page)` for a person of the page; another name as it is. */
export function personWords(principal: string): string {
  return principal.startsWith(pagePrefix) ? `${principal.slice(pagePrefix.length)} (page)` : principal;
}

export interface AccessEnd {
  readonly action: string;
  readonly by?: string | undefined;
  /** The typed reason. */
  readonly why?: string | undefined;
  readonly isGranted: boolean;
  /** Approvals that count, and how many it needed. */
  readonly approved: number;
  readonly needed: number;
  /** The time for a decision, and the duration of the access. */
  readonly waitMs: number;
  readonly forMs: number;
  readonly policy: string;
  /** An addition such as `; used 1 of 5`. It comes before a typed reason, so that nobody reads it as a part of the reason. */
  readonly more?: string | undefined;
}

/**
 * How and why: `expired: nobody decided within 12 h, the time that policy support gives`,
 * `revoked by carol, without a reason; used 1 of 5`, `revoked by carol; used 1 of 5; the reason of the end: wrong mailbox`.
 */
export function endingWords(end: AccessEnd): string {
  const { action, by = '', why = '', more = '' } = end;
  const how = endWords(action, by);
  if (why !== '') return `${how}${more}${more === '' ? '' : '; the reason of the end'}: ${why}`;
  return `${how}${whyEnded(end)}${more}`;
}

function whyEnded({ action, isGranted, approved, needed, waitMs, forMs, policy }: AccessEnd): string {
  if (action === 'revoked') return ', without a reason';
  if (action !== 'expired') return '';
  if (isGranted) return `: its time of ${durationWords(forMs)} is over`;
  const who = approved === 0 ? 'nobody decided' : `${approved} of ${needed} approved it`;
  return `: ${who} within ${durationWords(waitMs)}, the time that policy ${policy} gives`;
}
