// Finds a text that is in some sets of texts and not in others: lists of patterns, regular expressions, single texts, names of mail users.
// Each set is an automaton over code points. All are walked together, breadth first, so that the shortest text is found. Code points
// between two neighboring edges of ranges move every automaton alike, so one of them stands for all.

import { GlobList } from '../../doveadm/names/glob.js';
import type { Language } from '../../rules/conditions/kind.js';
import { parseRegex } from '../../rules/policy/regex-parser.js';

const statesMax = 50_000;

export type Ranges = readonly (readonly [low: number, high: number])[];

/** A set of texts. States are numbers; a text is in it if one of the states that it leads to is an end. */
export interface TextSet {
  readonly start: readonly number[];
  isEnd(state: number): boolean;
  /** Adds the states after a code point. */
  step(state: number, code: number, add: (state: number) => void): void;
  /** Where ranges begin and end: the code points between two of these are alike. */
  readonly edges: readonly number[];
}

const pointMax = 0x10ffff;
const atSign = 0x40;

/** The texts that match one of the patterns of a list that is not of locations. `isAnyCase`: ASCII letters of either case. */
export function setOfPatterns(patterns: readonly string[], isAnyCase = false): TextSet {
  return setOfSigns(
    patterns.map((pattern) => {
      const isWhole = /^\*{1,2}$/.test(pattern);
      return Array.from(pattern.matchAll(/\*+|[^*]/gu), ([part]) => {
        if (part.startsWith('*')) return isWhole || part.length > 1 ? anyRun : plainRun;
        return part.codePointAt(0) ?? 0;
      });
    }),
    isAnyCase,
  );
}

export function setOfList({ texts, isAnyCase }: GlobList): TextSet {
  return setOfPatterns(texts, isAnyCase);
}

/** The texts that a comparison accepts as single values. */
export function setOfLanguage(language: Language): TextSet {
  return unionOf(
    language.map((each) =>
      typeof each === 'string'
        ? setOfText(each)
        : each instanceof GlobList
          ? setOfList(each)
          : setOfRegex(each.source),
    ),
  );
}

/** The texts of a mask of Dovecot, in ASCII letters of either case: `*` any run, `?` any character. */
export function setOfMask(mask: string): TextSet {
  const signs = Array.from(mask, (sign) =>
    sign === '*' ? anyRun : sign === '?' ? anyOne : (sign.codePointAt(0) ?? 0),
  );
  return setOfSigns([signs], true);
}

export function setOfText(text: string): TextSet {
  return setOfSigns([Array.from(text, (point) => point.codePointAt(0) ?? 0)], false);
}

const end = -1;
const plainRun = -2;
const anyRun = -3;
const anyOne = -4;

/** A state is an index in one list of signs, in which each pattern is followed by `end`. */
function setOfSigns(patterns: readonly (readonly number[])[], isAnyCase: boolean): TextSet {
  const signs = patterns.flatMap((pattern) => [...pattern, end]);
  const edges = new Set<number>([atSign, atSign + 1]);
  for (const code of signs) {
    if (code >= 0) for (const each of isAnyCase ? bothCases(code) : [code]) edges.add(each).add(each + 1);
  }
  const enter = (state: number, add: (state: number) => void): void => {
    add(state);
    const sign = signs[state];
    if (sign === plainRun || sign === anyRun) enter(state + 1, add);
  };
  const start = new Set<number>();
  let at = 0;
  for (const { length } of patterns) {
    enter(at, (state) => start.add(state));
    at += length + 1;
  }
  return {
    start: [...start],
    isEnd: (state) => signs[state] === end,
    step(state, code, add) {
      const sign = signs[state];
      if (sign === anyRun || (sign === plainRun && code !== atSign)) enter(state, add);
      else if (sign === anyOne || sign === code || (isAnyCase && sign === lowerCase(code)))
        enter(state + 1, add);
    },
    edges: [...edges],
  };
}

function lowerCase(code: number): number {
  return code >= 0x41 && code <= 0x5a ? code + 0x20 : code;
}

function bothCases(code: number): number[] {
  return code >= 0x61 && code <= 0x7a ? [code, code - 0x20] : [code];
}

/** The texts that a regular expression of a rule matches, whatever their length. */
function setOfRegex(source: string): TextSet {
  const { sets, follow, first, last, isEmpty } = parseRegex(source);
  // State 0 is the beginning, state n + 1 comes after position n.
  const ends = new Set(last);
  return {
    start: [0],
    isEnd: (state) => (state === 0 ? isEmpty : ends.has(state - 1)),
    step(state, code, add) {
      for (const to of state === 0 ? first : (follow[state - 1] ?? [])) {
        if (sets[to]?.some(([low, high]) => code >= low && code <= high) === true) add(to + 1);
      }
    },
    edges: sets.flatMap((ranges) => ranges.flatMap(([low, high]) => [low, high + 1])),
  };
}

/** The normal forms of names of mail users: only these characters, at most one `@`, and exactly one if there is a realm. */
export function setOfUserNames(characters: Ranges, hasRealm: boolean): TextSet {
  const [begin, local, behindAt, domain] = [0, 1, 2, 3];
  return {
    start: [begin],
    isEnd: (state) => state === domain || (state === local && !hasRealm),
    step(state, code, add) {
      if (!characters.some(([low, high]) => code >= low && code <= high)) return;
      if (code !== atSign) add(state === begin || state === local ? local : domain);
      else if (state === local) add(behindAt);
    },
    edges: [atSign, atSign + 1, ...characters.flatMap(([low, high]) => [low, high + 1])],
  };
}

export type FoundText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'none' | 'too-much' };

/** Readable code points, which are preferred. */
const usual = Array.from('xa1', (sign) => sign.codePointAt(0) ?? 0);

interface Place {
  readonly states: readonly (readonly number[])[];
  readonly text: string;
}

/** The shortest text that is in all of `inAll` and in none of `inNone`. `isOver`: whether time is up. */
export function findText(
  inAll: readonly TextSet[],
  inNone: readonly TextSet[],
  isOver: () => boolean,
): FoundText {
  const sets = [...inAll, ...inNone];
  const codes = signsBetween(sets.flatMap(({ edges }) => edges));
  const isFound = ({ states }: Place): boolean =>
    states.every((each, at) => each.some((state) => sets[at]?.isEnd(state) === true) === at < inAll.length);
  const first: Place = { states: sets.map(({ start }) => [...start].toSorted((a, b) => a - b)), text: '' };
  const seen = new Set([keyOf(first)]);
  let places = [first];
  while (places.length > 0) {
    const next: Place[] = [];
    for (const place of places) {
      if (isFound(place)) return { kind: 'text', text: place.text };
      if (isOver()) return { kind: 'too-much' };
      for (const code of codes) {
        const behind = stepAll(sets, place, code, inAll.length);
        if (behind === undefined) continue;
        const key = keyOf(behind);
        if (seen.has(key)) continue;
        if (seen.size >= statesMax) return { kind: 'too-much' };
        seen.add(key);
        next.push(behind);
      }
    }
    places = next;
  }
  return { kind: 'none' };
}

/** Undefined: no continuation can be in all of the first `needed` sets. */
function stepAll(
  sets: readonly TextSet[],
  { states, text }: Place,
  code: number,
  needed: number,
): Place | undefined {
  const behind: number[][] = [];
  for (const [at, set] of sets.entries()) {
    const found = new Set<number>();
    for (const state of states[at] ?? []) set.step(state, code, (each) => found.add(each));
    if (found.size === 0 && at < needed) return undefined;
    behind.push([...found].toSorted((a, b) => a - b));
  }
  return { states: behind, text: text + String.fromCodePoint(code) };
}

function keyOf({ states }: Place): string {
  return states.map((each) => each.join(',')).join('|');
}

/** One code point for each run between neighboring edges; no surrogates. */
function signsBetween(edges: readonly number[]): number[] {
  const starts = [...new Set([0, 0xd800, 0xe000, ...edges])]
    .filter((each) => each <= pointMax)
    .toSorted((a, b) => a - b);
  const signs = starts.flatMap((low, at) => {
    const high = (starts[at + 1] ?? pointMax + 1) - 1;
    if (low >= 0xd800 && high <= 0xdfff) return [];
    const plain = usual.find((code) => code >= low && code <= high);
    if (plain !== undefined) return [plain];
    return low < 0x20 && high >= 0x20 ? [0x20] : [low];
  });
  const rank = (code: number): number => (usual.indexOf(code) + usual.length + 1) % (usual.length + 1);
  return signs.toSorted((one, other) => rank(one) - rank(other));
}

/** The texts that are in at least one of the sets. */
export function unionOf(sets: readonly TextSet[]): TextSet {
  const own = (set: number, state: number): number => state * sets.length + set;
  return {
    start: sets.flatMap(({ start }, at) => start.map((state) => own(at, state))),
    isEnd: (state) => sets[state % sets.length]?.isEnd(Math.floor(state / sets.length)) === true,
    step(state, code, add) {
      const at = state % sets.length;
      sets[at]?.step(Math.floor(state / sets.length), code, (to) => add(own(at, to)));
    },
    edges: sets.flatMap(({ edges }) => edges),
  };
}
