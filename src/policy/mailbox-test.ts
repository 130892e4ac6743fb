// Owns the tests of rules on names of mailboxes, of which one mailbox can have several.
// It does not know namespaces; the catalog says which names there are.
// The rule: an `allow` holds only if it holds for every mailbox that a name may be, a `deny` strikes if it is meant for one of them.
import { endsInInbox, isMailboxMask, type MailboxNames } from '../catalog/mailbox-names.js';
import type { GlobList } from './glob.js';
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
      .find((reading) => test.kind === 'equals' || !passes(test, [reading]));
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
  const spellings = names.spellings(value);
  if (spellings.some((spelling) => globs.matches(spelling.toLowerCase()))) return true;
  return isDoubtedInbox(spellings, names) && globs.globs.some(({ text }) => endsInInbox(text));
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
  const spelled = values.map((value) => names.spellings(value));
  if (test.kind === 'equals') {
    return (
      spelled.length === test.values.length &&
      spelled.every((spellings, at) => isMeant(spellings, test.values[at] ?? '', names))
    );
  }
  const all = spelled.flat();
  if (strikes(test, withWhatIsBelow ? all.flatMap((name) => [name, `${name}*`]) : all, isMask)) return true;
  return spelled.some((spellings) => isDoubtedInbox(spellings, names)) && namesInbox(test);
}

function isMeant(spellings: readonly string[], wanted: string, names: MailboxNames): boolean {
  if (spellings.some((spelling) => spelling.toLowerCase() === wanted.toLowerCase())) return true;
  return isDoubtedInbox(spellings, names) && endsInInbox(wanted);
}

/** It may be the INBOX, and so may names that are not among its spellings. */
function isDoubtedInbox(spellings: readonly string[], names: MailboxNames): boolean {
  return names.isInboxDoubted && spellings.includes(inbox);
}

/** Whether a test is for a name that may be one of the INBOX. */
function namesInbox(test: ValueTest): boolean {
  if (test.kind === 'one-of') return test.globs.globs.some(({ text }) => endsInInbox(text));
  if (test.kind !== 'regex') return false;
  return ['/', '.'].some((separator) => strikes(test, [`${inbox}${separator}${inbox}`], false));
}
