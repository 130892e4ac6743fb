// Owns the tests of rules on names of mailboxes, of which one mailbox can have several.
// It does not know namespaces; the catalog says which names there are.
// The rule: an `allow` holds only if it holds for every mailbox that a name may be, a `deny` strikes if it is meant for one of them.

import type { GlobList } from '../commands/glob.js';
import { endsInInbox, isMailboxMask, type MailboxNames } from '../commands/mailbox-names.js';
import { passes, strikes, type ValueTest } from './value-test.js';

const inbox = 'INBOX';

/** The name that makes an `allow`, which holds for the values as they are written, not hold for what they may be. */
export function nameThatFails(
  test: ValueTest,
  values: readonly string[] | undefined,
  names: MailboxNames,
): string | undefined {
  if (values === undefined || test.kind === 'any' || test.kind === 'present') return undefined;
  for (const value of values) {
    // The rule holds that very mask.
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

/** Whether a name, that is one of the patterns of an `allow`, is one of them as whatever mailbox it may be. */
export function isSurelyOneOf(value: string, globs: GlobList, names: MailboxNames): boolean {
  return globs.isEverything || names.readings(value).every((reading) => globs.matches(reading));
}

/** Whether a name may be meant by the patterns of a `deny`, which are in lower case. */
export function mayBeOneOf(value: string, globs: GlobList, names: MailboxNames): boolean {
  if (names.folded(value).some((spelling) => globs.matches(spelling))) return true;
  return isDoubtedInbox(value, names) && globs.texts.some((text) => endsInInbox(text));
}

/**
 * Whether a test of a `deny` strikes names of mailboxes. `isMask`: they can be masks. `withWhatIsBelow`: so is everything below them.
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

/** It may be the INBOX, and so may names that are not among its spellings. */
function isDoubtedInbox(value: string, names: MailboxNames): boolean {
  return names.isInboxDoubted && names.spellings(value).includes(inbox);
}

/** Whether a test is for a name that may be one of the INBOX. */
function namesInbox(test: ValueTest): boolean {
  if (test.kind === 'one-of') return test.globs.texts.some((text) => endsInInbox(text));
  if (test.kind !== 'regex') return false;
  return ['/', '.'].some((separator) => strikes(test, [`${inbox}${separator}${inbox}`], false));
}
