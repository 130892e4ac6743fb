// How letters are folded where Dovecot folds them. It does not know what the text is.
// The rule: ASCII only: what Unicode folds alike may be two users.

/** ASCII letters in lower case, everything else as it is: the folding that Dovecot does by default. */
export function foldAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
