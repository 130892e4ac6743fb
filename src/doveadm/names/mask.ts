// Matches a text against a mask with `*`. Beside `glob.ts`, because the browser loads this file: it uses nothing of Node.

/**
 * Whether a mask matches a text. A star takes as little as possible, and the last one takes more when that fails: at worst linear in mask
 * times text. `isEqual`: compares a character of the mask with one of the text.
 */
export function maskCovers(mask: string, text: string, isEqual = isMatch): boolean {
  let inMask = 0;
  let inText = 0;
  let star = -1;
  let afterStar = 0;
  while (inText < text.length) {
    if (mask[inMask] === '*') {
      star = inMask;
      afterStar = inText;
      inMask += 1;
    } else if (inMask < mask.length && isEqual(mask[inMask], text[inText])) {
      inMask += 1;
      inText += 1;
    } else if (star !== -1) {
      afterStar += 1;
      inText = afterStar;
      inMask = star + 1;
    } else {
      return false;
    }
  }
  while (mask[inMask] === '*') inMask += 1;
  return inMask === mask.length;
}

function isMatch(ofMask: string | undefined, ofText: string | undefined): boolean {
  return ofMask === ofText || ofMask === '?';
}
