// Every value matches an expression, from end to end.

import type { Cursor } from '../config/cursor.js';
import { createRegex, exampleOf, type Regex, regexWords } from '../policy/regex.js';
import type { Kind } from './kind.js';

export interface Matching {
  readonly kind: 'regex';
  readonly regex: Regex;
}

export const matching: Kind<Matching> = {
  keys: { regex: 'text' },
  read: readRegex,
  write: ({ regex }) => ({ regex: regex.source }),
  words: ({ regex }) => regexWords(regex),
  demand: ({ regex }) => `match ${regex.source}`,
  examples({ regex }) {
    const example = exampleOf(regex.source);
    return example === undefined ? [] : [[example]];
  },
  language: ({ regex }) => [regex],
  passes: ({ regex }, values) => values.every((value) => regex.matches(value)),
  strikes: ({ regex }, values) => values.some((value) => mayMatch(regex, value)),
  meansInbox: ({ regex }) => ['INBOX/INBOX', 'INBOX.INBOX'].some((name) => mayMatch(regex, name)),
};

function mayMatch(regex: Regex, value: string): boolean {
  return regex.matches(value) || regex.matches(value.toLowerCase());
}

export function readRegex(cursor: Cursor): Matching | undefined {
  const result = createRegex(cursor.source('regex') ?? '');
  if (result.kind === 'regex') return result;
  cursor.error(['regex'], `the expression ${result.message}`);
  return undefined;
}
