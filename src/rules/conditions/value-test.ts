// The tests of a rule for the values of one parameter, and for names of mailboxes, where one mailbox can have several names; also a test as
// a configuration has it, and in words. A test of an `allow` passes only if every value passes, for every mailbox that a name may be. One
// of a `deny` applies if any value may be meant, whatever its case.

import type { GlobList } from '../../doveadm/names/glob.js';
import { endsInInbox, isMailboxMask, type MailboxNames } from '../../doveadm/names/mailbox-names.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { number } from './bounds.js';
import { equals } from './equals.js';
import type { Kind, Written } from './kind.js';
import { matching } from './matching.js';
import { oneOf } from './one-of.js';

const kinds = { 'one-of': oneOf, equals, regex: matching, number };

/** In the order of their keys in sentences. */
export const comparisonKinds: readonly Kind<Compared>[] = Object.values(kinds);

type Compared = TestOf<(typeof kinds)[keyof typeof kinds]>;
type TestOf<Each> = Each extends Kind<infer Test> ? Test : never;

/** A test that depends on the value. `isOptional`: absent is permitted too. */
export type Comparison = Compared & { readonly isOptional: boolean };

/** `any`: any value, or absent. `present`: given, with any value. `absent`: not given. */
export type ValueTest =
  | { readonly kind: 'any' }
  | { readonly kind: 'present' }
  | { readonly kind: 'absent' }
  | Comparison;

export const isValueTest = predicateOf<ValueTest>();

/** The test of one parameter, by the catalog's long name. In an `allow` all values must pass, in a `deny` one is enough. */
export interface ParameterTest {
  readonly parameter: string;
  readonly test: ValueTest;
}

export function kindOf(test: Compared): Kind<Compared> {
  return kinds[test.kind];
}

/** Whether it depends on the value. One mailbox has several names, and such a test may cover only some of them. */
export function comparesValues(test: ValueTest | undefined): test is Comparison {
  return test !== undefined && Object.hasOwn(kinds, test.kind);
}

/** The texts and patterns that it names; undefined: that is not how it compares. */
export function textsOfTest(test: ValueTest | undefined): readonly string[] | undefined {
  return comparesValues(test) ? kindOf(test).texts?.(test) : undefined;
}

export function writtenTest(test: ValueTest): Written {
  if (!comparesValues(test)) return test.kind;
  const written = kindOf(test).write(test);
  if (test.isOptional) return { ...written, optional: true };
  return isValueTest(test, 'one-of') ? test.globs.texts : written;
}

/** `user`: of the command, for conditions on locations. */
export function passes(test: ValueTest, values: readonly string[] | undefined, user?: string): boolean {
  if (test.kind === 'any') return true;
  if (test.kind === 'absent') return values === undefined;
  if (values === undefined) return test.kind !== 'present' && test.isOptional;
  if (values.length === 0) return false;
  return test.kind === 'present' || kindOf(test).passes(test, values, user);
}

/**
 * Whether a test of a `deny` applies. An absent parameter meets a test of values: its default at the server is usually everything (no mask,
 * no limit, every field). `isMask`: the values can be masks, in which `*`, `%` and `?` stand for other text.
 */
export function strikes(test: ValueTest, values: readonly string[] | undefined, isMask: boolean): boolean {
  if (test.kind === 'any') return true;
  if (test.kind === 'absent') return values === undefined;
  if (test.kind === 'present') return values !== undefined;
  return values === undefined || kindOf(test).strikes(test, values, isMask);
}

const inbox = 'INBOX';

/** An `allow` passes for the values as written: returns another name of one of these mailboxes for which it does not pass. */
export function nameThatFails(
  test: ValueTest,
  values: readonly string[] | undefined,
  names: MailboxNames,
): string | undefined {
  if (values === undefined || test.kind === 'any' || test.kind === 'present') return undefined;
  const exact = exactTexts(test);
  for (const value of values) {
    // The rule contains that mask literally.
    if (exact !== undefined && isMailboxMask(value)) continue;
    const failing = names
      .readings(value)
      .find((reading) => (exact === undefined ? !passes(test, [reading]) : !exact.includes(reading)));
    if (failing !== undefined) return failing;
  }
  return undefined;
}

/** Undefined: its texts are not the whole list of values. */
function exactTexts(test: ValueTest): readonly string[] | undefined {
  if (test.kind === 'any' || test.kind === 'present' || test.kind === 'absent') return undefined;
  const kind: Kind<Compared> = kinds[test.kind];
  return kind.isExact ? kind.texts?.(test) : undefined;
}

/** Whether the rule has these very values, which may be masks. */
export function hasLiterally(test: ValueTest | undefined, values: readonly string[]): boolean {
  if (test === undefined) return false;
  if (isValueTest(test, 'one-of')) return values.every((value) => test.globs.has(value));
  return exactTexts(test) !== undefined && passes(test, values);
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

/** Whether a test of a `deny` applies to names of mailboxes. `isMask`: they can be masks. `withWhatIsBelow`: all below them counts too. */
export function strikesMailboxes(
  test: ValueTest,
  values: readonly string[],
  names: MailboxNames,
  { isMask, withWhatIsBelow }: { readonly isMask: boolean; readonly withWhatIsBelow: boolean },
): boolean {
  const exact = exactTexts(test);
  if (exact !== undefined)
    return (
      values.length === exact.length && values.every((value, at) => isMeant(value, exact[at] ?? '', names))
    );
  if (values.length === 0 || !comparesValues(test)) return strikes(test, values, isMask);
  const kind = kindOf(test);
  for (const value of values) {
    // Expressions are case-sensitive, so they are compared with names that are not folded.
    const spelled = test.kind === 'regex' ? names.spellings(value) : names.folded(value);
    if (kind.strikes(test, spelled, isMask)) return true;
    const below = withWhatIsBelow ? spelled.map((name) => `${name}*`) : [];
    if (withWhatIsBelow && kind.strikes(test, below, isMask)) return true;
  }
  return kind.meansInbox?.(test) === true && values.some((value) => isDoubtedInbox(value, names));
}

function isMeant(value: string, wanted: string, names: MailboxNames): boolean {
  if (names.folded(value).includes(wanted.toLowerCase())) return true;
  return isDoubtedInbox(value, names) && endsInInbox(wanted);
}

/** Whether the value may mean the INBOX where the INBOX may have further, unknown names. */
function isDoubtedInbox(value: string, names: MailboxNames): boolean {
  return names.isInboxDoubted && names.spellings(value).includes(inbox);
}

/** `field: uid or guid`, `mask is given, whatever it is`. `compared`: instead of the words of a comparison. */
export function describeParameter(parameter: string, test: ValueTest, compared?: string): string {
  if (comparesValues(test)) return `${parameter}: ${compared ?? describeComparison(test)}`;
  return `${parameter} is ${presenceWords[test.kind]}`;
}

const presenceWords = {
  any: 'given or not, whatever it is',
  present: 'given, whatever it is',
  absent: 'not given',
};

export function describeDemand(name: string, test: ValueTest): string {
  if (!comparesValues(test)) return describeParameter(name, test);
  return `${name} must ${kindOf(test).demand?.(test) ?? `be ${describeComparison(test)}`}`;
}

export function describeComparison(test: Comparison): string {
  return `${kindOf(test).words(test)}${test.isOptional ? ', or not given' : ''}`;
}
