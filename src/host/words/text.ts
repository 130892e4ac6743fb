// Text as it may be shown, compared and written down: quoted, without what a terminal obeys or nobody sees, as JSON on one line.

/**
 * The JSON text of a string: lone surrogates become U+FFFD (many parsers refuse their escapes), and control, bidirectional and line
 * separator characters are written as escapes, so that `cat` of a journal is harmless.
 */
export function quote(value: string): string {
  return plain.test(value) ? `"${value}"` : formatRecorded(value.replace(loneSurrogate, '\ufffd'));
}

export const plain = /^[ !#-[\]-~]*$/;

/** A name in a sentence: a blank at its end, for example, cannot be seen without quotes. */
export function quoteUnlessPlain(name: string): string {
  return plainName.test(name) ? name : quote(name);
}

const plainName = /^[!#-[\]-~]+$/;
const loneSurrogate = /\p{Surrogate}/gu;

/** A value as JSON on one line, with the escapes of records: searches and digests compare their bytes, so these never change. */
export function formatRecorded(value: unknown): string {
  return escapeIn(JSON.stringify(value), escapedInRecords);
}

/** A value as JSON on one line, without terminal controls and invisible characters: the same value for a parser. */
export function formatJson(value: unknown): string {
  return harmlessJson(JSON.stringify(value));
}

export function formatJsonLines(value: unknown): string {
  const lines = JSON.stringify(value, undefined, 2).split('\n');
  return lines.map(harmlessJson).join('\n');
}

/** A line of JSON without terminal controls and invisible characters: the same value for a parser. */
export function harmlessJson(line: string): string {
  return escapeIn(line, invisible);
}

function escapeIn(line: string, characters: RegExp): string {
  if (visible.test(line)) return line;
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return line.replace(characters, (character) => character.split('').map(escape).join(''));
}

/** Text for people, on one line: control, invisible and bidirectional characters, and blanks other than the plain one, as escapes. */
export function printable(text: string): string {
  if (visible.test(text)) return text;
  return text.replace(notForPeople, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    if (character === '\t') return '\\t';
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** Matches most texts, ten times faster than the search for characters that need care. */
const visible = /^[ -~]*$/;
const escapedInRecords =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
/** What Unicode calls ignorable by default (zero-width characters, Hangul fillers, tags), and symbols that are blank. */
const invisible =
  /[\p{Cc}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\p{Surrogate}\u2800\ufff9-\ufffc\u{1d159}]/gu;
/** The same, and blanks that look like the plain one. */
const notForPeople = new RegExp(`${invisible.source}|(?! )\\p{Zs}`, 'gu');

/** Words of a command line as they would be typed into a shell, safe to show. */
export function formatWords(typed: readonly string[]): string {
  return typed.map((word) => printable(isBare(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

function isBare(word: string): boolean {
  return /^[\w@%+=:,./-]+$/u.test(word);
}

/**
 * The text with keys of HTTP listeners, and tokens of reports, reduced to their public part, also cut or mistyped ones; never longer than
 * before. For everything that is written down: a key may be in any argument, name or sentence of a client.
 */
export function withoutKeys(text: string): string {
  // Most texts have none, and this check is faster.
  return text.includes('dvg_') || text.includes('dvr_') ? text.replace(keys, '$1[key]') : text;
}

const keys = /(dv[gr]_[0-9A-Za-z]{8}_)[0-9A-Za-z_]{5,}/g;

/**
 * ASCII letters in lower case, everything else unchanged: how Dovecot folds names of users and commands. Characters that Unicode folds
 * alike may be two users (a Kelvin sign is not a k).
 */
export function foldAscii(text: string): string {
  if (!/[A-Z]/.test(text)) return text;
  // The usual function is much faster, but folds more than ASCII.
  return /[^\0-\x7f]/.test(text)
    ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
    : text.toLowerCase();
}
