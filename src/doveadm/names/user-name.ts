// The name of a mail user: its permitted characters, and its one form, which is judged, routed, counted, recorded and sent. Two spellings
// of one Dovecot user are always one name here, so that a capital letter or a missing realm cannot bypass `except`. Most Dovecots take
// names in any case for one user (`fold`); with auth_username_format = %u, names that differ in case are different users (`keep`). Then
// what allows is compared as written, and what denies in any case.

import { bounds } from '../../host/bounds/bounds.js';
import { foldAscii } from '../../host/words/text.js';

/** Whether a server takes names that differ in the case of ASCII letters for one user. */
export type NameCase = 'fold' | 'keep';

/** Folds a pattern of a rule that allows in the way names are folded. */
export function foldFor(nameCase: NameCase): (pattern: string) => string {
  return nameCase === 'keep' ? (pattern) => pattern : foldAscii;
}

/** How names are parsed. `characters` is a class as in `A-Za-z0-9._+=@-`: single characters and ranges. */
export interface UserNameRules {
  readonly characters: string;
  /** Default `fold`. */
  readonly case?: NameCase;
  readonly defaultRealm?: string;
  /** Names that one command line may hold where its rule does not say otherwise. */
  readonly perLineMax?: number;
}

/** Default of `limits.users`. */
export const usersPerLine = bounds.usersPerLine;

/** Default of `mail_users.characters`. */
export const defaultCharacters = 'A-Za-z0-9._+=@-';

function raiseAscii(text: string): string {
  return text.replace(/[a-z]/g, (letter) => letter.toUpperCase());
}

/** Longest name in bytes, realm included. Stops names made to fill tables and records. */
export const userNameMax = bounds.userNameBytes;

/** Why a name was refused; never holds the name. */
export type UserNameCode = 'empty' | 'too-long' | 'character' | 'two-realms' | 'empty-part';

export type UserNameResult =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'refused'; readonly code: UserNameCode; readonly message: string };

/** Why no user has a name that a pattern matches. `write`: what may have been meant. */
export interface Nobody {
  readonly why: string;
  readonly write?: string;
}

export type UserNames = ReturnType<typeof createUserNames>;

export type CharacterClass =
  /** `set`: what stands between the brackets of a regular expression with the flag `u`. */
  { readonly kind: 'class'; readonly set: string } | { readonly kind: 'bad'; readonly message: string };

/**
 * Parses a character class: `A-Z` is a range, a `-` at the start or the end is literal, everything else is literal. Bad: an empty class, a
 * reversed range, and characters that can never be in a name because they are wildcards to Dovecot (`*`, `?`), separators of its protocols
 * (blank, control characters) or half of a surrogate pair.
 */
export function parseCharacterClass(text: string): CharacterClass {
  const points = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  if (points.length === 0) return { kind: 'bad', message: 'the class of characters is empty' };
  let set = '';
  for (let at = 0; at < points.length; at += 1) {
    const from = points[at] ?? 0;
    const isRange = points[at + 1] === dash && at + 2 < points.length;
    const to = isRange ? (points[at + 2] ?? 0) : from;
    if (to < from) {
      return { kind: 'bad', message: `the range ${showPoint(from)}-${showPoint(to)} runs backwards` };
    }
    const never = neverAllowed.find(([low, high]) => from <= high && to >= low);
    if (never !== undefined) {
      return {
        kind: 'bad',
        message: `${showPoint(Math.max(from, never[0]))} can never stand in a user name`,
      };
    }
    set += `\\u{${from.toString(16)}}-\\u{${to.toString(16)}}`;
    if (isRange) at += 2;
  }
  return { kind: 'class', set };
}

/** Throws a RangeError for an invalid class; configuration has checked it before. */
export function createUserNames(rules: UserNameRules) {
  const allowed = parseCharacterClass(rules.characters);
  if (allowed.kind === 'bad') throw new RangeError(allowed.message);
  const ofName = new RegExp(`^[${allowed.set}]*$`, 'u');
  const ofMask = new RegExp(`^[*?${allowed.set}]*$`, 'u');
  const { case: nameCase = 'fold' } = rules;
  const fold = foldFor(nameCase);
  const realm = rules.defaultRealm === undefined ? undefined : fold(rules.defaultRealm);

  /** The normal form of a name as a client wrote it: checked, realm appended, ASCII letters in lower case unless their case is kept. */
  function normalise(text: string): UserNameResult {
    if (text === '') return refused('empty', 'the user name is empty');
    if (isTooLong(text)) return tooLong();
    if (!holdsOnly(text, 'name')) {
      return refused('character', 'the user name holds a character that mail_users.characters does not list');
    }
    const name = fold(text);
    const at = name.indexOf('@');
    if (at < 0) {
      if (realm === undefined) return { kind: 'name', name };
      const whole = `${name}@${realm}`;
      return isTooLong(whole) ? tooLong() : { kind: 'name', name: whole };
    }
    // Dovecot's settings decide in several ways which of two realms counts.
    if (name.includes('@', at + 1)) return refused('two-realms', 'the user name holds more than one @');
    if (at === 0)
      return refused(
        'empty-part',
        'the user name has nothing before its @; as a mask, all users of a domain are *@example.org',
      );
    if (at === name.length - 1) return refused('empty-part', 'the user name has nothing after its @');
    return { kind: 'name', name };
  }

  /** Whether a name, or a mask of names, may contain every character of a text. */
  function holdsOnly(text: string, as: 'name' | 'mask'): boolean {
    return (as === 'name' ? ofName : ofMask).test(text);
  }

  /** Why no user can have a name that fits the pattern; undefined: one can. `isAnyCase`: case does not matter, as in a deny. */
  function whyNobody(pattern: string, isAnyCase: boolean): Nobody | undefined {
    const literal = pattern.replaceAll('*', '');
    const cases = isAnyCase || nameCase === 'fold' ? [foldAscii, raiseAscii] : [];
    const isHeld = (character: string): boolean =>
      [character, ...cases.map((turn) => turn(character))].some((each) => holdsOnly(each, 'name')) ||
      (character === '@' && realm !== undefined);
    const never = Array.from(literal).find((character) => !isHeld(character));
    if (never !== undefined)
      return { why: `names hold no ${showPoint(never.codePointAt(0) ?? 0)} (mail_users.characters)` };
    if (isTooLong(literal)) return { why: `a name has at most ${userNameMax} bytes` };
    const [, ...realms] = literal.split('@');
    if (realms.length > 1) return { why: 'a name holds one @' };
    if (pattern.startsWith('@') || pattern.endsWith('@'))
      return { why: 'a name has something before and after its @' };
    // No single star crosses an @.
    if (realm === undefined || realms.length === 1 || pattern === '*' || pattern.includes('**'))
      return undefined;
    return { why: 'names have a realm (default_realm)', write: `${pattern}@${realm}` };
  }

  return { perLineMax: rules.perLineMax ?? usersPerLine, nameCase, normalise, holdsOnly, whyNobody };
}

/** A character has 1 to 3 bytes, so most names need no counting. */
function isTooLong(text: string): boolean {
  return (
    text.length > userNameMax || (text.length * 3 > userNameMax && Buffer.byteLength(text) > userNameMax)
  );
}

function tooLong(): UserNameResult {
  return refused('too-long', `the user name has more than ${userNameMax} bytes`);
}

const dash = 0x2d;

/** Control characters and blank; `*`; `?`; DEL and C1; surrogates. */
const neverAllowed: readonly (readonly [number, number])[] = [
  [0, 0x20],
  [0x2a, 0x2a],
  [0x3f, 0x3f],
  [0x7f, 0xa0],
  [0x2028, 0x202e],
  [0xd800, 0xdfff],
];

function showPoint(code: number): string {
  const isPlain = code > 0x20 && code < 0x7f;
  return isPlain
    ? `"${String.fromCodePoint(code)}"`
    : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

function refused(code: UserNameCode, message: string): UserNameResult {
  return { kind: 'refused', code, message };
}
