// Names and texts of others as a screen shows them: control, bidirectional and invisible characters as escapes, as the terminal has
// them, and accents that would pile up over other rows; long ones cut. Every text that came from a record or a command goes through here,
// mostly by <Name> or <Sentence> of kit.tsx.

export interface Piece {
  readonly text: string;
  /** An escape that stands for a character that would not be seen, or would change how others are seen. */
  readonly isOdd: boolean;
}

/** Characters that a terminal gets escaped, and blanks other than the plain one. No script puts more than four marks on one letter. */
const odd =
  /[\p{Cc}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\p{Surrogate}\u2800\ufff9-\ufffc\u{1d159}]|(?! )\p{Zs}|(?<=\p{M}{4})\p{M}/gu;

export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(odd)) {
    if (match.index > end) found.push({ text: text.slice(end, match.index), isOdd: false });
    found.push({ text: escape(match[0]), isOdd: true });
    end = match.index + match[0].length;
  }
  if (end < text.length) found.push({ text: text.slice(end), isOdd: false });
  return found;
}

export function visible(text: string): string {
  return text.replace(odd, escape);
}

function escape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

/** A line may break between parts of a path, and in long words after an @ and within 24 characters: tables are narrow. */
export function breakable(text: string): string[] {
  return text
    .split(/(\S{33,})/u)
    .flatMap((part, at) =>
      part
        .split(at % 2 === 0 ? /(?<=\/)(?=.)/s : /(?<=[@/])(?=.)/s)
        .flatMap((each) => (at % 2 === 0 ? [each] : each.split(/(\S{24}\p{M}*)(?=\S)/u))),
    )
    .filter((each) => each !== '');
}

/** The middle is left out, since ends of addresses (the domain) tell as much as their beginnings. Undefined: not too long. */
export function cut(text: string, max: number): string | undefined {
  if (text.length <= max) return undefined;
  const all = Array.from(text);
  if (all.length <= max) return undefined;
  const tail = Math.floor(max / 3);
  return `${all.slice(0, max - tail - 1).join('')}…${all.slice(all.length - tail).join('')}`;
}
