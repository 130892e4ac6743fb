// Free bytes and times in the sentences of problems.

import { formatTime } from '../../host/words/instants.js';
import { bytesWords } from '../../host/words/words.js';

export function freeOf(freeBytes: number | undefined): string {
  return freeBytes === undefined ? '' : ` (${bytesWords(freeBytes)} free)`;
}

/** A placeholder: the page and `dovegate status` show the time in the reader's own form. */
export function timeOf(ms: number): string {
  return `{${formatTime(ms)}}`;
}
