// Parses the regular expressions of policies into positions, each of which takes one character, and the positions that can follow each of
// them (Glushkov's construction). The grammar:
//   literals, `.` (any character), [a-z] [^a-z], \d \w \s \D \W \S, \n \r \t, \ before any other sign makes it literal,
//   ( ) and (?: ), |, * + ? {n} {n,} {n,m}; a `^` at the very beginning and a `$` at the very end, which change nothing
// No captures, no back references, no look-around, no flags. Anything else is a fault, never literal text: another engine might read it
// differently.

/** An expression as a set of positions. */
export interface RegexProgram {
  readonly sets: readonly Ranges[];
  /** For each position, the positions that can come next. */
  readonly follow: readonly ReadonlySet<number>[];
  readonly first: readonly number[];
  readonly last: readonly number[];
  /** Whether it matches the empty text. */
  readonly isEmpty: boolean;
}

/**
 * Most positions: the characters that an expression can stand for at once, repetitions written out (`a{3}b` has 4). Bounds the memory of an
 * expression and the time of each character.
 */
export const regexSizeMax = 93;

/** An invalid expression; the message ends a sentence about it. */
export class RegexFault extends Error {}

export function parseRegex(source: string): RegexProgram {
  return new Parser(source).parse();
}

/** A part of an expression: its first and last positions, and whether it matches the empty text. */
interface Part {
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly isEmpty: boolean;
}

/** Longest source, in code points. */
const sourceMax = 1024;
/** Parsed atoms, copies included. Stops `((){99}){99}`, which makes no positions and takes forever. */
const stepsMax = 20_000;
const depthMax = 20;
class Parser {
  readonly #sets: Ranges[] = [];
  readonly #follow: Set<number>[] = [];
  readonly #points: readonly string[];
  #at = 0;
  #steps = 0;

  constructor(source: string) {
    this.#points = Array.from(source);
    if (this.#points.length > sourceMax) throw new RegexFault('is too long');
    if (this.#points[0] === '^') this.#at = 1;
    if (this.#points.at(-1) === '$' && !endsInEscape(source)) this.#points = this.#points.slice(0, -1);
  }

  parse(): RegexProgram {
    const part = this.#alternatives(0);
    if (this.#at < this.#points.length) throw new RegexFault('has a ) that closes nothing');
    return { ...part, sets: this.#sets, follow: this.#follow };
  }

  #alternatives(depth: number): Part {
    if (depth > depthMax) throw new RegexFault(`is nested more than ${depthMax} deep`);
    let whole = this.#sequence(depth);
    while (this.#points[this.#at] === '|') {
      this.#at += 1;
      const other = this.#sequence(depth);
      whole = {
        first: [...whole.first, ...other.first],
        last: [...whole.last, ...other.last],
        isEmpty: whole.isEmpty || other.isEmpty,
      };
    }
    return whole;
  }

  #sequence(depth: number): Part {
    let whole: Part = { first: [], last: [], isEmpty: true };
    for (;;) {
      const point = this.#points[this.#at];
      if (point === undefined || point === '|' || point === ')') return whole;
      whole = this.#join(whole, this.#repeated(depth));
    }
  }

  /** One atom with its repetition. A counted one is copied by parsing its text again. */
  #repeated(depth: number): Part {
    const from = this.#at;
    const atom = this.#atom(depth);
    const to = this.#at;
    const [low, high] = this.#repetition();
    const after = this.#at;
    if (this.#isRepetition()) throw new RegexFault('repeats a repetition; put it in parentheses');
    if (high === Number.POSITIVE_INFINITY && low <= 1) {
      this.#loop(atom);
      return low === 0 ? { ...atom, isEmpty: true } : atom;
    }
    if (high === 0) return { first: [], last: [], isEmpty: true };
    const copies = [atom];
    const count = high === Number.POSITIVE_INFINITY ? low : high;
    while (copies.length < count) {
      this.#at = from;
      copies.push(this.#atom(depth));
      if (this.#at !== to) throw new Error('a copy differs from its original');
    }
    this.#at = after;
    const lastCopy = copies.at(-1);
    if (high === Number.POSITIVE_INFINITY && lastCopy !== undefined) this.#loop(lastCopy);
    // a{2,4} is aa(a(a)?)?: the optional part is built from the back.
    let tail: Part = { first: [], last: [], isEmpty: true };
    for (const [index, copy] of [...copies.entries()].toReversed()) {
      tail = this.#join(copy, tail);
      if (index >= low) tail = { ...tail, isEmpty: true };
    }
    return tail;
  }

  #isRepetition(): boolean {
    const point = this.#points[this.#at];
    return point === '*' || point === '+' || point === '?' || point === '{';
  }

  #repetition(): [low: number, high: number] {
    const point = this.#points[this.#at];
    if (point === '{') return this.#counts();
    if (point !== '*' && point !== '+' && point !== '?') return [1, 1];
    this.#at += 1;
    return [point === '+' ? 1 : 0, point === '?' ? 1 : Number.POSITIVE_INFINITY];
  }

  #counts(): [low: number, high: number] {
    const end = this.#points.indexOf('}', this.#at);
    const text = end < 0 ? '' : this.#points.slice(this.#at + 1, end).join('');
    const match = /^(\d{1,4})(?:(,)(\d{1,4})?)?$/.exec(text);
    if (match === null) throw new RegexFault('has a { that is no {n}, {n,} or {n,m}; write \\{ for the sign');
    this.#at = end + 1;
    const low = Number(match[1]);
    const open = match[2] === undefined ? low : Number.POSITIVE_INFINITY;
    const high = match[3] === undefined ? open : Number(match[3]);
    if (high < low) throw new RegexFault(`has a repetition that runs backwards: {${text}}`);
    return [low, high];
  }

  #atom(depth: number): Part {
    const point = this.#points[this.#at];
    this.#at += 1;
    this.#steps += 1;
    if (this.#steps > stepsMax) throw new RegexFault('repeats too much');
    switch (point) {
      case '(':
        return this.#group(depth);
      case '[':
        return this.#position(this.#set());
      case '.':
        return this.#position([[0, pointMax]]);
      case '\\':
        return this.#position(this.#escape());
      case '*':
      case '+':
      case '?':
      case '{':
        throw new RegexFault(`has a ${point} with nothing before it to repeat`);
      case '^':
      case '$':
        throw new RegexFault(
          `has a ${point} in the middle; it is anchored anyway, write \\${point} for the sign`,
        );
      case undefined:
        throw new RegexFault('ends too early');
      default:
        return this.#position([[codeOf(point), codeOf(point)]]);
    }
  }

  #group(depth: number): Part {
    if (this.#points[this.#at] === '?') {
      if (this.#points[this.#at + 1] !== ':') {
        throw new RegexFault('has a group that begins with (?; only (?: ) is taken');
      }
      this.#at += 2;
    }
    const part = this.#alternatives(depth + 1);
    if (this.#points[this.#at] !== ')') throw new RegexFault('has a ( that is not closed');
    this.#at += 1;
    return part;
  }

  #escape(): Ranges {
    const point = this.#points[this.#at];
    this.#at += 1;
    if (point === undefined) throw new RegexFault('ends in a backslash');
    const known = escapedClasses[point];
    if (known !== undefined) return known;
    const control = controls[point];
    if (control !== undefined) return [[control, control]];
    if (/[A-Za-z0-9]/.test(point)) throw new RegexFault(`has \\${point}, which is not taken here`);
    return [[codeOf(point), codeOf(point)]];
  }

  #set(): Ranges {
    const isNegated = this.#points[this.#at] === '^';
    if (isNegated) this.#at += 1;
    const ranges: [number, number][] = [];
    let isFirst = true;
    for (;;) {
      const point = this.#points[this.#at];
      if (point === undefined) throw new RegexFault('has a [ that is not closed');
      if (point === ']' && !isFirst) break;
      isFirst = false;
      const from = this.#member();
      if (this.#points[this.#at] === '-' && this.#points[this.#at + 1] !== ']') {
        this.#at += 1;
        const to = this.#member();
        const [low, high] = [pointOf(from), pointOf(to)];
        if (low === undefined || high === undefined || high < low) {
          throw new RegexFault('has a range in brackets that is none');
        }
        ranges.push([low, high]);
      } else ranges.push(...from.map(([low, high]): [number, number] => [low, high]));
    }
    this.#at += 1;
    const sorted = merge(ranges);
    return isNegated ? negate(sorted) : sorted;
  }

  #member(): Ranges {
    const point = this.#points[this.#at];
    if (point === undefined) throw new RegexFault('has a [ that is not closed');
    this.#at += 1;
    if (point === '\\') return this.#escape();
    if (point === '[') throw new RegexFault('has a [ in brackets; write \\[ for the sign');
    return [[codeOf(point), codeOf(point)]];
  }

  #position(set: Ranges): Part {
    const position = this.#sets.length;
    if (position >= regexSizeMax) {
      throw new RegexFault(`stands for more than ${regexSizeMax} characters, repetitions written out`);
    }
    this.#sets.push(set);
    this.#follow.push(new Set());
    return { first: [position], last: [position], isEmpty: false };
  }

  #join(one: Part, other: Part): Part {
    for (const position of one.last) this.#leads(position, other.first);
    return {
      first: one.isEmpty ? [...one.first, ...other.first] : one.first,
      last: other.isEmpty ? [...one.last, ...other.last] : other.last,
      isEmpty: one.isEmpty && other.isEmpty,
    };
  }

  #loop(part: Part): void {
    for (const position of part.last) this.#leads(position, part.first);
  }

  #leads(position: number, to: readonly number[]): void {
    for (const next of to) this.#follow[position]?.add(next);
  }
}

function endsInEscape(source: string): boolean {
  return (/\\+$/.exec(source.slice(0, -1))?.[0].length ?? 0) % 2 === 1;
}

/** The one code point; undefined: it is a class such as `\d`, which begins or ends no range. */
function pointOf(ranges: Ranges): number | undefined {
  const [low, high] = ranges[0] ?? [];
  return ranges.length === 1 && low === high ? low : undefined;
}

function codeOf(point: string): number {
  return point.codePointAt(0) ?? 0;
}

/** Code points, as inclusive ranges in rising order that neither touch nor overlap. */
export type Ranges = readonly (readonly [number, number])[];

const pointMax = 0x10ffff;

// ASCII only, so that \d is ten digits and nothing else.
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
/** The characters of `\d` and the like, by their letter. */
const escapedClasses: Readonly<Record<string, Ranges>> = {
  d: digits,
  w: wordRanges,
  s: blanks,
  D: negate(digits),
  W: negate(wordRanges),
  S: negate(blanks),
};
const controls: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09 };

/** Converts ranges to the normal form of {@link Ranges}. */
export function merge(ranges: readonly (readonly [number, number])[]): Ranges {
  const merged: [number, number][] = [];
  for (const [low, high] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before !== undefined && low <= before[1] + 1) before[1] = Math.max(before[1], high);
    else merged.push([low, high]);
  }
  return merged;
}

function negate(ranges: Ranges): Ranges {
  const rest: [number, number][] = [];
  let from = 0;
  for (const [low, high] of ranges) {
    if (low > from) rest.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= pointMax) rest.push([from, pointMax]);
  return rest;
}
