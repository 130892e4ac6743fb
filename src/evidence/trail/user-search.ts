// Which exchanges concern a user: by the users that an admission names, and by a mask that covers the name. Pure. A record that does not
// name all of its users is a hit: a user must not be missed because a list was too long to be recorded.

import { GlobList, globLengthMax, isMask, mayOverlap } from '../../doveadm/names/glob.js';
import { maskCovers } from '../../doveadm/names/mask.js';
import { asList, asObject, asTexts, isText, type StoredRecord } from '../../host/values/values.js';
import { foldAscii, quote } from '../../host/words/text.js';
import { shown } from '../../journal/records/sketch.js';
import { asCut } from '../../journal/records/stored.js';
import { isFitting } from '../story/row.js';

/** A matcher for one pattern: a name, in which `*` stands for any characters. */
type UserSearch = ReturnType<typeof createExactSearch>;

/** Texts that may stand for any user. Needles of at most seven bytes that begin with a rare one are found ten times faster (Node 20). */
const wildcards = ['*', '?', '{"more"', '{"cut"'].map((text) => Buffer.from(text));
const usersText = Buffer.from(',"users":[');
const cutText = Buffer.from('{"');

/**
 * For `pattern`, in any case: names are recorded in lower case, except names that were refused as invalid. In records of a server that
 * keeps the case of names (`case`), the case of the pattern counts.
 */
export function createUserSearch(pattern: string): UserSearch {
  const exact = createExactSearch(pattern);
  const folded = foldAscii(pattern);
  if (folded === pattern) return exact;
  const small = createExactSearch(folded);
  const isKept = (record: StoredRecord): boolean => record['case'] === 'keep';
  return {
    needles: exact.needles && small.needles && [...small.needles, ...exact.needles.slice(0, 1)],
    isLineWanted: (line) => small.isLineWanted(line) || exact.isLineWanted(line),
    isWanted: (record) => (!isKept(record) && small.isWanted(record)) || exact.isWanted(record),
    isNamed: (record) => (!isKept(record) && small.isNamed(record)) || exact.isNamed(record),
  };
}

function createExactSearch(pattern: string) {
  const isName = (text: string): boolean => isFitting(text, pattern);
  const covers = coverTest(pattern);
  const [longest = ''] = pattern.split('*').toSorted((one, other) => other.length - one.length);
  const name = longest === '' ? undefined : Buffer.from(quote(longest).slice(1, -1));

  function isTouched(value: unknown): boolean {
    if (isText(value)) return isMask(value) ? covers(value) : isName(value);
    // The missing rest of a list may contain any user, and the rest of a name any text.
    if (asObject(value)?.['more'] !== undefined) return true;
    const cut = asCut(value);
    return cut !== undefined && covers(`${cut}*`);
  }

  return {
    /** Every matching admission's line contains one of these; undefined: there is no such text. */
    needles: name && [name, ...wildcards],
    /** For an admission's line: no is final, yes must be checked on the parsed record. */
    isLineWanted(line: Buffer): boolean {
      if (name === undefined || line.includes(name)) return true;
      const at = line.indexOf(usersText);
      if (at < 0) return false;
      const rest = line.subarray(at + usersText.length);
      return rest.includes(0x2a) || rest.includes(0x3f) || rest.includes(cutText);
    },
    isWanted: ({ user, users }: StoredRecord): boolean =>
      isName(shown(user)) || asList(users)?.some(isTouched) === true,
    /** Whether it names such a user literally, not only by a mask or an incomplete list. */
    isNamed({ user, users }: StoredRecord): boolean {
      return isName(shown(user)) || asTexts(users).some((each) => !isMask(each) && isName(each));
    },
  };
}

function coverTest(pattern: string): (mask: string) => boolean {
  if (!pattern.includes('*')) return (mask) => maskCovers(mask, pattern);
  if (pattern.length > globLengthMax) return () => true;
  const globs = new GlobList([pattern]);
  return (mask) => mayOverlap(mask, globs);
}
