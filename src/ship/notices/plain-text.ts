// Text of people as plain text: one line, without characters that nobody sees, without markup, and without links that a chat or a mail
// program would make by itself. Text of a record enters a notice through `plainText` only.

/** Line ends, tabs and other controls, and blanks of every kind. */
const breaks = /[\p{Cc}\p{Z}]+/gu;
/** Bidirectional, zero-width and other invisible characters; halves of pairs; characters that no font has. */
const invisible = /[\p{Cf}\p{Cs}\p{Co}\p{Cn}]|\p{Default_Ignorable_Code_Point}|[\u2800\ufffc\u{1d159}]/gu;
/** More marks above a letter than any script needs. */
const marks = /(\p{M}{3})\p{M}+/gu;
const schemes =
  /\b(mailto|tel|sms|data|javascript|vbscript|file|xmpp|sips?|skype|slack|tg|magnet|news|about|blob|view-source):/giu;

/** `http://x` is `http[:]//x`, and `<b>` is `‹b›`. At most `charsMax` characters. */
export function plainText(text: string, charsMax: number): string {
  // Longer texts are not examined whole.
  const whole = text.slice(0, charsMax * 4);
  const plain = whole
    .replace(breaks, ' ')
    .replace(invisible, '')
    .replace(marks, '$1')
    .replaceAll('<', '‹')
    .replaceAll('>', '›')
    .replace(/:(?=\s*[/\\]{2})/g, '[:]')
    .replace(schemes, '$1[:]')
    .replace(/\bwww\./gi, 'www[.]')
    .replace(/ {2,}/g, ' ')
    .trim();
  const characters = Array.from(plain);
  if (characters.length <= charsMax && whole.length === text.length) return plain;
  return `${characters.slice(0, charsMax - 1).join('')}…`;
}

/** As `plainText`, for text that its author chose freely: names such as `evil.example` make no link either. */
export function plainSentence(text: string, charsMax: number): string {
  const dotted = plainText(text, charsMax).replace(
    /(?<=[\p{L}\p{N}_-])[.\u3002\uff0e\uff61](?=\p{L}{2})/gu,
    '[.]',
  );
  const characters = Array.from(dotted);
  return characters.length <= charsMax ? dotted : `${characters.slice(0, charsMax - 1).join('')}…`;
}
