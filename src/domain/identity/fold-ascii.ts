// How letters are folded where Dovecot folds them. It does not know what the text is.
// The rule: ASCII only: what Unicode folds alike may be two users.

/** ASCII letters in lower case, everything else as it is: the folding that Dovecot does by default. */
export function foldAscii(text: string): string {
  if (!/[A-Z]/.test(text)) return text;
  // The usual way is much faster; where there is more than ASCII, it would fold that too.
  return /[^\0-\x7f]/.test(text)
    ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
    : text.toLowerCase();
}
