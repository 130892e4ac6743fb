// Owns Dovecot's masks, `*` (any run of characters, `@` too) and `?` (any character), as far as policy has to compare
// them with its own patterns. It matches no users; which users there are is not known here.
// The rule: where it is not sure, it says what leads to a refusal: not within, and may overlap.
import type { GlobList } from './glob.js';

/** Whether a text is a mask to Dovecot. */
export function isMask(text: string): boolean {
  return /[*?]/.test(text);
}

/**
 * Whether every user that the mask can match is surely one of the patterns: the same text, or `...@domain` inside `*@domain`
 * (a user has at most one `@`, so nothing before it can reach another domain).
 */
export function isWithin(mask: string, globs: GlobList): boolean {
  if (globs.isEverything) return true;
  const at = mask.lastIndexOf('@');
  const domain = mask.slice(at);
  const hasPlainDomain = at >= 0 && !isMask(domain);
  return globs.globs.some(({ text }) => {
    if (hasPlainDomain && (text === `*${domain}` || text === `**${domain}`)) return true;
    // A `?` is no wildcard in a pattern, and a `*` of a mask reaches across an `@` that one in a pattern does not.
    return text === mask && !mask.includes('?') && hasPlainDomain;
  });
}

/** Whether some text could match both the mask and one of the patterns; stars of both are taken to reach anything. */
export function mayOverlap(mask: string, globs: GlobList): boolean {
  return globs.isEverything || globs.globs.some((glob) => overlaps(mask, glob.text));
}

function overlaps(mask: string, pattern: string): boolean {
  // row[j]: what is left of the mask from i on can match something that the pattern from j on matches too.
  let below = Array.from({ length: pattern.length + 1 }, (_, j) => isStars(pattern.slice(j)));
  for (let i = mask.length - 1; i >= 0; i -= 1) {
    const row: boolean[] = Array.from({ length: pattern.length + 1 }, () => false);
    row[pattern.length] = isStars(mask.slice(i));
    for (let j = pattern.length - 1; j >= 0; j -= 1) {
      const [a, b] = [mask[i], pattern[j]];
      if (a === '*' || b === '*') row[j] = below[j] === true || row[j + 1] === true;
      else row[j] = (a === b || a === '?') && below[j + 1] === true;
    }
    below = row;
  }
  return below[0] === true;
}

function isStars(text: string): boolean {
  return /^\**$/.test(text);
}
