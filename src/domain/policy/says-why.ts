// Whether a stated reason says something, for rules with `reason: required`. Pure.

/** So many visible characters must be there: a ticket number has them, a blank or an invisible character does not. */
export const reasonVisibleMin = 3;

/**
 * Letters, digits, punctuation and symbols. Not counted: blanks, controls and format characters (zero-width, bidirectional), marks that
 * only combine with a letter, unassigned and private characters, all that Unicode calls ignorable by default (as the Hangul fillers),
 * and two symbols that are blank: the empty Braille pattern and the null notehead.
 */
const visible = /(?!\p{Default_Ignorable_Code_Point}|\u2800|\ufffc|\u{1d159})[\p{L}\p{N}\p{P}\p{S}]/gu;

/** Whether `reason` has enough visible characters; undefined: none was stated. */
export function saysWhy(reason: string | undefined): boolean {
  return (reason?.match(visible)?.length ?? 0) >= reasonVisibleMin;
}

/** Why a command is refused whose rule demands a reason. */
export function whyNoReason(reason: string | undefined): string {
  if (reason === undefined || reason === '') return 'the client must say why';
  return `the client must say why, in at least ${reasonVisibleMin} visible characters`;
}
