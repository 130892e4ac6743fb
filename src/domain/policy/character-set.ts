// Owns sets of characters: ranges of code points, and the named ones that expressions use. ASCII only where a name is
// concerned, so that \d is ten digits and nothing else.

/** Code points, as inclusive ranges in rising order that neither touch nor overlap. */
export type Ranges = readonly (readonly [number, number])[];

/** The last code point. */
export const pointMax = 0x10ffff;

const digits: Ranges = [[0x30, 0x39]];
const wordRanges: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const blanks: Ranges = [
  [0x09, 0x0d],
  [0x20, 0x20],
];
/** What `\\d` and its like take, by their letter. */
export const escapedClasses: Readonly<Record<string, Ranges>> = {
  d: digits,
  w: wordRanges,
  s: blanks,
  D: negate(digits),
  W: negate(wordRanges),
  S: negate(blanks),
};
/** Control characters that have a letter, by it. */
export const controls: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09 };

/** Any ranges in the one form of {@link Ranges}. */
export function merge(ranges: readonly (readonly [number, number])[]): Ranges {
  const merged: [number, number][] = [];
  for (const [low, high] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before !== undefined && low <= before[1] + 1) before[1] = Math.max(before[1], high);
    else merged.push([low, high]);
  }
  return merged;
}

/** Every other code point. */
export function negate(ranges: Ranges): Ranges {
  const rest: [number, number][] = [];
  let from = 0;
  for (const [low, high] of ranges) {
    if (low > from) rest.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= pointMax) rest.push([from, pointMax]);
  return rest;
}
