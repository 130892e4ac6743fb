// The tests of a rule for the values of one parameter, and for names of mailboxes, where one mailbox can have several names; also a test as
// text and in words. All code that depends on the kind of a test is here, except for its reading (config/parse-where.ts). A test of an
// `allow` passes only if every value passes, for every mailbox that a name may be. One of a `deny` applies if any value may be meant,
// whatever its case.

import { type GlobList, mayOverlap, userSign } from '../../doveadm/names/glob.js';
import { endsInInbox, isMailboxMask, type MailboxNames } from '../../doveadm/names/mailbox-names.js';
import { formatDuration } from '../../host/words/durations.js';
import {
  type Bounds,
  isKeyTest,
  type KeyCondition,
  type KeyTest,
  type QueryTest,
  type ValueTest,
} from './policy.js';
import { regexWords } from './regex.js';

/** `user`: of the command, for conditions on locations. */
export function passes(test: ValueTest, values: readonly string[] | undefined, user?: string): boolean {
  if (test.kind === 'any') return true;
  if (test.kind === 'absent') return values === undefined;
  if (test.kind === 'present') return values !== undefined && values.length > 0;
  if (values === undefined) return test.isOptional;
  return values.length > 0 && passesAll(test, values, user);
}

type Comparing = Exclude<ValueTest, { readonly kind: 'any' | 'present' | 'absent' }>;

/** Whether it depends on the value. One mailbox has several names, and such a test may cover only some of them. */
export function comparesValues(test: ValueTest): test is Comparing {
  return test.kind !== 'any' && test.kind !== 'present' && test.kind !== 'absent';
}

function passesAll(test: Comparing, values: readonly string[], user: string | undefined): boolean {
  switch (test.kind) {
    case 'one-of':
      return values.every((value) => test.globs.matches(value, user));
    case 'equals':
      return (
        values.length === test.values.length && values.every((value, index) => value === test.values[index])
      );
    case 'number':
      return values.every((value) => isNumberWithin(value, test));
    case 'regex':
      return values.every((value) => test.regex.matches(value));
    default:
      return test satisfies never;
  }
}

/**
 * Whether a test of a `deny` applies. An absent parameter meets a test of values: its default at the server is usually everything (no mask,
 * no limit, every field). `isMask`: the values can be masks, in which `*`, `%` and `?` stand for other text.
 */
export function strikes(test: ValueTest, values: readonly string[] | undefined, isMask: boolean): boolean {
  if (test.kind === 'any') return true;
  if (test.kind === 'absent') return values === undefined;
  if (values === undefined) return test.kind !== 'present';
  switch (test.kind) {
    case 'present':
      return true;
    case 'one-of':
      return values.some((value) => mayMean(value, test.globs, isMask));
    case 'equals':
      return values.join('\0').toLowerCase() === test.values.join('\0').toLowerCase();
    case 'number':
      return values.some((value) => isNumberWithin(value, test));
    case 'regex':
      return values.some((value) => test.regex.matches(value) || test.regex.matches(value.toLowerCase()));
    default:
      return test satisfies never;
  }
}

/** The patterns of a `deny` are in lower case. */
function mayMean(value: string, globs: GlobList, isMask: boolean): boolean {
  const folded = value.toLowerCase();
  if (globs.matches(folded)) return true;
  return isMask && mayOverlap(folded.replaceAll('%', '*'), globs);
}

/** An upper bound alone does not include numbers below zero. */
function isNumberWithin(value: string, { atLeast, atMost }: Bounds<bigint>): boolean {
  if (!/^-?\d{1,40}$/.test(value)) return false;
  const number = BigInt(value);
  return number >= (atLeast ?? 0n) && (atMost === undefined || number <= atMost);
}

const inbox = 'INBOX';

/** The name for which an `allow`, which passes the values as written, does not pass all possible mailboxes. */
export function nameThatFails(
  test: ValueTest,
  values: readonly string[] | undefined,
  names: MailboxNames,
): string | undefined {
  if (values === undefined || test.kind === 'any' || test.kind === 'present') return undefined;
  for (const value of values) {
    // The rule contains that mask literally.
    if (test.kind === 'equals' && isMailboxMask(value)) continue;
    const failing = names
      .readings(value)
      .find((reading) =>
        test.kind === 'equals' ? !test.values.includes(reading) : !passes(test, [reading]),
      );
    if (failing !== undefined) return failing;
  }
  return undefined;
}

/** Whether a name that matches the patterns of an `allow` matches them as every possible mailbox. */
export function isSurelyOneOf(value: string, globs: GlobList, names: MailboxNames): boolean {
  return globs.isEverything || names.readings(value).every((reading) => globs.matches(reading));
}

/** Whether a name may be meant by the patterns of a `deny`, which are in lower case. */
export function mayBeOneOf(value: string, globs: GlobList, names: MailboxNames): boolean {
  if (names.folded(value).some((spelling) => globs.matches(spelling))) return true;
  return isDoubtedInbox(value, names) && globs.texts.some((text) => endsInInbox(text));
}

/**
 * Whether a test of a `deny` applies to names of mailboxes. `isMask`: they can be masks. `withWhatIsBelow`: everything below them is
 * included.
 */
export function strikesMailboxes(
  test: ValueTest,
  values: readonly string[],
  names: MailboxNames,
  { isMask, withWhatIsBelow }: { readonly isMask: boolean; readonly withWhatIsBelow: boolean },
): boolean {
  if (test.kind === 'equals') {
    return (
      values.length === test.values.length &&
      values.every((value, at) => isMeant(value, test.values[at] ?? '', names))
    );
  }
  if (values.length === 0) return strikes(test, values, isMask);
  for (const value of values) {
    const spelled = test.kind === 'regex' ? names.spellings(value) : names.folded(value);
    if (strikes(test, spelled, isMask)) return true;
    if (
      withWhatIsBelow &&
      strikes(
        test,
        spelled.map((name) => `${name}*`),
        isMask,
      )
    )
      return true;
  }
  return namesInbox(test) && values.some((value) => isDoubtedInbox(value, names));
}

function isMeant(value: string, wanted: string, names: MailboxNames): boolean {
  if (names.folded(value).includes(wanted.toLowerCase())) return true;
  return isDoubtedInbox(value, names) && endsInInbox(wanted);
}

/** It may be the INBOX, and so may names outside of its spellings. */
function isDoubtedInbox(value: string, names: MailboxNames): boolean {
  return names.isInboxDoubted && names.spellings(value).includes(inbox);
}

function namesInbox(test: Exclude<ValueTest, { readonly kind: 'equals' }>): boolean {
  switch (test.kind) {
    case 'any':
    case 'present':
      return true;
    case 'absent':
    case 'number':
      return false;
    case 'one-of':
      return test.globs.texts.some((text) => endsInInbox(text));
    case 'regex':
      return ['/', '.'].some((separator) => strikes(test, [`${inbox}${separator}${inbox}`], false));
    default:
      return test satisfies never;
  }
}

/** `field: uid or guid`, `mask is given, whatever it is`. `compared`: instead of the words of a comparison. */
export function describeParameter(parameter: string, test: ValueTest, compared?: string): string {
  if (test.kind === 'any') return `${parameter} is given or not, whatever it is`;
  if (test.kind === 'present') return `${parameter} is given, whatever it is`;
  if (test.kind === 'absent') return `${parameter} is not given`;
  return `${parameter}: ${compared ?? describeComparison(test)}`;
}

/** What a value that fails must be. */
export function describeDemand(name: string, test: ValueTest): string {
  if (!comparesValues(test)) return describeParameter(name, test);
  if (test.kind === 'regex') return `${name} must match ${test.regex.source}`;
  if (test.kind !== 'one-of') return `${name} must be ${describeComparison(test)}`;
  const { texts, isLocation } = test.globs;
  const hasStar = isLocation && texts.some((text) => text.includes('*'));
  const says = [...(hasStar ? ['* takes no "..", ":" or "%"'] : []), ...userSays(test.globs)];
  return `${name} must be ${listFew(texts)}${says.length === 0 ? '' : `, where ${says.join(', and ')}`}`;
}

function userSays({ texts, isLocation }: GlobList): readonly string[] {
  return isLocation && texts.some((text) => text.includes(userSign))
    ? [`${userSign} is the user of the command`]
    : [];
}

export function describeComparison(test: Comparing): string {
  return `${comparisonWords(test)}${test.isOptional ? ', or not given' : ''}`;
}

function comparisonWords(test: Comparing): string {
  switch (test.kind) {
    case 'one-of':
      return [listOr(test.globs.texts), ...userSays(test.globs)].join(', where ');
    case 'equals':
      return `exactly ${test.values.map((value) => JSON.stringify(value)).join(' ')}`;
    case 'number':
      return describeBounds(test, String);
    case 'regex':
      return regexWords(test.regex);
    default:
      return test satisfies never;
  }
}

/** A demand is one line in a log. */
const fewTexts = 8;

export function listFew(texts: readonly string[]): string {
  const more = texts.length - fewTexts;
  return listOr(more > 0 ? [...texts.slice(0, fewTexts), `one of ${more} more`] : texts);
}

export function listOr(texts: readonly string[]): string {
  const last = texts.at(-1) ?? '';
  return texts.length < 2 ? last : `${texts.slice(0, -1).join(', ')} or ${last}`;
}

export function textOfBounds<Value>(
  { atLeast, atMost }: Bounds<Value>,
  format: (value: Value) => string,
): Readonly<Record<string, string>> {
  return {
    ...(atLeast === undefined ? {} : { at_least: format(atLeast) }),
    ...(atMost === undefined ? {} : { at_most: format(atMost) }),
  };
}

/** `at least 5, at most 9`. */
export function describeBounds<Value>(bounds: Bounds<Value>, format: (value: Value) => string): string {
  const written = Object.entries(textOfBounds(bounds, format));
  return written.map(([key, value]) => `${key.replace('_', ' ')} ${value}`).join(', ');
}

export function describeQuery(query: QueryTest): string {
  switch (query.kind) {
    case 'any':
      return 'any';
    case 'equals':
      return `exactly ${query.words.join(' ')}`;
    case 'regex':
      return regexWords(query.regex);
    case 'keys': {
      const groups = query.anyOf.map((group) => `(${group.map(describeKey).join(' and ')})`);
      const parts = [...query.conditions.map(describeKey), ...(groups.length === 0 ? [] : [listOr(groups)])];
      return parts.length === 0 ? 'any' : `every mail it selects has ${parts.join(' and ')}`;
    }
    default:
      return query satisfies never;
  }
}

export function describeKey({ key, test }: KeyCondition): string {
  return isKeyTest(test, 'absent') ? `no ${key}` : `${key} ${describeKeyTest(test)}`.trimEnd();
}

function describeKeyTest(test: Exclude<KeyTest, { readonly kind: 'absent' }>): string {
  switch (test.kind) {
    case 'present':
      return '';
    case 'one-of':
      return listOr(test.globs.texts);
    case 'age':
      return describeBounds(test, (seconds) => formatDuration(seconds * 1000));
    case 'size':
      return describeBounds(test, (bytes) => `${bytes} bytes`);
    default:
      return test satisfies never;
  }
}
