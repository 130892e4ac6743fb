// Every value lies in a range: of whole numbers, of ages in seconds, or of sizes in bytes. At least one of the bounds is set.

import { formatDuration } from '../../host/words/durations.js';
import type { Cursor } from '../config/cursor.js';
import type { Description, Kind } from './kind.js';

interface Bounds<Value extends number | bigint> {
  readonly atLeast: Value | undefined;
  readonly atMost: Value | undefined;
}

export interface NumberBounds extends Bounds<bigint> {
  readonly kind: 'number';
}

export interface AgeBounds extends Bounds<number> {
  readonly kind: 'age';
}

export interface SizeBounds extends Bounds<number> {
  readonly kind: 'size';
}

function describedBy<Test extends Bounds<number | bigint>>(
  write: (value: number | bigint) => string,
  say = write,
): Description<Test> & { readonly isWithin: (test: Test, other: Test) => boolean } {
  return {
    write: ({ atLeast, atMost }) => ({
      ...(atLeast === undefined ? {} : { at_least: write(atLeast) }),
      ...(atMost === undefined ? {} : { at_most: write(atMost) }),
    }),
    words: ({ atLeast, atMost }) =>
      [
        ...(atLeast === undefined ? [] : [`at least ${say(atLeast)}`]),
        ...(atMost === undefined ? [] : [`at most ${say(atMost)}`]),
      ].join(', '),
    examples: ({ atLeast, atMost }) => [[String(atLeast ?? atMost ?? 1)]],
    isWithin: (test, { atLeast = 0, atMost }) =>
      atLeast <= (test.atLeast ?? 0) &&
      (atMost === undefined || (test.atMost !== undefined && test.atMost <= atMost)),
  };
}

export const age = describedBy<AgeBounds>((seconds) => formatDuration(Number(seconds) * 1000));

export const size = describedBy<SizeBounds>(
  (bytes) => `${bytes}B`,
  (bytes) => `${bytes} bytes`,
);

export const number: Kind<NumberBounds> = {
  ...describedBy<NumberBounds>(String),
  keys: { at_least: 'bound', at_most: 'bound' },
  read: (cursor) => ({
    kind: 'number',
    atLeast: readNumber(cursor, 'at_least'),
    atMost: readNumber(cursor, 'at_most'),
  }),
  passes: (test, values) => values.every((value) => holds(test, value)),
  strikes: (test, values) => values.some((value) => holds(test, value)),
};

function readNumber(cursor: Cursor, key: string): bigint | undefined {
  const text = cursor.source(key);
  if (text === undefined) return undefined;
  if (/^-?\d{1,18}$/.test(text)) return BigInt(text);
  cursor.error([key], 'must be a whole number (ages and sizes are for search keys, below query)');
  return undefined;
}

/** An upper bound alone does not include numbers below zero. */
function holds({ atLeast = 0n, atMost }: NumberBounds, value: string): boolean {
  if (!/^-?\d{1,40}$/.test(value)) return false;
  const given = BigInt(value);
  return given >= atLeast && (atMost === undefined || given <= atMost);
}
