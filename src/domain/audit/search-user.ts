// Whether an admission may touch the users that a search asks for: by what its record says, and, for speed, by the bytes of its line.
// The rule: a record that does not name everybody it touches is a hit. Nobody is missed because a list was too long to be recorded.

import { createGlobList, globLengthMax } from '../commands/glob.js';
import { mayOverlap } from '../commands/mask.js';
import { maskCovers } from '../commands/users.js';
import { foldAscii } from '../identity/user-name.js';
import { quote } from './encode.js';
import { isObject } from './line.js';

/** Answers for one pattern: a name, in which `*` stands for any characters. */
export interface UserSearch {
  /** One of these stands in the line of every admission that is wanted; undefined: there is nothing so sure. */
  readonly needles: readonly Buffer[] | undefined;
  /** Of the line of an admission: no is certain, yes is to be looked at again once it is parsed. */
  isLineWanted(line: Buffer): boolean;
  isWanted(record: Readonly<Record<string, unknown>>): boolean;
  /** Whether it names such a user, and not only a mask or a list without an end that covers one. */
  isNamed(record: Readonly<Record<string, unknown>>): boolean;
}

/**
 * What may stand for anybody, in records of this release and of older ones. Needles of at most seven bytes that begin with a rare one are
 * found ten times faster than others (Node 20).
 */
const wildcards = ['*', '?', '{"more"', '{"cut"', '-A"'].map((text) => Buffer.from(text));
const usersText = Buffer.from(',"users":[');
const cutText = Buffer.from('{"');

/** For `pattern`, in any case: names are recorded in small letters, but not those that were refused for what they are. */
export function createUserSearch(pattern: string): UserSearch {
  const exact = createExactSearch(pattern);
  const folded = foldAscii(pattern);
  if (folded === pattern) return exact;
  const small = createExactSearch(folded);
  return {
    needles: exact.needles && small.needles && [...small.needles, ...exact.needles.slice(0, 1)],
    isLineWanted: (line) => small.isLineWanted(line) || exact.isLineWanted(line),
    isWanted: (record) => small.isWanted(record) || exact.isWanted(record),
    isNamed: (record) => small.isNamed(record) || exact.isNamed(record),
  };
}

function createExactSearch(pattern: string): UserSearch {
  const isNamed = glob(pattern);
  const covers = coverTest(pattern);
  const [longest = ''] = pattern.split('*').toSorted((one, other) => other.length - one.length);
  const name = longest === '' ? undefined : Buffer.from(quote(longest).slice(1, -1));

  function isTouched(value: unknown): boolean {
    if (typeof value === 'string') return /[*?]/.test(value) ? covers(value) : isNamed(value);
    // The rest of a list that was cut may hold anybody, and the rest of a name any text.
    if (!isObject(value)) return false;
    return 'more' in value || (typeof value['cut'] === 'string' && covers(`${value['cut']}*`));
  }

  /** Of a release that recorded no users: who stands in the arguments counts. */
  function isInArguments(args: unknown, user: unknown): boolean {
    if (!Array.isArray(args)) return false;
    return args.some((word: unknown) => {
      if (word === '-A') return true;
      if (typeof word !== 'string') return isTouched(word);
      const subject = word.startsWith('user=') ? word.slice('user='.length) : word;
      if (!/[*?]/.test(subject)) return subject !== '' && isNamed(subject);
      // Most masks of a command for one user are of mailboxes.
      return (user === undefined || user === '' || subject.includes('@')) && covers(subject);
    });
  }

  return {
    needles: name && [name, ...wildcards],
    isLineWanted(line) {
      if (name === undefined || line.includes(name)) return true;
      const at = line.indexOf(usersText);
      if (at < 0) return true;
      const rest = line.subarray(at + usersText.length);
      return rest.includes(0x2a) || rest.includes(0x3f) || rest.includes(cutText);
    },
    isWanted({ user, users, args }) {
      if (isNamed(shown(user))) return true;
      return Array.isArray(users) ? users.some(isTouched) : isInArguments(args, user);
    },
    isNamed({ user, users, args }) {
      const words: unknown[] = Array.isArray(users) ? users : Array.isArray(args) ? args : [];
      const isName = (word: unknown): boolean =>
        typeof word === 'string' && !/[*?]/.test(word) && isNamed(word.replace(/^user=/, ''));
      return isNamed(shown(user)) || words.some(isName);
    },
  };
}

/** Whether a mask of a command may mean somebody whom the pattern means. */
function coverTest(pattern: string): (mask: string) => boolean {
  if (!pattern.includes('*')) return (mask) => maskCovers(mask, pattern);
  if (pattern.length > globLengthMax) return () => true;
  const globs = createGlobList([pattern]);
  return (mask) => mayOverlap(mask, globs);
}

/** What is shown of a recorded text: itself, or the start of one that was cut. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!isObject(value)) return '';
  return typeof value['cut'] === 'string' ? value['cut'] : '';
}

/** A pattern with `*` for any characters, in linear time; cut values match as far as they go. */
export function glob(pattern: string): (text: string) => boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return (text) => text === first;
  return (text) => {
    if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last))
      return false;
    let at = first.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at <= text.length - last.length;
  };
}
