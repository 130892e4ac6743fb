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
  if (!hasPlainDomain) return false;
  // A `?` is no wildcard in a pattern, and a `*` of a mask reaches across an `@` that one in a pattern does not.
  return globs.has(`*${domain}`) || globs.has(`**${domain}`) || (!mask.includes('?') && globs.has(mask));
}

/**
 * Whether some text could match both the mask and one of the patterns; stars of both are taken to reach anything. The cost is
 * the length of the mask and of the patterns, not their product.
 */
export function mayOverlap(mask: string, globs: GlobList): boolean {
  if (globs.isEverything) return true;
  const own = partsOf(mask.replace(/\*+/g, '*'));
  return globs.globs.some((glob) => overlaps(own, glob.text));
}

/** A text with stars: what stands in front of its first star and behind its last one. */
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
  // With a star on both sides a text exists: both beginnings, what the one has between its stars, what the other has, both ends.
  if (mask.hasStar && other.hasStar) return true;
  if (other.hasStar) return reaches(pattern, mask.text);
  if (mask.hasStar) return reaches(mask.text, pattern);
  return mask.text.length === pattern.length;
}

/** Whether one is how the other begins; `?` of a mask is any character. */
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

/** In a pattern a `?` is itself; taken for any character it only overlaps more. */
function isAlike(one: string | undefined, other: string | undefined): boolean {
  return one === other || one === '?' || other === '?';
}

/** Whether `starred` covers a text without a star. A star takes as little as it can, and the last one takes more when that fails. */
function reaches(starred: string, text: string): boolean {
  let at = 0;
  let inText = 0;
  let star = -1;
  let afterStar = 0;
  while (inText < text.length) {
    if (starred[at] === '*') {
      star = at;
      afterStar = inText;
      at += 1;
    } else if (at < starred.length && isAlike(starred[at], text[inText])) {
      at += 1;
      inText += 1;
    } else if (star !== -1) {
      afterStar += 1;
      inText = afterStar;
      at = star + 1;
    } else {
      return false;
    }
  }
  while (starred[at] === '*') at += 1;
  return at === starred.length;
}
