// Which rows of a search are left out: `-command:"quota get"`. The browser leaves them out of its rows, and the page's process out of its
// bars, by the same code. Pure.

import { textIn } from '../../records/audit/stored.js';
import { anyWord, hasOutcome, outcomeOf, type StoryRow, shownEffect } from '../../records/story/row.js';

export const exclusionKeys = [
  'user',
  'command',
  'principal',
  'outcome',
  'listener',
  'backend',
  'decision',
  'effect',
  'would',
  'shadow',
  'session',
] as const;
export type ExclusionKey = (typeof exclusionKeys)[number];

/** `*` in a value stands for any characters. */
export interface Exclusion {
  readonly key: ExclusionKey;
  readonly value: string;
}

/** Whether a row is left out. A command is meant with all that begin with its words, a requester at every listener. */
export function isLeftOut(row: StoryRow, not: readonly Exclusion[]): boolean {
  return not.some(({ key, value }) => {
    if (key === 'outcome' && hasOutcome(row, value)) return true;
    const recorded = textIn(row.fields, key);
    const found =
      key === 'outcome' ? outcomeOf(row) : key === 'effect' ? shownEffect(recorded, row.content) : recorded;
    if ((key === 'would' || key === 'shadow') && value === anyWord) return found !== '';
    if (key === 'command' && found.startsWith(`${value} `)) return true;
    const wanted = key === 'principal' && !/[@*]/.test(value) ? `${value}@*` : value;
    return matches(found, wanted);
  });
}

function matches(text: string, pattern: string): boolean {
  const [start = '', ...parts] = pattern.split('*');
  if (parts.length === 0) return text === pattern;
  if (!text.startsWith(start)) return false;
  let at = start.length;
  const end = parts.pop() ?? '';
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - end.length >= at && text.endsWith(end);
}
