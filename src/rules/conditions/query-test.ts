// The tests of a rule for a search query, and for the value of one of its keys: as a configuration has them, in words, and as words of a
// query that passes.

import { type SearchKey, searchKeyNamed } from '../../doveadm/commands/search-query.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { formatDuration } from '../../host/words/durations.js';
import { type AgeBounds, age, type SizeBounds, size } from './bounds.js';
import { type Description, listOr, type Written, type WrittenMap } from './kind.js';
import { type Matching, matching } from './matching.js';
import { type OneOf, oneOf } from './one-of.js';

/** The test of a search key's value. `present`: one that narrows the search. */
export type KeyTest = { readonly kind: 'present' | 'absent' } | KeyComparison;
type KeyComparison = OneOf | AgeBounds | SizeBounds;

const kinds = { 'one-of': oneOf, age, size };

export const isKeyTest = predicateOf<KeyTest>();

export interface KeyCondition {
  readonly key: string;
  readonly test: KeyTest;
}

export type QueryTest =
  | { readonly kind: 'any' }
  /** Exactly these words, in this order. */
  | { readonly kind: 'equals'; readonly words: readonly string[] }
  /** For the words joined by one blank; a word with a blank, or a similar character, never passes. */
  | Matching
  /** All of `conditions`, and one group of `anyOf`, if there is any. */
  | {
      readonly kind: 'keys';
      readonly conditions: readonly KeyCondition[];
      readonly anyOf: readonly (readonly KeyCondition[])[];
    };

export const isQueryTest = predicateOf<QueryTest>();

export function keyKindOf(test: KeyComparison): Description<KeyComparison> {
  return kinds[test.kind];
}

export function comparesKey(test: KeyTest | undefined): test is KeyComparison {
  return test !== undefined && Object.hasOwn(kinds, test.kind);
}

export function describeQuery(query: QueryTest): string {
  switch (query.kind) {
    case 'any':
      return 'any';
    case 'equals':
      return `exactly ${query.words.join(' ')}`;
    case 'regex':
      return matching.words(query);
    case 'keys': {
      const groups = query.anyOf.map((group) => `(${group.map(describeKey).join(' and ')})`);
      const parts = [...query.conditions.map(describeKey), ...(groups.length === 0 ? [] : [listOr(groups)])];
      return parts.length === 0 ? 'any' : `every mail it selects has ${parts.join(' and ')}`;
    }
    default:
      return query satisfies never;
  }
}

export function describeKey({ key, test }: KeyCondition): string {
  if (comparesKey(test)) return `${key} ${keyKindOf(test).words(test)}`;
  return test.kind === 'absent' ? `no ${key}` : key;
}

export function writtenQuery(query: QueryTest): Written {
  switch (query.kind) {
    case 'any':
      return 'any';
    case 'equals':
      return { equals: query.words };
    case 'regex':
      return matching.write(query);
    case 'keys':
      return {
        ...writtenKeys(query.conditions),
        ...(query.anyOf.length > 0 && { any_of: query.anyOf.map(writtenKeys) }),
      };
    default:
      return query satisfies never;
  }
}

export function writtenKeys(conditions: readonly KeyCondition[]): WrittenMap {
  return Object.fromEntries(conditions.map(({ key, test }) => [key, writtenKey(test)]));
}

function writtenKey(test: KeyTest): Written {
  if (!comparesKey(test)) return test.kind;
  return isKeyTest(test, 'one-of') ? test.globs.texts : keyKindOf(test).write(test);
}

/**
 * Words of a query with which the condition holds, one list for each value that the test names; `[]` alone where the key must be absent.
 * `fill` makes texts of a pattern, `valueOf` a value that narrows a search.
 */
export function wordsOfKey(
  { key, test }: KeyCondition,
  fill: (pattern: string) => readonly string[],
  valueOf: (type: SearchKey['values'][number], key: string, at: number) => string,
): string[][] {
  const types = searchKeyNamed(key)?.values ?? [];
  const usual = types.map((type, at) => valueOf(type, key, at));
  if (!comparesKey(test)) return [test.kind === 'absent' ? [] : [key, ...usual]];
  const values = keyKindOf(test).examples(test, fill).flat();
  // Ages are seconds in the rule; a server reads a number as a point in time where it takes one.
  const spelled = types[0] === 'time' && isKeyTest(test, 'age') ? values.map(ageWord) : values;
  return spelled.map((value) => [key, value, ...usual.slice(1)]);
}

function ageWord(seconds: string): string {
  return formatDuration(Number(seconds) * 1000).replace('m', 'mins');
}
