// The pattern language of policies, and Dovecot's masks as far as policies are compared with them. Patterns have `*` and `**`, everything
// else is literal:
//   *    any run of characters that holds no `@`, the empty run too
//   **   any run of characters
//   a pattern that is `*` alone (or `**`) matches every text, the empty one too
// In a location (`isLocation`: a file, a socket, a mail location, another host) a star, even alone, stands for names only: it matches no
// `:` and no `%`, after which a server reads options and variables, and a pattern with a star matches no text with a part `..`. There
// `<user>`, a whole part of a path, is the user of the command; no variable of a server has that form (`%u`, `%{user}`). A star before it
// stays within one part of the path, which is not empty: otherwise `/backup//mon` would be everybody's folder for a user "mon". Masks have
// `*` (any run of characters, `@` too) and `?` (any character). Callers decide about case. Matching a pattern reads each character of the
// text once, without backtracking, so a hostile text costs no more than any other of its length. A comparison of a mask that is not sure
// leads to a refusal: not within, and may overlap.

import { foldAscii } from '../../host/words/text.js';
import { maskCovers } from './mask.js';

/** Longest pattern, in UTF-16 units. Stops patterns whose tables would be large. */
export const globLengthMax = 1024;

/** Why a pattern for names of users can name nobody; undefined: it may. */
export function whyNoUserPattern(pattern: string): string | undefined {
  if (pattern === '') return 'an empty pattern matches no user; take it out';
  if (pattern.length > globLengthMax) return `a pattern can have ${globLengthMax} characters`;
  if (pattern.startsWith('@')) return `names no user; write *${pattern} for all of a domain`;
  if (/[?[\]]/.test(pattern)) return 'only * and ** are wildcards here, and user names hold no ? or brackets';
  return undefined;
}

/** In a location: the user of the command. */
export const userSign = '<user>';

/** Whether each `<user>` is a whole part of a path; options may follow. */
export function isUserAPart(location: string): boolean {
  return !location.replaceAll(/(?<=\/)<user>(?=$|[/:])/g, '').includes(userSign);
}

/** Whether a server reads the name as one folder, whatever stands around it. */
export function isFolder(user: string): boolean {
  return user !== '.' && !user.includes('..') && /^[^/\\:%*?<>\s\p{Cc}]+$/u.test(user);
}

/**
 * Patterns of which one must match. Equal to testing each of them, but a pattern without a star is one look-up, and so are all of the form
 * `*@domain`: ten thousand customers cost as much as one. Complete before its first use; {@link add} is for its builder.
 */
export class GlobList {
  readonly texts: string[] = [];
  readonly #written = new Set<string>();
  readonly #others: ((text: string, user: string | undefined) => boolean)[] = [];
  #isEverything = false;
  #hasDomains = false;
  readonly isAnyCase: boolean;
  readonly isLocation: boolean;

  /** `isAnyCase`: ASCII letters match in either case, as in a deny; patterns are in lower case. `isLocation`: the texts are locations. */
  constructor(texts: readonly string[] = [], { isAnyCase = false, isLocation = false } = {}) {
    this.isAnyCase = isAnyCase;
    this.isLocation = isLocation;
    this.add(texts);
  }

  /** Throws a RangeError for a pattern above {@link globLengthMax}; configuration has checked it before. */
  add(texts: readonly string[]): void {
    for (const text of texts) {
      if (text.length > globLengthMax) throw new RangeError('the pattern is too long');
      this.texts.push(text);
      if (this.isLocation && text.includes(userSign)) {
        this.#others.push(ofUser(text));
        continue;
      }
      this.#written.add(text);
      if (this.isLocation) {
        if (text.includes('*')) this.#others.push(ofLocations(text));
      } else if (text === '*' || text === '**') this.#isEverything = true;
      else if (isDomain(text)) this.#hasDomains = true;
      else if (text.includes('*')) this.#others.push(oneStar(text) ?? simulate(text));
    }
  }

  get isEverything(): boolean {
    return this.#isEverything;
  }

  fold(text: string): string {
    return this.isAnyCase ? foldAscii(text) : text;
  }

  /** `user`: of the command, for locations; undefined: it has none, or several. */
  matches(given: string, user?: string): boolean {
    const text = this.isAnyCase ? foldAscii(given) : given;
    // A pattern matches its own text, too.
    if (this.#isEverything || this.#written.has(text)) return true;
    if (this.#hasDomains) {
      const at = text.indexOf('@');
      if (at >= 0 && text.indexOf('@', at + 1) < 0 && this.#written.has(`*${text.slice(at)}`)) return true;
    }
    return this.#others.some((matches) => matches(text, user));
  }

  has(pattern: string): boolean {
    return this.#written.has(pattern);
  }
}

/** Whether a part of a location is `..`: of its path, or of the value of an option. */
export function leadsOut(location: string): boolean {
  return /(?:^|[/:=])\.\.(?:$|[/:])/.test(location);
}

/** A star matches none of these signs: text and pattern must have the same ones in the same order. */
function ofLocations(pattern: string): (text: string) => boolean {
  const matches = oneStar(pattern) ?? simulate(pattern);
  const signs = signsIn(pattern);
  return (text) => signsIn(text) === signs && !leadsOut(text) && matches(text);
}

/** Compares part by part up to the last `<user>`; everything below is the user's own. */
function ofUser(pattern: string): (text: string, user: string | undefined) => boolean {
  const at = pattern.lastIndexOf(userSign);
  const parts = pattern
    .slice(0, at)
    .split('/')
    .slice(0, -1)
    .map((part): ((text: string, user: string) => boolean) => {
      const matches = ofText(part.replace(userSign, ''));
      if (part.startsWith(userSign))
        return (text, user) => text.startsWith(user) && matches(text.slice(user.length));
      return (text) => matches(text) && (text === part || !/^\.?$/.test(text));
    });
  const rest = ofText(pattern.slice(at + userSign.length));
  const signs = signsIn(pattern);
  return (text, user) => {
    if (user === undefined || !isFolder(user) || signsIn(text) !== signs || leadsOut(text)) return false;
    let from = 0;
    for (const matches of parts) {
      const end = text.indexOf('/', from);
      if (end < 0 || !matches(text.slice(from, end), user)) return false;
      from = end + 1;
    }
    return text.startsWith(user, from) && rest(text.slice(from + user.length));
  };
}

function ofText(pattern: string): (text: string) => boolean {
  return pattern.includes('*') ? (oneStar(pattern) ?? simulate(pattern)) : (text) => text === pattern;
}

function signsIn(text: string): string {
  return text.replaceAll(/[^:%]/g, '');
}

/** `*@domain` without a further star or `@`. */
function isDomain(pattern: string): boolean {
  return pattern.startsWith('*@') && !pattern.includes('*', 2) && !pattern.includes('@', 2);
}

/** Patterns with one star, the majority, need two comparisons. */
function oneStar(pattern: string): ((text: string) => boolean) | undefined {
  const [before = '', after = '', ...more] = pattern.split(/\*+/);
  if (more.length > 0) return undefined;
  const isAny = pattern.includes('**');
  const least = before.length + after.length;
  return (text) => {
    if (text.length < least || !text.startsWith(before) || !text.endsWith(after)) return false;
    if (isAny) return true;
    const at = text.indexOf('@', before.length);
    return at === -1 || at >= text.length - after.length;
  };
}

const wordBits = 31;
const wordMask = 0x7fffffff;
const atSign = 0x40;

/**
 * The pattern as a machine: state i means that the first i literal characters were seen. Sets of states are bits in words of 31, so that
 * shifts stay within small integers.
 */
function simulate(pattern: string): (text: string) => boolean {
  const last = pattern.replaceAll('*', '').length;
  const words = Math.ceil((last + 1) / wordBits);
  /** For each literal character: the states that it advances. */
  const steps = new Map<number, Int32Array>();
  /** States that any character but `@` keeps, and states that `@` keeps too. */
  const stays = new Int32Array(words);
  const staysAt = new Int32Array(words);
  let state = 0;
  for (let at = 0; at < pattern.length; at += 1) {
    if (pattern[at] === '*') {
      if (pattern[at - 1] === '*') add(staysAt, state);
      add(stays, state);
      continue;
    }
    const code = pattern.charCodeAt(at);
    const set = steps.get(code) ?? new Int32Array(words);
    steps.set(code, set);
    add(set, state);
    state += 1;
  }
  const none = new Int32Array(words);
  const lastWord = Math.floor(last / wordBits);
  const lastBit = 1 << (last % wordBits);
  // Most texts lack this literal, which a search finds out faster than the machine; it is short, to bound the search.
  const [longest = ''] = pattern.split('*').toSorted((one, other) => other.length - one.length);
  const needed = longest.slice(0, 16);

  return (text) => {
    if (!text.includes(needed)) return false;
    let states = new Int32Array(words);
    let next = new Int32Array(words);
    states[0] = 1;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      const step = steps.get(code) ?? none;
      const stay = code === atSign ? staysAt : stays;
      let carry = 0;
      let any = 0;
      for (let word = 0; word < words; word += 1) {
        const here = states[word] ?? 0;
        const moved = here & (step[word] ?? 0);
        const now = ((moved << 1) & wordMask) | carry | (here & (stay[word] ?? 0));
        carry = (moved >>> (wordBits - 1)) & 1;
        next[word] = now;
        any |= now;
      }
      if (any === 0) return false;
      [states, next] = [next, states];
    }
    return ((states[lastWord] ?? 0) & lastBit) !== 0;
  };
}

function add(set: Int32Array, state: number): void {
  const word = Math.floor(state / wordBits);
  set[word] = (set[word] ?? 0) | (1 << (state % wordBits));
}

export function isMask(text: string): boolean {
  return /[*?]/.test(text);
}

/**
 * Whether `who` and `kick` read it as an address or a network, or may do so. Every form of an address that the C library accepts counts
 * (`10.1`, `0x7f.1`), and everything with a colon or a slash; digits alone are a name.
 */
export function isAddress(value: string): boolean {
  if (/[:/%]/.test(value)) return true;
  return /^(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+)){0,3}\.?$/i.test(value) && !/^\d+$/.test(value);
}

/**
 * Whether every user that the mask can match is surely one of the patterns: the same text, or `...@domain` inside `*@domain` (a user has at
 * most one `@`, so nothing before it can reach another domain).
 */
export function isWithin(mask: string, globs: GlobList): boolean {
  if (globs.isEverything) return true;
  const at = mask.lastIndexOf('@');
  const domain = mask.slice(at);
  const hasPlainDomain = at >= 0 && !isMask(domain);
  if (!hasPlainDomain) return false;
  // A `?` is not a wildcard in a pattern, and a `*` of a mask crosses an `@`, unlike that of a pattern.
  return globs.has(`*${domain}`) || globs.has(`**${domain}`) || (!mask.includes('?') && globs.has(mask));
}

/**
 * Whether some text could match both the mask and one of the patterns; stars of both are assumed to match anything. The cost is the length
 * of the mask and of the patterns, not their product.
 */
export function mayOverlap(mask: string, globs: GlobList): boolean {
  if (globs.isEverything) return true;
  const own = partsOf(globs.fold(mask).replace(/\*+/g, '*'));
  return globs.texts.some((text) => overlaps(own, text));
}

interface MaskParts {
  readonly text: string;
  readonly hasStar: boolean;
  readonly prefix: string;
  readonly suffix: string;
}

function partsOf(text: string): MaskParts {
  const first = text.indexOf('*');
  if (first < 0) return { text, hasStar: false, prefix: text, suffix: text };
  return { text, hasStar: true, prefix: text.slice(0, first), suffix: text.slice(text.lastIndexOf('*') + 1) };
}

function overlaps(mask: MaskParts, pattern: string): boolean {
  const other = partsOf(pattern);
  if (!fitsStart(mask.prefix, other.prefix) || !fitsEnd(mask.suffix, other.suffix)) return false;
  // With a star on both sides such a text exists: both beginnings, the middle parts of both, both ends.
  if (mask.hasStar && other.hasStar) return true;
  if (other.hasStar) return maskCovers(pattern, mask.text, isAlike);
  if (mask.hasStar) return maskCovers(mask.text, pattern, isAlike);
  return mask.text.length === pattern.length;
}

/** Returns true if one text is a prefix of the other; `?` of a mask matches any character. */
function fitsStart(mask: string, pattern: string): boolean {
  const length = Math.min(mask.length, pattern.length);
  for (let at = 0; at < length; at += 1) if (!isAlike(mask[at], pattern[at])) return false;
  return true;
}

function fitsEnd(mask: string, pattern: string): boolean {
  const length = Math.min(mask.length, pattern.length);
  for (let at = 1; at <= length; at += 1) {
    if (!isAlike(mask[mask.length - at], pattern[pattern.length - at])) return false;
  }
  return true;
}

/** In a pattern a `?` is literal; treating it as any character only adds overlaps. */
function isAlike(one: string | undefined, other: string | undefined): boolean {
  return one === other || one === '?' || other === '?';
}
