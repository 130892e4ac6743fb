// Which rows of a search are left out: `-command:"quota get"`. The browser uses it for rows, the page's process for the histogram. Pure.

import { notOk } from '../../gate/outcome/class.js';
import { isText } from '../../host/values/values.js';
import { textIn } from '../../journal/records/stored.js';
import {
  anyWord,
  backendOf,
  hasOutcome,
  isFitting,
  isPerson,
  kindOf,
  outcomeOf,
  requesterOf,
  type StoryRow,
  shownEffect,
} from './row.js';

export const exclusionKeys = [
  'user',
  'command',
  'principal',
  'outcome',
  'listener',
  'backend',
  'policy',
  'effect',
  'would',
  'shadow',
  'session',
  'kind',
  'by',
] as const;
export type ExclusionKey = (typeof exclusionKeys)[number];

/** `*` in a value stands for any characters. */
export interface Exclusion {
  readonly key: ExclusionKey;
  readonly value: string;
}

/** Turns `-outcome:ok` into a search for `not-ok`: the reader of the journal has to know it, to find refused requests for access, too. */
export function withoutOk(
  outcome: string | undefined,
  not: readonly Exclusion[],
): { readonly outcome: string | undefined; readonly not: readonly Exclusion[] } {
  const rest = not.filter(({ key, value }) => key !== 'outcome' || value !== 'ok');
  return outcome === undefined && rest.length < not.length ? { outcome: notOk, not: rest } : { outcome, not };
}

/** Whether a row is left out. A command also means those that begin with its words; a name alone, that at every listener and the page. */
export function isLeftOut(row: StoryRow, not: readonly Exclusion[]): boolean {
  return not.some(({ key, value }) => {
    if (key === 'outcome' && hasOutcome(row, value)) return true;
    if (key === 'by')
      return [row.fields['by'], row.fields['principal']].some(
        (name) => isText(name) && isPerson(name, value),
      );
    if (key === 'principal') return isPerson(requesterOf(row), value);
    if (key === 'kind') return kindOf(row.fields) === value;
    const recorded = textIn(row.fields, key);
    const found =
      key === 'outcome'
        ? outcomeOf(row)
        : key === 'backend'
          ? backendOf(row)
          : key === 'effect'
            ? shownEffect(recorded, row.content)
            : recorded;
    if ((key === 'would' || key === 'shadow') && value === anyWord) return found !== '';
    if (key === 'command' && found.startsWith(`${value} `)) return true;
    return isFitting(found, value);
  });
}
