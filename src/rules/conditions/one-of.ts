// Every value matches one of the patterns.

import { type GlobList, globLengthMax, mayOverlap, userSign } from '../../doveadm/names/glob.js';
import { endsInInbox } from '../../doveadm/names/mailbox-names.js';
import type { Cursor, Path } from '../config/cursor.js';
import { type Kind, listOr } from './kind.js';

export interface OneOf {
  readonly kind: 'one-of';
  readonly globs: GlobList;
}

export const oneOf: Kind<OneOf> = {
  keys: { one_of: 'words' },
  read: (cursor, { globs }) => ({ kind: 'one-of', globs: globs(readPatterns(cursor, ['one_of'])) }),
  write: ({ globs }) => ({ one_of: globs.texts }),
  words: ({ globs }) => [listOr(globs.texts), ...userSays(globs)].join(', where '),
  demand({ globs }) {
    const { texts, isLocation } = globs;
    const hasStar = isLocation && texts.some((text) => text.includes('*'));
    const says = [...(hasStar ? ['* takes no "..", ":" or "%"'] : []), ...userSays(globs)];
    return `be ${listFew(texts)}${says.length === 0 ? '' : `, where ${says.join(', and ')}`}`;
  },
  examples: ({ globs }, fill) =>
    globs.texts.slice(0, examplesMax).flatMap((text) => fill(text).map((each) => [each])),
  texts: ({ globs }) => globs.texts,
  language: ({ globs }) => [globs],
  passes: ({ globs }, values, user) => values.every((value) => globs.matches(value, user)),
  strikes: ({ globs }, values, isMask) => values.some((value) => mayMean(value, globs, isMask)),
  meansInbox: ({ globs }) => globs.texts.some((text) => endsInInbox(text)),
};

export function readPatterns(cursor: Cursor, path: Path): string[] {
  const words = cursor.words(...path);
  if (words.some((text) => text.length > globLengthMax)) {
    cursor.error(path, `a pattern can have ${globLengthMax} characters`);
    return [];
  }
  return words;
}

/** The patterns of a `deny` are in lower case. */
function mayMean(value: string, globs: GlobList, isMask: boolean): boolean {
  const folded = value.toLowerCase();
  if (globs.matches(folded)) return true;
  return isMask && mayOverlap(folded.replaceAll('%', '*'), globs);
}

function userSays({ texts, isLocation }: GlobList): readonly string[] {
  return isLocation && texts.some((text) => text.includes(userSign))
    ? [`${userSign} is the user of the command`]
    : [];
}

const examplesMax = 8;

/** A demand is one line in a log. */
const fewTexts = 8;

export function listFew(texts: readonly string[]): string {
  const more = texts.length - fewTexts;
  return listOr(more > 0 ? [...texts.slice(0, fewTexts), `one of ${more} more`] : texts);
}
