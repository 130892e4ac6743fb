// The values are exactly these, in this order.

import type { Kind } from './kind.js';

export interface Equals {
  readonly kind: 'equals';
  readonly values: readonly string[];
}

export const equals: Kind<Equals> = {
  keys: { equals: 'words' },
  isExact: true,
  read: (cursor, { fold }) => ({ kind: 'equals', values: cursor.words('equals').map(fold) }),
  write: ({ values }) => ({ equals: values }),
  words: ({ values }) => `exactly ${values.map((value) => JSON.stringify(value)).join(' ')}`,
  examples: ({ values }) => [values],
  texts: ({ values }) => values,
  language: ({ values }) => values,
  passes: ({ values: wanted }, values) =>
    values.length === wanted.length && values.every((value, index) => value === wanted[index]),
  strikes: ({ values: denied }, values) =>
    values.join('\0').toLowerCase() === denied.join('\0').toLowerCase(),
};
