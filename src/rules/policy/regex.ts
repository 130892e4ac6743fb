// Matches regular expressions: always anchored at both ends, in bounded time. A match keeps one small set of positions of fixed size. Every
// character costs the same number of steps, whatever the expression and the text, so no value can block the daemon.
import { bounds } from '../../host/bounds/bounds.js';
import { parseRegex, RegexFault, type RegexProgram } from './regex-parser.js';

export interface Regex {
  readonly source: string;
  /** Whether the whole text matches; never for a text above {@link regexTextMax}. */
  matches(text: string): boolean;
}

/** The expression, or why it is invalid; `message` ends a sentence about it. */
export type RegexResult =
  | { readonly kind: 'regex'; readonly regex: Regex }
  | { readonly kind: 'bad'; readonly message: string };

/** Longest text, in UTF-16 units. */
export const regexTextMax = bounds.regexTextChars;

export function createRegex(source: string): RegexResult {
  try {
    return { kind: 'regex', regex: { source, matches: compile(parseRegex(source)) } };
  } catch (error) {
    if (error instanceof RegexFault) return { kind: 'bad', message: error.message };
    throw error;
  }
}

/** In words, for a person who must write such a text: `matches ticket [0-9]+.*, as "ticket 1"`. */
export function regexWords({ source }: Pick<Regex, 'source'>): string {
  const example = exampleOf(source);
  return `matches ${source}${example === undefined ? '' : `, as ${JSON.stringify(example)}`}`;
}

/** A longer example is less clear than the expression. */
const exampleMax = 40;
const usualCodes = Array.from('1aA -', (point) => point.codePointAt(0) ?? 0);

/** One of the shortest texts that match. Undefined: that text is empty, too long, or not plain ASCII. */
export function exampleOf(source: string): string | undefined {
  const { sets, follow, first, last, isEmpty } = parseRegex(source);
  const signs = sets.map((ranges) => {
    const has = (code: number): boolean => ranges.some(([low, high]) => code >= low && code <= high);
    const code = usualCodes.find(has) ?? ranges[0]?.[0] ?? 0;
    return code >= 0x20 && code < 0x7f ? String.fromCodePoint(code) : undefined;
  });
  const ends = new Set(last);
  const seen = new Set<number>();
  let texts = isEmpty ? [] : first.map((at) => ({ at, text: '' }));
  for (let length = 0; length < exampleMax && texts.length > 0; length += 1) {
    const next: typeof texts = [];
    for (const { at, text } of texts) {
      const sign = signs[at];
      if (sign === undefined || seen.has(at)) continue;
      seen.add(at);
      if (ends.has(at)) return text + sign;
      for (const to of follow[at] ?? []) next.push({ at: to, text: text + sign });
    }
    texts = next;
  }
  return undefined;
}

/** Sets of positions are bits in words of 31, so that they stay small integers. */
const wordBits = 31;
/** A word's bits are processed eight at a time: one look-up gives the successors of any eight positions. */
const chunkBits = 8;
const chunksOfWord = 4;
const chunkValues = 1 << chunkBits;
const asciiEnd = 128;

function compile(program: RegexProgram): (text: string) => boolean {
  const { sets, first, last, isEmpty } = program;
  const words = Math.max(1, Math.ceil(sets.length / wordBits));
  const start = bitsOf(first, words);
  const ends = bitsOf(last, words);
  const follow = followTable(program, words);
  const takes = takesTable(program, words);

  return (text) => {
    if (text.length > regexTextMax) return false;
    if (text === '') return isEmpty;
    let current = new Int32Array(words);
    let next = new Int32Array(words);
    let isFirst = true;
    for (let at = 0; at < text.length; ) {
      const code = text.codePointAt(at) ?? 0;
      at += code > 0xffff ? 2 : 1;
      if (isFirst) next.set(start);
      else leadOn(current, follow, words, next);
      isFirst = false;
      const mask = takes.indexOf(code) * words;
      let any = 0;
      for (let word = 0; word < words; word += 1) {
        const left = (next[word] ?? 0) & (takes.masks[mask + word] ?? 0);
        next[word] = left;
        any |= left;
      }
      if (any === 0) return false;
      [current, next] = [next, current];
    }
    return current.some((word, index) => (word & (ends[index] ?? 0)) !== 0);
  };
}

/** Puts the successors of all positions of `current` into `next`. */
function leadOn(current: Int32Array, follow: Int32Array, words: number, next: Int32Array): void {
  next.fill(0);
  for (let word = 0; word < words; word += 1) {
    let bits = current[word] ?? 0;
    for (let chunk = word * chunksOfWord; bits !== 0; chunk += 1) {
      const value = bits & (chunkValues - 1);
      bits >>>= chunkBits;
      if (value === 0) continue;
      const row = (chunk * chunkValues + value) * words;
      for (let to = 0; to < words; to += 1) next[to] = (next[to] ?? 0) | (follow[row + to] ?? 0);
    }
  }
}

/** For each chunk of a word and each of its values, the union of the successors. */
function followTable(program: RegexProgram, words: number): Int32Array {
  const table = new Int32Array(words * chunksOfWord * chunkValues * words);
  for (const [position, next] of program.follow.entries()) {
    const bits = bitsOf(next, words);
    const chunk =
      Math.floor(position / wordBits) * chunksOfWord + Math.floor((position % wordBits) / chunkBits);
    const bit = 1 << ((position % wordBits) % chunkBits);
    for (let value = 0; value < chunkValues; value += 1) {
      if ((value & bit) === 0) continue;
      const row = (chunk * chunkValues + value) * words;
      for (let word = 0; word < words; word += 1) {
        table[row + word] = (table[row + word] ?? 0) | (bits[word] ?? 0);
      }
    }
  }
  return table;
}

/**
 * The positions for each character. All characters between two neighboring ends of ranges belong to the same positions, so there are at
 * most twice as many rows as ranges; ASCII finds its row by a table, the rest by binary search.
 */
function takesTable(
  program: RegexProgram,
  words: number,
): { readonly masks: Int32Array; indexOf(code: number): number } {
  const { sets } = program;
  const begins = new Set([0]);
  for (const [low, high] of sets.flat()) {
    begins.add(low);
    begins.add(high + 1);
  }
  const rows = [...begins].toSorted((a, b) => a - b);
  const masks = new Int32Array(rows.length * words);
  for (const [index, code] of rows.entries()) {
    const takers = sets.flatMap((ranges, position) =>
      ranges.some(([low, high]) => code >= low && code <= high) ? [position] : [],
    );
    masks.set(bitsOf(takers, words), index * words);
  }
  const search = (code: number): number => {
    let low = 0;
    let high = rows.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((rows[middle] ?? 0) <= code) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const ascii = Uint16Array.from({ length: asciiEnd }, (_, code) => search(code));
  return { masks, indexOf: (code) => (code < asciiEnd ? (ascii[code] ?? 0) : search(code)) };
}

function bitsOf(positions: Iterable<number>, words: number): Int32Array {
  const bits = new Int32Array(words);
  for (const position of positions) {
    const word = Math.floor(position / wordBits);
    bits[word] = (bits[word] ?? 0) | (1 << (position % wordBits));
  }
  return bits;
}
