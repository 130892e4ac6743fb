// The state of a request or a grant in words, for the terminal and the page.

import { plural } from '../../host/words/words.js';
import type { AccessItem } from './access-item.js';
import { endingWords, reviewWords } from './ending-words.js';

/** `approve it: nobody approves a request of their own`; undefined: its reader may, or nothing waits for them. */
export function whyNotWords({ state, why_not: why }: AccessItem): string | undefined {
  return why && `${state === 'requested' ? 'approve' : 'review'} it: ${why}`;
}

/**
 * The state in words: `granted until 26 Nov 16:00`, `used up (break-glass, reviewed by carol@leads)`. `timeWords`: a time as its reader
 * sees it. `more`: comes before the typed reason, so that nobody reads it as a part of the reason.
 */
export function accessStateWords(item: AccessItem, timeWords: (time: string) => string, more = ''): string {
  const { state, approvals, approved_by: approved, until, reviewed_by: reviewed } = item;
  const review = item.break_glass ? ` (break-glass, ${reviewWords(reviewed?.principal)})` : '';
  switch (state) {
    case 'requested':
      return `waits for ${plural(Math.max(approvals - approved.length, 1), 'approval')}`;
    case 'granted':
      return `granted until ${timeWords(until)}${more}${review}`;
    case 'refused':
    case 'revoked':
    case 'ended':
    case 'expired':
    case 'used-up':
      return endSentence(item, `${more}${review}`);
    default:
      return state satisfies never;
  }
}

export function endSentence(item: AccessItem, more?: string): string {
  const { state, granted, approvals, approved_by: approved, asked, until, policy } = item;
  return endingWords({
    action: state,
    by: item.ended_by,
    why: item.why,
    isGranted: granted !== undefined,
    approved: approved.length,
    needed: approvals,
    waitMs: Date.parse(until) - Date.parse(asked),
    forMs: item.for_ms,
    policy,
    more,
  });
}
