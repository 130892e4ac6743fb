// Owns the one pattern language of policies: `*` and `**`, everything else is literal.
//   *    any run of characters that holds no `@`, the empty run too
//   **   any run of characters
//   a pattern that is `*` alone (or `**`) matches every text, the empty one too
// It does not know what the texts are: users, mailboxes, parameter values. Case is the caller's matter.
// The rule: matching looks at each character of the text once, whatever the pattern: no backtracking, so that a
// hostile text costs no more than an honest one of its length.

/** A compiled pattern. */
export interface Glob {
  readonly text: string;
  /** Matches every text. */
  readonly isEverything: boolean;
  /** Holds no star: matches only itself. */
  readonly isLiteral: boolean;
  matches(text: string): boolean;
}

/** Patterns of which one must match. */
export interface GlobList {
  readonly globs: readonly Glob[];
  readonly isEverything: boolean;
  matches(text: string): boolean;
  /** Whether one of the patterns is written exactly like this. */
  has(pattern: string): boolean;
}

/** Longest pattern, in UTF-16 units. Stops patterns whose tables would be large. */
export const globLengthMax = 1024;

/** Compiles a pattern. Throws a RangeError above {@link globLengthMax}; configuration has checked it before. */
export function createGlob(text: string): Glob {
  if (text.length > globLengthMax) throw new RangeError('the pattern is too long');
  const isEverything = text === '*' || text === '**';
  const isLiteral = !text.includes('*');
  return { text, isEverything, isLiteral, matches: matcherOf(text, isEverything, isLiteral) };
}

/**
 * Compiles a list; equal to asking every pattern, but literals are one look-up, and so are all patterns of the form
 * `*@domain`: a list of ten thousand customers costs what a list of one does.
 */
export function createGlobList(texts: readonly string[]): GlobList {
  const globs = texts.map(createGlob);
  const isEverything = globs.some((glob) => glob.isEverything);
  const written = new Set(texts);
  const literals = new Set(globs.filter((glob) => glob.isLiteral).map((glob) => glob.text));
  const domains = new Set(globs.map((glob) => domainOf(glob.text)).filter((domain) => domain !== undefined));
  const others = globs.filter((glob) => !glob.isLiteral && domainOf(glob.text) === undefined);

  function matches(text: string): boolean {
    if (isEverything || literals.has(text)) return true;
    if (domains.size > 0) {
      const at = text.indexOf('@');
      if (at >= 0 && text.indexOf('@', at + 1) < 0 && domains.has(text.slice(at))) return true;
    }
    return others.some((glob) => glob.matches(text));
  }
  return { globs, isEverything, matches, has: (pattern) => written.has(pattern) };
}

/** `@domain` of a pattern `*@domain` without a further star or `@`. */
function domainOf(pattern: string): string | undefined {
  if (!pattern.startsWith('*@')) return undefined;
  const domain = pattern.slice(1);
  return domain.includes('*') || domain.includes('@', 1) ? undefined : domain;
}

function matcherOf(pattern: string, isEverything: boolean, isLiteral: boolean): (text: string) => boolean {
  if (isEverything) return () => true;
  if (isLiteral) return (text) => text === pattern;
  const domain = domainOf(pattern);
  if (domain !== undefined) {
    return (text) => text.endsWith(domain) && text.indexOf('@') === text.length - domain.length;
  }
  return oneStar(pattern) ?? simulate(pattern);
}

/** A pattern with one star, which is most of them, is two comparisons. */
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

/**
 * The pattern as a machine: state i means that the first i literal characters were seen. Sets of states are bits in
 * words of 31, so that shifts stay within small integers.
 */
interface Machine {
  /** Words of a set of states. */
  readonly words: number;
  /** For each literal character: the states that it leads on from. */
  readonly steps: ReadonlyMap<number, Int32Array>;
  /** States that any character but `@` leaves where they are, and states that `@` leaves too. */
  readonly stays: Int32Array;
  readonly staysAt: Int32Array;
  readonly last: number;
}

const wordBits = 31;
const wordMask = 0x7fffffff;
const atSign = 0x40;
const starCode = 0x2a;

function compile(pattern: string): Machine {
  const literals: number[] = [];
  const stars: number[] = [0];
  for (let index = 0; index < pattern.length; index += 1) {
    const code = pattern.charCodeAt(index);
    if (code === starCode) {
      stars[literals.length] = (stars[literals.length] ?? 0) + 1;
    } else {
      literals.push(code);
      stars.push(0);
    }
  }
  const words = Math.ceil((literals.length + 1) / wordBits);
  const steps = new Map<number, Int32Array>();
  for (const [state, code] of literals.entries()) {
    let set = steps.get(code);
    if (set === undefined) {
      set = new Int32Array(words);
      steps.set(code, set);
    }
    add(set, state);
  }
  const stays = new Int32Array(words);
  const staysAt = new Int32Array(words);
  for (const [state, count] of stars.entries()) {
    if (count > 0) add(stays, state);
    if (count > 1) add(staysAt, state);
  }
  return { words, steps, stays, staysAt, last: literals.length };
}

function simulate(pattern: string): (text: string) => boolean {
  const { words, steps, stays, staysAt, last } = compile(pattern);
  const none = new Int32Array(words);
  const lastWord = Math.floor(last / wordBits);
  const lastBit = 1 << (last % wordBits);
  // Most texts lack it, which is seen faster than by the machine; a short one, so that no text makes the look for it long.
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
