// Owns the tests that a rule puts to the values of one parameter.
// It does not know parameters; where a value can be a mask for mailboxes, it is told.
// The rule: a test of an `allow` holds only if every value passes; one of a `deny` strikes if any value may be meant,
// whatever its case.
import { type GlobList, mayOverlap } from '../commands/glob.js';
import type { Regex } from './regex.js';

/**
 * `any`: whatever, also nothing. `present`: given, with whatever value. `absent`: not given. `one-of`: every value matches a
 * pattern. `equals`: exactly these values. `number`: every value lies within. `regex`: every value matches.
 * `isOptional`: not given is as good.
 */
export type ValueTest =
  | { readonly kind: 'any' }
  | { readonly kind: 'present' }
  | { readonly kind: 'absent' }
  | ({ readonly isOptional: boolean } & (
      | { readonly kind: 'one-of'; readonly globs: GlobList }
      | { readonly kind: 'equals'; readonly values: readonly string[] }
      | { readonly kind: 'number'; readonly atLeast: bigint | undefined; readonly atMost: bigint | undefined }
      | { readonly kind: 'regex'; readonly regex: Regex }
    ));

/** Whether the values of a parameter pass; undefined: it is not given. */
export function passes(test: ValueTest, values: readonly string[] | undefined): boolean {
  if (test.kind === 'any') return true;
  if (test.kind === 'present') return values !== undefined;
  if (test.kind === 'absent') return values === undefined;
  if (values === undefined) return test.isOptional;
  return values.length > 0 && passesAll(test, values);
}

type Comparing = Exclude<ValueTest, { readonly kind: 'any' | 'present' | 'absent' }>;

function passesAll(test: Comparing, values: readonly string[]): boolean {
  switch (test.kind) {
    case 'one-of':
      return values.every((value) => test.globs.matches(value));
    case 'equals':
      return (
        values.length === test.values.length && values.every((value, index) => value === test.values[index])
      );
    case 'number':
      return values.every((value) => isNumberWithin(value, test.atLeast, test.atMost));
    case 'regex':
      return values.every((value) => test.regex.matches(value));
    default:
      return test satisfies never;
  }
}

/**
 * Whether a test of a `deny` strikes. What is left out strikes a test of values: to the server it is the default, which is mostly
 * everything (no mask, no limit, every field). `isMask`: the values can be masks, in which `*`, `%` and `?` stand for other text.
 */
export function strikes(test: ValueTest, values: readonly string[] | undefined, isMask: boolean): boolean {
  if (test.kind === 'any') return true;
  if (test.kind === 'absent') return values === undefined;
  if (values === undefined) return test.kind !== 'present';
  switch (test.kind) {
    case 'present':
      return true;
    case 'one-of':
      return values.some((value) => mayMean(value, test.globs, isMask));
    case 'equals':
      return values.join('\0').toLowerCase() === test.values.join('\0').toLowerCase();
    case 'number':
      return values.some((value) => isNumberWithin(value, test.atLeast, test.atMost));
    case 'regex':
      return values.some((value) => test.regex.matches(value) || test.regex.matches(value.toLowerCase()));
    default:
      return test satisfies never;
  }
}

/** The patterns of a `deny` are in lower case. */
function mayMean(value: string, globs: GlobList, isMask: boolean): boolean {
  const folded = value.toLowerCase();
  if (globs.matches(folded)) return true;
  return isMask && mayOverlap(folded.replaceAll('%', '*'), globs);
}

/** Who only says how much at most does not mean a number below nothing. */
function isNumberWithin(value: string, atLeast: bigint | undefined, atMost: bigint | undefined): boolean {
  if (!/^-?\d{1,40}$/.test(value)) return false;
  const number = BigInt(value);
  return number >= (atLeast ?? 0n) && (atMost === undefined || number <= atMost);
}
