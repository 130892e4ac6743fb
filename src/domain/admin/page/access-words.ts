// The state of a request or a grant in words, for the terminal and the page.

import { durationWords, plural } from '../../language/words/words.js';
import { endWords, reviewWords } from '../../records/story/row.js';
import type { AccessItem } from './access.js';

/** `approve it: nobody approves a request of their own`; undefined: its reader may, or nothing waits for them. */
export function whyNotWords({ state, why_not: why }: AccessItem): string | undefined {
  return why && `${state === 'requested' ? 'approve' : 'review'} it: ${why}`;
}

/** The state in words: `granted until 26 Nov 16:00`, `used up, reviewed by carol@leads`. `timeWords`: a time as its reader sees it. */
export function accessStateWords(item: AccessItem, timeWords: (time: string) => string): string {
  const { state, approvals, approved_by: approved, until, reviewed_by: reviewed } = item;
  const review = item.break_glass ? `, ${reviewWords(reviewed?.principal)}` : '';
  switch (state) {
    case 'requested':
      return `waits for ${plural(Math.max(approvals - approved.length, 1), 'approval')}`;
    case 'granted':
      return `granted until ${timeWords(until)}${review}`;
    case 'refused':
    case 'revoked':
    case 'ended':
    case 'expired':
    case 'used-up':
      return `${endSentence(item)}${review}`;
    default:
      return state satisfies never;
  }
}

/** How and why it ended: `expired: nobody decided within 12 h, the time that policy support gives`. */
export function endSentence(item: AccessItem): string {
  const why = item.why ?? whyOver(item);
  return `${endWords(item.state, item.ended_by ?? '')}${why === undefined ? '' : `: ${why}`}`;
}

function whyOver(item: AccessItem): string | undefined {
  const { state, granted, approvals, approved_by: approved, asked, until, policy } = item;
  if (state === 'revoked') return 'no reason was given';
  if (state !== 'expired') return undefined;
  if (granted !== undefined) return `its ${durationWords(item.for_ms)} are over`;
  const who = approved.length === 0 ? 'nobody decided' : `${approved.length} of ${approvals} approved it`;
  const wait = durationWords(Date.parse(until) - Date.parse(asked));
  return `${who} within ${wait}, the time that policy ${policy} gives`;
}
